package signing_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// TestMixUp has signatures that are good for something else than what is judged: each is refused, and the message names
// what differs.
func TestMixUp(t *testing.T) {
	for _, c := range []struct {
		name     string
		change   func(*request.Request)
		signedAt time.Time
		reason   string
		mentions []string
	}{
		{"an approval abandoned years ago", nil, now.AddDate(-3, 0, 0), v1alpha1.ReasonSignatureExpired, []string{"2023-11-22", "30 days"}},
		{"an approval a second too old", nil, now.Add(-maxAge - time.Second), v1alpha1.ReasonSignatureExpired, []string{"2026-10-23T11:59:59Z"}},
		{"signed in the future", nil, now.Add(time.Hour), futureReason, []string{"2026-11-22T13:00:00Z"}},
		{"for another host", func(r *request.Request) { r.Audience = "test.example.com" }, now, v1alpha1.ReasonOtherHost, []string{"Audience: expected cm.example.com, signed test.example.com"}},
		{"for a host whose name differs in its case", func(r *request.Request) { r.Audience = "CM.example.com" }, now, v1alpha1.ReasonOtherHost, []string{"signed CM.example.com"}},
		{"for another procedure", func(r *request.Request) { r.Procedure.Name = "Visitor card" }, now, v1alpha1.ReasonOtherProcedure, []string{"Procedure name: expected Employee card, signed Visitor card"}},
		{"for another procedure of another host", func(r *request.Request) { r.Procedure.Name, r.Audience = "Visitor card", "x" }, now, v1alpha1.ReasonOtherProcedure, []string{"Procedure name: ", "Audience: expected cm.example.com, signed x"}},
		{"of another host, too old", func(r *request.Request) { r.Audience = "x" }, now.AddDate(-1, 0, 0), v1alpha1.ReasonSignatureExpired, nil},
	} {
		officer, signed := signingtest.New(t, "officer"), employeeCard()
		if c.change != nil {
			c.change(&signed)
		}
		expect(t, "mix-up", "Sign", c.name, signing.Judge(officer.Sign(t, signed, c.signedAt), terms(officer.Officer)), c.reason, c.mentions...)
	}
}

// tallied judges signatures by the terms and counts them for a wanted request.
func tallied(wanted request.Request, judged signing.Terms, signatures ...[]byte) []signing.Count {
	verdicts, names := make([]signing.Verdict, len(signatures)), make([]string, len(signatures))
	for i, signature := range signatures {
		verdicts[i], names[i] = signing.Judge(signature, judged), "signature-"+string(rune('a'+i))
	}
	return signing.Tally(wanted, verdicts, names)
}

// TestOtherContent has verified signatures for another revision or content than the wanted one.
func TestOtherContent(t *testing.T) {
	wanted := employeeCard()
	wanted.Revision, wanted.Procedure.Domain = 5, "Corp"
	for _, c := range []struct {
		name     string
		change   func(*request.Request)
		reason   string
		mentions []string
	}{
		{"exactly what is wanted", func(*request.Request) {}, v1alpha1.ReasonCounted, nil},
		{"an older revision of the same content", func(r *request.Request) { r.Revision = 4 }, v1alpha1.ReasonSuperseded, []string{"Revision: expected 5, signed 4"}},
		{"an older revision of other content", func(r *request.Request) { r.Revision, r.Procedure.State = 1, "Closed" }, v1alpha1.ReasonSuperseded, []string{"Revision: expected 5, signed 1", "State: expected Active, signed Closed"}},
		{"a later revision", func(r *request.Request) { r.Revision = 6 }, v1alpha1.ReasonRevisionAhead, []string{"Revision: expected 5, signed 6"}},
		{"another state", func(r *request.Request) { r.Procedure.State = "Closed" }, v1alpha1.ReasonContentDiffers, []string{"State: expected Active, signed Closed"}},
		{"a field that is not there", func(r *request.Request) { r.Procedure.PINProcedure = "" }, v1alpha1.ReasonContentDiffers, []string{"PIN procedure: expected PIN letter, signed (none)"}},
		{"a field too many", func(r *request.Request) { r.Procedure.InputView = "Visitor" }, v1alpha1.ReasonContentDiffers, []string{"Input view: expected (none), signed Visitor"}},
		{"a list in another order", func(r *request.Request) { r.Procedure.CertificateProcedures = []string{"Signature", "Authentication"} }, v1alpha1.ReasonContentDiffers, []string{`Certificate procedures: expected "Authentication", "Signature", signed "Signature", "Authentication"`}},
		{"several fields", func(r *request.Request) { r.Procedure.Domain, r.Procedure.VisibleInSubdomain = "Emea", true }, v1alpha1.ReasonContentDiffers, []string{"Domain: expected Corp, signed Emea", "Visible in subdomain: expected (none), signed Yes"}},
		{"another serial number range", func(r *request.Request) {
			r.Procedure.CardSerialNumber.Range = &request.SerialNumberRange{From: "100000", To: "299999"}
		}, v1alpha1.ReasonContentDiffers, []string{"Serial number range: expected 100000 - 199999, signed 100000 - 299999"}},
	} {
		officer, signed := signingtest.New(t, "officer"), wanted
		signed.Procedure = signed.Procedure.Normalize()
		c.change(&signed)
		count := tallied(wanted, terms(officer.Officer), officer.Sign(t, signed, now))[0]
		checkCount(t, c.name, count, c.reason, c.mentions...)
		if count.Earlier != -1 {
			t.Errorf("%s: Earlier is %d", c.name, count.Earlier)
		}
	}
}

func checkCount(t *testing.T, name string, count signing.Count, reason string, mentions ...string) {
	t.Helper()
	record("counting", "Sign", name, count.Reason, count.Message)
	if count.Reason != reason || count.Message == "" {
		t.Errorf("%s: got %s (%s), want %s", name, count.Reason, count.Message, reason)
	}
	for _, mention := range mentions {
		if !bytes.Contains([]byte(count.Message), []byte(mention)) {
			t.Errorf("%s: %q does not mention %q", name, count.Message, mention)
		}
	}
}

// TestRecreated deletes an object whose revision the host has, and makes it again: approvals of the first life are of
// the same revision, or lower, and name what differs.
func TestRecreated(t *testing.T) {
	one, two := signingtest.New(t, "one"), signingtest.New(t, "two")
	first := employeeCard()
	again := employeeCard()
	again.Procedure.PINProcedure = "User PIN"
	counts := tallied(again, terms(one.Officer, two.Officer), one.Sign(t, first, now), two.Sign(t, first, now))
	for _, count := range counts {
		checkCount(t, "a deleted object made again at the same revision with other content", count, v1alpha1.ReasonContentDiffers, "PIN procedure: expected User PIN, signed PIN letter")
	}
	again.Revision = 2
	for _, count := range tallied(again, terms(one.Officer, two.Officer), one.Sign(t, first, now), two.Sign(t, first, now)) {
		checkCount(t, "a deleted object made again at a higher revision", count, v1alpha1.ReasonSuperseded, "Revision: expected 2, signed 1", "PIN procedure")
	}
}

// TestRestoredHost has a host restored from a backup of before revision 2: what is wanted is a higher revision, and the
// old approvals are good for nothing else than their own revision, and not for ever.
func TestRestoredHost(t *testing.T) {
	one, two := signingtest.New(t, "one"), signingtest.New(t, "two")
	lost := employeeCard()
	lost.Revision = 2
	approvals := [][]byte{one.Sign(t, lost, now), two.Sign(t, lost, now)}
	wanted := employeeCard()
	wanted.Revision, wanted.Procedure.State = 3, "Closed"
	for _, count := range tallied(wanted, terms(one.Officer, two.Officer), approvals...) {
		checkCount(t, "approvals of a revision that the restored host lost", count, v1alpha1.ReasonSuperseded, "Revision: expected 3, signed 2", "State: expected Closed, signed Active")
	}
	later := terms(one.Officer, two.Officer)
	later.Now = now.Add(maxAge + time.Second)
	for _, approval := range approvals {
		if _, recorded := signing.Recorded(approval, signing.Judge(approval, later).Digest, nil); recorded {
			t.Error("recorded by a host without evidence")
		}
		expect(t, "mix-up", "Sign", "an approval that the restored host lost, a month later", signing.Judge(approval, later), v1alpha1.ReasonSignatureExpired)
	}
	for _, count := range tallied(lost, later, approvals...) {
		checkCount(t, "approvals that the restored host lost, a month later", count, v1alpha1.ReasonNotVerified, "SignatureExpired")
	}
}

// TestWhoCounts counts several signatures of the wanted request.
func TestWhoCounts(t *testing.T) {
	one, two, three := signingtest.New(t, "one"), signingtest.New(t, "two"), signingtest.New(t, "three")
	renewed := one.Renewed(t)
	roleless := signingtest.New(t, "roleless")
	roleless.Roles = nil
	wanted := employeeCard()
	judged := terms(signingtest.Officers(one, renewed, two, three, roleless)...)
	sign := func(officers ...signingtest.Officer) [][]byte {
		var signatures [][]byte
		for _, officer := range officers {
			signatures = append(signatures, officer.Sign(t, wanted, now))
		}
		return signatures
	}
	const (
		counted, same, not = v1alpha1.ReasonCounted, v1alpha1.ReasonSameOfficer, v1alpha1.ReasonNotVerified
	)
	for _, c := range []struct {
		name       string
		signatures [][]byte
		reasons    []string
		earlier    []int
	}{
		{"nobody", nil, nil, nil},
		{"two officers", sign(one, two), []string{counted, counted}, []int{-1, -1}},
		{"one officer twice", sign(one, one), []string{counted, same}, []int{-1, 0}},
		{"one officer with two certificates and keys", sign(one, renewed), []string{counted, same}, []int{-1, 0}},
		{"one officer with two certificates, and another", sign(renewed, one, two), []string{counted, same, counted}, []int{-1, 0, -1}},
		{"three officers", sign(one, two, three), []string{counted, counted, counted}, []int{-1, -1, -1}},
		{"an officer without roles between", sign(one, roleless, two), []string{counted, not, counted}, []int{-1, -1, -1}},
		{"twice, but the first is not verified", sign(roleless, one, one), []string{not, counted, same}, []int{-1, -1, 1}},
	} {
		counts := tallied(wanted, judged, c.signatures...)
		if len(counts) != len(c.reasons) {
			t.Fatalf("%s: %d counts", c.name, len(counts))
		}
		for i, count := range counts {
			checkCount(t, c.name, count, c.reasons[i])
			if count.Earlier != c.earlier[i] {
				t.Errorf("%s, %d: Earlier is %d, want %d", c.name, i, count.Earlier, c.earlier[i])
			}
		}
	}
	count := tallied(wanted, judged, sign(one, renewed)...)[1]
	checkCount(t, "the second certificate of one officer", count, same, "one", "signature-a")
}

// TestSameKeyUnderTwoIDs counts one key once, even where verdicts name two officers for it.
func TestSameKeyUnderTwoIDs(t *testing.T) {
	one := signingtest.New(t, "one")
	other := signingtest.New(t, "two", func(o *signingtest.Options) { o.Key = one.Key })
	wanted := employeeCard()
	first := signing.Judge(one.Sign(t, wanted, now), terms(one.Officer))
	second := signing.Judge(other.Sign(t, wanted, now), terms(other.Officer))
	if !first.Verified() || !second.Verified() {
		t.Fatalf("%s, %s", first.Message, second.Message)
	}
	counts := signing.Tally(wanted, []signing.Verdict{first, second}, []string{"a", "b"})
	checkCount(t, "one key, first id", counts[0], v1alpha1.ReasonCounted)
	checkCount(t, "one key, second id", counts[1], v1alpha1.ReasonSameOfficer, "in a")
}

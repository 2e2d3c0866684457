package signing_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

func TestRecorded(t *testing.T) {
	officer, other := signingtest.New(t, "officer"), signingtest.New(t, "other")
	wanted := employeeCard()
	digest := request.DigestOf(canonical(t, wanted))
	recorded := craft(t, officer, nil, nil)
	evidence := []signing.Evidence{
		{OfficerID: "other", Subject: "CN=other", SignedAt: now, Signature: other.Sign(t, wanted, now)},
		{OfficerID: "officer", Subject: "CN=officer", SignedAt: now, Signature: recorded},
	}
	changed := wanted
	changed.Revision = 2
	for _, c := range []struct {
		name      string
		signature []byte
		digest    string
		evidence  []signing.Evidence
		want      bool
	}{
		{"the very signature", recorded, digest, evidence, true},
		{"the same with another certificate beside", craftAgain(t, officer, recorded, func(c *crafted) { c.certificates = append(c.certificates, other.Certificate.Raw) }), digest, evidence, true},
		{"the same with an unsigned attribute", craftAgain(t, officer, recorded, func(c *crafted) { c.unsigned = der(tagExplicit1, attribute(idOther, null)) }), digest, evidence, true},
		{"signed again in the same second", craft(t, officer, nil, nil), digest, evidence, true},
		{"signed again at another time", officer.Sign(t, wanted, now.Add(time.Second)), digest, evidence, false},
		{"signed by somebody else at the same time", signingtest.New(t, "officer").Sign(t, wanted, now), digest, evidence, false},
		{"a request that was not recorded", officer.Sign(t, changed, now), request.DigestOf(canonical(t, changed)), evidence, false},
		{"another digest", recorded, request.DigestOf([]byte("{}")), evidence, false},
		{"a host without evidence", recorded, digest, nil, false},
		{"evidence that cannot be read", recorded, digest, []signing.Evidence{{OfficerID: "officer", Signature: []byte("no")}}, false},
		{"the recorded attributes with a signature that is none", craftAgain(t, officer, recorded, func(c *crafted) {
			c.value = func(v []byte) []byte { return signMessage(t, other.Key, []byte("forged")) }
		}), digest, evidence, false},
		{"the recorded approval without its certificate", craftAgain(t, officer, recorded, func(c *crafted) { c.certificates = nil }), digest, evidence, false},
		{"nothing", nil, digest, evidence, false},
	} {
		verdict, found := signing.Recorded(c.signature, c.digest, c.evidence)
		outcome := "not recorded"
		if found {
			outcome = verdict.Reason
		}
		record("evidence", "crafted by the test", c.name, outcome, verdict.Message)
		if found != c.want {
			t.Errorf("%s: %v, want %v", c.name, found, c.want)
		}
		if found && (!verdict.Verified() || verdict.Reason != v1alpha1.ReasonRecordedByHost || verdict.Officer.ID != "officer" || verdict.Officer.Subject != "CN=officer" || !verdict.SignedAt.Equal(now) ||
			verdict.Digest != digest || verdict.Request.Procedure.Name != "Employee card" || !bytes.Equal(verdict.CertificateDER, officer.Certificate.Raw)) {
			t.Errorf("%s: %+v", c.name, verdict)
		}
	}
}

// craftAgain makes the recorded signature again, with its signature value, and changes unsigned parts of it.
func craftAgain(t *testing.T, officer signingtest.Officer, recorded []byte, change func(*crafted)) []byte {
	t.Helper()
	parsed, err := signing.ParseSignedData(recorded)
	if err != nil {
		t.Fatal(err)
	}
	return craft(t, officer, nil, func(c *crafted) {
		c.value = func([]byte) []byte { return slices.Clone(parsed.Value) }
		change(c)
	})
}

// TestRecordedCountWithOthers counts what the host has recorded, whatever has become of its officers.
func TestRecordedCountWithOthers(t *testing.T) {
	one, two := signingtest.New(t, "one"), signingtest.New(t, "two")
	wanted := employeeCard()
	digest := request.DigestOf(canonical(t, wanted))
	evidence := []signing.Evidence{
		{OfficerID: "one", Signature: one.Sign(t, wanted, now)}, {OfficerID: "two", Signature: two.Sign(t, wanted, now)},
	}
	var verdicts []signing.Verdict
	for _, e := range []signing.Evidence{evidence[0], evidence[1], evidence[0]} {
		verdict, found := signing.Recorded(e.Signature, digest, evidence)
		if !found {
			t.Fatal("not recorded")
		}
		verdicts = append(verdicts, verdict)
	}
	counts := signing.Tally(wanted, verdicts, []string{"a", "b", "c"})
	for i, reason := range []string{v1alpha1.ReasonCounted, v1alpha1.ReasonCounted, v1alpha1.ReasonSameOfficer} {
		checkCount(t, "recorded by the host", counts[i], reason)
	}
}

func TestVerifyEvidence(t *testing.T) {
	wanted := employeeCard()
	for _, c := range []struct {
		name       string
		validity   signingtest.Validity
		change     func(*signing.Officer)
		signedAt   time.Time
		acceptedAt time.Time
		reason     string
	}{
		{"valid when the host accepted it", signingtest.Valid, nil, now, now, acceptedReason},
		{"by an officer who is closed now, without roles", signingtest.Valid, func(o *signing.Officer) { o.State, o.Roles = "Closed", nil }, now, now, acceptedReason},
		{"by an officer of whom only the certificate is known", signingtest.Valid, func(o *signing.Officer) { *o = signing.Officer{ID: o.ID, Certificates: o.Certificates} }, now, now, acceptedReason},
		{"with a certificate that has expired since", signingtest.Expired, nil, signingtest.Expired.NotBefore.Add(time.Hour), signingtest.Expired.NotBefore.Add(2 * time.Hour), acceptedReason},
		{"with a certificate that had expired", signingtest.Expired, nil, now, now, v1alpha1.ReasonCertificateExpired},
		{"with a certificate that was not yet valid", signingtest.NotYetValid, nil, now, now, v1alpha1.ReasonCertificateNotYetValid},
		{"signed after it was accepted", signingtest.Valid, nil, now.Add(time.Hour), now, futureReason},
		{"by somebody unknown", signingtest.Valid, func(o *signing.Officer) { o.Certificates = nil }, now, now, unknownReason},
	} {
		officer := signingtest.New(t, "officer", validity(c.validity))
		signature := officer.Sign(t, wanted, c.signedAt)
		if c.change != nil {
			c.change(&officer.Officer)
		}
		verdict := signing.VerifyEvidence(signature, signing.NewRegister([]signing.Officer{officer.Officer}, nil), c.acceptedAt)
		expect(t, "evidence", "Sign", c.name, verdict, c.reason)
		if verdict.Request == nil || verdict.Request.Revision != 1 {
			t.Errorf("%s: no request", c.name)
		}
	}
	officer := signingtest.New(t, "officer")
	signature := officer.Sign(t, wanted, now)
	signature[len(signature)-1] ^= 1
	expect(t, "evidence", "Sign", "with one bit of the signature changed", signing.VerifyEvidence(signature, signing.NewRegister([]signing.Officer{officer.Officer}, nil), now), badReason)
}

func TestSignRefuses(t *testing.T) {
	officer, other := signingtest.New(t, "officer"), signingtest.New(t, "other")
	weak := signingtest.New(t, "weak", func(o *signingtest.Options) { o.Kind = signingtest.RSA1024 })
	encrypting := signingtest.New(t, "encrypting", func(o *signingtest.Options) { o.KeyUsage = 1 << 2 })
	good := canonical(t, employeeCard())
	for _, c := range []struct {
		name        string
		content     []byte
		certificate signingtest.Officer
		key         signingtest.Officer
		mention     string
	}{
		{"a request that is not canonical", append([]byte(" "), good...), officer, officer, "canonical"},
		{"a certificate of another key", good, other, officer, "not that of the key"},
		{"a weak key", good, weak, weak, "1024"},
		{"a certificate that is not for signing", good, encrypting, encrypting, "key usage"},
	} {
		_, err := signing.Sign(c.content, c.certificate.Certificate, c.key.Key, now)
		if err == nil || !bytes.Contains([]byte(err.Error()), []byte(c.mention)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

package signing_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"testing"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/domains"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// tree has HR and Sales below Root, and Emea below Sales.
var tree = domains.NewTree([]domains.Domain{
	{Name: "HR", State: "Active"}, {Name: "Sales", State: "Active"}, {Name: "Emea", Parent: "Sales", State: "Active"},
})

func validity(v signingtest.Validity) func(*signingtest.Options) {
	return func(o *signingtest.Options) { o.Validity = v }
}

// TestOfficers judges a signature of employeeCard by an officer, whose standing each case changes after signing.
func TestOfficers(t *testing.T) {
	var (
		both   = []string{v1alpha1.RoleUseAWB, v1alpha1.RolePolicyTasks}
		within = func(domain string) func(*request.Request) {
			return func(r *request.Request) { r.Procedure.Domain = domain }
		}
		standing = func(change func(*signing.Officer)) func(*signing.Officer) { return change }
		replaces = func(domain string) func(*signing.Terms) { return func(t *signing.Terms) { t.ReplacedDomain = &domain } }
		of       = func(domain string) func(*signing.Officer) { return func(o *signing.Officer) { o.Domain = domain } }
		roles    = func(roles ...string) func(*signing.Officer) { return func(o *signing.Officer) { o.Roles = roles } }
	)
	for _, c := range []struct {
		name     string
		validity signingtest.Validity
		officer  func(*signing.Officer)
		request  func(*request.Request)
		terms    func(*signing.Terms)
		reason   string
		mentions []string
	}{
		{name: "in good standing", reason: acceptedReason},
		{name: "with other roles beside", officer: roles("Auditor", both[1], both[0]), reason: acceptedReason},
		{name: "closed", officer: standing(func(o *signing.Officer) { o.State = "Closed" }), reason: v1alpha1.ReasonOfficerClosed, mentions: []string{"officer", "Closed"}},
		{name: "of no known state", officer: standing(func(o *signing.Officer) { o.State = "" }), reason: v1alpha1.ReasonOfficerClosed},
		{name: "of a state in other letters", officer: standing(func(o *signing.Officer) { o.State = "active" }), reason: v1alpha1.ReasonOfficerClosed},
		{name: "with an expired certificate", validity: signingtest.Expired, reason: v1alpha1.ReasonCertificateExpired, mentions: []string{"2021-01-01"}},
		{name: "with a certificate not yet valid", validity: signingtest.NotYetValid, reason: v1alpha1.ReasonCertificateNotYetValid, mentions: []string{"2048-01-01"}},
		{name: "lost `Use AWB` after signing", officer: roles(both[1]), reason: v1alpha1.ReasonMissingRole, mentions: []string{"`Use AWB`"}},
		{name: "lost `Policy tasks` after signing", officer: roles(both[0]), reason: v1alpha1.ReasonMissingRole, mentions: []string{"`Policy tasks`"}},
		{name: "lost both roles after signing", officer: roles(), reason: v1alpha1.ReasonMissingRole, mentions: []string{"`Use AWB`", "`Policy tasks`"}},
		{name: "with roles in other letters", officer: roles("use AWB", "Policy Tasks"), reason: v1alpha1.ReasonMissingRole, mentions: []string{"`Use AWB`", "`Policy tasks`"}},
		{name: "left the register", officer: standing(func(o *signing.Officer) { o.Certificates = nil }), reason: unknownReason, mentions: []string{"register"}},
		{name: "while the register is unavailable", terms: func(t *signing.Terms) { t.Register = nil }, reason: v1alpha1.ReasonHostUnavailable, mentions: []string{"waiting"}},
		{name: "in an empty register", terms: func(t *signing.Terms) { t.Register = signing.NewRegister(nil, nil) }, reason: unknownReason},

		{name: "of Root for a domain", request: within("Emea"), reason: acceptedReason},
		{name: "of the same domain", officer: of("Sales"), request: within("Sales"), reason: acceptedReason},
		{name: "of the domain above", officer: of("Sales"), request: within("Emea"), reason: acceptedReason},
		{name: "of the domain below", officer: of("Emea"), request: within("Sales"), reason: v1alpha1.ReasonOutsideDomain, mentions: []string{"Emea", "Sales"}},
		{name: "of a domain, for Root", officer: of("Sales"), reason: v1alpha1.ReasonOutsideDomain, mentions: []string{"Sales", "Root"}},
		{name: "of a domain beside", officer: of("Sales"), request: within("HR"), reason: v1alpha1.ReasonOutsideDomain, mentions: []string{"Sales", "HR"}},
		{name: "takes a procedure of another domain into theirs", officer: of("Sales"), request: within("Sales"), terms: replaces("HR"), reason: v1alpha1.ReasonOutsideDomain, mentions: []string{"replaces", "HR"}},
		{name: "takes a procedure of Root into theirs", officer: of("Sales"), request: within("Sales"), terms: replaces(""), reason: v1alpha1.ReasonOutsideDomain, mentions: []string{"replaces", "Root"}},
		{name: "gives a procedure of theirs to another domain", officer: of("Sales"), request: within("HR"), terms: replaces("Sales"), reason: v1alpha1.ReasonOutsideDomain, mentions: []string{"signed procedure", "HR"}},
		{name: "moves a procedure within theirs", officer: of("Sales"), request: within("Emea"), terms: replaces("Sales"), reason: acceptedReason},
		{name: "of Root moves a procedure", request: within("Sales"), terms: replaces("HR"), reason: acceptedReason},
		{name: "of a domain nobody knows", officer: of("Gone"), request: within("Sales"), reason: v1alpha1.ReasonOutsideDomain, mentions: []string{"Gone"}},

		{name: "closed and expired: the first reason", validity: signingtest.Expired, officer: standing(func(o *signing.Officer) { o.State, o.Roles, o.Domain = "Closed", nil, "HR" }), reason: v1alpha1.ReasonOfficerClosed},
		{name: "expired, without roles: the first reason", validity: signingtest.Expired, officer: roles(), reason: v1alpha1.ReasonCertificateExpired},
		{name: "without roles, outside: the first reason", officer: standing(func(o *signing.Officer) { o.Roles, o.Domain = nil, "HR" }), reason: v1alpha1.ReasonMissingRole},
	} {
		if c.validity == (signingtest.Validity{}) {
			c.validity = signingtest.Valid
		}
		officer, wanted := signingtest.New(t, "officer", validity(c.validity)), employeeCard()
		if c.request != nil {
			c.request(&wanted)
		}
		signature := officer.Sign(t, wanted, now)
		if c.officer != nil {
			c.officer(&officer.Officer)
		}
		judged := terms()
		judged.Register = signing.NewRegister([]signing.Officer{officer.Officer}, tree)
		if c.terms != nil {
			c.terms(&judged)
		}
		verdict := signing.Judge(signature, judged)
		expect(t, "officers", "Sign", "officer "+c.name, verdict, c.reason, c.mentions...)
		known := c.reason != unknownReason && c.reason != v1alpha1.ReasonHostUnavailable
		if known != (verdict.Officer != nil) || known && verdict.Officer.ID != "officer" {
			t.Errorf("%s: the officer is %v", c.name, verdict.Officer)
		}
		if verdict.Request == nil || verdict.SignedAt.IsZero() || verdict.Digest == "" || verdict.CertificateDER == nil {
			t.Errorf("%s: something that could be read is missing: %+v", c.name, verdict)
		}
	}
}

// TestSharedKeys lists certificates and keys in ways in which no register should.
func TestSharedKeys(t *testing.T) {
	one, two := signingtest.New(t, "one"), signingtest.New(t, "two")
	sameKey := signingtest.New(t, "two", func(o *signingtest.Options) { o.Key = one.Key })
	renewed := one.Renewed(t)
	sameKeyRenewed := one.Renewed(t, func(o *signingtest.Options) { o.Key = one.Key })
	thief := two
	thief.Certificates = [][]byte{one.Certificate.Raw}
	twice := one.Officer
	twice.Certificates = append(twice.Certificates, one.Certificate.Raw)
	unreadable := two
	unreadable.Certificates = [][]byte{twoKeyUsages(t, one)}
	broken := one.Officer
	broken.Certificates = [][]byte{[]byte("no certificate"), one.Certificate.Raw}
	for _, c := range []struct {
		name     string
		signer   signingtest.Officer
		register []signing.Officer
		reason   string
		mentions []string
	}{
		{"two officers, each with a key", one, signingtest.Officers(one, two), acceptedReason, nil},
		{"a certificate listed for two officers", one, signingtest.Officers(one, thief), unknownReason, []string{"one, two", "none of them"}},
		{"a key listed for two officers, first certificate", one, signingtest.Officers(one, sameKey), unknownReason, []string{"one, two", "none of them"}},
		{"a key listed for two officers, second certificate", sameKey, signingtest.Officers(one, sameKey), unknownReason, []string{"one, two", "none of them"}},
		{"a key listed for two officers, once in a certificate that cannot be read", one, signingtest.Officers(one, unreadable), unknownReason, []string{"one, two", "none of them"}},
		{"another key of an officer whose first is shared", renewed, signingtest.Officers(one, renewed, sameKey), acceptedReason, nil},
		{"a renewed certificate", renewed, signingtest.Officers(one, renewed), acceptedReason, nil},
		{"the old certificate beside a renewed one", one, signingtest.Officers(one, renewed), acceptedReason, nil},
		{"a certificate renewed with the same key", sameKeyRenewed, signingtest.Officers(one, sameKeyRenewed), acceptedReason, nil},
		{"a renewed certificate that is not listed", renewed, signingtest.Officers(one), unknownReason, []string{"fingerprint"}},
		{"a certificate with the same key that is not listed", sameKeyRenewed, signingtest.Officers(one), unknownReason, []string{"fingerprint"}},
		{"a certificate listed twice for one officer", one, []signing.Officer{twice}, acceptedReason, nil},
		{"a certificate beside one that cannot be read", one, []signing.Officer{broken}, acceptedReason, nil},
	} {
		judged := terms(c.register...)
		expect(t, "officers", "Sign", c.name, signing.Judge(c.signer.Sign(t, employeeCard(), now), judged), c.reason, c.mentions...)
	}
}

// twoKeyUsages is a certificate with the key of an officer that crypto/x509 makes but does not read.
func twoKeyUsages(t *testing.T, officer signingtest.Officer) []byte {
	t.Helper()
	template := *officer.Certificate
	usage := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Value: der(0x03, []byte{7, 0x80})}
	template.ExtraExtensions = []pkix.Extension{usage, usage}
	raw, err := x509.CreateCertificate(rand.Reader, &template, &template, officer.Key.Public(), officer.Key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x509.ParseCertificate(raw); err == nil {
		t.Fatal("crypto/x509 reads a certificate with two key usages")
	}
	return raw
}

// TestImpostors have certificates that look like an officer's.
func TestImpostors(t *testing.T) {
	officer, impostor := signingtest.New(t, "officer"), signingtest.New(t, "officer")
	lookalike := *officer.Certificate
	lookalike.PublicKey, lookalike.Signature, lookalike.SignatureAlgorithm = nil, nil, x509.UnknownSignatureAlgorithm
	raw, err := x509.CreateCertificate(nil, &lookalike, &lookalike, impostor.Key.Public(), impostor.Key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	impostor.Certificate, impostor.Certificates = certificate, [][]byte{raw}
	for _, c := range []craftedCase{
		{"a certificate with the officer's issuer, serial number and key identifier", nil, nil, unknownReason, "register"},
		{"the same, with the officer's own certificate behind it", nil, func(c *crafted) { c.certificates = append(c.certificates, officer.Certificate.Raw) }, badReason, "signature value"},
		{"the same, with the officer's own certificate before it", nil, func(c *crafted) { c.certificates = append([][]byte{officer.Certificate.Raw}, c.certificates...) }, badReason, "signature value"},
		{"the officer's certificate with one bit changed", nil, func(c *crafted) {
			changed := append([]byte(nil), officer.Certificate.Raw...)
			changed[len(changed)-1] ^= 1
			c.certificates = [][]byte{changed}
		}, unknownReason, "register"},
	} {
		signature := craft(t, impostor, c.before, c.after)
		expect(t, "officers", "crafted by the test", c.name, signing.Judge(signature, terms(officer.Officer)), c.reason, c.mention)
	}
}

// TestRenewedWithTheSameKey has an officer, named by key identifier, whose expired and renewed certificate share it.
func TestRenewedWithTheSameKey(t *testing.T) {
	old := signingtest.New(t, "officer", validity(signingtest.Expired))
	renewed := old.Renewed(t, func(o *signingtest.Options) { o.Key = old.Key })
	id := renewed.Certificate.SubjectKeyId
	template := *old.Certificate
	template.SubjectKeyId = id
	raw, err := x509.CreateCertificate(nil, &template, &template, old.Key.Public(), old.Key)
	if err != nil {
		t.Fatal(err)
	}
	old.Certificates = [][]byte{raw}
	for _, certificates := range [][][]byte{{raw, renewed.Certificate.Raw}, {renewed.Certificate.Raw, raw}} {
		signature := craft(t, renewed, nil, func(c *crafted) {
			c.version, c.signerVersion = der(tagInteger, []byte{3}), der(tagInteger, []byte{3})
			c.signerID, c.certificates = der(tagKeyID, id), certificates
		})
		expect(t, "officers", "crafted by the test", "an expired and a renewed certificate with one key", signing.Judge(signature, terms(signingtest.Officers(old, renewed)...)), acceptedReason)
	}
}

func TestRegisterIsNotChangedFromOutside(t *testing.T) {
	officer := signingtest.New(t, "officer")
	list := []signing.Officer{officer.Officer}
	judged := terms(list...)
	list[0].State, list[0].Roles[0] = "Closed", "none"
	if verdict := signing.Judge(officer.Sign(t, employeeCard(), now), judged); !verdict.Verified() {
		t.Errorf("a change of the list changed the register: %s", verdict.Message)
	}
}

func TestOfficersAreReadAsTheHostWritesThem(t *testing.T) {
	var officers []signing.Officer
	text := `[{"id":"1","subject":"CN=One","state":"Active","roles":["Use AWB","Policy tasks"],"domain":"Corp","certificates":["AQID"]}]`
	if err := json.Unmarshal([]byte(text), &officers); err != nil || len(officers) != 1 || officers[0].Domain != "Corp" || string(officers[0].Certificates[0]) != "\x01\x02\x03" {
		t.Fatalf("%+v, %v", officers, err)
	}
	if again, err := json.Marshal(officers); err != nil || string(again) != text {
		t.Errorf("%s, %v", again, err)
	}
}

// TestReviewAt holds every verdict against itself at the time that it announces, and just before.
func TestReviewAt(t *testing.T) {
	notBefore, notAfter := now.Add(-24*time.Hour), now.Add(24*time.Hour)
	officer := signingtest.New(t, "officer", validity(signingtest.Validity{NotBefore: notBefore, NotAfter: notAfter}))
	roleless := officer.Officer
	roleless.Roles = nil
	for _, c := range []struct {
		name     string
		officer  signing.Officer
		signedAt time.Time
		now      time.Time
		reason   string
		reviewAt time.Time
	}{
		{"good until the certificate expires", officer.Officer, now, now, acceptedReason, notAfter.Add(1)},
		{"good until the signature is too old", officer.Officer, now.Add(-maxAge + time.Hour), now, acceptedReason, now.Add(time.Hour + 1)},
		{"as old as may be", officer.Officer, now.Add(-maxAge), now, acceptedReason, now.Add(1)},
		{"a moment too old", officer.Officer, now.Add(-maxAge), now.Add(1), v1alpha1.ReasonSignatureExpired, notAfter.Add(1)},
		{"as far ahead as may be", officer.Officer, now.Add(signing.MaxClockSkew), now, acceptedReason, notAfter.Add(1)},
		{"too far ahead", officer.Officer, now.Add(signing.MaxClockSkew), now.Add(-1), futureReason, now},
		{"before the certificate is valid", officer.Officer, now, notBefore.Add(-1), v1alpha1.ReasonCertificateNotYetValid, notBefore},
		{"when the certificate becomes valid", officer.Officer, now, notBefore, futureReason, now.Add(-signing.MaxClockSkew)},
		{"when the certificate is valid for the last time", officer.Officer, now, notAfter, acceptedReason, notAfter.Add(1)},
		{"after the certificate expired", officer.Officer, now, notAfter.Add(1), v1alpha1.ReasonCertificateExpired, time.Time{}},
		{"refused for another reason until the certificate expires", roleless, now, now, v1alpha1.ReasonMissingRole, notAfter.Add(1)},
	} {
		judged := terms(c.officer)
		signature := officer.Sign(t, employeeCard(), c.signedAt)
		judge := func(at time.Time) signing.Verdict {
			judged.Now = at
			return signing.Judge(signature, judged)
		}
		verdict := judge(c.now)
		expect(t, "time", "Sign", c.name, verdict, c.reason)
		if !verdict.ReviewAt.Equal(c.reviewAt) {
			t.Errorf("%s: review at %v, want %v", c.name, verdict.ReviewAt, c.reviewAt)
		}
		if verdict.ReviewAt.IsZero() {
			continue
		}
		if at := judge(verdict.ReviewAt); at.Reason == verdict.Reason {
			t.Errorf("%s: still %s at the time of the review", c.name, at.Reason)
		}
		if before := judge(verdict.ReviewAt.Add(-1)); before.Reason != verdict.Reason || before.Message != verdict.Message {
			t.Errorf("%s: already %s (%s) before the time of the review", c.name, before.Reason, before.Message)
		}
	}
}

package admission_test

import (
	"testing"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/admission"
	"github.com/tokenprocedures/token-procedure-operator/internal/domains"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

const (
	audience = "cm.test"
	maxAge   = 30 * 24 * time.Hour
)

var (
	now  = time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	tree = domains.NewTree([]domains.Domain{{Name: "Corp", State: "Active"}, {Name: "Emea", Parent: "Corp", State: "Active"}})
)

// world is a host with two officers, and a submission that it has read.
type world struct {
	one, two   signingtest.Officer
	submission admission.Submission
	facts      admission.Facts
}

func newWorld(t *testing.T, change func(*request.Procedure)) world {
	t.Helper()
	w := world{one: signingtest.New(t, "officer-1"), two: signingtest.New(t, "officer-2")}
	w.two.Domain = "Emea"
	p := signingtest.Procedure("Employee card")
	p.Domain = "Emea"
	if change != nil {
		change(&p)
	}
	signed := request.New(audience, 3, p)
	canonical, err := signed.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	w.facts = admission.Facts{
		Register: signing.NewRegister(signingtest.Officers(w.one, w.two), tree), MaxSignatureAge: maxAge, Now: now,
		Catalog: &rules.Catalog{
			StorageProfiles: []string{"SmartCard"}, Domains: []domains.Domain{{Name: "Corp", State: "Active"}, {Name: "Emea", Parent: "Corp", State: "Active"}},
			PINProcedures:         []rules.CatalogObject{{Name: "PIN letter", State: "Active"}},
			CertificateProcedures: []rules.CertificateProcedure{{CatalogObject: rules.CatalogObject{Name: "Authentication", State: "Active"}}, {CatalogObject: rules.CatalogObject{Name: "Signature", State: "Active"}}},
		},
	}
	body := cmhostv1.Submission{Request: canonical, Signatures: [][]byte{w.one.Sign(t, signed, now.Add(-time.Hour)), w.two.Sign(t, signed, now)}}
	read, refused := admission.Read(p.Name, body, admission.Host{Audience: audience, MaxSignatureAge: maxAge, Register: w.facts.Register, Now: now})
	if refused != nil {
		t.Fatal(refused)
	}
	w.submission = read
	return w
}

// TestDecideJudgesAgainWhatHasChangedSinceReading guards the judgement that is made ahead of the transaction.
func TestDecideJudgesAgainWhatHasChangedSinceReading(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world)
		want   string // the kind and reason of the refusal
	}{
		"nothing": {func(*world) {}, ""},
		"an officer has left": {func(w *world) {
			w.two.State = "Closed"
			w.facts.Register = signing.NewRegister(signingtest.Officers(w.one, w.two), tree)
		}, "officer OfficerClosed"},
		"a certificate has gone from the register": {func(w *world) {
			w.facts.Register = signing.NewRegister(signingtest.Officers(w.one), tree)
		}, "signature UnknownSigner"},
		"the stored revision has the same domain": {func(w *world) {
			w.facts.Current = &cmhostv1.TokenProcedureSummary{Revision: 2, Domain: "Emea"}
		}, ""},
		"the stored revision has a domain above": {func(w *world) {
			w.facts.Current = &cmhostv1.TokenProcedureSummary{Revision: 2, Domain: "Corp"}
		}, "officer OutsideDomain"},
		"the stored revision has no domain": {func(w *world) {
			w.facts.Current = &cmhostv1.TokenProcedureSummary{Revision: 2}
		}, "officer OutsideDomain"},
		"a signature became too old": {func(w *world) { w.facts.Now = now.Add(maxAge) }, "signature SignatureExpired"},
		"somebody else was faster": {func(w *world) {
			w.facts.Current = &cmhostv1.TokenProcedureSummary{Revision: 3, Digest: "sha256:other", Domain: "Emea"}
		}, "revision-conflict StaleRevision"},
		"the same was accepted": {func(w *world) {
			w.facts.Current = &cmhostv1.TokenProcedureSummary{Revision: 3, Digest: w.submission.Digest, Domain: "Emea"}
		}, ""},
		"a reference was closed": {func(w *world) { w.facts.Catalog.PINProcedures[0].State = "Closed" }, "unknown-reference ClosedReference"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			c.change(&w)
			_, refused := admission.Decide(w.submission, w.facts)
			found := ""
			if refused != nil {
				found = refused.Kind() + " " + refused.Reason
			}
			if found != c.want {
				t.Errorf("got %q (%v); want %q", found, refused, c.want)
			}
		})
	}
}

func TestAcceptedEntryHoldsTheEvidenceAsJudged(t *testing.T) {
	w := newWorld(t, nil)
	decision, refused := admission.Decide(w.submission, w.facts)
	if refused != nil {
		t.Fatal(refused)
	}
	entry, summary := decision.Entry, decision.Summary
	if entry.Revision != 3 || entry.Digest != w.submission.Digest || string(entry.Request) != string(w.submission.Bytes) || !entry.Time.Equal(now) {
		t.Errorf("entry %+v", entry)
	}
	second := entry.Signatures[1]
	if second.Officer.Id != "officer-2" || second.Domain != "Emea" || len(second.Roles) != 2 || string(second.Certificate) != string(w.two.Certificate.Raw) || !second.SignedAt.Equal(now) {
		t.Errorf("second signature %+v", second)
	}
	if summary.State != "Active" || summary.Domain != "Emea" || summary.SerialRange.From != "100000" || len(summary.Signers) != 2 {
		t.Errorf("summary %+v", summary)
	}
}

func TestBrokenRulesPointIntoTheRequest(t *testing.T) {
	w := newWorld(t, func(p *request.Procedure) { p.CertificateProcedures = []string{"Authentication", "Nowhere"} })
	_, refused := admission.Decide(w.submission, w.facts)
	if refused == nil || refused.Kind() != cmhostv1.ProblemUnknownReference || len(refused.Errors) != 1 || refused.Errors[0].Pointer != "/procedure/certificateProcedures/1" {
		t.Errorf("%+v; want unknown-reference at /procedure/certificateProcedures/1", refused)
	}
}

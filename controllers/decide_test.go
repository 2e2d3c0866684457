package controllers

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmclient"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

var decisionTime = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// factsOf are facts about a valid procedure at revision 2, on a host that is there and has nothing, changed as given.
func factsOf(t *testing.T, changes ...func(*facts)) *facts {
	t.Helper()
	revision := int64(2)
	object := &v1alpha1.TokenProcedure{
		ObjectMeta: metav1.ObjectMeta{Namespace: "pki", Name: "card", UID: "own", Generation: 3, CreationTimestamp: metav1.NewTime(decisionTime)},
		Spec: v1alpha1.TokenProcedureSpec{
			CMHostRef: v1alpha1.CMHostReference{Name: "host"}, Revision: &revision, Procedure: request.ToV1alpha1(signingtest.Procedure("Card")),
		},
	}
	catalog := &rules.Catalog{
		StorageProfiles: []string{"SmartCard"},
		PINProcedures:   []rules.CatalogObject{{Name: "PIN letter", State: "Active"}},
		CertificateProcedures: []rules.CertificateProcedure{
			{CatalogObject: rules.CatalogObject{Name: "Authentication", State: "Active"}, KeyUsages: []string{"digitalSignature"}},
			{CatalogObject: rules.CatalogObject{Name: "Signature", State: "Active"}, KeyUsages: []string{"nonRepudiation"}},
		},
	}
	f := &facts{object: object}
	f.host.object = &v1alpha1.CMHost{Spec: v1alpha1.CMHostSpec{Audience: "cm.test"}}
	f.host.object.Finalizers = []string{v1alpha1.FinalizerClose}
	f.host.state = cmclient.State{Tried: true, Snapshot: &cmclient.Snapshot{Catalog: catalog}}
	if err := f.makeRequest(); err != nil {
		t.Fatal(err)
	}
	for _, change := range changes {
		change(f)
	}
	return f
}

// signedBy adds good signatures of a request by officers.
func signedBy(wanted func(*facts) request.Request, officers ...string) func(*facts) {
	return func(f *facts) {
		signed := wanted(f)
		digest, err := signed.Digest()
		if err != nil {
			panic(err)
		}
		for _, officer := range officers {
			object := &v1alpha1.ProcedureSignature{ObjectMeta: metav1.ObjectMeta{Namespace: "pki", Name: "by-" + officer, Generation: 1}}
			f.signatures = append(f.signatures, signatureFacts{object: object, verdict: signing.Verdict{
				Reason: v1alpha1.ReasonOfficerSignature, Officer: &signing.Officer{ID: officer}, SignedAt: decisionTime,
				Request: &signed, Digest: digest, PublicKey: []byte(officer),
			}})
		}
	}
}

func ownRequest(f *facts) request.Request { return f.own }

// held lets the host have a revision with the object's content, changed as given.
func held(revision int64, change func(*request.Procedure)) func(*facts) {
	return func(f *facts) {
		procedure := f.own.Procedure
		if change != nil {
			change(&procedure)
		}
		digest := ""
		if revision > 0 {
			var err error
			if digest, err = request.New(f.own.Audience, revision, procedure).Digest(); err != nil {
				panic(err)
			}
		}
		f.host.entry = &cmclient.Entry{Revision: revision, Digest: digest, State: procedure.State, AcceptedAt: decisionTime,
			Signers: []cmclient.Signer{{OfficerID: "one"}, {OfficerID: "two"}}}
		f.host.content = &cmclient.Revision{Revision: revision, Digest: digest, Procedure: procedure}
	}
}

func otherPIN(p *request.Procedure) { p.PINProcedure = "User PIN" }

func closedState(p *request.Procedure) { p.State = request.Closed }

func hostIsDown(f *facts) {
	f.host.state.Failure = &cmclient.Failure{Reason: v1alpha1.ReasonUnreachable, Message: "gone"}
}

func noHost(f *facts) { f.host.object = nil }

// deleting deletes the object, which has the policy Close and its finalizer.
func deleting(f *facts) {
	at := metav1.NewTime(decisionTime)
	f.object.DeletionTimestamp = &at
	f.object.Finalizers = []string{v1alpha1.FinalizerClose}
	f.object.Spec.DeletionPolicy = v1alpha1.DeletionPolicyClose
}

func TestDecide(t *testing.T) {
	draft := true
	for sentence, c := range map[string]struct {
		facts  []func(*facts)
		action action
		reason map[string]string
	}{
		"a procedure that nobody signed waits": {
			nil, actionNone,
			map[string]string{"Ready": "False AwaitingSignatures", "Validated": "True RulesSatisfied", "Signed": "False AwaitingSignatures", "Synced": "False AwaitingSignatures", "Active": "Unknown NotAtHost"},
		},
		"one officer is not enough": {
			[]func(*facts){signedBy(ownRequest, "one", "one")}, actionNone,
			map[string]string{"Ready": "False AwaitingSignatures", "Signed": "False AwaitingSignatures"},
		},
		"two officers lead to a submission": {
			[]func(*facts){signedBy(ownRequest, "one", "two")}, actionSubmit,
			map[string]string{"Signed": "True TwoOfficersSigned"},
		},
		"a signature of other content is not counted": {
			[]func(*facts){signedBy(ownRequest, "one"), signedBy(func(f *facts) request.Request {
				other := f.own
				other.Procedure.PINProcedure = "User PIN"
				return other
			}, "two")}, actionNone,
			map[string]string{"Signed": "False AwaitingSignatures"},
		},
		"a draft is neither signed nor submitted": {
			[]func(*facts){signedBy(ownRequest, "one", "two"), func(f *facts) { f.object.Spec.Draft = &draft }}, actionNone,
			map[string]string{"Ready": "False Draft", "Validated": "False Draft", "Signed": "Unknown NotValidated", "Synced": "False NotValidated", "Stalled": "", "Reconciling": ""},
		},
		"a broken rule stops everything": {
			[]func(*facts){signedBy(ownRequest, "one", "two"), func(f *facts) { f.broken = []rules.Finding{{Reason: "Invalid", Message: "no"}} }}, actionNone,
			map[string]string{"Ready": "False Invalid", "Stalled": "True Invalid", "Signed": "Unknown NotValidated"},
		},
		"an unknown reference stops everything": {
			[]func(*facts){signedBy(ownRequest, "one", "two"), func(f *facts) { f.host.state.Snapshot.Catalog.PINProcedures = nil }}, actionNone,
			map[string]string{"Ready": "False UnknownReference", "Stalled": "True UnknownReference"},
		},
		"a missing CMHost is waited for": {
			[]func(*facts){signedBy(ownRequest, "one", "two"), noHost}, actionNone,
			map[string]string{"Ready": "Unknown CMHostNotFound", "Validated": "Unknown CMHostNotFound", "Reconciling": "True CMHostNotFound", "Stalled": ""},
		},
		"a host that is down is waited for": {
			[]func(*facts){signedBy(ownRequest, "one", "two"), hostIsDown}, actionNone,
			map[string]string{"Ready": "Unknown HostUnavailable", "Signed": "Unknown NotValidated", "Synced": "False NotValidated", "Reconciling": "True HostUnavailable", "Stalled": ""},
		},
		"an older object keeps the name": {
			[]func(*facts){signedBy(ownRequest, "one", "two"), func(f *facts) {
				f.rivals = []rival{{name: "z", uid: "z", created: decisionTime.Add(-time.Minute)}}
			}}, actionNone,
			map[string]string{"Ready": "False NameConflict", "Synced": "False NameConflict", "Signed": "Unknown NotSubmittable", "Stalled": "True NameConflict"},
		},
		"the object that the host matches keeps the name before an older one": {
			[]func(*facts){held(2, nil), func(f *facts) {
				f.rivals = []rival{{name: "a", uid: "a", created: decisionTime.Add(-time.Minute), digest: "sha256:other"}}
			}}, actionNone,
			map[string]string{"Ready": "True UpToDate"},
		},
		"what the host has is adopted, whatever is closed by now": {
			[]func(*facts){held(2, nil), func(f *facts) { f.host.state.Snapshot.Catalog.PINProcedures[0].State = "Closed" }}, actionNone,
			map[string]string{"Ready": "True UpToDate", "Validated": "True RulesSatisfied", "Signed": "True TwoOfficersSigned", "Active": "True ActiveAtHost", "Closed": "False ActiveAtHost"},
		},
		"a lower revision is replaced": {
			[]func(*facts){held(1, otherPIN), signedBy(ownRequest, "one", "two")}, actionSubmit,
			map[string]string{"Signed": "True TwoOfficersSigned", "Active": "True ActiveAtHost"},
		},
		"what was made elsewhere is taken over": {
			[]func(*facts){held(0, otherPIN), signedBy(ownRequest, "one", "two")}, actionSubmit,
			map[string]string{"Active": "True ActiveAtHost"},
		},
		"a higher revision that never was ours is not written over": {
			[]func(*facts){held(3, otherPIN), signedBy(ownRequest, "one", "two")}, actionNone,
			map[string]string{"Ready": "False StaleRevision", "Signed": "Unknown NotSubmittable", "Stalled": "True StaleRevision"},
		},
		"our revision with other content is not written over": {
			[]func(*facts){held(2, otherPIN), signedBy(ownRequest, "one", "two")}, actionNone,
			map[string]string{"Ready": "False StaleRevision", "Stalled": "True StaleRevision"},
		},
		"a host that had ours and has something else has drifted": {
			[]func(*facts){held(3, otherPIN), func(f *facts) { f.host.historyHasOwn = true }}, actionNone,
			map[string]string{"Ready": "False Drifted", "Validated": "True RulesSatisfied", "Stalled": "True Drifted"},
		},
		"a listed digest that is not true does no harm": {
			[]func(*facts){held(2, nil), func(f *facts) { f.host.entry.Digest = "sha256:made-up" }}, actionNone,
			map[string]string{"Ready": "True UpToDate"},
		},
		"a revision too far above is refused without a call": {
			[]func(*facts){func(f *facts) { far := int64(10_001); f.object.Spec.Revision = &far; _ = f.makeRequest() }, signedBy(ownRequest, "one", "two")}, actionNone,
			map[string]string{"Ready": "False RefusedByHost", "Signed": "True TwoOfficersSigned", "Stalled": "True RefusedByHost"},
		},
		"a refusal is not repeated": {
			[]func(*facts){signedBy(ownRequest, "one", "two"), func(f *facts) { f.attempt = &attempt{refusal: &cmclient.Refusal{Type: "officer"}} }}, actionNone,
			map[string]string{"Ready": "False RefusedByHost", "Stalled": "True RefusedByHost", "Reconciling": ""},
		},
		"a submission that the host could not take is tried again": {
			[]func(*facts){signedBy(ownRequest, "one", "two"), func(f *facts) { f.attempt = &attempt{failure: &cmclient.Failure{Reason: "Unreachable"}} }}, actionNone,
			map[string]string{"Ready": "Unknown HostUnavailable", "Validated": "True RulesSatisfied", "Signed": "True TwoOfficersSigned", "Synced": "False HostUnavailable", "Reconciling": "True HostUnavailable", "Stalled": ""},
		},
		"the finalizer comes before the submission": {
			[]func(*facts){signedBy(ownRequest, "one", "two"), func(f *facts) { f.object.Spec.DeletionPolicy = v1alpha1.DeletionPolicyClose }}, actionSecure,
			nil,
		},
		"a closing request waits for signatures": {
			[]func(*facts){deleting, held(2, nil)}, actionNone,
			map[string]string{"Ready": "False AwaitingSignatures", "Validated": "True RulesSatisfied", "Reconciling": "True Closing", "Stalled": ""},
		},
		"a signed closing request is submitted": {
			[]func(*facts){deleting, held(5, otherPIN), signedBy(func(f *facts) request.Request { closing, _, _ := f.closing(); return closing }, "one", "two")}, actionSubmit,
			map[string]string{"Signed": "True TwoOfficersSigned"},
		},
		"closing waits for a host that is down, and says so": {
			[]func(*facts){deleting, hostIsDown}, actionNone,
			map[string]string{"Ready": "False HostUnavailable", "Reconciling": "True Closing", "Stalled": ""},
		},
		"an object that is Closed at the host goes": {[]func(*facts){deleting, held(2, closedState)}, actionRelease, nil},
		"an object that is not at the host goes":    {[]func(*facts){deleting}, actionRelease, nil},
		"a draft goes":                              {[]func(*facts){deleting, hostIsDown, func(f *facts) { f.object.Spec.Draft = &draft }}, actionRelease, nil},
		"an object with Retain goes, also while the host is down": {
			[]func(*facts){deleting, hostIsDown, func(f *facts) { f.object.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain }}, actionRelease, nil,
		},
		"an object in NameConflict goes": {
			[]func(*facts){deleting, held(7, otherPIN), func(f *facts) { f.rivals = []rival{{name: "z", uid: "z", created: decisionTime.Add(-time.Minute)}} }}, actionRelease, nil,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			p := decide(factsOf(t, c.facts...), decisionTime)
			if p.action != c.action {
				t.Errorf("action %d; expected %d", p.action, c.action)
			}
			found := map[string]string{}
			for _, f := range p.findings {
				found[f.conditionType] = string(f.status) + " " + f.reason
			}
			for conditionType, reason := range c.reason {
				if found[conditionType] != reason {
					t.Errorf("%s is %q; expected %q", conditionType, found[conditionType], reason)
				}
			}
		})
	}
}

func TestOnlySignaturesForTheRevisionAreSaidNotToCount(t *testing.T) {
	stranger := func(revision int64) func(*facts) {
		return func(f *facts) {
			signedBy(func(f *facts) request.Request { return request.New(f.own.Audience, revision, f.own.Procedure) }, "stranger")(f)
			f.signatures[len(f.signatures)-1].verdict.Reason = v1alpha1.ReasonUnknownSigner
		}
	}
	for revision, listed := range map[int64]bool{1: false, 2: true, 3: false} {
		f := factsOf(t, stranger(revision))
		for _, is := range decide(f, decisionTime).findings {
			if is.conditionType == v1alpha1.ConditionSigned && strings.Contains(is.message, "not counted: by-stranger (UnknownSigner)") != listed {
				t.Errorf("revision 2, signed by a stranger: revision %d: %s", revision, is.message)
			}
		}
	}
}

func TestAGenerationThatWasReadyStaysAsItIsWhileTheHostIsDown(t *testing.T) {
	ready := func(generation int64) func(*facts) {
		return func(f *facts) {
			f.object.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "True", ObservedGeneration: generation}}
		}
	}
	if p := decide(factsOf(t, hostIsDown, ready(3)), decisionTime); !p.keep {
		t.Error("the status of a generation that was Ready would be written although the host is down")
	}
	if p := decide(factsOf(t, hostIsDown, ready(2)), decisionTime); p.keep {
		t.Error("the status of a new generation would not be written")
	}
	drifted := func(f *facts) {
		f.object.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: "False", Reason: v1alpha1.ReasonDrifted, ObservedGeneration: 3}}
	}
	if p := decide(factsOf(t, hostIsDown, drifted), decisionTime); !p.keep {
		t.Error("an outage of the host would hide that what it had accepted has drifted")
	}
}

func TestTheClosingRequestStaysWithinReachOfTheHost(t *testing.T) {
	for sentence, c := range map[string]struct{ own, held, closing int64 }{
		"one above the host's":           {2, 5, 6},
		"one above ours":                 {9, 5, 10},
		"no more than 10,000 above":      {50_000, 5, 10_005},
		"for a procedure made elsewhere": {2, 0, 3},
	} {
		t.Run(sentence, func(t *testing.T) {
			f := factsOf(t, deleting, func(f *facts) { f.object.Spec.Revision = &c.own }, held(c.held, otherPIN))
			closing, _, err := f.closing()
			if err != nil || closing.Revision != c.closing || closing.Procedure.State != request.Closed || closing.Procedure.PINProcedure != "User PIN" {
				t.Errorf("closing request %+v (%v); expected revision %d of the host's content, Closed", closing, err, c.closing)
			}
		})
	}
}

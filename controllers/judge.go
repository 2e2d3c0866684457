package controllers

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmclient"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// judge remembers verdicts, so that each signature is verified once for each content of the register that it is judged by.
type judge struct {
	mu       sync.Mutex
	verdicts map[types.NamespacedName]judged
	// Observe hears of every verification that was really made.
	observe func(reason string)
}

// judged is a verdict and what it rests on.
type judged struct {
	uid       types.UID
	hostUID   types.UID
	procedure types.NamespacedName
	register  *signing.Register
	audience  string
	name      string
	replaced  string
	maxAge    time.Duration
	verdict   signing.Verdict
}

func newJudge(observe func(reason string)) *judge {
	return &judge{verdicts: map[types.NamespacedName]judged{}, observe: observe}
}

// verdict judges a signature by the facts of its procedure, or remembers how it was judged by the same facts.
func (j *judge) verdict(f *facts, object *v1alpha1.ProcedureSignature, now time.Time) signing.Verdict {
	terms, basis := f.terms(object, now)
	key := types.NamespacedName{Namespace: object.Namespace, Name: object.Name}
	j.mu.Lock()
	known, found := j.verdicts[key]
	j.mu.Unlock()
	if found && known.restsOn(basis) && (known.verdict.ReviewAt.IsZero() || now.Before(known.verdict.ReviewAt)) {
		if known.verdict.Digest == f.digest {
			f.signed = known.verdict.Request
		}
		return known.verdict
	}
	basis.verdict = judgeText(object.Spec.Signature, terms)
	if basis.verdict.Digest == f.digest && basis.verdict.Request != nil { // all verdicts on one request share one copy
		if f.signed == nil {
			f.signed = new(f.own)
		}
		basis.verdict.Request, basis.verdict.Digest = f.signed, f.digest
	}
	j.observe(basis.verdict.Reason)
	j.mu.Lock()
	j.verdicts[key] = basis
	j.mu.Unlock()
	return basis.verdict
}

// terms are what a signature of this procedure is judged by, and the same without the time, to remember it by.
func (f *facts) terms(object *v1alpha1.ProcedureSignature, now time.Time) (signing.Terms, judged) {
	terms := signing.Terms{ProcedureName: f.name(), Now: now}
	basis := judged{uid: object.UID, procedure: types.NamespacedName{Namespace: object.Namespace, Name: object.Spec.ProcedureRef.Name}, name: f.name()}
	if f.host.object != nil {
		terms.Audience = f.host.object.Spec.Audience
		basis.hostUID, basis.audience = f.host.object.UID, terms.Audience
	}
	if f.host.available() {
		terms.Register, terms.MaxSignatureAge = f.host.state.Snapshot.Register, f.host.state.Snapshot.MaxSignatureAge
		basis.register, basis.maxAge = terms.Register, terms.MaxSignatureAge
	}
	if f.host.entry != nil {
		domain := f.host.entry.Domain
		terms.ReplacedDomain = &domain
		basis.replaced = "replaces:" + domain
	}
	return terms, basis
}

func (j judged) restsOn(other judged) bool {
	return j.uid == other.uid && j.hostUID == other.hostUID && j.procedure == other.procedure && j.register == other.register &&
		j.audience == other.audience && j.name == other.name && j.replaced == other.replaced && j.maxAge == other.maxAge
}

func judgeText(text string, terms signing.Terms) signing.Verdict {
	der, err := signing.FromText(text)
	if err != nil {
		return signing.Verdict{Reason: v1alpha1.ReasonMalformed, Message: err.Error()}
	}
	return signing.Judge(der, terms)
}

// forget drops what is known of a signature that is gone. It returns the officer and procedure if it was verified.
func (j *judge) forget(key types.NamespacedName) (procedure types.NamespacedName, verified bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	known, found := j.verdicts[key]
	delete(j.verdicts, key)
	return known.procedure, found && known.verdict.Verified()
}

// concerned lists the signatures of one CMHost, and their procedures, that a change of officers concerns: those of these
// officers, and those whose signer was not registered. all selects every signature, for when the tree of domains changed.
func (j *judge) concerned(host types.UID, officers map[string]bool, all bool) (signatures, procedures []types.NamespacedName) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for key, known := range j.verdicts {
		if known.hostUID != host {
			continue
		}
		officer := known.verdict.Officer
		if all || officer != nil && officers[officer.ID] || known.verdict.Reason == v1alpha1.ReasonUnknownSigner {
			signatures = append(signatures, key)
			if !slices.Contains(procedures[max(0, len(procedures)-8):], known.procedure) {
				procedures = append(procedures, known.procedure)
			}
		}
	}
	return signatures, procedures
}

// recordable are the reasons of a refused verdict that the host's evidence outweighs: the signature itself is good, or
// its signer is not known any more.
var recordable = map[string]bool{
	v1alpha1.ReasonUnknownSigner: true, v1alpha1.ReasonOfficerClosed: true, v1alpha1.ReasonCertificateExpired: true,
	v1alpha1.ReasonCertificateNotYetValid: true, v1alpha1.ReasonMissingRole: true, v1alpha1.ReasonOutsideDomain: true,
	v1alpha1.ReasonSignatureExpired: true, v1alpha1.ReasonSigningTimeInFuture: true,
}

// recorded is the verdict by the host's evidence where there is some for this signature, else the one that is given.
// What has become of officers and certificates after the host accepted the request changes nothing.
func recorded(ctx context.Context, f *facts, connection *cmclient.Connection, object *v1alpha1.ProcedureSignature, verdict signing.Verdict) (signing.Verdict, error) {
	held := f.host.entry
	if held == nil || held.Revision == 0 || !recordable[verdict.Reason] || verdict.Request == nil || verdict.Request.Revision > held.Revision ||
		verdict.Request.Audience != f.own.Audience || verdict.Request.Procedure.Name != f.name() {
		return verdict, nil
	}
	if verdict.Digest == held.Digest && heldSigner(held, verdict) {
		verdict.Reason, verdict.ReviewAt = v1alpha1.ReasonRecordedByHost, time.Time{}
		verdict.Message = fmt.Sprintf("the CM host has recorded this signature of officer %s with the revision that it accepted", verdict.Officer.ID)
		return verdict, nil
	}
	history, err := connection.History(ctx, f.name())
	if err != nil {
		return verdict, err
	}
	for _, revision := range history {
		if revision.Digest != verdict.Digest {
			continue
		}
		der, err := signing.FromText(object.Spec.Signature)
		if err != nil {
			return verdict, fmt.Errorf("decode a signature that was judged: %w", err)
		}
		if found, ok := signing.Recorded(der, revision.Digest, revision.Evidence); ok {
			return found, nil
		}
	}
	return verdict, nil
}

// heldSigner tells whether an authentic signature is one that the listed evidence names.
func heldSigner(held *cmclient.Entry, verdict signing.Verdict) bool {
	return verdict.Officer != nil && slices.ContainsFunc(held.Signers, func(s cmclient.Signer) bool {
		return s.OfficerID == verdict.Officer.ID && s.SignedAt.Equal(verdict.SignedAt)
	})
}

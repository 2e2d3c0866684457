package controllers

import (
	"fmt"
	"slices"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// wayOut is what helps when an object that is deleted with Close cannot go.
const wayOut = "To let the object go without closing the procedure, set spec.deletionPolicy to Retain; in a namespace that is being deleted, which admits no new signatures, nothing else helps"

// decideDeletion says what an object that is being deleted waits for. Only an object with our finalizer waits at all: it
// goes at once if it is a draft, not on the host, Closed there, or in NameConflict, and whenever its policy is not Close.
func decideDeletion(f *facts, now time.Time) plan {
	p := plan{host: f.hostStatus()}
	if !slices.Contains(f.object.Finalizers, v1alpha1.FinalizerClose) {
		p.keep = true
		return p
	}
	if why := releaseReason(f); why != "" {
		p.keep, p.action, p.why = true, actionRelease, why
		return p
	}
	validated := decideClosingValidated(f, &p)
	counts := f.tally(p.wanted)
	signed := decideClosingSigned(f, &p, validated, counts)
	synced := decideClosingSynced(f, validated, signed)
	active, closed := decideState(f)
	ready := decideReady(validated, signed, synced)
	ready.status = "False"
	p.findings = []namedFinding{
		{v1alpha1.ConditionReady, ready},
		{v1alpha1.ConditionValidated, validated},
		{v1alpha1.ConditionSigned, signed},
		{v1alpha1.ConditionSynced, synced},
		{v1alpha1.ConditionActive, active},
		{v1alpha1.ConditionClosed, closed},
		{v1alpha1.ConditionReconciling, holds(v1alpha1.ReasonClosing, shorten(ready.message, maxMessage-len(wayOut)-2)+". "+wayOut)},
	}
	p.review = f.review(p.wanted, now)
	if signed.holds() && f.attempt == nil {
		p.action = actionSubmit
	}
	return p
}

// releaseReason says why an object that is being deleted can go; empty if it waits.
func releaseReason(f *facts) string {
	switch {
	case f.draft():
		return "a draft was never submitted"
	case !f.closes():
		return "spec.deletionPolicy is not Close: the procedure at the CM host stays as it is"
	case !f.host.available():
		return ""
	case f.winner() != nil:
		return fmt.Sprintf("the TokenProcedure %q keeps the procedure's name", f.winner().name)
	case f.host.entry == nil:
		return "the CM host has no such procedure"
	case f.host.entry.State == request.Closed:
		return "the procedure is Closed at the CM host"
	}
	return ""
}

// closing is the request that closes the procedure: the host's content with the state Closed, and a revision one above
// the higher of ours and the host's, as far as the host would take it.
func (f *facts) closing() (request.Request, string, error) {
	content := f.host.content
	closed := content.Procedure
	closed.State = request.Closed
	revision := min(max(f.revision(), content.Revision)+1, content.Revision+maxRevisionStep)
	wanted := request.New(f.own.Audience, revision, closed)
	digest, err := wanted.Digest()
	return wanted, digest, err
}

// decideClosingValidated says whether there is a closing request that can be signed. It skips the rules on references.
func decideClosingValidated(f *facts, p *plan) finding {
	switch {
	case f.host.object == nil:
		return unknown(v1alpha1.ReasonCMHostNotFound, fmt.Sprintf("the CMHost %q is gone, so the procedure cannot be closed: create it again", f.object.Spec.CMHostRef.Name))
	case !f.host.available() || f.host.content == nil:
		return unknown(v1alpha1.ReasonHostUnavailable, f.hostDownMessage()+", to close the procedure")
	}
	closing, digest, err := f.closing()
	if err != nil {
		return fails(v1alpha1.ReasonInvalid, "the closing request cannot be made: "+err.Error())
	}
	if broken := rules.ValidateRequest(closing); len(broken) > 0 {
		return fails(v1alpha1.ReasonInvalid, "the procedure at the CM host breaks rules, so no closing request can be made of it: "+rules.Messages(broken))
	}
	p.want(closing, digest)
	return holds(v1alpha1.ReasonRulesSatisfied, "the closing request keeps every rule that it must")
}

func decideClosingSigned(f *facts, p *plan, validated finding, counts []signing.Count) finding {
	if !validated.holds() {
		return unknown(v1alpha1.ReasonNotValidated, "nobody is asked to sign the closing request before Validated is True")
	}
	p.signers, p.signed = f.countedSigners(counts)
	if len(p.signers) >= signing.Quorum {
		p.signers = p.signers[:signing.Quorum]
		return holds(v1alpha1.ReasonTwoOfficersSigned, "the closing request is signed by "+signersText(p.signed))
	}
	return fails(v1alpha1.ReasonAwaitingSignatures, "to close the procedure, "+awaitingMessage(f, p, counts)+", with `kubectl tokenproc sign --close`")
}

func decideClosingSynced(f *facts, validated, signed finding) finding {
	switch {
	case !validated.holds():
		return fails(v1alpha1.ReasonNotValidated, "nothing is submitted before Validated is True")
	case f.attempt != nil && f.attempt.failure != nil:
		return fails(v1alpha1.ReasonHostUnavailable, "the CM host could not take the closing request and is asked again: "+f.attempt.failure.Message)
	case !signed.holds():
		return fails(v1alpha1.ReasonAwaitingSignatures, signed.message)
	case f.attempt != nil && f.attempt.refusal != nil:
		return fails(v1alpha1.ReasonRefusedByHost, f.attempt.refusedText("the closing request"))
	}
	return fails(v1alpha1.ReasonHostUnavailable, "the closing request is about to be submitted")
}

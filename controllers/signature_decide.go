package controllers

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// signatureStalled are the reasons of Verified that can never become good.
var signatureStalled = map[string]bool{
	v1alpha1.ReasonMalformed: true, v1alpha1.ReasonWeakAlgorithm: true, v1alpha1.ReasonBadSignature: true,
	v1alpha1.ReasonOtherProcedure: true, v1alpha1.ReasonOtherHost: true,
}

// judgedWithoutHost are the reasons of Verified that need no register.
var judgedWithoutHost = map[string]bool{v1alpha1.ReasonMalformed: true, v1alpha1.ReasonWeakAlgorithm: true}

// signaturePlan is what a decision says of one ProcedureSignature.
type signaturePlan struct {
	// keep leaves the status as it is: the host is down, and this signature was judged.
	keep     bool
	findings []namedFinding
	verdict  signing.Verdict
	review   time.Time
}

// decideSignature says everything about one of the signatures among the facts of its procedure.
func decideSignature(f *facts, at int, now time.Time) signaturePlan {
	signature := f.signatures[at]
	p := signaturePlan{verdict: signature.verdict}
	if f.hostDown() && wasJudged(signature.object) {
		p.keep = true
		return p
	}
	verified := decideVerified(f, signature)
	counted := decideCounted(f, at, verified, now)
	p.add(verified, counted)
	if signature.verdict.ReviewAt.After(now) {
		p.review = signature.verdict.ReviewAt
	}
	return p
}

// decideOrphan says everything about a signature whose procedure does not exist.
func decideOrphan(object *v1alpha1.ProcedureSignature, verdict signing.Verdict) signaturePlan {
	p := signaturePlan{verdict: verdict}
	verified := unknown(v1alpha1.ReasonProcedureNotFound, fmt.Sprintf("waiting for the TokenProcedure %q in this namespace", object.Spec.ProcedureRef.Name))
	if judgedWithoutHost[verdict.Reason] {
		verified = fails(verdict.Reason, verdict.Message)
	}
	p.add(verified, fails(v1alpha1.ReasonNotVerified, "only a verified signature counts"))
	return p
}

// add puts the conditions together. Ready is True when Verified is, and Counted is True or Superseded.
func (p *signaturePlan) add(verified, counted finding) {
	ready := finding{verified.status, verified.reason, verified.message}
	if verified.holds() {
		ready = counted
		if counted.reason == v1alpha1.ReasonSuperseded {
			ready = holds(counted.reason, counted.message)
		}
	}
	p.findings = []namedFinding{{v1alpha1.ConditionReady, ready}, {v1alpha1.ConditionVerified, verified}, {v1alpha1.ConditionCounted, counted}}
	switch {
	case signatureStalled[verified.reason]:
		p.findings = append(p.findings, namedFinding{v1alpha1.ConditionStalled, holds(verified.reason, verified.message)})
	case verified.status == "Unknown":
		p.findings = append(p.findings, namedFinding{v1alpha1.ConditionReconciling, holds(verified.reason, verified.message)})
	}
}

// wasJudged tells whether the last report for this generation says more than that something is waited for.
func wasJudged(object *v1alpha1.ProcedureSignature) bool {
	verified := meta.FindStatusCondition(object.Status.Conditions, v1alpha1.ConditionVerified)
	return reported(object) && verified != nil && verified.Status != "Unknown" && verified.ObservedGeneration == object.Generation
}

// decideVerified says whether an officer who may sign made the signature. Reasons: OfficerSignature, RecordedByHost;
// those of a refused verdict; CMHostNotFound, HostUnavailable.
func decideVerified(f *facts, signature signatureFacts) finding {
	verdict := signature.verdict
	switch {
	case judgedWithoutHost[verdict.Reason]:
		return fails(verdict.Reason, verdict.Message)
	case f.host.object == nil:
		return unknown(v1alpha1.ReasonCMHostNotFound, fmt.Sprintf("waiting for the CMHost %q in this namespace", f.object.Spec.CMHostRef.Name))
	case !f.host.available():
		return unknown(v1alpha1.ReasonHostUnavailable, f.hostDownMessage())
	case verdict.Verified():
		return holds(verdict.Reason, verdict.Message)
	case verdict.Reason == v1alpha1.ReasonHostUnavailable:
		return unknown(verdict.Reason, verdict.Message)
	}
	return fails(verdict.Reason, verdict.Message)
}

// decideCounted says whether the signature covers the request to be signed now or the one that the host took last.
// Reasons: Counted; NotVerified, Superseded, RevisionAhead, ContentDiffers, SameOfficer.
func decideCounted(f *facts, at int, verified finding, now time.Time) finding {
	if !verified.holds() {
		return fails(v1alpha1.ReasonNotVerified, "only a verified signature counts")
	}
	signed := f.signatures[at].verdict
	if held := f.host.entry; held != nil && held.Digest == signed.Digest {
		return countedFinding(f.tally(signed.Request)[at], signed)
	}
	if open := decide(f, now).wanted; open != nil {
		return countedFinding(f.tally(open)[at], signed)
	}
	return f.notAsked(signed)
}

func countedFinding(count signing.Count, signed signing.Verdict) finding {
	if count.Reason == v1alpha1.ReasonCounted {
		return holds(v1alpha1.ReasonCounted, fmt.Sprintf("covers revision %d with the digest %s", signed.Request.Revision, signed.Digest))
	}
	return fails(count.Reason, count.Message)
}

// notAsked says how a signature stands while nobody is asked to sign: by what the host has.
func (f *facts) notAsked(signed signing.Verdict) finding {
	held := f.host.entry
	switch {
	case held != nil && signed.Request.Revision < held.Revision:
		return fails(v1alpha1.ReasonSuperseded, fmt.Sprintf("signed for revision %d; the CM host has revision %d%s", signed.Request.Revision, held.Revision, f.heldDifferences(signed)))
	case held != nil && signed.Request.Revision == held.Revision:
		return fails(v1alpha1.ReasonContentDiffers, fmt.Sprintf("the CM host has revision %d with other content%s", held.Revision, f.heldDifferences(signed)))
	}
	return fails(v1alpha1.ReasonRevisionAhead, fmt.Sprintf("signed for revision %d; the TokenProcedure %q asks for no signature now", signed.Request.Revision, f.object.Name))
}

// heldDifferences names the fields in which what was signed is not what the host has, where that is known: it was looked
// at, or is what the object stands for.
func (f *facts) heldDifferences(signed signing.Verdict) string {
	held := f.own.Procedure
	if f.host.content != nil {
		held = f.host.content.Procedure
	} else if f.host.entry.Digest != f.digest {
		return ""
	}
	var texts strings.Builder
	for _, difference := range request.Differences(held, signed.Request.Procedure) {
		texts.WriteString("; " + difference.String())
	}
	return texts.String()
}

package controllers

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmclient"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// facts are everything that a decision about one TokenProcedure rests on. A decision reads nothing else but the time.
type facts struct {
	object *v1alpha1.TokenProcedure
	// own is the request that the object stands for, digest its digest; empty for a draft.
	own    request.Request
	digest string
	// signed is a copy of own that verdicts keep; nil while there is none.
	signed *request.Request
	// broken are the static rules that the object breaks, missing what a draft still lacks.
	broken, missing []rules.Finding

	host       hostFacts
	signatures []signatureFacts
	// rivals are the other objects that want the same name on the same CMHost, without drafts.
	rivals []rival
	// attempt is how a submission of exactly this ended without being accepted; nil if there was none. submitted tells
	// that one was accepted in this pass, tookOver what it changed in a procedure that was made
	// elsewhere.
	attempt   *attempt
	submitted bool
	tookOver  string
}

// hostFacts are what is known of the host, and of what it has under the procedure's name.
type hostFacts struct {
	// object is the CMHost; nil if there is none.
	object *v1alpha1.CMHost
	state  cmclient.State
	// failed is why the host counts as down in this pass although its connection stands; nil if it does not.
	failed *cmclient.Failure
	// entry is what the host has under the name; nil if it has nothing.
	entry *cmclient.Entry
	// content is the entry's content, only where a decision needs it.
	content *cmclient.Revision
	// historyHasOwn tells whether the host's history has our digest, only where a decision needs it.
	historyHasOwn bool
	// ranges are the card serial numbers in use at the host.
	ranges *rules.SerialRanges
}

func (h hostFacts) available() bool { return h.object != nil && h.state.Available() }

// signatureFacts are one ProcedureSignature and what is to be said of it.
type signatureFacts struct {
	object  *v1alpha1.ProcedureSignature
	verdict signing.Verdict
}

// rival is another object for the same procedure.
type rival struct {
	name    string
	uid     string
	created time.Time
	digest  string
}

// attempt is how a submission ended.
type attempt struct {
	refusal *cmclient.Refusal
	failure *cmclient.Failure
}

// passing are the reasons of refusals that pass with time: the host's clock is behind that of an officer.
var passing = map[string]bool{v1alpha1.ReasonSigningTimeInFuture: true, v1alpha1.ReasonCertificateNotYetValid: true}

// passes tells whether the host may take the same request later although nobody changes anything.
func (a *attempt) passes() bool { return a != nil && a.refusal != nil && passing[a.refusal.Reason] }

// refusedText says what the host refused, and when it is asked again.
func (a *attempt) refusedText(what string) string {
	if a.passes() {
		return "the CM host refuses " + what + " now and is asked again, since that passes with time: compare its clock with those of the officers. It says: " + a.refusal.Error()
	}
	return "the CM host refuses " + what + " and is asked again only when something changes: " + a.refusal.Error()
}

func (f *facts) deleting() bool { return f.object.DeletionTimestamp != nil }

func (f *facts) draft() bool { return f.object.Spec.Draft != nil && *f.object.Spec.Draft }

func (f *facts) closes() bool { return f.object.Spec.DeletionPolicy == v1alpha1.DeletionPolicyClose }

func (f *facts) name() string { return string(f.object.Spec.Procedure.Name) }

func (f *facts) revision() int64 {
	if f.object.Spec.Revision == nil {
		return 0
	}
	return *f.object.Spec.Revision
}

// wasReady tells whether this generation is known to have been Ready: the last report found it so, or Drifted, which
// only what the host had accepted becomes. An outage must not hide a drift, nor make true what somebody else wrote.
func (f *facts) wasReady() bool {
	ready := meta.FindStatusCondition(f.object.Status.Conditions, v1alpha1.ConditionReady)
	return reported(f.object) && ready != nil && ready.ObservedGeneration == f.object.Generation &&
		(ready.Status == metav1.ConditionTrue || ready.Reason == v1alpha1.ReasonDrifted)
}

// reported tells whether a status is what the last report said: nobody else has written into it since.
func reported(object metav1.Object) bool { return len(foreignStatus(object.GetManagedFields())) == 0 }

func requestProcedure(procedure *v1alpha1.TokenProcedure) request.Procedure {
	return request.FromV1alpha1(&procedure.Spec.Procedure)
}

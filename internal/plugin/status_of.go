package plugin

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// notSeen is the reason of a gate that the operator has not looked at since the object changed.
const notSeen = "NotSeen"

// gateTypes are the conditions in the order in which a procedure passes them.
var gateTypes = []string{v1alpha1.ConditionValidated, v1alpha1.ConditionSigned, v1alpha1.ConditionSynced, v1alpha1.ConditionReady}

// statusOf reads the operator's status of a procedure.
func statusOf(procedure *v1alpha1.TokenProcedure) ProcedureStatus {
	status := ProcedureStatus{
		Namespace: procedure.Namespace, Name: procedure.Name, Procedure: string(procedure.Spec.Procedure.Name),
		CMHost: procedure.Spec.CMHostRef.Name, Signatures: []SignatureOf{}, Warnings: []Finding{}, Deleting: procedure.DeletionTimestamp != nil,
	}
	if procedure.Spec.Revision != nil {
		status.Revision = *procedure.Spec.Revision
	}
	for _, gate := range gateTypes {
		status.Gates = append(status.Gates, gateOf(procedure, gate))
	}
	if r := procedure.Status.Request; r != nil {
		status.Request = &RequestID{Revision: r.Revision, Digest: r.Digest}
	}
	for _, signature := range procedure.Status.Signatures {
		status.Signatures = append(status.Signatures, SignatureOf{Officer: OfficerName{ID: signature.OfficerID, Subject: signature.Subject},
			SignedAt: signature.SignedAt.Time, Object: signature.SignatureName})
	}
	status.Host = hostCopyOf(procedure.Status.Host)
	for _, warning := range procedure.Status.Warnings {
		status.Warnings = append(status.Warnings, Finding{Reason: warning.Reason, Message: warning.Message})
	}
	status.Next = nextStep(&status, procedure)
	return status
}

func hostCopyOf(host *v1alpha1.HostProcedureStatus) *HostCopy {
	if host == nil {
		return nil
	}
	copied := &HostCopy{State: string(host.State), Digest: host.Digest}
	if host.Revision != nil {
		copied.Revision = *host.Revision
	}
	if host.AcceptedAt != nil {
		copied.AcceptedAt = host.AcceptedAt.Time
	}
	return copied
}

// gateOf is one condition; one that was made for an older generation says nothing of this one.
func gateOf(procedure *v1alpha1.TokenProcedure, conditionType string) Gate {
	condition := meta.FindStatusCondition(procedure.Status.Conditions, conditionType)
	if condition == nil {
		return Gate{Type: conditionType, Status: string(metav1.ConditionUnknown), Reason: notSeen, Message: "the operator has not looked at the object yet"}
	}
	if condition.ObservedGeneration < procedure.Generation {
		return Gate{Type: conditionType, Status: string(metav1.ConditionUnknown), Reason: notSeen, Message: "the operator has not looked at the latest change yet"}
	}
	return Gate{Type: conditionType, Status: string(condition.Status), Reason: condition.Reason, Message: condition.Message}
}

func (s *ProcedureStatus) gate(conditionType string) Gate {
	for _, gate := range s.Gates {
		if gate.Type == conditionType {
			return gate
		}
	}
	return Gate{Type: conditionType, Status: string(metav1.ConditionUnknown)}
}

func (s *ProcedureStatus) ready() Gate { return s.gate(v1alpha1.ConditionReady) }

func (s *ProcedureStatus) signedCount() string {
	return fmt.Sprintf("%d/%d", min(len(s.Signatures), signing.Quorum), signing.Quorum)
}

// nextSteps says for each reason of Ready what a person does next; the reasons that are not here wait for the operator.
var nextSteps = map[string]string{
	v1alpha1.ReasonDraft:                        "complete it (kubectl tokenproc lint lists what it lacks) and take `draft` away",
	v1alpha1.ReasonInvalid:                      "correct the fields that Validated names",
	v1alpha1.ReasonUnknownReference:             "correct the names that Validated names, or have them made on the CM host",
	v1alpha1.ReasonClosedReference:              "refer to something that is Active",
	v1alpha1.ReasonNotVisibleInDomain:           "refer to something that can be used from the procedure's domain",
	v1alpha1.ReasonCertificateProcedureRequired: "add a certificate procedure",
	v1alpha1.ReasonStorageProfileNotOffered:     "choose a storage profile that the CM host offers",
	v1alpha1.ReasonCMHostNotFound:               "create the CMHost, or correct cmHostRef",
	v1alpha1.ReasonHostUnavailable:              "nothing: the operator tries again until the CM host answers (kubectl get cmhosts)",
	v1alpha1.ReasonNameConflict:                 "remove one of the objects with this procedure name",
	v1alpha1.ReasonStaleRevision:                "raise spec.revision above the host's (kubectl tokenproc diff shows what differs)",
	v1alpha1.ReasonDrifted:                      "look at what changed at the host (kubectl tokenproc diff), then raise spec.revision",
	v1alpha1.ReasonRefusedByHost:                "do what the host's message says",
}

func nextStep(status *ProcedureStatus, procedure *v1alpha1.TokenProcedure) string {
	ready := status.ready()
	switch {
	case ready.Status == string(metav1.ConditionTrue) && status.Host != nil && status.Host.State == request.Closed:
		return "nothing: it is Closed, and the object may be deleted"
	case ready.Status == string(metav1.ConditionTrue):
		return "nothing: it is as it should be"
	case ready.Reason == v1alpha1.ReasonAwaitingSignatures || status.Request != nil && status.gate(v1alpha1.ConditionSigned).Status == string(metav1.ConditionFalse):
		missing := max(signing.Quorum-len(status.Signatures), 1)
		closing := ""
		if procedure.DeletionTimestamp != nil {
			closing = " --close"
		}
		return fmt.Sprintf("%s must sign: kubectl tokenproc sign %s -n %s%s --audience … --key … --cert … --apply", counted(missing, "more officer"), status.Name, status.Namespace, closing)
	case nextSteps[ready.Reason] != "":
		return nextSteps[ready.Reason]
	case ready.Reason == notSeen:
		return "nothing: the operator has yet to look at it (if this stays so, see whether it runs)"
	default:
		return "nothing: the operator is at work"
	}
}

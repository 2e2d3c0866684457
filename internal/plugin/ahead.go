package plugin

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// aheadSignatures are good signatures over revisions that their objects do not have yet, by object: those for closing are
// made before the object is deleted, and no condition of the object shows them.
type aheadSignatures map[client.ObjectKey][]SignedAhead

// readAhead reads them for a namespace, or for all where it is empty; none where the user may not.
func readAhead(ctx context.Context, s *session, namespace string) aheadSignatures {
	var list v1alpha1.ProcedureSignatureList
	if err := s.list(ctx, &list, namespace, "ProcedureSignatures"); err != nil {
		s.note("signatures made ahead of the object are not shown: %s\n", firstLine(err))
		return nil
	}
	ahead := aheadSignatures{}
	for i := range list.Items {
		ahead.add(&list.Items[i])
	}
	return ahead
}

func (a aheadSignatures) add(signature *v1alpha1.ProcedureSignature) {
	counted := meta.FindStatusCondition(signature.Status.Conditions, v1alpha1.ConditionCounted)
	signed := signedRequest(signature.Spec.Signature)
	if counted == nil || counted.Reason != v1alpha1.ReasonRevisionAhead || signature.Status.Officer == nil || signed == nil {
		return
	}
	officer := OfficerName{ID: signature.Status.Officer.ID, Subject: signature.Status.Officer.Subject}
	key := client.ObjectKey{Namespace: signature.Namespace, Name: signature.Spec.ProcedureRef.Name}
	digest, err := signed.Digest()
	if err != nil {
		return
	}
	i := slices.IndexFunc(a[key], func(known SignedAhead) bool { return known.Digest == digest })
	if i < 0 {
		a[key] = append(a[key], SignedAhead{Revision: signed.Revision, Digest: digest, State: signed.Procedure.State})
		i = len(a[key]) - 1
	}
	if !slices.Contains(a[key][i].Officers, officer) {
		a[key][i].Officers = append(a[key][i].Officers, officer)
	}
}

// show adds what was signed ahead to a status, and says what becomes of a closing request.
func (a aheadSignatures) show(status *ProcedureStatus, policy v1alpha1.DeletionPolicy) {
	status.Ahead = a[client.ObjectKey{Namespace: status.Namespace, Name: status.Name}]
	for _, ahead := range status.Ahead {
		if ahead.State == request.Closed {
			status.Next = nextToClose(status, ahead, policy)
		}
	}
}

func nextToClose(status *ProcedureStatus, ahead SignedAhead, policy v1alpha1.DeletionPolicy) string {
	if missing := signing.Quorum - len(ahead.Officers); missing > 0 {
		return fmt.Sprintf("%s must sign the closing request, revision %d: kubectl tokenproc sign %s -n %s --close --audience … --key … --cert … --apply",
			counted(missing, "more officer"), ahead.Revision, status.Name, status.Namespace)
	}
	if policy != v1alpha1.DeletionPolicyClose {
		return fmt.Sprintf("the closing request, revision %d, has its signatures, and nothing submits it: set spec.deletionPolicy to Close and delete the object, or apply revision %d with state Closed", ahead.Revision, ahead.Revision)
	}
	return fmt.Sprintf("the closing request, revision %d, has its signatures: deleting the object closes the procedure", ahead.Revision)
}

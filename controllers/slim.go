package controllers

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/lru"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

const (
	// sharedTexts is how many texts the caches share, so that nobody can make the memory of them grow.
	sharedTexts = 4096
	// longestShared is the longest text that is shared, in bytes: longer ones are seldom the same.
	longestShared = 160
)

// slimmer makes objects small before the caches keep them. Of managed fields only who else wrote the status is of use here,
// and most texts of an object are those of thousands of others: condition types, reasons, most messages, officers, and
// names of what is referred to.
type slimmer struct{ texts *lru.Cache }

func newSlimmer() *slimmer { return &slimmer{texts: lru.New(sharedTexts)} }

// slim is a transform of the caches.
func (s *slimmer) slim(object any) (any, error) {
	if accessor, err := meta.Accessor(object); err == nil {
		accessor.SetManagedFields(foreignStatus(accessor.GetManagedFields()))
		accessor.SetNamespace(share(s, accessor.GetNamespace()))
	}
	switch o := object.(type) {
	case *v1alpha1.TokenProcedure:
		s.procedure(o)
	case *v1alpha1.ProcedureSignature:
		s.signature(o)
	}
	return object, nil
}

// foreignStatus are those who wrote something into a status that is ours, and that is still there, without what they wrote.
// What we have applied ourselves since is as we say, whoever wrote it before.
func foreignStatus(managers []metav1.ManagedFieldsEntry) (foreign []metav1.ManagedFieldsEntry) {
	var own, others []metav1.ManagedFieldsEntry
	for _, m := range managers {
		switch {
		case m.Subresource != "status":
		case m.Manager == string(FieldOwner):
			own = append(own, m)
		default:
			others = append(others, m)
		}
	}
	for _, m := range others {
		left, known := fieldsOf(m)
		for i := 0; known && i < len(own); i++ {
			applied, _ := fieldsOf(own[i])
			left = left.Difference(applied)
		}
		if !known || !left.Empty() {
			foreign = append(foreign, metav1.ManagedFieldsEntry{Manager: m.Manager, Operation: m.Operation, Subresource: m.Subresource})
		}
	}
	return foreign
}

// fieldsOf are the fields that somebody manages; they are not known any more of an entry that was made small.
func fieldsOf(entry metav1.ManagedFieldsEntry) (fields *fieldpath.Set, known bool) {
	fields = &fieldpath.Set{}
	if entry.FieldsV1 == nil {
		return fields, false
	}
	return fields, fields.FromJSON(entry.FieldsV1.GetRawReader()) == nil
}

func (s *slimmer) procedure(object *v1alpha1.TokenProcedure) {
	object.TypeMeta = metav1.TypeMeta{Kind: share(s, object.Kind), APIVersion: share(s, object.APIVersion)}
	spec, status := &object.Spec, &object.Status
	spec.CMHostRef.Name = share(s, spec.CMHostRef.Name)
	p := &spec.Procedure
	p.Domain, p.PINProcedure, p.InputView = share(s, p.Domain), share(s, p.PINProcedure), share(s, p.InputView)
	p.State, p.StorageProfile = share(s, p.State), share(s, p.StorageProfile)
	p.KeyProcedures = shareAll(s, p.KeyProcedures)
	p.CertificateProcedures = shareAll(s, p.CertificateProcedures)
	p.AttributeCertificateProcedures = shareAll(s, p.AttributeCertificateProcedures)
	status.Conditions = s.conditions(status.Conditions)
	status.Signatures = slices.Clip(slices.Clone(status.Signatures))
	for i := range status.Signatures {
		signer := &status.Signatures[i]
		signer.OfficerID, signer.Subject = share(s, signer.OfficerID), share(s, signer.Subject)
	}
	if status.Host != nil {
		status.Host.State = share(s, status.Host.State)
	}
}

func (s *slimmer) signature(object *v1alpha1.ProcedureSignature) {
	object.TypeMeta = metav1.TypeMeta{Kind: share(s, object.Kind), APIVersion: share(s, object.APIVersion)}
	status := &object.Status
	status.Conditions = s.conditions(status.Conditions)
	if status.Officer != nil {
		status.Officer.ID, status.Officer.Subject = share(s, status.Officer.ID), share(s, status.Officer.Subject)
	}
	if status.Request != nil {
		status.Request.Audience, status.Request.Digest = share(s, status.Request.Audience), share(s, status.Request.Digest)
	}
}

// conditions are the same without the room that decoding leaves.
func (s *slimmer) conditions(conditions []metav1.Condition) []metav1.Condition {
	if conditions == nil {
		return nil
	}
	exact := make([]metav1.Condition, len(conditions))
	for i, c := range conditions {
		c.Type, c.Status, c.Reason, c.Message = share(s, c.Type), share(s, c.Status), share(s, c.Reason), share(s, c.Message)
		exact[i] = c
	}
	return exact
}

func shareAll[T ~string](s *slimmer, texts []T) []T {
	for i := range texts {
		texts[i] = share(s, texts[i])
	}
	return texts
}

// share returns the copy of a text that others have already.
func share[T ~string](s *slimmer, text T) T {
	if text == "" || len(text) > longestShared {
		return text
	}
	if known, found := s.texts.Get(string(text)); found {
		return T(known.(string))
	}
	s.texts.Add(string(text), string(text))
	return text
}

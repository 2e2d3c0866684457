package controllers

import (
	"strings"
	"testing"
	"unsafe"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

func slimProcedure() *v1alpha1.TokenProcedure {
	object := &v1alpha1.TokenProcedure{}
	object.Namespace, object.Name = "pki", "card"
	object.Spec.Procedure.CertificateProcedures = []v1alpha1.ListedName{"Authentication", "Signature"}
	object.Status.Conditions = append(make([]metav1.Condition, 0, 8), metav1.Condition{Type: "Ready", Status: "True", Reason: strings.Clone("UpToDate"), Message: strings.Repeat("m", longestShared+1)})
	object.Status.Signatures = []v1alpha1.SignatureStatus{{OfficerID: "officer-1", SignatureName: "card-r1"}}
	return object
}

func TestSlimChangesNothingButManagedFields(t *testing.T) {
	want, object := slimProcedure(), slimProcedure()
	object.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}
	slimmed, err := newSlimmer().slim(object)
	if err != nil || !equality.Semantic.DeepEqual(slimmed, want) {
		t.Errorf("slim returned %+v and %v; want %+v", slimmed, err, want)
	}
	empty := &v1alpha1.TokenProcedure{}
	if slimmed, err := newSlimmer().slim(empty); err != nil || slimmed.(*v1alpha1.TokenProcedure).Status.Conditions != nil {
		t.Errorf("slim made %+v, %v of an object without status", slimmed, err)
	}
}

func TestSlimmedObjectsShareTextsAndKeepNoSpareRoom(t *testing.T) {
	slimmer := newSlimmer()
	one, two := slimProcedure(), slimProcedure()
	for _, object := range []*v1alpha1.TokenProcedure{one, two} {
		if _, err := slimmer.slim(object); err != nil {
			t.Fatal(err)
		}
	}
	a, b := one.Status.Conditions[0].Reason, two.Status.Conditions[0].Reason
	if unsafe.StringData(a) != unsafe.StringData(b) {
		t.Error("two objects keep the same reason twice")
	}
	if cap(one.Status.Conditions) != 1 {
		t.Errorf("the conditions keep room for %d; want 1", cap(one.Status.Conditions))
	}
}

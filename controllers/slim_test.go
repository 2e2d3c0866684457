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

func TestWhoElseWroteAStatusIsKept(t *testing.T) {
	const message, reason = `{"f:status":{"f:conditions":{"k:{\"type\":\"Ready\"}":{"f:message":{}}}}}`, `{"f:status":{"f:conditions":{"k:{\"type\":\"Ready\"}":{"f:reason":{}}}}}`
	entry := func(manager, subresource, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, FieldsV1: metav1.NewFieldsV1(fields)}
	}
	operator := string(FieldOwner)
	for sentence, c := range map[string]struct {
		managers []metav1.ManagedFieldsEntry
		foreign  bool
	}{
		"nobody":                                {nil, false},
		"the operator":                          {[]metav1.ManagedFieldsEntry{entry(operator, "status", message)}, false},
		"somebody who wrote the spec":           {[]metav1.ManagedFieldsEntry{entry("kubectl", "", message)}, false},
		"somebody who wrote the status":         {[]metav1.ManagedFieldsEntry{entry("kubectl", "status", message)}, true},
		"somebody whom the operator has mended": {[]metav1.ManagedFieldsEntry{entry("kubectl", "status", message), entry(operator, "status", message)}, false},
		"mended by two writes":                  {[]metav1.ManagedFieldsEntry{entry(operator, "status", reason), entry("kubectl", "status", message), entry(operator, "status", message)}, false},
		"mended in another field":               {[]metav1.ManagedFieldsEntry{entry("kubectl", "status", message), entry(operator, "status", reason)}, true},
		"somebody who wrote what is no list":    {[]metav1.ManagedFieldsEntry{entry("kubectl", "status", "["), entry(operator, "status", message)}, true},
	} {
		t.Run(sentence, func(t *testing.T) {
			object := slimProcedure()
			object.ManagedFields = c.managers
			for pass := range 2 { // what is small already stays so
				if _, err := newSlimmer().slim(object); err != nil || reported(object) == c.foreign {
					t.Errorf("pass %d: %+v, %v; expected somebody else: %v", pass, object.ManagedFields, err, c.foreign)
				}
			}
			for _, kept := range object.ManagedFields {
				if kept.FieldsV1 != nil {
					t.Errorf("what %s wrote is kept", kept.Manager)
				}
			}
		})
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

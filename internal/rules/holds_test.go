package rules

import (
	"context"
	"testing"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

// variants are procedures of every profile with good, empty, bad and missing fields in many combinations.
func variants(visit func(spec map[string]any)) {
	fields := []struct {
		name   string
		values []any // nil: the field is missing
	}{
		{"storageProfile", []any{"SmartCard", "PKCS12", "PKCS10", "AttributeCertificateFile", "Data", nil}},
		{"name", []any{"Employee card", "Employee card", "Employee  card..", ""}},
		{"state", []any{"Active", "Active", "Closed", nil}},
		{"domain", []any{nil, "Corp", "", "-"}},
		{"visibleInSubdomain", []any{nil, false, true}},
		{"cardSerialNumber", []any{nil, map[string]any{"enabled": true, "range": map[string]any{"from": "1", "to": "2"}}, map[string]any{"enabled": false}, map[string]any{"enabled": true}, map[string]any{"enabled": false, "range": map[string]any{"from": "2", "to": "1"}}, map[string]any{}}},
		{"pinProcedure", []any{nil, "PIN letter", "PIN letter", ""}},
		{"keyProcedures", []any{nil, []any{"A", "B"}, []any{"A", "A"}, []any{}}},
		{"issuerCertificates", []any{nil, map[string]any{"policy": "StoreAll", "recoveredCertificates": "Store"}, map[string]any{"policy": "StoreNone"}, map[string]any{"policy": "StoreNone", "recoveredCertificates": "Store"}}},
		{"attributeCertificateProcedures", []any{nil, []any{"Attribute"}, []any{"."}}},
		{"certificateProcedures", []any{nil, []any{"Authentication"}, []any{"Authentication", "Signature"}, []any{}}},
	}
	const every = 1_000_003 // a prime, so that all values of all fields meet
	for i := range 800 {
		procedure, rest := map[string]any{}, i*every
		for _, field := range fields {
			if value := field.values[rest%len(field.values)]; value != nil {
				procedure[field.name] = value
			}
			rest /= len(field.values)
		}
		spec := map[string]any{"cmHostRef": map[string]any{"name": "local"}, "procedure": procedure}
		if i%10 == 0 {
			spec["draft"] = true
		}
		if i%7 > 0 {
			spec["revision"] = int64(i + 1)
		}
		visit(spec)
	}
}

// TestHoldingIsWhatTheLibraryFinds compares the short answer with the library's findings.
func TestHoldingIsWhatTheLibraryFinds(t *testing.T) {
	definition, count := definitions()["TokenProcedure"], map[bool]int{}
	variants(func(spec map[string]any) {
		object := map[string]any{"apiVersion": "cm.tokenprocedures.dev/v1alpha1", "kind": "TokenProcedure", "metadata": map[string]any{"name": "a"}, "spec": spec}
		broken, _ := definition.rules.Validate(context.Background(), nil, definition.structural, object, nil, celconfig.RuntimeCELCostBudget)
		budget := uint64(celconfig.RuntimeCELCostBudget)
		held := definition.spec.hold(spec, &budget)
		if held != (len(broken) == 0) {
			t.Errorf("held: %t, the library finds %v in %v", held, broken, spec)
		}
		count[held]++
	})
	if count[true] < 20 || count[false] < 20 {
		t.Errorf("%v: some of both are wanted", count)
	}
}

func TestWhatIsNotSupportedIsNotHeld(t *testing.T) {
	spec := definitions()["TokenProcedure"].structural.Properties["spec"]
	for name, change := range map[string]func(*schema.Structural){
		"additionalProperties": func(s *schema.Structural) { s.AdditionalProperties = &schema.StructuralOrBool{Bool: true} },
		"an embedded resource": func(s *schema.Structural) { s.XEmbeddedResource = true },
		"allOf": func(s *schema.Structural) {
			s.ValueValidation = &schema.ValueValidation{AllOf: []schema.NestedValueValidation{{}}}
		},
		"optionalOldSelf":       func(s *schema.Structural) { s.XValidations[0].OptionalOldSelf = new(true) },
		"a rule that is no CEL": func(s *schema.Structural) { s.XValidations[0].Rule = "self." },
		"something wrong far below": func(s *schema.Structural) {
			s.Properties["procedure"].Properties["certificateProcedures"].Items.XValidations = apiextensions.ValidationRules{{Rule: "1"}}
		},
	} {
		changed := *spec.DeepCopy()
		change(&changed)
		if _, err := compileNode(&changed, model.SchemaDeclType(&changed, false)); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if budget := uint64(1); definitions()["TokenProcedure"].spec.hold(map[string]any{"draft": true}, &budget) {
		t.Error("held beyond the budget")
	}
}

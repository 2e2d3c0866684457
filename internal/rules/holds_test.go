package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
	for i := range 1600 {
		procedure, rest := map[string]any{}, i*every
		for _, field := range fields {
			if value := field.values[rest%len(field.values)]; value != nil {
				procedure[field.name] = value
			}
			rest /= len(field.values)
		}
		spec := map[string]any{"cmHostRef": map[string]any{"name": "local"}, "procedure": procedure}
		if i%3 == 0 {
			spec["draft"] = true
		}
		if i%7 > 0 {
			spec["revision"] = int64(i + 1)
		}
		visit(spec)
	}
}

// shapes are fields that the schema does not allow, and the widest that it does.
func shapes() []map[string]any {
	long, many := strings.Repeat("ö", 128), make([]any, 16)
	for i := range many {
		many[i] = fmt.Sprintf("Name %d", i)
	}
	return []map[string]any{
		{"revision": int64(0)}, {"revision": int64(1<<53 - 1)}, {"revision": int64(1 << 53)}, {"revision": 1.5}, {"revision": "1"},
		{"draft": "true"}, {"cmHostRef": nil}, {"cmHostRef": map[string]any{}}, {"cmHostRef": "local"}, {"cmHostRef": map[string]any{"name": ""}},
		{"cmHostRef": map[string]any{"name": strings.Repeat("a", 253)}}, {"cmHostRef": map[string]any{"name": strings.Repeat("a", 254)}},
		{"deletionPolicy": ""}, {"deletionPolicy": "Close"}, {"deletionPolicy": "Delete"}, {"deletionPolicy": int64(1)}, {"procedure": nil}, {"procedure": []any{}},
		{"procedure.domain": long}, {"procedure.domain": long + "o"}, {"procedure.state": "active"}, {"procedure.state": true},
		{"procedure.keyProcedures": many}, {"procedure.keyProcedures": append(slices.Clone(many), "Another")}, {"procedure.keyProcedures": []any{"A", int64(1)}},
		{"procedure.keyProcedures": []any{nil}}, {"procedure.keyProcedures": "A"}, {"procedure.keyProcedures": map[string]any{"0": "A"}}, {"procedure.keyProcedures": []any{""}},
		{"procedure.cardSerialNumber": map[string]any{"enabled": true, "range": map[string]any{"from": "1", "to": strings.Repeat("9", 20)}}},
		{"procedure.cardSerialNumber": map[string]any{"enabled": true, "range": map[string]any{"from": "1", "to": strings.Repeat("9", 21)}}},
	}
}

// TestHoldingIsWhatTheLibraryFinds compares the short answer with the library's findings.
func TestHoldingIsWhatTheLibraryFinds(t *testing.T) {
	definition, count := definitions()["TokenProcedure"], map[bool]int{}
	compare := func(spec map[string]any) {
		object := map[string]any{"apiVersion": "cm.tokenprocedures.dev/v1alpha1", "kind": "TokenProcedure", "metadata": map[string]any{"name": "a"}, "spec": spec}
		broken, _ := definition.evaluate(object, nil)
		held := definition.spec.hold(spec)
		if held != (len(broken) == 0) {
			t.Errorf("held: %t, the library finds %v in %v", held, broken, spec)
		}
		count[held]++
	}
	variants(compare)
	for _, shape := range shapes() {
		spec := map[string]any{
			"cmHostRef": map[string]any{"name": "local"}, "revision": int64(1),
			"procedure": map[string]any{
				"name": "Employee card", "state": "Active", "domain": "Corp", "storageProfile": "SmartCard", "pinProcedure": "PIN letter", "cardSerialNumber": map[string]any{"enabled": false},
				"issuerCertificates": map[string]any{"policy": "StoreNone"}, "certificateProcedures": []any{"Authentication"},
			},
		}
		for path, value := range shape {
			fields := strings.Split(path, ".")
			if err := unstructured.SetNestedField(spec, value, fields...); err != nil {
				t.Fatal(err)
			}
			if value == nil {
				unstructured.RemoveNestedField(spec, fields...)
			}
		}
		compare(spec)
	}
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
		"nullable":              func(s *schema.Structural) { s.Nullable = true },
		"a number":              func(s *schema.Structural) { s.Type = "number" },
		"a pattern":             func(s *schema.Structural) { s.ValueValidation = &schema.ValueValidation{Pattern: "^a"} },
		"a format":              func(s *schema.Structural) { s.ValueValidation = &schema.ValueValidation{Format: "date-time"} },
		"an enum of objects":    func(s *schema.Structural) { s.ValueValidation = &schema.ValueValidation{Enum: []schema.JSON{{}}} },
		"a list that is a set":  func(s *schema.Structural) { s.XListType = new("set") },
		"unknown fields":        func(s *schema.Structural) { s.XPreserveUnknownFields = true },
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
}

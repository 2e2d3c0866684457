package rules

import (
	"encoding/json"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// FuzzValidate: an object without findings lacks nothing, may stay as it is, and what officers sign for it has no
// findings at the host either. Whatever comes in, nothing panics and each finding has a message.
func FuzzValidate(f *testing.F) {
	seed, err := yaml.YAMLToJSON([]byte(validProcedure))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"apiVersion":"cm.tokenprocedures.dev/v1alpha1","kind":"TokenProcedure","metadata":{"name":"a"},"spec":{"cmHostRef":{"name":"a"},"draft":true,"procedure":{"name":"A"}}}`))
	f.Add([]byte(`{"apiVersion":"cm.tokenprocedures.dev/v1alpha1","kind":"CMHost","metadata":{"name":"a"},"spec":{"url":"https://a","audience":"a","tlsSecretRef":{"name":"a"}}}`))
	f.Fuzz(func(t *testing.T, encoded []byte) {
		var decoded map[string]any
		if json.Unmarshal(encoded, &decoded) != nil {
			return
		}
		findings, missing := ValidateCreate(decoded), MissingFromDraft(decoded)
		for _, finding := range append(findings, missing...) {
			if finding.Message == "" || finding.Reason == "" {
				t.Errorf("a finding that says nothing: %+v", finding)
			}
		}
		if len(findings) > 0 {
			return
		}
		if again := ValidateUpdate(decoded, decoded); len(again) > 0 {
			t.Errorf("accepted, and refused when it stays as it is: %+v", again)
		}
		var tp v1alpha1.TokenProcedure
		if err := json.Unmarshal(encoded, &tp); err != nil || tp.Kind != "TokenProcedure" || tp.Spec.Draft != nil && *tp.Spec.Draft {
			return
		}
		if len(missing) > 0 {
			t.Errorf("accepted, and lacks %+v", missing)
		}
		signed := request.New("cm", *tp.Spec.Revision, request.FromV1alpha1(&tp.Spec.Procedure))
		if refused := ValidateRequest(signed); len(refused) > 0 {
			t.Errorf("accepted, and the host refuses what officers sign: %+v", refused)
		}
	})
}

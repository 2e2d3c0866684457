package rules

import (
	"context"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestLargestObject: the API server evaluates all CEL rules of the largest allowed procedure, when it is created and
// when every field of it changes, within its budget. That it takes the definitions at all shows the same of its estimate.
func TestLargestObject(t *testing.T) {
	stored := &unstructured.Unstructured{Object: largest("a", 9007199254740990)}
	if err := server.Create(context.Background(), stored); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Delete(context.Background(), stored); err != nil {
			t.Error(err)
		}
	}()
	stored.Object["spec"] = largest("b", 9007199254740991)["spec"]
	if err := server.Update(context.Background(), stored); err != nil {
		t.Error(err)
	}
	stored.Object["spec"] = largest("c", 9007199254740991)["spec"]
	found, err := refusal(server.Update(context.Background(), stored))
	if err != nil || len(found) != 8 {
		t.Errorf("a change of all but the name and the switches without a higher revision: %v, %q", err, found)
	}
	for _, finding := range found {
		if !strings.Contains(finding, "changed and revision is still 9007199254740991: raise it to 9007199254740992") {
			t.Errorf("another finding: %s", finding)
		}
	}
}

// largest is a procedure with all that a smart card can have, each name and list as long as it may be, all names in
// characters of four bytes and ending differently.
func largest(ending string, revision int64) map[string]any {
	letters := strings.Repeat("𐐀", 126)
	var names []string
	for i := range 16 {
		names = append(names, letters+string(rune('a'+i))+ending)
	}
	return named(procedureOf("SmartCard",
		set("revision", revision), set("deletionPolicy", "Close"),
		set("procedure.name", strings.Repeat("𐐀", 128)), set("procedure.domain", names[0]), set("procedure.visibleInSubdomain", true),
		set("procedure.cardSerialNumber", map[string]any{"enabled": true, "range": map[string]any{
			"from": strings.Repeat("1", 20), "to": strings.Repeat("9", 19) + map[string]string{"a": "1", "b": "2", "c": "3"}[ending]}}),
		set("procedure.pinProcedure", names[0]), set("procedure.inputView", names[0]),
		set("procedure.issuerCertificates", map[string]any{"policy": map[string]string{"a": "StoreRoot", "b": "StoreAll", "c": "StoreIssuingCA"}[ending], "recoveredCertificates": "DoNotStore"}),
		set("procedure.keyProcedures", list(names...)), set("procedure.attributeCertificateProcedures", list(names...)),
		set("procedure.certificateProcedures", list(names...)),
	), "largest")
}

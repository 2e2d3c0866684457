package rules

import (
	"fmt"
	"strings"
	"testing"
)

var storageProfiles = []string{"SmartCard", "PKCS12", "PKCS10", "AttributeCertificateFile", "Data"}

// profileTable is the table of the domain, letter by letter: R required, O optional, - must be absent, K required
// unless there are key procedures.
var profileTable = []struct {
	field   string
	letters string // in the order of storageProfiles
	present []any  // values that count as present
	absent  []any  // values that count as absent, beside leaving the field out
	broken  any    // a value that is refused wherever the field is
}{
	{"cardSerialNumber", "R - - - -",
		[]any{map[string]any{"enabled": false}, map[string]any{"enabled": true, "range": map[string]any{"from": "1", "to": "2"}}},
		[]any{map[string]any{}, map[string]any{"range": map[string]any{}}, map[string]any{"range": map[string]any{"from": "", "to": ""}}},
		map[string]any{"enabled": false, "range": map[string]any{"from": "01"}}},
	{"pinProcedure", "R R - - -", []any{"PIN letter"}, []any{""}, "PIN\tletter"},
	{"keyProcedures", "O O - - -", []any{list("Archive"), list("Archive", "Recover")}, []any{list()}, list("Archive", "Archive")},
	{"issuerCertificates", "R R O - -",
		[]any{map[string]any{"policy": "StoreNone"}, map[string]any{"policy": "StoreAll", "recoveredCertificates": "Store"}},
		[]any{map[string]any{}, map[string]any{"policy": "", "recoveredCertificates": ""}},
		map[string]any{"policy": "StoreSome"}},
	{"attributeCertificateProcedures", "O O - R -", []any{list("Attribute")}, []any{list()}, list("")},
	{"certificateProcedures", "K K R - R", []any{list("Signature"), list("Signature", "Authentication")}, []any{list()}, list(" Signature")},
	{"inputView", "O O O O O", []any{"Employee"}, []any{""}, "Employee "},
}

// TestStorageProfileTable has for each cell of the table at least one procedure that is accepted and one that is
// refused, for each way of being there or not, with state Active and Closed, and as a draft.
func TestStorageProfileTable(t *testing.T) {
	for _, row := range profileTable {
		for column, letter := range strings.Fields(row.letters) {
			profile, path := storageProfiles[column], "procedure."+row.field
			t.Run(fmt.Sprintf("%s/%s/%s", row.field, profile, letter), func(t *testing.T) {
				expectCell(t, profile, row.field, "left out", unset(path), letter == "O" || letter == "-")
				for _, value := range row.absent {
					expectCell(t, profile, row.field, fmt.Sprint(value), set(path, value), letter == "O" || letter == "-")
				}
				for _, value := range row.present {
					expectCell(t, profile, row.field, fmt.Sprint(value), set(path, value), letter != "-")
				}
				if letter == "K" {
					expectCell(t, profile, row.field, "left out beside key procedures", all(unset(path), set("procedure.keyProcedures", list("Recover"))), true)
				}
				if findings := judgeCreate(t, procedureOf(profile, set(path, row.broken))); len(findings) == 0 {
					t.Errorf("%v: accepted", row.broken)
				}
				if findings := judgeCreate(t, procedureOf(profile, draft, set(path, row.broken))); len(findings) == 0 {
					t.Errorf("%v: accepted in a draft", row.broken)
				}
			})
		}
	}
}

func expectCell(t *testing.T, profile, field, name string, made change, accepted bool) {
	t.Helper()
	for state, changes := range map[string][]change{
		"Active": {made},
		"Closed": {made, set("procedure.state", "Closed")},
	} {
		findings := judgeCreate(t, procedureOf(profile, changes...))
		if (len(findings) == 0) != accepted {
			t.Errorf("%s, %s: accepted should be %v: %+v", name, state, accepted, findings)
		}
		for _, finding := range findings {
			if !strings.HasPrefix(finding.Field, "spec.procedure."+field) {
				t.Errorf("%s, %s: a finding about another field: %+v", name, state, finding)
			}
		}
	}
	if findings := judgeCreate(t, procedureOf(profile, made, draft)); len(findings) > 0 {
		t.Errorf("%s: refused in a draft: %+v", name, findings)
	}
}

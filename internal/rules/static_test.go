package rules

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

const validProcedure = `
apiVersion: cm.tokenprocedures.dev/v1alpha1
kind: TokenProcedure
metadata: {name: employee-card, namespace: pki}
spec:
  cmHostRef: {name: local}
  revision: 1
  procedure:
    name: Employee card
    state: Active
    storageProfile: SmartCard
    cardSerialNumber: {enabled: true, range: {from: "100000", to: "199999"}}
    pinProcedure: PIN letter
    issuerCertificates: {policy: StoreAll, recoveredCertificates: Store}
    certificateProcedures: [Authentication, Signature]
`

// object decodes a manifest after replacements, given as pairs.
func object(t *testing.T, manifest string, replacements ...string) map[string]any {
	t.Helper()
	for i := 0; i < len(replacements); i += 2 {
		if !strings.Contains(manifest, replacements[i]) {
			t.Fatalf("nothing to replace: %q", replacements[i])
		}
	}
	var decoded map[string]any
	if err := yaml.Unmarshal([]byte(strings.NewReplacer(replacements...).Replace(manifest)), &decoded); err != nil {
		t.Fatal(err)
	}
	return decoded
}

// TestBeyondTheAPIServer has what the evaluation in process says where the API server prunes, drops or knows nothing,
// and how it words what it finds. The rules themselves are held against the API server in test/rules.
func TestBeyondTheAPIServer(t *testing.T) {
	for _, c := range []struct {
		name    string
		object  map[string]any
		field   string // empty: no finding
		message string
	}{
		{name: "a valid procedure", object: object(t, validProcedure)},
		{name: "without a namespace", object: object(t, validProcedure, ", namespace: pki", "")},
		{name: "with a status", object: object(t, validProcedure+"status: {anything: 1}\n")},
		{name: "a revision as a float", object: object(t, validProcedure, "revision: 1", "revision: 1.0")},
		{name: "another kind", object: object(t, validProcedure, "kind: TokenProcedure", "kind: Secret"), field: "kind",
			message: `kind is "Secret": expected one of CMHost, ProcedureSignature, TokenProcedure`},
		{name: "another version", object: object(t, validProcedure, "v1alpha1", "v1"), field: "apiVersion", message: "expected cm.tokenprocedures.dev/v1alpha1"},
		{name: "no name", object: object(t, validProcedure, "name: employee-card, ", ""), field: "metadata.name", message: "name or generateName is required"},
		{name: "no metadata", object: object(t, validProcedure, "metadata: {name: employee-card, namespace: pki}\n", ""), field: "metadata.name", message: "name or generateName is required"},
		{name: "a name in capitals", object: object(t, validProcedure, "name: employee-card", "name: EmployeeCard"), field: "metadata.name", message: "lowercase"},
		{name: "a generated name", object: object(t, validProcedure, "name: employee-card", "generateName: employee-card-")},
		{name: "an unknown field", object: object(t, validProcedure, "pinProcedure", "pinProcedures: PIN mail\n    pinProcedure"), field: "spec.procedure.pinProcedures", message: "correct its spelling or remove it"},
		{name: "an explicit null", object: object(t, validProcedure, "PIN letter", "PIN letter\n    inputView: null"), field: "spec.procedure.inputView", message: "inputView is null: remove the field"},
		{name: "a null that a serialiser wrote into the metadata", object: object(t, validProcedure, "namespace: pki", "creationTimestamp: null")},
		{name: "a number that is a serial number", object: object(t, validProcedure, `"100000"`, "100000"), field: "spec.procedure.cardSerialNumber.range.from", message: "string"},
		{name: "a name that is not in NFC", object: object(t, validProcedure, "PIN letter", "\u212bngström"), field: "spec.procedure.pinProcedure",
			message: `spec.procedure.pinProcedure is "\u212bngstr\u00f6m", which is not in Unicode normalisation form C: write it as "\u00c5ngstr\u00f6m"`},
		{name: "a listed name that is not in NFC", object: object(t, validProcedure, "Signature]", "\u212bngström]"), field: "spec.procedure.certificateProcedures[1]", message: "normalisation form C"},
		{name: "a name that turns a terminal around", object: object(t, validProcedure, "PIN letter", "PIN \u202eletter"), field: "spec.procedure.pinProcedure",
			message: `spec.procedure.pinProcedure is "PIN \u202eletter": a name must begin with a letter or digit`},
		{name: "a procedure that is a string", object: object(t, strings.SplitAfter(validProcedure, "procedure:")[0]+" text"), field: "spec.procedure", message: "object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, err := json.Marshal(c.object)
			if err != nil {
				t.Fatal(err)
			}
			findings := ValidateCreate(c.object)
			if after, err := json.Marshal(c.object); err != nil || string(after) != string(before) {
				t.Errorf("the object was changed: %s, %v", after, err)
			}
			if c.field == "" {
				expectSummaries(t, findings)
				return
			}
			if len(findings) == 0 || findings[0].Field != c.field || findings[0].Reason != "Invalid" || !strings.Contains(findings[0].Message, c.message) {
				t.Errorf("got %+v, want %s: %s", findings, c.field, c.message)
			}
		})
	}
}

func TestFindingsStandBesideAMistypedEnum(t *testing.T) {
	findings := ValidateCreate(object(t, validProcedure, "state: Active", "state: Actve", "    pinProcedure: PIN letter\n", ""))
	expectSummaries(t, findings, "spec.procedure.pinProcedure: Invalid", "spec.procedure.state: Invalid")
	if !strings.Contains(findings[1].Message, `"Actve"`) || !strings.Contains(findings[1].Message, `"Closed"`) {
		t.Errorf("message %q", findings[1].Message)
	}
}

func TestWhatWasNotCheckedIsSaid(t *testing.T) {
	findings := ValidateCreate(object(t, validProcedure, "  cmHostRef: {name: local}\n", ""))
	expectSummaries(t, findings, "spec.cmHostRef: Invalid", "spec: Invalid")
	if !strings.Contains(findings[1].Message, "not checked") || !strings.Contains(findings[0].Message, "spec.cmHostRef: Required value") {
		t.Errorf("got %v", findings)
	}
}

func TestMissingFromDraft(t *testing.T) {
	draft := object(t, `
apiVersion: cm.tokenprocedures.dev/v1alpha1
kind: TokenProcedure
metadata: {name: employee-card, namespace: pki}
spec:
  cmHostRef: {name: local}
  draft: true
  procedure:
    name: Employee card
    storageProfile: SmartCard
    visibleInSubdomain: true
    cardSerialNumber: {enabled: true, range: {}}
    issuerCertificates: {policy: StoreRoot}
    pinProcedure: ""
`)
	expectSummaries(t, ValidateCreate(draft))
	missing := MissingFromDraft(draft)
	const f, invalid = "spec.procedure.", ": Invalid"
	expectSummaries(t, missing,
		f+"cardSerialNumber.range.from"+invalid, f+"cardSerialNumber.range.to"+invalid, f+"certificateProcedures"+invalid,
		f+"issuerCertificates.recoveredCertificates"+invalid, f+"pinProcedure"+invalid, f+"state"+invalid, f+"visibleInSubdomain"+invalid, "spec.revision"+invalid)
	if !strings.Contains(Messages(missing), "; pinProcedure is missing: storage profile SmartCard requires") {
		t.Errorf("messages: %s", Messages(missing))
	}
	if spec := draft["spec"].(map[string]any); spec["draft"] != true {
		t.Error("the draft was changed")
	}
}

func TestValidateRequest(t *testing.T) {
	p := smartCard()
	expectSummaries(t, ValidateRequest(request.New("cm.example.com", 1, p)))
	expectSummaries(t, ValidateRequest(request.New("cm.example.com", 0, p)), "spec.revision: Invalid")
	p.PINProcedure, p.CertificateProcedures[1] = "", "\u212bngström"
	expectSummaries(t, ValidateRequest(request.New("cm.example.com", 1, p)), "spec.procedure.certificateProcedures[1]: Invalid", "spec.procedure.pinProcedure: Invalid")
	p = smartCard(certificates())
	p.State = request.Closed
	expectSummaries(t, ValidateRequest(request.New("cm.example.com", 1, p)), "spec.procedure.certificateProcedures: Invalid")
	expectSummaries(t, ValidateRequest(request.Request{}), "spec.procedure.name: Invalid", "spec.revision: Invalid", "spec: Invalid")
}

func BenchmarkValidateRequest(b *testing.B) {
	r := request.New("cm.example.com", 1, smartCard())
	for b.Loop() {
		if findings := ValidateRequest(r); len(findings) > 0 {
			b.Fatal(findings)
		}
	}
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"A", "9", "Müller & Söhne (A/B)", "漢字", "O'Neill, Ltd.", "a..b", "x\u0000y", "", " a", "a ", ".a", strings.Repeat("a", 128), strings.Repeat("a", 129), "\u212bngström", "a\u200bb", "a/b"} {
		valid := map[string]bool{"A": true, "9": true, "漢字": true, "O'Neill, Ltd.": true, strings.Repeat("a", 128): true}[name]
		if err := CheckName(name); (err == nil) != valid {
			t.Errorf("CheckName(%+q) = %v", name, err)
		}
	}
}

// TestCostOfTheLargestObject measures what a change of the largest allowed procedure costs of the API server's budget.
func TestCostOfTheLargestObject(t *testing.T) {
	largest := func(revision, suffix string) map[string]any {
		name := func(i int) string { return strings.Repeat("𐐀", 124) + string(rune('a'+i)) + suffix }
		list := func() (names []any) {
			for i := range 16 {
				names = append(names, name(i))
			}
			return names
		}
		o := object(t, validProcedure, "revision: 1", "revision: "+revision, "Employee card", name(0)[:4*124], "Active", "Active\n    domain: "+name(0), "PIN letter", name(0)+"\n    visibleInSubdomain: true\n    inputView: "+name(1))
		procedure := o["spec"].(map[string]any)["procedure"].(map[string]any)
		for _, field := range []string{"keyProcedures", "attributeCertificateProcedures", "certificateProcedures"} {
			procedure[field] = list()
		}
		private, err := private(o)
		if err != nil {
			t.Fatal(err)
		}
		return private
	}
	old, changed := largest("9007199254740990", "old"), largest("9007199254740991", "new")
	expectSummaries(t, ValidateUpdate(changed, old))
	d := definitions()["TokenProcedure"]
	const budget = celconfig.RuntimeCELCostBudget
	errs, left := d.rules.Validate(context.Background(), nil, d.structural, changed, old, budget)
	if used := budget - left; len(errs) > 0 || used <= 0 || used > budget/20 {
		t.Errorf("an update of the largest object uses %d of %d: %v", used, budget, errs)
	} else {
		t.Logf("an update of the largest object uses %d of %d", used, budget)
	}
}

func TestEveryKindIsEmbedded(t *testing.T) {
	if got := kinds(); got != "CMHost, ProcedureSignature, TokenProcedure" {
		t.Errorf("embedded: %s", got)
	}
}

func TestUnreadableObjects(t *testing.T) {
	for _, o := range []map[string]any{nil, {}, {"kind": 1}, {"kind": "CMHost", "apiVersion": 2}, {"spec": func() {}}} {
		for name, findings := range map[string][]Finding{"create": ValidateCreate(o), "update": ValidateUpdate(o, o), "draft": MissingFromDraft(o)} {
			if len(findings) != 1 || findings[0].Message == "" {
				t.Errorf("%s %v: %v", name, reflect.ValueOf(o), findings)
			}
		}
	}
}

// TestWhatWasThereIsNotRefusedAgain: rules may become stricter, and an object that was there before must still be
// changeable elsewhere, as the API server allows it.
func TestWhatWasThereIsNotRefusedAgain(t *testing.T) {
	old := object(t, validProcedure, "PIN letter", "PIN-")
	expectSummaries(t, ValidateCreate(old), "spec.procedure.pinProcedure: Invalid")
	expectSummaries(t, ValidateUpdate(object(t, validProcedure, "PIN letter", "PIN-", "revision: 1", "revision: 2"), old))
	expectSummaries(t, ValidateUpdate(object(t, validProcedure, "PIN letter", "PIN--", "revision: 1", "revision: 2"), old), "spec.procedure.pinProcedure: Invalid")
}

package plugin_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/tokenprocedures/token-procedure-operator/internal/plugin"
)

// TestExitCodes shows every exit code that the help promises; 4, a person said no, is shown on a terminal.
func TestExitCodes(t *testing.T) {
	d := newDesk(t)
	d.write("card.yaml", employeeCard)
	d.write("bad.yaml", badFolder)
	d.write("broken", "clusters: [")
	d.officer("officer-1")
	unreachable := " --host https://127.0.0.1:1 --host-ca officer-1.crt --host-cert officer-1.crt --host-key officer-1.key"
	for _, c := range []struct {
		line string
		code int
		says string
	}{
		{"version", 0, ""},
		{"--help", 0, ""},
		{"options --help", 0, ""},
		{"help output", 0, ""},
		{"completion bash", 0, ""},
		{"lint -f card.yaml", 0, "1 object checked, 0 findings, 0 errors"},
		{"lint -f bad.yaml", 1, "7 errors"},
		{"verify -f card.yaml --audience a --officers officer-1.crt", 2, "--officers"},
		{"nonsense", 2, "there is no command \"nonsense\""},
		{"sing", 2, "did you mean lint or sign?"},
		{"completion tcsh", 2, "tcsh"},
		{"lint", 2, "this needs -f"},
		{"lint -f none.yaml", 2, "cannot read none.yaml"},
		{"lint -f card.yaml -o xml", 2, "expected json, yaml"},
		{"lint --colour", 2, "unknown flag: --colour"},
		{"status", 2, "no kubeconfig was found"},
		{"status --kubeconfig broken", 2, "the kubeconfig does not say which cluster"},
		{"status --context nowhere", 2, "check --kubeconfig and --context"},
		{"status a b -A", 2, "a name belongs to one namespace"},
		{"pending", 2, "--officer FILE"},
		{"pending --officer folder/none.crt", 2, "--officer"},
		{"pending --officer a --key file:b", 2, "not both"},
		{"report", 2, "this needs --from"},
		{"report --from yesterday" + unreachable, 2, "neither a day"},
		{"report --from 2026-02-01 --to 2026-01-01" + unreachable, 2, "ends before it begins"},
		{"sheet -f card.yaml nobody", 2, "no TokenProcedure nobody in card.yaml"},
		{"sign -f card.yaml --audience a --key file:none.key --cert officer-1.crt --yes", 2, "none.key"},
		{"status --server https://127.0.0.1:1", 3, "the cluster cannot be reached"},
		{"ranges" + unreachable, 3, "the CM host cannot be reached"},
	} {
		done := d.run("kubectl-tokenproc " + c.line)
		if done.code != c.code || !strings.Contains(done.stderr, c.says) {
			t.Errorf("%s\nended with %d, want %d and %q:\n%s", done.line, done.code, c.code, c.says, done.stderr)
		}
		if done.code > 0 && done.code != 1 && !strings.HasPrefix(done.stderr, "error: ") {
			t.Errorf("%s does not say that it failed: %s", done.line, done.stderr)
		}
	}
}

// TestClusterWithoutDefinitions asks an API server that knows no token procedures.
func TestClusterWithoutDefinitions(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := map[string]any{
			"/api":    map[string]any{"kind": "APIVersions", "versions": []string{"v1"}},
			"/apis":   map[string]any{"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{}},
			"/api/v1": map[string]any{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1", "resources": []any{}},
		}[r.URL.Path]
		w.Header().Set("Content-Type", "application/json")
		if answer == nil {
			w.WriteHeader(http.StatusNotFound)
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	d := newDesk(t)
	for _, line := range []string{"status", "status employee-card", "status --watch", "ranges", "sheet employee-card"} {
		done := d.run("kubectl-tokenproc " + line + " --server " + server.URL)
		if want := "the cluster does not know token procedures: install the operator's custom resource definitions, or check --context"; done.code != 3 || !strings.Contains(done.stderr, want) {
			t.Errorf("%s ended with %d, want 3 and %q:\n%s", done.line, done.code, want, done.stderr)
		}
	}
}

// members are the members of every kind of output, as the documentation lists them: Kind.member and its type.
type members map[string]string

var (
	headingOfKind = regexp.MustCompile(`^## (\w+)$`)
	rowOfMember   = regexp.MustCompile("^\\| `(\\w+)` \\| (.*?) \\| .* \\|$")
	linkToKind    = regexp.MustCompile(`\[(\w+)\]\(#`)
)

func documentedMembers(t *testing.T) members {
	t.Helper()
	folder := t.TempDir()
	if err := plugin.WriteDocs(folder); err != nil {
		t.Fatal(err)
	}
	found, kind := members{}, ""
	for line := range strings.SplitSeq(pages(t, folder)["output.md"], "\n") {
		if heading := headingOfKind.FindStringSubmatch(line); heading != nil {
			kind = heading[1]
		} else if row := rowOfMember.FindStringSubmatch(line); row != nil {
			found[kind+"."+row[1]] = row[2]
		}
	}
	return found
}

// TestOutputOnlyGrows compares with all members that a version of the output ever had: they stay, with their types.
// UPDATE_GOLDEN=1 adds new ones to the file, and takes none away.
func TestOutputOnlyGrows(t *testing.T) {
	now, path := documentedMembers(t), filepath.Join("testdata", "golden", "output-v1.yaml")
	ever := members{}
	content, err := os.ReadFile(path)
	if err == nil {
		err = yaml.UnmarshalStrict(content, &ever)
	}
	if err != nil && os.Getenv("UPDATE_GOLDEN") == "" {
		t.Fatal(err)
	}
	for name, kind := range ever {
		if now[name] != kind {
			t.Errorf("%s is %q now and was %q: programs rely on it; a new version of the output is needed", name, now[name], kind)
		}
	}
	for name, kind := range now {
		if ever[name] == "" && os.Getenv("UPDATE_GOLDEN") == "" {
			t.Errorf("%s is new: UPDATE_GOLDEN=1 go test ./internal/plugin notes it", name)
		}
		ever[name] = kind
	}
	if encoded, err := yaml.Marshal(ever); os.Getenv("UPDATE_GOLDEN") != "" && (err != nil || os.WriteFile(path, encoded, 0o644) != nil) {
		t.Fatal(err)
	}
}

// check reports members that are not documented, and documented ones that are missing.
func (m members) check(t *testing.T, where, kind string, value any) {
	t.Helper()
	if list, isList := value.([]any); isList {
		for _, item := range list {
			m.check(t, where, kind, item)
		}
		return
	}
	object, isObject := value.(map[string]any)
	if !isObject {
		t.Errorf("%s: %v is no %s", where, value, kind)
		return
	}
	for name, below := range object {
		documented, known := m[kind+"."+name]
		if !known {
			t.Errorf("%s: %s.%s is not documented", where, kind, name)
		}
		if link := linkToKind.FindStringSubmatch(documented); link != nil {
			m.check(t, where, link[1], below)
		}
	}
	for path, documented := range m {
		name, ofKind := strings.CutPrefix(path, kind+".")
		if _, there := object[name]; ofKind && !there && !strings.HasSuffix(documented, ", may be absent") {
			t.Errorf("%s: %s is missing", where, path)
		}
	}
}

// structured runs commands with -o json and -o yaml: both must say the same, and what is documented for the kind.
func (d *desk) structured(t *testing.T, commands map[string]string) {
	t.Helper()
	documented := documentedMembers(t)
	for kind, line := range commands {
		asJSON, asYAML := d.run(line+" -o json 2>/dev/null"), d.run(line+" -o yaml 2>/dev/null")
		var fromJSON, fromYAML map[string]any
		if err := json.Unmarshal([]byte(asJSON.stdout), &fromJSON); err != nil {
			t.Errorf("%s: %v", asJSON.line, err)
			continue
		}
		if err := yaml.Unmarshal([]byte(asYAML.stdout), &fromYAML); err != nil {
			t.Errorf("%s: %v", asYAML.line, err)
		}
		for _, volatile := range []string{"to"} { // the end of a report is the time at which it is made
			delete(fromYAML, volatile)
			if fromJSON[volatile] != nil {
				fromYAML[volatile] = fromJSON[volatile]
			}
		}
		if !reflect.DeepEqual(fromJSON, fromYAML) || asJSON.code != asYAML.code {
			t.Errorf("%s says something else than -o yaml", asJSON.line)
		}
		if fromJSON["kind"] != kind || fromJSON["apiVersion"] != plugin.OutputVersion {
			t.Errorf("%s is a %v of %v, want %s of %s", asJSON.line, fromJSON["kind"], fromJSON["apiVersion"], kind, plugin.OutputVersion)
		}
		documented.check(t, asJSON.line, kind, fromJSON)
	}
}

// TestOutputIsAsDocumented asks every command for its output for programs, as far as that needs no cluster.
func TestOutputIsAsDocumented(t *testing.T) {
	s := newHostDesk(t)
	s.must("mkdir signatures && for i in 1 2; do kubectl-tokenproc sign -f card.yaml --audience cm.test $HOST --yes --key file:officer-$i.key --cert officer-$i.crt --out signatures/$i.yaml; done")
	submitter := "${HOST//reader/submitter}"
	s.must("kubectl-tokenproc submit -f signatures --yes " + submitter)
	commands := map[string]string{
		"AuditReport":     "kubectl-tokenproc report --from 2020-01-01 $HOST",
		"DiffReport":      "sed 's/PIN letter/User PIN/' card.yaml | kubectl-tokenproc diff -f - -f signatures $HOST",
		"DigestList":      "kubectl-tokenproc digest -f card.yaml --audience cm.test",
		"History":         `kubectl-tokenproc history "Employee card" $HOST`,
		"LintReport":      "sed 's/PIN letter/PIN/' card.yaml | kubectl-tokenproc lint -f - $HOST",
		"RangesReport":    "kubectl-tokenproc ranges $HOST",
		"SelectionReport": "kubectl-tokenproc select -f card.yaml $HOST",
		"Sheet":           "kubectl-tokenproc sheet -f card.yaml",
		"SubmitReport":    "kubectl-tokenproc submit -f signatures --yes " + submitter,
		"VerifyReport":    "kubectl-tokenproc verify -f card.yaml -f signatures --audience cm.test $HOST",
		"VersionInfo":     "kubectl-tokenproc version",
	}
	s.structured(t, commands)
	for path := range documentedMembers(t) {
		kind, member, _ := strings.Cut(path, ".")
		if _, shown := commands[kind]; member == "apiVersion" && !shown && !slices.Contains([]string{"ProcedureStatusList"}, kind) {
			t.Errorf("no command of this test shows the kind %s", kind)
		}
	}
}

package plugin_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"unicode"

	"sigs.k8s.io/yaml"
)

const badFolder = `apiVersion: cm.tokenprocedures.dev/v1alpha1
kind: TokenProcedure
metadata: {name: bad}
spec:
  cmHostRef: {name: production}
  revision: 1
  procedure:
    name: Bad card
    state: Active
    storageProfile: SmartCard
    cardSerialNumber:
      enabled: true
      range: {from: "9", to: "1"}
    pinProcedure: null
    colour: red
---
apiVersion: cm.tokenprocedures.dev/v1alpha1
kind: TokenProcedure
metadata: {name: saved}
spec:
  cmHostRef: {name: production}
  draft: true
  procedure: {name: Saved, storageProfile: PKCS12}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: not-ours}
---
kind: [
`

// hostile has a name that would rewrite a terminal's title and hide what follows, a right-to-left override, and a line end.
const hostile = "apiVersion: cm.tokenprocedures.dev/v1alpha1\nkind: TokenProcedure\nmetadata: {name: \"a\\e]0;owned\\a\"}\nspec:\n  cmHostRef: {name: production}\n  revision: 1\n" +
	"  procedure: {name: \"Evil\\u202Ednet\\nError: none\", state: \"\\e[8mActive\", storageProfile: PKCS10, \"\\e[2J\": 1}\n"

func TestOffline(t *testing.T) {
	d := newDesk(t)
	d.officer("officer-1")
	d.officer("officer-2")
	card := strings.ReplaceAll(employeeCard, "local", "production")
	d.write("card.yaml", card)
	d.write("zurich.yaml", strings.NewReplacer("employee-card", "zurich", "Employee card", "Dienstausweis Zürich", "Corp", "\u0421orp").Replace(card))
	d.write("draft.yaml", strings.Replace(card, "spec:\n", "spec:\n  draft: true\n", 1))
	d.write("bad.yaml", badFolder)
	d.write("hostile.yaml", hostile)
	d.must("mkdir officers; cp officer-1.crt officer-2.crt officers; cp " + repository(t) + "/config/samples/host/catalog.yaml .")
	d.golden("offline-request",
		"kubectl-tokenproc request -f card.yaml --audience cm.example.com",
		"kubectl-tokenproc digest -f card.yaml -f zurich.yaml --audience cm.example.com",
		"kubectl-tokenproc digest -f card.yaml --audience cm.example.com -o json",
		"kubectl-tokenproc request -f card.yaml",
		"kubectl-tokenproc request -f draft.yaml --audience cm.example.com",
		"kubectl-tokenproc request -f bad.yaml --audience cm.example.com",
		"kubectl-tokenproc request -f none.yaml --audience cm.example.com",
		"kubectl-tokenproc request",
		"kubectl-tokenproc request -f card.yaml --close --audience cm.example.com",
		"kubectl-tokenproc nonsense",
		"kubectl-tokenproc digest --nonsense",
	)
	d.golden("offline-lint",
		"kubectl-tokenproc lint -f bad.yaml",
		"kubectl-tokenproc lint -f draft.yaml --strict",
		"cat card.yaml | kubectl-tokenproc lint -f - --catalog catalog.yaml -o yaml",
		"sed 's/Signature/Retired/' card.yaml | kubectl-tokenproc lint -f - --catalog catalog.yaml -o json",
		"kubectl-tokenproc lint -f card.yaml -f draft.yaml",
		"kubectl-tokenproc lint",
	)
	d.golden("offline-hostile",
		"kubectl-tokenproc lint -f hostile.yaml",
		"kubectl-tokenproc lint -f hostile.yaml -o json",
		"kubectl-tokenproc lint -f hostile.yaml -o yaml | head -3",
		"kubectl-tokenproc sheet -f hostile.yaml",
		"grep -v 2J hostile.yaml > milder.yaml; echo '  procedure: {name: \"Evil\\u202Ednet\\nError: none\", state: Active}' >> milder.yaml; kubectl-tokenproc sheet -f milder.yaml",
		"kubectl-tokenproc digest -f hostile.yaml --audience cm.example.com",
	)
	d.golden("offline-sign-verify",
		"kubectl-tokenproc verify -f card.yaml --audience cm.example.com --officers officers",
		"kubectl-tokenproc sign -f card.yaml --audience cm.example.com --key file:officer-1.key --cert officer-1.crt --yes --name card-r1-one --out one.yaml",
		"kubectl-tokenproc sign -f card.yaml --audience cm.example.com --key file:officer-2.key --cert officer-2.crt --yes --name card-r1-two --out two.yaml 2>&1 | tail -1",
		"kubectl-tokenproc sign -f card.yaml --audience cm.example.com --key file:officer-2.key --cert officer-2.crt --yes --name card-r1-two --out two.yaml 2>&1 | tail -1",
		"kubectl-tokenproc verify -f card.yaml -f one.yaml --audience cm.example.com --officers officers",
		"kubectl-tokenproc verify -f card.yaml -f one.yaml -f two.yaml --audience cm.example.com --officers officers -o json",
		"kubectl-tokenproc verify -f card.yaml -f one.yaml -f two.yaml --audience cm.other.com --officers officers",
		"kubectl-tokenproc verify -f card.yaml -f one.yaml -f two.yaml --audience cm.example.com --officers officers --at 2040-01-01T00:00:00Z | head -4",
		"sed 's/revision: 1/revision: 2/; s/PIN letter/User PIN/' card.yaml > next.yaml; kubectl-tokenproc sign -f next.yaml -f one.yaml --audience cm.example.com --key file:officer-1.key --cert officer-1.crt --yes 2>&1 | grep -A3 -e Revision -e 'What changes'",
		"kubectl-tokenproc sign -f zurich.yaml --audience cm.example.com --key file:officer-1.key --cert officer-1.crt --yes 2>&1 | grep -B1 'not ASCII'",
		"kubectl-tokenproc sign -f card.yaml --audience cm.example.com --key file:officer-1.key --cert officer-1.crt 2>&1 | tail -1",
		"kubectl-tokenproc sign -f card.yaml --audience cm.example.com --key pkcs11:token=Officer?pin-value=1234",
	)
	d.golden("offline-select-new",
		"kubectl-tokenproc select -f card.yaml --catalog catalog.yaml",
		"sed 's/Authentication/General/' card.yaml | kubectl-tokenproc select -f - --catalog catalog.yaml",
		"kubectl-tokenproc select -f card.yaml --catalog catalog.yaml --key-usage keyAgreement",
		"kubectl-tokenproc select -f card.yaml --catalog catalog.yaml --key-usage signing",
		"kubectl-tokenproc new",
		"kubectl-tokenproc new --name Notebook --storage-profile PKCS10",
		"kubectl-tokenproc new --cmhost production --name Notebook --storage-profile PKCS10",
		"kubectl-tokenproc new --cmhost production --name Notebook --storage-profile Data --certificate-procedures General -n pki -o json",
		`kubectl-tokenproc new --cmhost production --name Notebook --state Active --domain No --storage-profile PKCS10 --certificate-procedures "Authentication, General" --out notebook.yaml`,
		"cat notebook.yaml; kubectl-tokenproc lint -f notebook.yaml",
	)
}

// TestHelp keeps the way that a newcomer sees.
func TestHelp(t *testing.T) {
	newDesk(t).golden("help", "kubectl-tokenproc --help", "kubectl-tokenproc sign --help", "kubectl-tokenproc version | tail -2",
		"kubectl-tokenproc __complete select --key-usage '' 2>/dev/null | head -3", "kubectl-tokenproc __complete lint -o '' 2>/dev/null")
}

// TestNothingHostileReachesTheTerminal looks at every byte that commands print of a hostile manifest.
func TestNothingHostileReachesTheTerminal(t *testing.T) {
	d := newDesk(t)
	d.write("hostile.yaml", hostile)
	d.write("milder.yaml", strings.Replace(hostile, `, "\e[2J": 1`, "", 1))
	for _, line := range []string{
		"lint -f hostile.yaml", "lint -f milder.yaml", "lint -f milder.yaml -o json", "lint -f milder.yaml -o yaml", "sheet -f hostile.yaml",
		"sheet -f milder.yaml", "sheet -f milder.yaml -o json", "sheet -f milder.yaml -o yaml", "request -f milder.yaml --audience a", "digest -f hostile.yaml --audience a",
	} {
		done := d.run("kubectl-tokenproc " + line)
		printed := done.stdout + done.stderr
		if printed == "" {
			t.Errorf("%s printed nothing", line)
		}
		for _, r := range printed {
			if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
				t.Errorf("%s printed %U: %q", line, r, printed)
				break
			}
		}
		if strings.HasSuffix(line, "json") && !json.Valid([]byte(done.stdout)) {
			t.Errorf("%s printed no JSON: %s", line, done.stdout)
		}
		var document map[string]any
		if strings.HasSuffix(line, "yaml") && strings.Contains(line, "-o") && yaml.Unmarshal([]byte(done.stdout), &document) != nil {
			t.Errorf("%s printed no YAML: %s", line, done.stdout)
		}
	}
}

func repository(t *testing.T) string {
	t.Helper()
	output, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(output))
}

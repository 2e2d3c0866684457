//go:build linux

package plugin_test

import (
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const employeeCard = `apiVersion: cm.tokenprocedures.dev/v1alpha1
kind: TokenProcedure
metadata: {name: employee-card, namespace: pki}
spec:
  cmHostRef: {name: local}
  revision: 1
  procedure:
    name: Employee card
    state: Active
    domain: Corp
    storageProfile: SmartCard
    cardSerialNumber:
      enabled: true
      range: {from: "100000", to: "199999"}
    pinProcedure: PIN letter
    issuerCertificates: {policy: StoreAll, recoveredCertificates: Store}
    certificateProcedures: [Authentication, Signature]
`

// waitFor waits for a condition with kubectl, as a script would.
func (c *cluster) waitFor(condition string) {
	c.Helper()
	c.must("kubectl wait -n pki --timeout=30s --for=" + condition + " tokenprocedure/employee-card")
}

const awaiting = `'jsonpath={.status.conditions[?(@.type=="Signed")].reason}=AwaitingSignatures'`

// TestStory goes the way of `kubectl tokenproc --help`, from an empty directory to an Active procedure and on to its end,
// through the real kubectl, and compares everything that is printed on the way.
func TestStory(t *testing.T) {
	c := newCluster(t)
	c.write("employee-card.yaml", employeeCard)
	c.golden("story-1-check",
		"kubectl tokenproc lint -f employee-card.yaml --online",
		"kubectl apply -f employee-card.yaml",
		"kubectl tokenproc status nobody -n pki",
	)
	c.waitFor(awaiting)
	c.golden("story-2-waiting",
		"kubectl tokenproc status -n pki",
		"kubectl tokenproc status employee-card -n pki",
		"kubectl tokenproc request employee-card -n pki",
		"kubectl tokenproc digest employee-card -n pki",
		"kubectl tokenproc pending --officer officer-1.crt",
		"kubectl tokenproc pending --officer officer-emea.crt",
		"kubectl tokenproc pending --officer officer-9",
	)
	c.golden("story-3-signing",
		"kubectl tokenproc sign employee-card -n pki --key file:officer-1.key --cert officer-1.crt --yes --apply",
		"kubectl tokenproc sign employee-card -n pki --audience cm.other --key file:officer-1.key --cert officer-1.crt --yes --apply",
		"kubectl tokenproc sign employee-card -n pki --audience cm.test --key file:officer-1.key --cert officer-2.crt --yes --apply",
		"kubectl tokenproc sign employee-card -n pki --audience cm.test --key file:officer-1.key --cert officer-1.crt --yes --apply",
		"kubectl tokenproc sign employee-card -n pki --audience cm.test --key file:officer-1.key --cert officer-1.crt --yes --apply 2>&1 | tail -1",
	)
	c.must(`kubectl wait -n pki --timeout=30s '--for=jsonpath={.status.signatures[0].officerID}=officer-1' tokenprocedure/employee-card`)
	c.golden("story-4-one-of-two",
		"kubectl tokenproc status employee-card -n pki",
		"kubectl tokenproc pending --officer officer-1.crt",
		"kubectl tokenproc pending --officer officer-2.crt -o yaml",
	)
	c.write("home/.config/kubectl-tokenproc/config.yaml", "audiences: [cm.test]\n")
	c.must("kubectl tokenproc sign employee-card -n pki --key file:officer-2.key --cert officer-2.crt --yes --apply")
	c.waitFor("condition=Ready")
	c.golden("story-5-active",
		"kubectl tokenproc status employee-card -n pki",
		"kubectl tokenproc status -A",
		"kubectl tokenproc diff employee-card -n pki",
		"kubectl tokenproc history employee-card -n pki",
		"kubectl tokenproc verify employee-card -n pki",
		"kubectl tokenproc select employee-card -n pki",
		"kubectl tokenproc select employee-card -n pki --key-usage nonRepudiation -o json",
		"kubectl tokenproc ranges -n pki",
		"kubectl tokenproc ranges -n pki --free --size 100000 -o json",
		"kubectl tokenproc sheet employee-card -n pki",
	)
	c.structured(t, map[string]string{"ProcedureStatusList": "kubectl tokenproc status employee-card -n pki"})
	c.completion()
	c.follow()
	c.viewer()
	c.signAhead()
	c.adopt()
	c.change()
	c.closeAndReport()
}

// follow watches until Ctrl-C.
func (c *cluster) follow() {
	s := c.terminal("kubectl tokenproc status -n pki --watch")
	s.expect("pki/employee-card  2/2  UpToDate: nothing: it is as it should be")
	s.answer("\x03")
	s.end(0)
	s = c.terminal("kubectl tokenproc status employee-card -n pki --watch")
	s.expect("Signed     \x1b[32mTrue\x1b[0m     TwoOfficersSigned")
	s.expect("nothing: it is as it should be")
	s.answer("\x03")
	s.end(0)
}

// completion completes through kubectl, as pressing the tabulator does.
func (c *cluster) completion() {
	c.golden("story-completion",
		"kubectl __complete tokenproc status -n pki '' 2>/dev/null",
		"kubectl __complete tokenproc sign employee-card -n pki --close '' 2>/dev/null",
		"kubectl __complete tokenproc pending -n pki --officer '' 2>/dev/null",
		"kubectl __complete tokenproc new -n pki --pin-procedure '' 2>/dev/null",
		"kubectl __complete tokenproc new -n pki --domain '' 2>/dev/null",
		"kubectl __complete tokenproc promote -f employee-card.yaml -n pki --to '' 2>/dev/null",
		"kubectl __complete tokenproc import -n pki '' 2>/dev/null",
		"kubectl __complete tokenproc select employee-card --key-usage k 2>/dev/null",
	)
}

// viewer looks with the rights of somebody who may read our kinds and nothing else.
func (c *cluster) viewer() {
	c.user("viewer", envtest.User{Name: "viewer"})
	c.must("kubectl create role viewer -n pki --verb=get,list,watch --resource=tokenprocedures.cm.tokenprocedures.dev,proceduresignatures.cm.tokenprocedures.dev,cmhosts.cm.tokenprocedures.dev")
	c.must("kubectl create rolebinding viewer -n pki --role=viewer --user=viewer")
	c.golden("story-viewer",
		"kubectl tokenproc --kubeconfig viewer status -n pki",
		"kubectl tokenproc --kubeconfig viewer status -A",
		"kubectl tokenproc --kubeconfig viewer pending --officer officer-1.crt",
		"kubectl tokenproc --kubeconfig viewer pending --officer officer-1.crt --one-namespace -n pki",
		"kubectl tokenproc --kubeconfig viewer diff employee-card -n pki",
		"kubectl tokenproc --kubeconfig viewer ranges -n pki",
		"kubectl tokenproc --kubeconfig viewer select employee-card -n pki",
		"kubectl tokenproc --kubeconfig viewer history employee-card -n pki",
		"kubectl tokenproc status -n nowhere",
		"kubectl tokenproc ranges -n nowhere",
		"kubectl tokenproc status -n pki --context nowhere",
	)
}

// signAhead signs the closing request before anybody deletes the object, and sees that it is not forgotten.
func (c *cluster) signAhead() {
	c.golden("story-ahead-1",
		"kubectl tokenproc sign employee-card -n pki --close --key file:officer-1.key --cert officer-1.crt --yes --apply",
	)
	c.must(`kubectl wait -n pki --timeout=30s '--for=jsonpath={.status.conditions[?(@.type=="Counted")].reason}=RevisionAhead' $(kubectl get psig -n pki -o name | grep r2)`)
	c.golden("story-ahead-2",
		"kubectl tokenproc status employee-card -n pki",
		"kubectl tokenproc pending --officer officer-1.crt",
		"kubectl tokenproc pending --officer officer-2.crt",
	)
}

// adopt takes all objects away, and puts back what import makes of the host: what has evidence is Ready without a new
// signature, and what was made elsewhere waits for two.
func (c *cluster) adopt() {
	c.must("kubectl tokenproc import --all -n pki --out adopted")
	c.must("kubectl tokenproc lint -f adopted")
	c.must("kubectl delete tokenprocedures,proceduresignatures --all -n pki --timeout=30s")
	c.must("kubectl apply -f adopted")
	c.waitFor("condition=Ready")
	c.must("kubectl wait -n pki --timeout=30s --for=" + awaiting + " tokenprocedure/visitor-card")
	c.must(`kubectl wait -n pki --timeout=30s --for=condition=Ready proceduresignature --all`)
	c.must(`kubectl wait -n pki --timeout=30s '--for=jsonpath={.status.warnings[0].reason}=OverlappingSerialRange' tokenprocedure --all`)
	c.connect("hr")
	c.write("hr.yaml", strings.NewReplacer("employee-card", "hr-card", "Employee card", "HR card", "pki", "hr", "100000", "700000", "199999", "799999").Replace(employeeCard))
	c.must("kubectl apply -f hr.yaml && kubectl wait -n hr --timeout=30s --for=" + awaiting + " tokenprocedure/hr-card")
	c.golden("story-adopted",
		"kubectl tokenproc status -A",
		"kubectl get proceduresignatures -n pki -o 'custom-columns=NAME:.metadata.name,VERIFIED:.status.conditions[?(@.type==\"Verified\")].reason'",
		"kubectl tokenproc diff employee-card -n pki",
		"kubectl tokenproc pending --officer officer-1.crt",
		"kubectl tokenproc pending --key file:officer-2.key --cert officer-2.crt --one-namespace -n hr",
		"kubectl tokenproc pending --officer officer-2 -o json",
		"kubectl __complete tokenproc status -n pki '' 2>/dev/null",
	)
	c.must("kubectl delete -f hr.yaml -f adopted/visitor-card.yaml --timeout=30s")
}

// change raises the revision, and looks at what differs.
func (c *cluster) change() {
	c.write("employee-card.yaml", strings.NewReplacer("revision: 1", "revision: 2", "PIN letter", "User PIN").Replace(employeeCard))
	c.must("kubectl apply -f employee-card.yaml")
	c.golden("story-6-change",
		"kubectl tokenproc diff employee-card -n pki",
		"kubectl tokenproc sign employee-card -n pki --key file:officer-1.key --cert officer-1.crt --yes --out one.yaml",
		"kubectl tokenproc diff -f employee-card.yaml -f one.yaml $HOST -o json",
		"kubectl tokenproc promote -f employee-card.yaml --to local -n pki",
	)
}

// closeAndReport closes the procedure with the cluster out of the way, and asks the host what happened.
func (c *cluster) closeAndReport() {
	c.must("mkdir close")
	c.golden("story-7-emergency-close",
		"kubectl tokenproc sign -f employee-card.yaml --close $HOST --key file:officer-1.key --cert officer-1.crt --audience cm.test --yes --out close/one.yaml",
		"kubectl tokenproc submit -f close $HOST --yes",
		"kubectl tokenproc sign -f employee-card.yaml --close $HOST --key file:officer-2.key --cert officer-2.crt --audience cm.test --yes --out close/two.yaml 2>&1 | tail -1",
		"kubectl tokenproc submit -f close $HOST --yes",
		"kubectl tokenproc submit -f close ${HOST//reader/submitter} --yes",
		"kubectl tokenproc submit -f close ${HOST//reader/submitter} --yes",
		"kubectl tokenproc sign -f employee-card.yaml --close $HOST --audience cm.test --key file:officer-2.key --cert officer-2.crt --yes",
	)
	c.golden("story-8-afterwards",
		`kubectl tokenproc history "Employee card" $HOST --evidence evidence`,
		`kubectl tokenproc history "Employee card" $HOST -o json > history.json && mkdir officers && cp officer-?.crt officers && kubectl tokenproc verify --history history.json --officers officers`,
		"kubectl tokenproc report --from 2020-01-01 $HOST --bundle bundle",
		"kubectl tokenproc verify --log bundle/log.jsonl",
		"sed -i 3d bundle/log.jsonl; kubectl tokenproc verify --log bundle/log.jsonl | cut -c1-60",
		"kubectl tokenproc report --from 2020-01-01 $HOST -o csv",
		"kubectl tokenproc report --from 2020-01-01 $HOST -o html | head -3",
		"kubectl tokenproc import --all $HOST --cmhost local -n pki --out imported",
		"kubectl tokenproc lint -f imported --strict; cat imported/visitor-card.yaml",
	)
}

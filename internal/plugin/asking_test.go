//go:build linux

package plugin_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNewAsksForTheProfileOnly answers the questions for a profile without card and PIN, while nothing says which CMHost
// there is; and stops in the middle.
func TestNewAsksForTheProfileOnly(t *testing.T) {
	d := newDesk(t)
	d.must("cp " + repository(t) + "/config/samples/host/catalog.yaml .")
	s := d.terminal("kubectl-tokenproc new --catalog catalog.yaml -n pki --out notebook.yaml")
	for _, c := range []struct{ question, answer string }{
		{"CMHost (name of the object in the same namespace):", "production"},
		{"Procedure name:", "Notebook"},
		{"Domain (optional, Enter: Root) (number or name):", ""},
		{"PKCS10  the person brings the key", ""},
		{"this needs an answer (number or name)", ""},
		{"Storage profile (number or name):", "smartcard"},
		{`"smartcard" is not known: expected SmartCard, PKCS12, PKCS10`, ""},
		{"Storage profile (number or name):", "PKCS10"},
		{"Issuer certificates (optional) (number or name):", ""},
		{"Certificate procedures, in order (numbers or names, with commas between):", "Genral"},
		{`"Genral", which the CM host does not have`, ""},
		{"Certificate procedures, in order (numbers or names, with commas between):", "General"},
		{"Input view (optional, Enter: the default view) (number or name):", ""},
	} {
		s.expect(c.question)
		if !strings.HasPrefix(c.question, "this needs") && !strings.Contains(c.question, "is not known") && !strings.Contains(c.question, "which the") {
			s.answer(c.answer)
		}
	}
	s.expect("wrote notebook.yaml")
	s.end(0)
	for _, unasked := range []string{"PIN", "serial", "State", "recovered"} {
		if strings.Contains(d.read("notebook.yaml"), unasked+":") {
			t.Errorf("the manifest has %s", unasked)
		}
	}
	d.golden("new-notebook", "cat notebook.yaml", "kubectl-tokenproc lint -f notebook.yaml --catalog catalog.yaml --strict")
}

// TestInterrupting presses Ctrl-C at the questions.
func TestInterrupting(t *testing.T) {
	d := newDesk(t)
	d.officer("officer-1")
	d.write("card.yaml", employeeCard)
	d.write("pass", "open sesame")
	d.must("openssl pkcs12 -export -in officer-1.crt -inkey officer-1.key -passout file:pass -out officer.p12")
	for _, c := range []struct{ line, question string }{
		{"kubectl-tokenproc new --cmhost local --out out.yaml", "Procedure name:"},
		{signOffline + "--key file:officer-1.key --cert officer-1.crt --out out.yaml", "[y/N]"},
		{signOffline + "--key pkcs12:officer.p12 --out out.yaml", "Passphrase or PIN of the PKCS#12 file officer.p12:"},
	} {
		s := d.terminal(c.line)
		s.expect(c.question)
		if _, err := s.master.WriteString("\x03"); err != nil {
			t.Fatal(err)
		}
		s.expect("no answer was given, and nothing more was done")
		s.end(4)
		if _, err := os.Stat(filepath.Join(d.folder, "out.yaml")); err == nil {
			t.Errorf("%s wrote a file after Ctrl-C", c.line)
		}
	}
}

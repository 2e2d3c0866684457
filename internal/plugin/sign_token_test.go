//go:build linux && pkcs11

package plugin_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tokenprocedures/token-procedure-operator/internal/keys"
	"github.com/tokenprocedures/token-procedure-operator/internal/keys/keystest"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

const (
	pin      = "123456"
	wrongPIN = "quite-another"
	onToken  = "--key 'pkcs11:token=Officer%20card;object=Signature?module-path=" + keystest.SoftHSM + "' "
)

// newTokenDesk is a desk with the plugin that has PKCS#11, and a token.
func newTokenDesk(t *testing.T, kind string) (*desk, signingtest.Officer) {
	t.Helper()
	folder := keystest.Token(t, kind, true)
	programs := t.TempDir()
	build := exec.Command("go", "build", "-tags", "pkcs11", "-o", filepath.Join(programs, "kubectl-tokenproc"), "../../cmd/kubectl-tokenproc")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("the plugin with PKCS#11, which needs cgo and a C compiler, does not build: %v\n%s", err, output)
	}
	d := newDesk(t)
	d.env = append(d.env, "PATH="+programs+":"+os.Getenv("PATH"), "SOFTHSM2_CONF="+os.Getenv("SOFTHSM2_CONF"))
	d.write("card.yaml", employeeCard)
	certificate, err := keys.ReadCertificate(filepath.Join(folder, "card.crt"))
	if err != nil {
		t.Fatal(err)
	}
	return d, signingtest.Officer{Officer: signing.Officer{ID: "card", Certificates: [][]byte{certificate.Raw}}}
}

// processes returns the command lines and environments of all processes on the terminal.
func (s *screen) processes() []byte {
	s.Helper()
	var all []byte
	found, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		s.Fatal(err)
	}
	for _, process := range found {
		number, err := strconv.Atoi(filepath.Base(process))
		if err != nil {
			s.Fatal(err)
		}
		if session, err := unix.Getsid(number); err != nil || session != s.command.Process.Pid {
			continue
		}
		for _, file := range []string{"cmdline", "environ"} {
			content, err := os.ReadFile(filepath.Join(process, file))
			if err != nil {
				s.Fatal(err)
			}
			all = append(append(all, content...), '\n')
		}
	}
	return all
}

// TestSigningWithAToken types the PIN on a terminal, and looks for it where others could.
func TestSigningWithAToken(t *testing.T) {
	const prompt = "Passphrase or PIN of the token Officer card"
	for _, kind := range []string{"RSA", "EC"} {
		t.Run(kind, func(t *testing.T) {
			d, officer := newTokenDesk(t, kind)

			s := d.terminal(signOffline + onToken)
			s.expect(prompt + ":")
			s.secret(wrongPIN)
			shown := s.until("after a few it locks")
			if !strings.Contains(shown, "the PIN of the token Officer card is wrong; a wrong PIN was entered before, and ") {
				t.Errorf("the error says %s", shown)
			}
			s.end(3)
			seen := shown + s.text()

			s = d.terminal(signOffline + onToken + "--out signed.yaml")
			s.expect(prompt + " (a wrong PIN was entered before, and after a few it locks):")
			s.secret(pin)
			seen += s.until("Sign this request for cm.example.com? [y/N]")
			processes := s.processes()
			if !bytes.Contains(processes, []byte("kubectl-tokenproc\x00sign")) || !bytes.Contains(processes, []byte("SOFTHSM2_CONF=")) {
				t.Fatalf("the plugin is not among the processes: %q", processes)
			}
			s.answer("y")
			s.end(0)
			seen += s.text()
			for what, text := range map[string]string{"the screen": seen, "a command line or an environment": string(processes), "the manifest": d.read("signed.yaml")} {
				text = strings.ReplaceAll(text, filepath.Dir(os.Getenv("SOFTHSM2_CONF")), "") // whose name has digits
				if strings.Contains(text, wrongPIN) || strings.Contains(text, "="+pin) || what != "a command line or an environment" && strings.Contains(text, pin) {
					t.Errorf("the PIN is in %s: %q", what, text)
				}
			}
			if signed := d.signedIn("signed.yaml", officer); len(signed) != 1 || signed[0].Procedure.Name != "Employee card" {
				t.Errorf("signed %+v", signed)
			}

			d.write("pin", pin+"\n")
			d.must(signOffline + onToken + "--pin-file pin --yes --out from-file.yaml")
			d.must("cat pin | " + signOffline + onToken + "--pin-file - --yes --out from-pipe.yaml")
			for _, name := range []string{"from-file.yaml", "from-pipe.yaml"} {
				d.signedIn(name, officer)
			}
			if version := d.run("kubectl-tokenproc version"); !strings.Contains(version.stdout, "pkcs11: true") {
				t.Errorf("the version does not say that it has PKCS#11:\n%s", version.stdout)
			}
		})
	}
}

// Package keystest makes PKCS#11 tokens for tests, with the programs of Debian's softhsm2, opensc and openssl.
package keystest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// SoftHSM is the PKCS#11 module of the software token.
const SoftHSM = "/usr/lib/softhsm/libsofthsm2.so"

// Token makes a token in SoftHSM with a key and, if wanted, its certificate,
// and returns a folder with the certificate as card.crt. The token is called Officer card, its PIN is 123456.
func Token(t *testing.T, kind string, withCertificate bool) string {
	t.Helper()
	for program, pack := range map[string]string{"softhsm2-util": "softhsm2", "pkcs11-tool": "opensc", "openssl": "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("the program %s is missing: install Debian's package %s", program, pack)
		}
	}
	if _, err := os.Stat(SoftHSM); err != nil {
		t.Fatalf("%s is missing: install Debian's package softhsm2", SoftHSM)
	}
	folder := t.TempDir()
	config := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", folder)
	if err := os.WriteFile(filepath.Join(folder, "softhsm2.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", filepath.Join(folder, "softhsm2.conf"))
	do := func(program string, arguments ...string) {
		t.Helper()
		command := exec.Command(program, arguments...)
		command.Dir = folder
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", program, err, output)
		}
	}
	newKey := map[string][]string{"RSA": {"-newkey", "rsa:2048"}, "EC": {"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"}}[kind]
	do("openssl", append([]string{"req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=card", "-keyout", "card.key", "-out", "card.crt"}, newKey...)...)
	do("openssl", "x509", "-in", "card.crt", "-outform", "DER", "-out", "card.der")
	do("openssl", "pkcs8", "-topk8", "-nocrypt", "-in", "card.key", "-out", "card.p8")
	do("softhsm2-util", "--init-token", "--free", "--label", "Officer card", "--so-pin", "87654321", "--pin", "123456")
	do("softhsm2-util", "--import", "card.p8", "--token", "Officer card", "--label", "Signature", "--id", "01", "--pin", "123456")
	if withCertificate {
		do("pkcs11-tool", "--module", SoftHSM, "--login", "--pin", "123456", "--token-label", "Officer card", "--write-object", "card.der", "--type", "cert", "--id", "01", "--label", "Signature")
	}
	return folder
}

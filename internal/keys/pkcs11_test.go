//go:build pkcs11

package keys_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const softHSM = "/usr/lib/softhsm/libsofthsm2.so"

// token makes a token in SoftHSM with a key and, if wanted, its certificate, and returns a folder with the certificate's file.
func token(t *testing.T, kind string, withCertificate bool) string {
	t.Helper()
	for program, pack := range map[string]string{"softhsm2-util": "softhsm2", "pkcs11-tool": "opensc", "openssl": "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("the program %s is missing: install Debian's package %s", program, pack)
		}
	}
	if _, err := os.Stat(softHSM); err != nil {
		t.Fatalf("%s is missing: install Debian's package softhsm2", softHSM)
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
		do("pkcs11-tool", "--module", softHSM, "--login", "--pin", "123456", "--token-label", "Officer card", "--write-object", "card.der", "--type", "cert", "--id", "01", "--label", "Signature")
	}
	return folder
}

func TestTokensSign(t *testing.T) {
	for _, kind := range []string{"RSA", "EC"} {
		for name, uri := range map[string]string{
			"by label":         "pkcs11:token=Officer%20card;object=Signature?module-path=" + softHSM,
			"by id":            "pkcs11:token=Officer%20card;id=%01?module-path=" + softHSM,
			"the only key":     "pkcs11:token=Officer%20card?module-path=" + softHSM,
			"of type":          "pkcs11:token=Officer%20card;object=Signature;type=private?module-path=" + softHSM,
			"in its long form": "pkcs11:manufacturer=SoftHSM%20project;token=Officer%20card;object=Signature?module-path=" + softHSM,
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				folder := token(t, kind, true)
				key, err := open(folder, uri, "", "123456")
				if err != nil {
					t.Fatal(err)
				}
				mustSign(t, key)
				if err := key.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestTokenProblemsSayWhatToDo(t *testing.T) {
	const uri = "pkcs11:token=Officer%20card;object=Signature?module-path=" + softHSM
	for name, c := range map[string]struct {
		uri, certificate, pin, want string
		withCertificate             bool
	}{
		"a wrong PIN":                 {uri, "", "999999", "is the PIN right", true},
		"another token":               {strings.Replace(uri, "Officer", "Other", 1), "", "123456", "token", true},
		"another key":                 {strings.Replace(uri, "Signature", "Other", 1), "", "123456", "no such key pair", true},
		"no such module":              {"pkcs11:token=T?module-path=/none.so", "", "123456", "/none.so", true},
		"a token without certificate": {uri, "", "123456", "--cert", false},
	} {
		t.Run(name, func(t *testing.T) {
			folder := token(t, "EC", c.withCertificate)
			_, err := open(folder, c.uri, c.certificate, c.pin)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), c.pin) {
				t.Errorf("the error tells the PIN: %v", err)
			}
		})
	}
	t.Run("a certificate in a file", func(t *testing.T) {
		folder := token(t, "EC", false)
		key, err := open(folder, uri, "card.crt", "123456")
		if err != nil {
			t.Fatal(err)
		}
		mustSign(t, key)
		if err := key.Close(); err != nil {
			t.Error(err)
		}
	})
}

package keys_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/internal/keys"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

const passphrase = "correct horse"

// openssl runs the real program; its package is part of every Debian.
func openssl(t *testing.T, folder string, arguments ...string) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("the program openssl is missing: install Debian's package openssl")
	}
	command := exec.Command("openssl", arguments...)
	command.Dir = folder
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(arguments, " "), err, output)
	}
}

// files makes keys and certificates with openssl in every form that officers have.
func files(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "pass"), []byte(passphrase), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, kind := range map[string][]string{"rsa": {"-newkey", "rsa:2048"}, "ec": {"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"}, "ed25519": {"-newkey", "ed25519"}} {
		arguments := append([]string{"req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=" + name, "-keyout", name + ".key", "-out", name + ".crt"}, kind...)
		openssl(t, folder, arguments...)
	}
	openssl(t, folder, "rsa", "-in", "rsa.key", "-traditional", "-out", "rsa-pkcs1.key")
	openssl(t, folder, "ec", "-in", "ec.key", "-out", "ec-sec1.key")
	openssl(t, folder, "pkcs8", "-topk8", "-in", "rsa.key", "-passout", "file:pass", "-out", "rsa-encrypted.key")
	openssl(t, folder, "pkcs8", "-topk8", "-in", "ec.key", "-scrypt", "-passout", "file:pass", "-out", "ec-encrypted.key")
	openssl(t, folder, "rsa", "-in", "rsa.key", "-traditional", "-aes128", "-passout", "file:pass", "-out", "rsa-legacy.key")
	openssl(t, folder, "pkcs12", "-export", "-in", "rsa.crt", "-inkey", "rsa.key", "-passout", "file:pass", "-out", "rsa.p12")
	openssl(t, folder, "pkcs12", "-export", "-in", "ec.crt", "-inkey", "ec.key", "-passout", "file:pass", "-out", "ec.p12")
	openssl(t, folder, "x509", "-in", "rsa.crt", "-outform", "DER", "-out", "rsa.der")
	both, err := os.ReadFile(filepath.Join(folder, "ec.key"))
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := os.ReadFile(filepath.Join(folder, "ec.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "ec-both.pem"), append(certificate, both...), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestKeysOfOfficersSign(t *testing.T) {
	folder := files(t)
	for name, c := range map[string]struct{ key, certificate string }{
		"PKCS#8 RSA":                      {"file:rsa.key", "rsa.crt"},
		"PKCS#1 RSA":                      {"file:rsa-pkcs1.key", "rsa.crt"},
		"PKCS#8 EC":                       {"file:ec.key", "ec.crt"},
		"SEC1 EC":                         {"file:ec-sec1.key", "ec.crt"},
		"Ed25519":                         {"file:ed25519.key", "ed25519.crt"},
		"encrypted RSA, PBKDF2":           {"file:rsa-encrypted.key", "rsa.crt"},
		"encrypted EC, scrypt":            {"file:ec-encrypted.key", "ec.crt"},
		"a certificate in DER":            {"file:rsa.key", "rsa.der"},
		"key and certificate in one file": {"file:ec-both.pem", ""},
		"PKCS#12 RSA":                     {"pkcs12:rsa.p12", ""},
		"PKCS#12 EC":                      {"pkcs12:ec.p12", ""},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := open(folder, c.key, c.certificate, passphrase)
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

// open opens a key whose files are in a folder.
func open(folder, key, certificate, secret string) (*keys.Key, error) {
	scheme, path, _ := strings.Cut(key, ":")
	if scheme == "file" || scheme == "pkcs12" {
		key = scheme + ":" + filepath.Join(folder, path)
	}
	if certificate != "" {
		certificate = filepath.Join(folder, certificate)
	}
	return keys.Open(keys.Reference{Key: key, Certificate: certificate, Secret: func(string) ([]byte, error) { return []byte(secret), nil }})
}

// mustSign makes a signature of a request that the certificate's own key verifies.
func mustSign(t *testing.T, key *keys.Key) {
	t.Helper()
	signed := request.New("cm.example.com", 1, signingtest.Procedure("P"))
	canonical, err := signed.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	der, err := signing.Sign(canonical, key.Certificate, key.Signer, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	officer := signing.Officer{ID: "o", Subject: "o", State: request.Active, Roles: []string{"Use AWB", "Policy tasks"}, Certificates: [][]byte{key.Certificate.Raw}}
	verdict := signing.Judge(der, signing.Terms{Register: signing.NewRegister([]signing.Officer{officer}, nil), Audience: "cm.example.com",
		ProcedureName: "P", MaxSignatureAge: time.Hour, Now: time.Now()})
	if !verdict.Verified() {
		t.Errorf("the signature is not good: %s: %s", verdict.Reason, verdict.Message)
	}
}

func TestWhatCannotBeOpenedSaysWhatToDo(t *testing.T) {
	folder := files(t)
	for name, c := range map[string]struct{ key, certificate, secret, want string }{
		"no scheme":               {"rsa.key", "", "", "expected file:PATH, pkcs12:PATH or pkcs11:URI"},
		"an unknown scheme":       {"tpm:x", "", "", "unknown kind"},
		"nothing behind":          {"pkcs11:", "", "", "does not say what it is"},
		"no such file":            {"file:none.key", "rsa.crt", "", "no such file"},
		"no certificate":          {"file:rsa.key", "", "", "--cert"},
		"another's certificate":   {"file:rsa.key", "ec.crt", "", "does not belong to the key"},
		"a certificate for a key": {"file:rsa.crt", "rsa.crt", "", "no private key in PEM"},
		"a key for a certificate": {"file:rsa.key", "rsa.key", "", "no certificate found"},
		"a wrong passphrase":      {"file:rsa-encrypted.key", "rsa.crt", "wrong", "passphrase is wrong"},
		"an old encryption":       {"file:rsa-legacy.key", "rsa.crt", passphrase, "openssl pkcs8 -topk8"},
		"a wrong PKCS#12 secret":  {"pkcs12:rsa.p12", "", "wrong", "passphrase of"},
		"PEM for PKCS#12":         {"pkcs12:rsa.key", "", passphrase, "expected PKCS#12"},
		"a PIN in the URI":        {"pkcs11:token=T?module-path=/m.so&pin-value=1234", "", "", "--pin-file"},
		"no module in the URI":    {"pkcs11:token=T", "", "", "module-path"},
		"no token in the URI":     {"pkcs11:object=T?module-path=/m.so", "", "", "pkcs11:token="},
		"a word in the URI":       {"pkcs11:token", "", "", "NAME=VALUE"},
		"a token said twice":      {"pkcs11:token=A;token=B?module-path=/m.so", "", "", "twice"},
		"an unknown attribute":    {"pkcs11:token=A;slot-color=B?module-path=/m.so", "", "", "slot-color"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := open(folder, c.key, c.certificate, c.secret)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if err != nil && c.secret != "" && strings.Contains(err.Error(), c.secret) && c.secret != "wrong" {
				t.Errorf("the error tells the secret: %v", err)
			}
		})
	}
}

// TestSignerIsThatOfTheCertificate would catch a signer that is wrapped in a way that changes what is signed.
func TestSignerIsThatOfTheCertificate(t *testing.T) {
	folder := files(t)
	key, err := open(folder, "pkcs12:rsa.p12", "", passphrase)
	if err != nil {
		t.Fatal(err)
	}
	digest := crypto.SHA256.New().Sum(nil)
	signature, err := key.Sign(rand.Reader, digest, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if err := key.Certificate.CheckSignature(x509.SHA256WithRSA, nil, signature); err != nil {
		t.Error(err)
	}
}

package signing_test

import (
	"bytes"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// debianPackages names the package that has each program that these tests use.
var debianPackages = map[string]string{
	"openssl":       "openssl",
	"certtool":      "gnutls-bin",
	"softhsm2-util": "softhsm2",
	"pkcs11-tool":   "opensc",
}

// workshop is a directory in which programs make keys, certificates and signatures.
type workshop struct {
	t           testing.TB
	directory   string
	environment []string
}

func newWorkshop(t testing.TB) *workshop {
	return &workshop{t: t, directory: t.TempDir()}
}

func (w *workshop) path(name string) string { return filepath.Join(w.directory, name) }

func (w *workshop) write(name string, content []byte) {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), content, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *workshop) read(name string) []byte {
	w.t.Helper()
	content, err := os.ReadFile(w.path(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return content
}

// run runs a program and returns what it prints. A program that is not there fails the test and names its package.
func (w *workshop) run(program string, arguments ...string) []byte {
	w.t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		w.t.Fatalf("%s is not installed: install the Debian package %s", program, debianPackages[program])
	}
	command := exec.CommandContext(w.t.Context(), program, arguments...)
	command.Dir = w.directory
	command.Env = append(os.Environ(), w.environment...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		w.t.Fatalf("%s %s: %v\n%s", program, strings.Join(arguments, " "), err, stderr.String())
	}
	return output
}

// identity makes a key and a self-signed certificate with openssl as NAME.key and NAME.pem. key is what openssl's
// -newkey wants, for example rsa:2048 or ec:P-256.
func (w *workshop) identity(name, key string, extra ...string) {
	w.t.Helper()
	arguments := []string{"req", "-x509", "-nodes", "-keyout", name + ".key", "-out", name + ".pem", "-subj", "/CN=" + name, "-days", "30"}
	if curve, isEC := strings.CutPrefix(key, "ec:"); isEC {
		arguments = append(arguments, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:"+curve)
	} else {
		arguments = append(arguments, "-newkey", key)
	}
	w.run("openssl", append(arguments, extra...)...)
}

// certificate is the DER of NAME.pem.
func (w *workshop) certificate(name string) []byte {
	w.t.Helper()
	block, _ := pem.Decode(w.read(name + ".pem"))
	if block == nil {
		w.t.Fatalf("%s.pem is not PEM", name)
	}
	return block.Bytes
}

// officer is an officer in good standing with the certificate NAME.pem.
func (w *workshop) officer(name string) signing.Officer {
	return signing.Officer{
		ID: name, Subject: "CN=" + name, State: "Active", Roles: []string{v1alpha1.RoleUseAWB, v1alpha1.RolePolicyTasks},
		Certificates: [][]byte{w.certificate(name)},
	}
}

// termsNow judges at the time of the clock, which is the signing time of other programs.
func termsNow(officers ...signing.Officer) signing.Terms {
	judged := terms(officers...)
	judged.Now = time.Now()
	return judged
}

const usual = "-binary -nodetach -md sha256"

// openssl signs request.json, with the options, as the identity.
func (w *workshop) openssl(identity, options, afterKey string) []byte {
	w.t.Helper()
	arguments := append([]string{"cms", "-sign"}, strings.Fields(options)...)
	arguments = append(arguments, "-in", "request.json", "-signer", identity+".pem", "-inkey", identity+".key")
	arguments = append(arguments, strings.Fields(afterKey)...)
	return w.run("openssl", append(arguments, "-outform", "DER")...)
}

// opensslCase is one signature made by openssl.
type opensslCase struct {
	name, key, options, afterKey string
	reason, mention              string
}

const (
	acceptedReason  = v1alpha1.ReasonOfficerSignature
	malformedReason = v1alpha1.ReasonMalformed
	weakReason      = v1alpha1.ReasonWeakAlgorithm
	badReason       = v1alpha1.ReasonBadSignature
	unknownReason   = v1alpha1.ReasonUnknownSigner
	expiredReason   = v1alpha1.ReasonSignatureExpired
	futureReason    = v1alpha1.ReasonSigningTimeInFuture
)

const usePSS = "-keyopt rsa_padding_mode:pss"

var opensslCases = []opensslCase{
	{"RSA 2048 PKCS#1 v1.5", "rsa:2048", usual, "", acceptedReason, ""},
	{"RSA 3072 PKCS#1 v1.5", "rsa:3072", usual, "", acceptedReason, ""},
	{"RSA 4096 PKCS#1 v1.5", "rsa:4096", usual, "", acceptedReason, ""},
	{"RSA 2048 PKCS#1 v1.5, SHA-384", "rsa:2048", "-binary -nodetach -md sha384", "", acceptedReason, ""},
	{"RSA 2048 PKCS#1 v1.5, SHA-512", "rsa:2048", "-binary -nodetach -md sha512", "", acceptedReason, ""},
	{"RSA 2048 PSS", "rsa:2048", usual, usePSS, acceptedReason, ""},
	{"RSA 3072 PSS", "rsa:3072", usual, usePSS, acceptedReason, ""},
	{"RSA 4096 PSS", "rsa:4096", usual, usePSS, acceptedReason, ""},
	{"RSA 2048 PSS, SHA-384", "rsa:2048", "-binary -nodetach -md sha384", usePSS, acceptedReason, ""},
	{"RSA 2048 PSS, SHA-512", "rsa:2048", "-binary -nodetach -md sha512", usePSS, acceptedReason, ""},
	{"RSA 2048 PSS, salt as long as the digest", "rsa:2048", usual, usePSS + " -keyopt rsa_pss_saltlen:32", acceptedReason, ""},
	{"ECDSA P-256", "ec:P-256", usual, "", acceptedReason, ""},
	{"ECDSA P-384", "ec:P-384", usual, "", acceptedReason, ""},
	{"ECDSA P-521", "ec:P-521", usual, "", acceptedReason, ""},
	{"ECDSA P-384, SHA-384", "ec:P-384", "-binary -nodetach -md sha384", "", acceptedReason, ""},
	{"ECDSA P-521, SHA-512", "ec:P-521", "-binary -nodetach -md sha512", "", acceptedReason, ""},
	{"RSA -certfile with another certificate", "rsa:2048", usual + " -certfile other.pem", "", acceptedReason, ""},
	{"RSA -cades", "rsa:2048", usual + " -cades", "", acceptedReason, ""},
	{"RSA -keyid", "rsa:2048", usual + " -keyid", "", acceptedReason, ""},
	{"RSA -nosmimecap", "rsa:2048", usual + " -nosmimecap", "", acceptedReason, ""},
	{"ECDSA -certfile with another certificate", "ec:P-256", usual + " -certfile other.pem", "", acceptedReason, ""},
	{"ECDSA -cades", "ec:P-256", usual + " -cades", "", acceptedReason, ""},
	{"ECDSA -keyid", "ec:P-256", usual + " -keyid", "", acceptedReason, ""},
	{"RSA PSS -cades -keyid -certfile", "rsa:2048", usual + " -cades -keyid -certfile other.pem", usePSS, acceptedReason, ""},

	{"SHA-1", "rsa:2048", "-binary -nodetach -md sha1", "", weakReason, "digest algorithm is 1.3.14.3.2.26"},
	{"SHA-1 with ECDSA", "ec:P-256", "-binary -nodetach -md sha1", "", weakReason, "digest algorithm is 1.3.14.3.2.26"},
	{"MD5", "rsa:2048", "-binary -nodetach -md md5", "", weakReason, "digest algorithm is 1.2.840.113549.2.5"},
	{"SHA-224", "rsa:2048", "-binary -nodetach -md sha224", "", weakReason, "digest algorithm is"},
	{"SHA3-256", "rsa:2048", "-binary -nodetach -md sha3-256", "", weakReason, "digest algorithm is"},
	{"RSA 1024", "rsa:1024", usual, "", weakReason, "1024 bits"},
	{"RSA 1024 PSS", "rsa:1024", usual, usePSS, weakReason, "1024 bits"},
	{"RSA 2047", "rsa:2047", usual, "", weakReason, "2047 bits"},
	{"ECDSA secp256k1", "ec:secp256k1", usual, "", weakReason, "public key"},
	{"ECDSA P-224", "ec:secp224r1", usual, "", weakReason, "P-224"},
	{"ECDSA brainpoolP256r1", "ec:brainpoolP256r1", usual, "", weakReason, "public key"},
	{"a key for RSA-PSS alone", "rsa-pss", usual, "", weakReason, "public key"},
	{"RSA PSS with MGF1 over SHA-1", "rsa:2048", usual, usePSS + " -keyopt rsa_mgf1_md:sha1", weakReason, "MGF1"},
	{"RSA PSS with MGF1 over SHA-512", "rsa:2048", usual, usePSS + " -keyopt rsa_mgf1_md:sha512", weakReason, "MGF1"},
	{"RSA PSS with a salt of 20", "rsa:2048", usual, usePSS + " -keyopt rsa_pss_saltlen:20", weakReason, "salt length is the default, 20"},
	{"RSA PSS without salt", "rsa:2048", usual, usePSS + " -keyopt rsa_pss_saltlen:0", weakReason, "salt length is 0"},
	{"-noattr", "rsa:2048", usual + " -noattr", "", malformedReason, "no signed attributes"},
	{"two signers", "rsa:2048", usual + " -signer other.pem -inkey other.key", "", malformedReason, "more than one signer"},
	{"without -nodetach", "rsa:2048", "-binary -md sha256", "", malformedReason, "-nodetach"},
	{"-nocerts", "rsa:2048", usual + " -nocerts", "", malformedReason, "-nocerts"},
	{"-nocerts -certfile of another officer", "rsa:2048", usual + " -nocerts -certfile other.pem", "", malformedReason, "is the signer's"},
	{"-econtent_type id-signedData", "rsa:2048", usual + " -econtent_type 1.2.840.113549.1.7.2", "", malformedReason, "id-data"},
	{"-econtent_type of a time stamp", "rsa:2048", usual + " -econtent_type 1.2.840.113549.1.9.16.1.4", "", malformedReason, "id-data"},
	{"-stream (indefinite lengths)", "rsa:2048", usual + " -stream", "", malformedReason, "definite length"},
	{"-text (a MIME header before the request)", "rsa:2048", "-nodetach -text -md sha256", "", malformedReason, "not a request"},
	{"a key usage without signing", "rsa:2048:keyEncipherment", usual, "", badReason, "key usage"},
	{"key usage digitalSignature", "rsa:2048:digitalSignature", usual, "", acceptedReason, ""},
	{"key usage nonRepudiation", "rsa:2048:nonRepudiation,keyCertSign", usual, "", acceptedReason, ""},
}

// identityFor makes the identity that a case's key stands for, once, and returns its name.
func (w *workshop) identityFor(key string) string {
	w.t.Helper()
	name := strings.NewReplacer(":", "-", ",", "-").Replace(key)
	if _, err := os.Stat(w.path(name + ".pem")); err == nil {
		return name
	}
	var extra []string
	if parts := strings.Split(key, ":"); len(parts) == 3 {
		key, extra = parts[0]+":"+parts[1], []string{"-addext", "keyUsage=" + parts[2]}
	}
	if key == "rsa-pss" {
		extra = []string{"-pkeyopt", "rsa_keygen_bits:2048"}
	}
	w.identity(name, key, extra...)
	return name
}

func TestOpenSSL(t *testing.T) {
	w := newWorkshop(t)
	w.write("request.json", canonical(t, employeeCard()))
	w.identity("other", "ec:P-256")
	for _, c := range opensslCases {
		name := w.identityFor(c.key)
		signature := w.openssl(name, c.options, c.afterKey)
		verdict := signing.Judge(signature, termsNow(w.officer(name), w.officer("other")))
		expect(t, "programs", "openssl cms", c.name, verdict, c.reason, c.mention)
		if c.reason == acceptedReason {
			w.opensslAgrees(c.name, signature)
		}
	}
	name := w.identityFor("rsa:2048")
	signature := w.run("openssl", "smime", "-sign", "-binary", "-nodetach", "-md", "sha256", "-in", "request.json", "-signer", name+".pem", "-inkey", name+".key", "-outform", "DER")
	expect(t, "programs", "openssl smime", "RSA 2048 PKCS#1 v1.5", signing.Judge(signature, termsNow(w.officer(name))), acceptedReason)
}

// opensslAgrees fails if openssl does not verify a signature that was accepted, or finds other content in it.
func (w *workshop) opensslAgrees(name string, signature []byte) {
	w.t.Helper()
	w.write("signature.der", signature)
	content := w.run("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "signature.der", "-noverify")
	if !bytes.Equal(content, w.read("request.json")) {
		w.t.Errorf("%s: openssl finds the content %q", name, content)
	}
}

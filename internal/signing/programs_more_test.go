package signing_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// gnutls makes an identity with certtool. kind is what certtool's --generate-privkey wants.
func (w *workshop) gnutls(name string, kind ...string) {
	w.t.Helper()
	w.run("certtool", append([]string{"--generate-privkey", "--outfile", name + ".key"}, kind...)...)
	w.write(name+".tmpl", []byte("cn = "+name+"\nsigning_key\nexpiration_days = 30\n"))
	w.run("certtool", "--generate-self-signed", "--load-privkey", name+".key", "--template", name+".tmpl", "--outfile", name+".pem")
}

func TestCerttool(t *testing.T) {
	w := newWorkshop(t)
	w.write("request.json", canonical(t, employeeCard()))
	w.gnutls("ed25519", "--key-type", "ed25519")
	w.gnutls("rsa", "--key-type", "rsa", "--bits", "2048")
	w.gnutls("ecdsa", "--key-type", "ecdsa", "--curve", "secp256r1")
	for _, c := range []struct{ name, identity, options, reason, mention string }{
		{"Ed25519", "ed25519", "--p7-sign --p7-time", acceptedReason, ""},
		{"Ed25519 --p7-include-cert", "ed25519", "--p7-sign --p7-time --p7-include-cert", acceptedReason, ""},
		{"RSA 2048", "rsa", "--p7-sign --p7-time --hash SHA256", acceptedReason, ""},
		{"RSA 2048, SHA-512", "rsa", "--p7-sign --p7-time --hash SHA512", acceptedReason, ""},
		{"ECDSA P-256", "ecdsa", "--p7-sign --p7-time --hash SHA256", acceptedReason, ""},
		{"Ed25519 without --p7-time", "ed25519", "--p7-sign", malformedReason, "--p7-time"},
		{"Ed25519 --p7-detached-sign", "ed25519", "--p7-detached-sign --p7-time", malformedReason, "attached"},
		{"RSA with SHA-1", "rsa", "--p7-sign --p7-time --hash SHA1", weakReason, "digest algorithm"},
	} {
		arguments := append(strings.Fields(c.options), "--outder", "--load-certificate", c.identity+".pem", "--load-privkey", c.identity+".key", "--infile", "request.json", "--outfile", "signature.der")
		w.run("certtool", arguments...)
		verdict := signing.Judge(w.read("signature.der"), termsNow(w.officer(c.identity)))
		expect(t, "programs", "certtool", c.name, verdict, c.reason, c.mention)
	}
}

// softHSMModule finds SoftHSM's PKCS#11 module.
func softHSMModule(t *testing.T) string {
	t.Helper()
	for _, pattern := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so"} {
		if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
			return found[0]
		}
	}
	t.Fatal("libsofthsm2.so is not installed: install the Debian package softhsm2")
	return ""
}

func TestSoftHSM(t *testing.T) {
	const pin = "1234"
	module := softHSMModule(t)
	if found, err := filepath.Glob("/usr/lib/*/engines-3/pkcs11.so"); err != nil || len(found) == 0 {
		t.Fatal("openssl's PKCS#11 engine is not installed: install the Debian package libengine-pkcs11-openssl")
	}
	w := newWorkshop(t)
	w.write("softhsm2.conf", []byte("directories.tokendir = "+w.directory+"\nobjectstore.backend = file\n"))
	w.environment = []string{"SOFTHSM2_CONF=" + w.path("softhsm2.conf"), "PKCS11_MODULE_PATH=" + module}
	w.write("request.json", canonical(t, employeeCard()))
	w.run("softhsm2-util", "--init-token", "--free", "--label", "officers", "--so-pin", pin, "--pin", pin)
	for i, c := range []struct{ name, key, afterKey string }{
		{"RSA 2048 PKCS#1 v1.5", "rsa:2048", ""},
		{"RSA 3072 PSS", "rsa:3072", usePSS},
		{"ECDSA P-256", "EC:prime256v1", ""},
		{"ECDSA P-384", "EC:secp384r1", ""},
	} {
		label, id := fmt.Sprintf("key-%d", i), fmt.Sprintf("%02d", i+1)
		w.run("pkcs11-tool", "--module", module, "--login", "--pin", pin, "--keypairgen", "--key-type", c.key, "--label", label, "--id", id)
		uri := "pkcs11:token=officers;object=" + label + ";type=private;pin-value=" + pin
		engine := []string{"-engine", "pkcs11", "-keyform", "engine"}
		w.run("openssl", append([]string{"req", "-new", "-x509", "-key", uri, "-subj", "/CN=" + label, "-days", "30", "-out", label + ".pem"}, engine...)...)
		arguments := append([]string{"cms", "-sign"}, strings.Fields(usual)...)
		arguments = append(arguments, "-in", "request.json", "-signer", label+".pem", "-inkey", uri, "-outform", "DER")
		arguments = append(append(arguments, strings.Fields(c.afterKey)...), engine...)
		if c.afterKey != "" { // -keyopt belongs right behind the key
			arguments = append([]string{"cms", "-sign"}, strings.Fields(usual)...)
			arguments = append(arguments, engine...)
			arguments = append(arguments, "-in", "request.json", "-signer", label+".pem", "-inkey", uri)
			arguments = append(append(arguments, strings.Fields(c.afterKey)...), "-outform", "DER")
		}
		signature := w.run("openssl", arguments...)
		expect(t, "programs", "SoftHSM, openssl engine", c.name, signing.Judge(signature, termsNow(w.officer(label))), acceptedReason)
		w.opensslAgrees(c.name, signature)
	}
}

// TestOwnSignaturesElsewhere has other programs verify what Sign makes.
func TestOwnSignaturesElsewhere(t *testing.T) {
	w := newWorkshop(t)
	wanted := employeeCard()
	w.write("request.json", canonical(t, wanted))
	for _, kind := range []signingtest.KeyKind{signingtest.RSA, signingtest.ECDSA, signingtest.P384, signingtest.P521} {
		officer := signingtest.New(t, "officer", func(o *signingtest.Options) { o.Kind = kind })
		signature := officer.Sign(t, wanted, now)
		expect(t, "programs", "Sign", string(kind), signing.Judge(signature, terms(officer.Officer)), acceptedReason)
		w.opensslAgrees(string(kind), signature)
	}
	officer := signingtest.New(t, "officer", func(o *signingtest.Options) { o.Kind = signingtest.Ed25519 })
	signature := officer.Sign(t, wanted, now)
	expect(t, "programs", "Sign", string(signingtest.Ed25519), signing.Judge(signature, terms(officer.Officer)), acceptedReason)
	w.write("signature.der", signature)
	certificate, _ := officer.WriteFiles(t, w.directory, "officer")
	output := w.run("certtool", "--p7-verify", "--inder", "--load-certificate", certificate, "--infile", "signature.der")
	shownContent := w.run("certtool", "--p7-info", "--p7-show-data", "--inder", "--infile", "signature.der", "--outfile", "/dev/stdout")
	if !bytes.Contains(shownContent, canonical(t, wanted)) {
		t.Errorf("certtool finds other content: %s\n%s", shownContent, output)
	}
}

// TestOnlyTheCanonicalRequestCounts has openssl sign contents that no host may take, as they are.
func TestOnlyTheCanonicalRequestCounts(t *testing.T) {
	w := newWorkshop(t)
	w.identity("officer", "ec:P-256")
	full := employeeCard()
	full.Procedure.Domain, full.Procedure.KeyProcedures = "Corp", []string{"Archive encryption key"}
	good := string(canonical(t, full))
	replace := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	for _, c := range []struct{ name, content, reason, mention string }{
		{"the canonical request", good, acceptedReason, ""},
		{"a doubled key", replace(`"revision":1`, `"revision":2,"revision":1`), malformedReason, "canonical"},
		{"a doubled key with the same value", replace(`"state":"Active"`, `"state":"Active","state":"Active"`), malformedReason, "canonical"},
		{"a key that Go folds to state", replace(`"state":"Active"`, `"state":"Active","ſtate":"Closed"`), malformedReason, "canonical"},
		{"only the key that Go folds to state", replace(`"state":"Active"`, `"ſtate":"Active"`), malformedReason, "canonical"},
		{"a key in other case", replace(`"domain"`, `"Domain"`), malformedReason, ""},
		{"a key with the Kelvin sign", replace(`"keyProcedures"`, `"`+"\u212a"+`eyProcedures"`), malformedReason, ""},
		{"a newline at the end", good + "\n", malformedReason, "canonical"},
		{"white space", replace(`,"`, `, "`), malformedReason, "canonical"},
		{"a byte order mark", "\ufeff" + good, malformedReason, "not a request"},
		{"another key order", `{"type":"` + request.Type + `",` + strings.Replace(good[1:], `,"type":"`+request.Type+`"`, "", 1), malformedReason, "canonical"},
		{"an unknown field", replace(`"revision":1`, `"reason":"because","revision":1`), malformedReason, "unknown field"},
		{"an unknown field in the procedure", replace(`"state"`, `"stage":"Active","state"`), malformedReason, "unknown field"},
		{"another type string", replace("request/v1", "request/v2"), malformedReason, "request/v2"},
		{"another type of document", replace("tokenprocedures.dev/request/v1", "tokenprocedures.dev/receipt/v1"), malformedReason, "receipt"},
		{"no type string", replace(`,"type":"`+request.Type+`"`, ""), malformedReason, "type"},
		{"an escaped letter", replace("Employee card", `Employee c\u0061rd`), malformedReason, "canonical"},
		{"an empty list", replace(`"name"`, `"keyProcedures":[],"name"`), malformedReason, "canonical"},
		{"a null", replace(`"name"`, `"keyProcedures":null,"name"`), malformedReason, "canonical"},
		{"a revision of 0", replace(`"revision":1`, `"revision":0`), malformedReason, "revision"},
		{"a negative revision", replace(`"revision":1`, `"revision":-1`), malformedReason, "revision"},
		{"a revision with a fraction", replace(`"revision":1`, `"revision":1.0`), malformedReason, "revision"},
		{"a revision above 2^53-1", replace(`"revision":1`, `"revision":9007199254740992`), malformedReason, "revision"},
		{"two objects", good + good, malformedReason, "behind"},
		{"a list around it", "[" + good + "]", malformedReason, "not a request"},
		{"YAML", "audience: cm.example.com\n", malformedReason, "not a request"},
		{"nothing", "", malformedReason, "not a request"},
		{"bytes that are not UTF-8", replace("Employee", "Employ\xe9"), malformedReason, "canonical"},
	} {
		if (c.content == good) != (c.reason == acceptedReason) {
			t.Fatalf("%s: the test changed nothing", c.name)
		}
		w.write("request.json", []byte(c.content))
		expect(t, "content", "openssl cms", c.name, signing.Judge(w.openssl("officer", usual, ""), termsNow(w.officer("officer"))), c.reason, c.mention)
	}
}

package signing_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"testing"

	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

func TestAlgorithms(t *testing.T) {
	officer := signingtest.New(t, "officer")
	p384 := signingtest.New(t, "p384", func(o *signingtest.Options) { o.Kind = signingtest.P384 })
	rsaOfficer := signingtest.New(t, "rsa", func(o *signingtest.Options) { o.Kind = signingtest.RSA })
	ed := signingtest.New(t, "ed", func(o *signingtest.Options) { o.Kind = signingtest.Ed25519 })
	algorithm := func(parts ...[]byte) func(*crafted) {
		return func(c *crafted) { c.algorithm = der(tagSequence, parts...) }
	}
	value := func(change func([]byte) []byte) func(*crafted) {
		return func(c *crafted) { c.value = change }
	}
	as := func(other signingtest.Officer) func(*crafted) {
		return func(c *crafted) {
			c.certificates, c.signerID = [][]byte{other.Certificate.Raw}, issuerAndSerial(other.Certificate)
		}
	}
	for _, c := range []craftedCase{
		{"a P-256 signature under a P-384 certificate", nil, as(p384), badReason, "signature value"},
		{"an ECDSA signature under an RSA certificate", nil, as(rsaOfficer), badReason, "signature value"},
		{"an ECDSA signature under an Ed25519 certificate", nil, as(ed), badReason, "signature value"},
		{"an ECDSA signature called RSA", nil, algorithm(idRSASHA256, null), badReason, "signature value"},
		{"ECDSA with SHA-384 over a SHA-256 digest", nil, algorithm(idECDSASHA384), weakReason, "goes with SHA-384"},
		{"ECDSA with parameters", nil, algorithm(idECDSASHA256, null), weakReason, "parameters"},
		{"ECDSA with SHA-1", nil, algorithm(oid(1, 2, 840, 10045, 4, 1)), weakReason, "1.2.840.10045.4.1"},
		{"RSA with SHA-1 over a SHA-256 digest", nil, algorithm(oid(1, 2, 840, 113549, 1, 1, 5), null), weakReason, "1.2.840.113549.1.1.5"},
		{"RSA-PSS without parameters", nil, algorithm(idPSS), weakReason, "parameters"},
		{"RSA-PSS with default parameters", nil, algorithm(idPSS, der(tagSequence)), weakReason, "default, SHA-1"},
		{"RSA-PSS with another hash", nil, algorithm(idPSS, pssParameters(idSHA384, idSHA384, 48)), weakReason, "SHA-384"},
		{"RSA-PSS with SHA-384 instead of the digest", nil, algorithm(idPSS, pssParameters(idSHA384, idSHA256, 48)), weakReason, "RSA-PSS hash algorithm is SHA-384"},
		{"RSA-PSS with MGF1 over SHA-384", nil, algorithm(idPSS, pssParameters(idSHA256, idSHA384, 48)), weakReason, "MGF1 is SHA-384"},
		{"RSA-PSS with another mask generation", nil, algorithm(idPSS, bytes.Replace(pssParameters(idSHA256, idSHA256, 32), idMGF1, idRSASHA256, 1)), weakReason, "MGF1"},
		{"RSA-PSS with a salt longer than any key", nil, algorithm(idPSS, der(tagSequence, pssHashes(idSHA256, idSHA256), der(0xa2, der(tagInteger, []byte{0x10, 0})))), weakReason, "salt"},
		{"RSA-PSS with a negative salt", nil, algorithm(idPSS, pssParameters(idSHA256, idSHA256, 0xff)), weakReason, "salt"},
		{"RSA-PSS with a trailer field", nil, algorithm(idPSS, der(tagSequence, pssParts(idSHA256, idSHA256, 32), der(0xa3, der(tagInteger, []byte{2})))), weakReason, "trailer"},
		{"Ed25519 with SHA-256", nil, algorithm(idEd25519), weakReason, "SHA-512"},
		{"a signature algorithm nobody knows", nil, algorithm(idOther), weakReason, "1.3.6.1.4.1.99999.1"},
		{"a digest algorithm with other parameters", nil, func(c *crafted) { c.digest = der(tagSequence, idSHA256, der(tagOctets)) }, weakReason, "parameters"},
		{"a digest algorithm that was not used", nil, func(c *crafted) { c.digest = der(tagSequence, idSHA512) }, weakReason, "goes with SHA-256"},
		{"an empty signature value", nil, value(func([]byte) []byte { return nil }), badReason, "signature value"},
		{"an ECDSA signature of zeros", nil, value(func([]byte) []byte { return der(tagSequence, der(tagInteger, []byte{0}), der(tagInteger, []byte{0})) }), badReason, "signature value"},
		{"an ECDSA signature with s turned into n-s, which ECDSA cannot tell apart", nil, value(negated), acceptedReason, ""},
		{"an ECDSA signature with something behind it", nil, value(func(v []byte) []byte { return append(v, 0) }), badReason, "signature value"},
	} {
		c.run(t, officer, p384.Officer, rsaOfficer.Officer, ed.Officer)
	}
	for _, c := range []craftedCase{
		{"RSA as sha256WithRSAEncryption", nil, algorithm(idRSASHA256, null), acceptedReason, ""},
		{"RSA as rsaEncryption without parameters", nil, algorithm(idRSA), acceptedReason, ""},
		{"an RSA signature called ECDSA", nil, nil, badReason, "ECDSA"},
		{"RSA with other parameters", nil, algorithm(idRSA, der(tagOctets)), weakReason, "parameters"},
		{"a PKCS#1 v1.5 signature called PSS", nil, algorithm(idPSS, pssParameters(idSHA256, idSHA256, 32)), badReason, "RSA-PSS"},
		{"an RSA signature with a zero before it", func(c *crafted) { c.algorithm = der(tagSequence, idRSA, null) }, value(func(v []byte) []byte { return append([]byte{0}, v...) }), badReason, "signature value"},
		{"an RSA signature of zeros", func(c *crafted) { c.algorithm = der(tagSequence, idRSA, null) }, value(func(v []byte) []byte { return make([]byte, len(v)) }), badReason, "signature value"},
	} {
		c.run(t, rsaOfficer, officer.Officer)
	}
	withSHA512 := func(c *crafted) {
		digest := sha512.Sum512(c.content)
		changeAttribute(idMessageDigest, attribute(idMessageDigest, der(tagOctets, digest[:])))(c)
		c.digest, c.algorithm = der(tagSequence, idSHA512), der(tagSequence, idEd25519)
	}
	for _, c := range []craftedCase{
		{"Ed25519 with SHA-512", withSHA512, nil, acceptedReason, ""},
		{"an Ed25519 signature called RSA", withSHA512, algorithm(idRSA, null), badReason, "RSA"},
		{"Ed25519 with parameters", withSHA512, algorithm(idEd25519, null), weakReason, "parameters"},
	} {
		c.run(t, ed)
	}
}

// negated turns the ECDSA signature (r, s) into (r, n-s). Anybody can, and both are good: one more reason never to tell
// signatures apart by their bytes.
func negated(value []byte) []byte {
	var signature struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(value, &signature); err != nil {
		panic(err)
	}
	signature.S.Sub(elliptic.P256().Params().N, signature.S)
	changed, err := asn1.Marshal(signature)
	if err != nil {
		panic(err)
	}
	return changed
}

// TestKeyUsage has certificates whose key usage says what their keys are for.
func TestKeyUsage(t *testing.T) {
	for _, c := range []struct {
		name   string
		usage  x509.KeyUsage
		empty  bool
		reason string
	}{
		{"no key usage", 0, false, acceptedReason},
		{"key usage digitalSignature", x509.KeyUsageDigitalSignature, false, acceptedReason},
		{"key usage nonRepudiation", x509.KeyUsageContentCommitment, false, acceptedReason},
		{"key usage digitalSignature and keyEncipherment", x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, false, acceptedReason},
		{"key usage keyEncipherment", x509.KeyUsageKeyEncipherment, false, badReason},
		{"key usage keyCertSign and cRLSign", x509.KeyUsageCertSign | x509.KeyUsageCRLSign, false, badReason},
		{"a key usage that allows nothing", 0, true, badReason},
	} {
		officer := signingtest.New(t, "officer", func(o *signingtest.Options) { o.KeyUsage = c.usage })
		if c.empty {
			template := *officer.Certificate
			template.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: der(0x03, []byte{0})}}
			raw, err := x509.CreateCertificate(rand.Reader, &template, &template, officer.Key.Public(), officer.Key)
			if err != nil {
				t.Fatal(err)
			}
			if officer.Certificate, err = x509.ParseCertificate(raw); err != nil {
				t.Fatal(err)
			}
			officer.Certificates = [][]byte{raw}
		}
		expect(t, "structure", "crafted by the test", c.name, signing.Judge(craft(t, officer, nil, nil), terms(officer.Officer)), c.reason)
	}
}

// TestRSAKeys has registered certificates with RSA keys at and beyond the bounds. Nobody has the private keys.
func TestRSAKeys(t *testing.T) {
	officer := signingtest.New(t, "officer")
	modulus := func(bits uint) *big.Int {
		return new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), bits-1), big.NewInt(1))
	}
	for _, c := range []struct {
		name            string
		key             rsa.PublicKey
		reason, mention string
	}{
		{"an RSA key of 2047 bits", rsa.PublicKey{N: modulus(2047), E: 65537}, weakReason, "2047 bits"},
		{"an RSA key of 2048 bits", rsa.PublicKey{N: modulus(2048), E: 65537}, badReason, "signature value"},
		{"an RSA key of 8192 bits", rsa.PublicKey{N: modulus(8192), E: 65537}, badReason, "signature value"},
		{"an RSA key of 8193 bits", rsa.PublicKey{N: modulus(8193), E: 65537}, weakReason, "8193 bits"},
		{"an RSA key with the exponent 1", rsa.PublicKey{N: modulus(2048), E: 1}, weakReason, "exponent 1"},
		{"an RSA key with an even exponent", rsa.PublicKey{N: modulus(2048), E: 65536}, weakReason, "exponent 65536"},
	} {
		template := *officer.Certificate
		template.SignatureAlgorithm = x509.ECDSAWithSHA256
		raw, err := x509.CreateCertificate(rand.Reader, &template, officer.Certificate, &c.key, officer.Key)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		registered := officer.Officer
		registered.Certificates = [][]byte{raw}
		signature := craft(t, officer, nil, func(crafted *crafted) {
			crafted.certificates, crafted.algorithm = [][]byte{raw}, der(tagSequence, idRSA, null)
		})
		expect(t, "structure", "crafted by the test", c.name, signing.Judge(signature, terms(registered)), c.reason, c.mention)
		if c.reason == weakReason {
			expect(t, "structure", "crafted by the test", c.name+", not registered", signing.Judge(signature, terms()), c.reason, c.mention)
		}
	}
}

func pssParts(hash, mask []byte, salt byte) []byte {
	return slices.Concat(pssHashes(hash, mask), der(0xa2, der(tagInteger, []byte{salt})))
}

func pssHashes(hash, mask []byte) []byte {
	return slices.Concat(
		der(0xa0, der(tagSequence, hash, null)),
		der(0xa1, der(tagSequence, idMGF1, der(tagSequence, mask, null))),
	)
}

func pssParameters(hash, mask []byte, salt byte) []byte {
	return der(tagSequence, pssParts(hash, mask, salt))
}

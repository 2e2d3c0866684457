package signing

import (
	"crypto"
	"crypto/x509"
	"time"
)

// Parsed is what tests see of a parsed signature.
type Parsed struct {
	Content, Attributes, Value []byte
	Certificates               [][]byte
	SigningTime                time.Time
}

// ParseSignedData parses a signature as Judge does.
func ParseSignedData(der []byte) (*Parsed, error) {
	signed, err := parseSignedData(der)
	if err != nil {
		return nil, err
	}
	return &Parsed{signed.content, signed.attributes.encoded, signed.value, signed.certificates, signed.attributes.signingTime}, nil
}

// VerifyCMS is the judgement of a signature without its request: parse, find the signer in the register, verify.
// It returns the reason of the refusal, or nothing.
func VerifyCMS(der []byte, register *Register) string {
	signed, err := parseSignedData(der)
	if err != nil {
		return err.Error()
	}
	if _, _, refused := signed.authenticate(register); refused != nil {
		return refused.reason
	}
	return ""
}

// BareVerify is the public-key operation inside VerifyCMS, and the one digest that it cannot do without.
func BareVerify(der []byte, key crypto.PublicKey) func() bool {
	signed, err := parseSignedData(der)
	if err != nil {
		panic(err)
	}
	scheme, err := chooseScheme(signed.digest, signed.signature)
	if err != nil {
		panic(err)
	}
	return func() bool { return scheme.verify(key, signed.attributes.encoded, signed.value) }
}

// SignAnything makes a signature of any content, whatever it may be.
func SignAnything(content []byte, certificate *x509.Certificate, key crypto.Signer, at time.Time) ([]byte, error) {
	return newSignature(content, certificate, key, at)
}

// ReadCertificateNames is what is read of a certificate before the register is asked.
func ReadCertificateNames(der []byte) (issuer, serial, keyID, publicKeyInfo []byte, err error) {
	names, err := readCertificateNames(der)
	return names.issuer, names.serial, names.keyID, names.publicKeyInfo, err
}

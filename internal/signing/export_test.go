package signing

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
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

// CountPublicKeyOperations tells how often a public-key operation is done while f runs.
func CountPublicKeyOperations(f func()) int {
	count, real := 0, publicKeyOperation
	defer func() { publicKeyOperation = real }()
	publicKeyOperation = func(s scheme, key crypto.PublicKey, message, value []byte) bool {
		count++
		return real(s, key, message, value)
	}
	f()
	return count
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

// BareVerify is the public-key operation inside VerifyCMS alone, as the standard library offers it.
func BareVerify(der []byte, key crypto.PublicKey) func() bool {
	signed, err := parseSignedData(der)
	if err != nil {
		panic(err)
	}
	scheme, err := chooseScheme(signed.digest, signed.signature)
	if err != nil {
		panic(err)
	}
	message, digest, value := signed.attributes.encoded, scheme.sum(signed.attributes.encoded), signed.value
	switch key := key.(type) {
	case *rsa.PublicKey:
		return func() bool { return rsa.VerifyPKCS1v15(key, scheme.digest, digest, value) == nil }
	case *ecdsa.PublicKey:
		return func() bool { return ecdsa.VerifyASN1(key, digest, value) }
	case ed25519.PublicKey:
		return func() bool { return ed25519.Verify(key, message, value) }
	}
	panic("unknown kind of key")
}

// ReadCertificateNames is what is read of a certificate before the register is asked.
func ReadCertificateNames(der []byte) (issuer, serial, keyID, publicKeyInfo []byte, err error) {
	names, err := readCertificateNames(der)
	return names.issuer, names.serial, names.keyID, names.publicKeyInfo, err
}

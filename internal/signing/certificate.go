// What is read of a certificate inside a signature before the register is asked: enough to say whether it is the
// signer's, and what kind of key it has. Everything else is read by crypto/x509, of registered certificates alone.

package signing

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	encodingasn1 "encoding/asn1"
	"encoding/hex"
	"slices"

	"golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidSubjectKeyID   = newObjectID(2, 5, 29, 14)
	extensionKeyUsage = encodingasn1.ObjectIdentifier{2, 5, 29, 15}
)

// certificateV3 is how certificates say that they are of version 3, the first with extensions.
const certificateV3 = 2

// certificateNames are the parts of a certificate that a signerID can match, and its key.
type certificateNames struct {
	issuer, serial, keyID []byte
	publicKeyInfo         []byte
}

// signerCertificates returns those certificates in the signature that the signer's identifier names, as sent.
func (s *signedData) signerCertificates() [][]byte {
	var matching [][]byte
	for _, certificate := range s.certificates {
		if names, err := readCertificateNames(certificate); err == nil && s.signer.names(names) {
			matching = append(matching, certificate)
		}
	}
	return matching
}

func (id signerID) names(c certificateNames) bool {
	if id.byKeyID {
		return len(id.keyID) > 0 && bytes.Equal(id.keyID, c.keyID)
	}
	return bytes.Equal(id.issuer, c.issuer) && bytes.Equal(id.serial, c.serial)
}

// readCertificateNames reads the front of an X.509 certificate (RFC 5280, section 4.1).
func readCertificateNames(certificate []byte) (certificateNames, error) {
	var names certificateNames
	outer := newReader(certificate)
	body := outer.inside(asn1.SEQUENCE, "a certificate").inside(asn1.SEQUENCE, "the body of a certificate")
	version := 0
	if body.next(constructed0) {
		version = body.inside(constructed0, "the version of a certificate").smallInteger("the version of a certificate")
	}
	names.serial = body.contents(asn1.INTEGER, "a serial number")
	body.contents(asn1.SEQUENCE, "a signature algorithm")
	names.issuer = body.element(asn1.SEQUENCE, "an issuer")
	body.contents(asn1.SEQUENCE, "a validity")
	body.contents(asn1.SEQUENCE, "a subject")
	names.publicKeyInfo = body.element(asn1.SEQUENCE, "a public key")
	for body.next(tag1) || body.next(tag2) {
		body.skipAny("a unique identifier")
	}
	if version == certificateV3 && body.next(constructed3) {
		names.keyID = body.inside(constructed3, "the extensions").subjectKeyID()
	}
	return names, *body.failure
}

// subjectKeyID looks for the subject key identifier among the extensions; nil if there is none.
func (r *reader) subjectKeyID() []byte {
	for list := r.inside(asn1.SEQUENCE, "the extensions"); list.more(); {
		extension := list.inside(asn1.SEQUENCE, "an extension")
		if extension.oid("the type of an extension") != oidSubjectKeyID {
			continue
		}
		if extension.next(asn1.BOOLEAN) {
			extension.contents(asn1.BOOLEAN, "whether an extension is critical")
		}
		return extension.inside(asn1.OCTET_STRING, "an extension").contents(asn1.OCTET_STRING, "a subject key identifier")
	}
	return nil
}

// unreadKey reads the key of a certificate that the register does not list or crypto/x509 does not read, so that a key
// that no register could make good is not called unknown; problem says what is wrong with it. Nothing is done with it.
func unreadKey(certificate []byte) (key crypto.PublicKey, problem string) {
	names, err := readCertificateNames(certificate)
	if err != nil {
		return nil, err.Error()
	}
	key, err = x509.ParsePKIXPublicKey(names.publicKeyInfo)
	if err != nil {
		return nil, "its public key cannot be read as one of " + allowedKeys
	}
	return key, keyProblem(key)
}

// maySign tells whether the key usage of a certificate, if it has one, lets it sign.
func maySign(certificate *x509.Certificate) bool {
	const signing = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment // the latter is nonRepudiation
	restricted := slices.ContainsFunc(certificate.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(extensionKeyUsage) })
	return !restricted || certificate.KeyUsage&signing != 0
}

// fingerprint is the SHA-256 fingerprint of a certificate, in hexadecimal digits.
func fingerprint(certificate []byte) string {
	sum := sha256.Sum256(certificate)
	return hex.EncodeToString(sum[:])
}

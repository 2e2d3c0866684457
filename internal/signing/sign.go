// Making a signature: the same shape as that of `openssl cms -sign -binary -nodetach -md sha256 -outform DER`.

package signing

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// Sign makes an officer's signature of a request, given as its canonical bytes, at a time: RSA with PKCS#1 v1.5 or ECDSA,
// with SHA-256, or Ed25519 with SHA-512. The key may live on a token. It refuses what no CM host would take: bytes that
// are no canonical request, keys that are not allowed, and a certificate that is not that of the key.
func Sign(canonical []byte, certificate *x509.Certificate, key crypto.Signer, at time.Time) ([]byte, error) {
	if _, err := request.Parse(canonical); err != nil {
		return nil, fmt.Errorf("cannot sign: %w", err)
	}
	if problem := keyProblem(certificate.PublicKey); problem != "" {
		return nil, fmt.Errorf("cannot sign with this certificate: %s", problem)
	}
	if !maySign(certificate) {
		return nil, errors.New("cannot sign with this certificate: its key usage includes neither digitalSignature nor nonRepudiation")
	}
	public, comparable := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !comparable || !public.Equal(certificate.PublicKey) {
		return nil, errors.New("cannot sign: the certificate is not that of the key; expected the certificate with the key's public half")
	}
	signature, err := newSignature(canonical, certificate, key, at)
	if err != nil {
		return nil, err
	}
	return signature, checkOwn(signature, certificate)
}

// newSignature makes the SignedData.
func newSignature(content []byte, certificate *x509.Certificate, key crypto.Signer, at time.Time) ([]byte, error) {
	own := chooseOwn(key.Public())
	attributes := newAttributes(own.scheme.sum(content), at)
	message, options := own.scheme.sum(attributes), crypto.SignerOpts(own.scheme.digest)
	if own.scheme.padding == edDSA {
		message, options = attributes, crypto.Hash(0) // Ed25519 hashes by itself
	}
	value, err := key.Sign(rand.Reader, message, options)
	if err != nil {
		return nil, fmt.Errorf("the key cannot sign: %w", err)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addOID(b, oidSignedData)
		b.AddASN1(constructed0, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) { own.digest.add(b) })
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					addOID(b, oidData)
					b.AddASN1(constructed0, func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
				})
				b.AddASN1(constructed0, func(b *cryptobyte.Builder) { b.AddBytes(certificate.Raw) })
				b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) { own.addSigner(b, certificate, attributes, value) })
			})
		})
	})
	signature, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encode the signature: %w", err)
	}
	return signature, nil
}

// checkOwn reads a signature just made as a CM host would, so that a fault of a token shows now and not after delivery.
func checkOwn(signature []byte, certificate *x509.Certificate) error {
	signed, err := parseSignedData(signature)
	if err != nil {
		return fmt.Errorf("the new signature cannot be used: %w", err)
	}
	scheme, err := chooseScheme(signed.digest, signed.signature)
	if err != nil {
		return fmt.Errorf("the new signature cannot be used: %w", err)
	}
	if refused := signed.verify(scheme, certificate); refused != nil {
		return fmt.Errorf("the key made a wrong signature: %s", refused.message)
	}
	return nil
}

// ownScheme is how Sign signs with a kind of key.
type ownScheme struct {
	scheme            scheme
	digest, signature algorithm
}

func chooseOwn(key crypto.PublicKey) ownScheme {
	switch key.(type) {
	case ed25519.PublicKey:
		return ownScheme{scheme{padding: edDSA, digest: crypto.SHA512}, algorithm{id: oidSHA512}, algorithm{id: oidEd25519}}
	case *ecdsa.PublicKey:
		return ownScheme{scheme{padding: ecdsaRS, digest: crypto.SHA256}, algorithm{id: oidSHA256}, algorithm{id: oidECDSASHA256}}
	default:
		return ownScheme{scheme{padding: pkcs1, digest: crypto.SHA256}, algorithm{id: oidSHA256}, algorithm{oidRSAEncryption, derNull}}
	}
}

// addSigner adds the SignerInfo.
func (o ownScheme) addSigner(b *cryptobyte.Builder, certificate *x509.Certificate, attributes, value []byte) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(certificate.RawIssuer)
			b.AddASN1BigInt(certificate.SerialNumber)
		})
		o.digest.add(b)
		implicit := bytes.Clone(attributes)
		implicit[0] = byte(constructed0)
		b.AddBytes(implicit)
		o.signature.add(b)
		b.AddASN1OctetString(value)
	})
}

// newAttributes is the DER of the SET OF Attribute to be signed.
func newAttributes(digest []byte, at time.Time) []byte {
	attribute := func(id objectID, value func(*cryptobyte.Builder)) []byte {
		var b cryptobyte.Builder
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addOID(b, id)
			b.AddASN1(asn1.SET, value)
		})
		return b.BytesOrPanic()
	}
	list := [][]byte{
		attribute(oidContentType, func(b *cryptobyte.Builder) { addOID(b, oidData) }),
		attribute(oidSigningTime, func(b *cryptobyte.Builder) { addTime(b, at.UTC()) }),
		attribute(oidMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest) }),
	}
	slices.SortFunc(list, bytes.Compare)
	var b cryptobyte.Builder
	b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(list, nil)) })
	return b.BytesOrPanic()
}

func (a algorithm) add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addOID(b, a.id)
		b.AddBytes(a.parameters)
	})
}

func addOID(b *cryptobyte.Builder, id objectID) {
	b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes([]byte(id)) })
}

// addTime adds a Time, as reader.time reads it.
func addTime(b *cryptobyte.Builder, at time.Time) {
	if at.Year() >= 1950 && at.Year() < 2050 {
		b.AddASN1UTCTime(at)
	} else {
		b.AddASN1GeneralizedTime(at)
	}
}

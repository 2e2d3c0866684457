// The allow-lists: digests, signature algorithms and keys. What is not listed here is refused.

package signing

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"

	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// Bounds of RSA keys, in bits. The upper one bounds the work of a verification.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

const (
	allowedDigests    = "SHA-256, SHA-384 and SHA-512"
	allowedSignatures = "RSA (PKCS#1 v1.5 or PSS), ECDSA and Ed25519 (with SHA-512)"
	allowedKeys       = "RSA (2048 to 8192 bits), ECDSA (P-256, P-384, P-521) and Ed25519"
)

var (
	oidSHA256        = newObjectID(2, 16, 840, 1, 101, 3, 4, 2, 1)
	oidSHA384        = newObjectID(2, 16, 840, 1, 101, 3, 4, 2, 2)
	oidSHA512        = newObjectID(2, 16, 840, 1, 101, 3, 4, 2, 3)
	oidRSAEncryption = newObjectID(1, 2, 840, 113549, 1, 1, 1)
	oidRSAPSS        = newObjectID(1, 2, 840, 113549, 1, 1, 10)
	oidMGF1          = newObjectID(1, 2, 840, 113549, 1, 1, 8)
	oidECDSASHA256   = newObjectID(1, 2, 840, 10045, 4, 3, 2)
	oidEd25519       = newObjectID(1, 3, 101, 112)
)

var derNull = []byte{byte(asn1.NULL), 0}

var digests = map[objectID]crypto.Hash{
	oidSHA256: crypto.SHA256,
	oidSHA384: crypto.SHA384,
	oidSHA512: crypto.SHA512,
}

// padding is how a signature value is made.
type padding string

const (
	pkcs1   padding = "RSA PKCS#1 v1.5"
	pss     padding = "RSA-PSS"
	ecdsaRS padding = "ECDSA"
	edDSA   padding = "Ed25519"
)

// signatureAlgorithms lists what a signature algorithm demands; no digest means any, without parameters also NULL where
// nullAllowed says so. PSS has parameters of its own.
var signatureAlgorithms = map[objectID]struct {
	padding     padding
	digest      crypto.Hash
	nullAllowed bool
}{
	oidRSAEncryption:                         {pkcs1, 0, true},
	newObjectID(1, 2, 840, 113549, 1, 1, 11): {pkcs1, crypto.SHA256, true},
	newObjectID(1, 2, 840, 113549, 1, 1, 12): {pkcs1, crypto.SHA384, true},
	newObjectID(1, 2, 840, 113549, 1, 1, 13): {pkcs1, crypto.SHA512, true},
	oidRSAPSS:                                {pss, 0, false},
	oidECDSASHA256:                           {ecdsaRS, crypto.SHA256, false},
	newObjectID(1, 2, 840, 10045, 4, 3, 3):   {ecdsaRS, crypto.SHA384, false},
	newObjectID(1, 2, 840, 10045, 4, 3, 4):   {ecdsaRS, crypto.SHA512, false},
	oidEd25519:                               {edDSA, crypto.SHA512, false},
}

// scheme is an allowed combination of digest and signature algorithm.
type scheme struct {
	padding    padding
	digest     crypto.Hash
	saltLength int // PSS
}

// chooseScheme finds the scheme that a signer names. What it refuses is WeakAlgorithm.
func chooseScheme(digest, signature algorithm) (scheme, error) {
	hash, err := chooseDigest(digest)
	if err != nil {
		return scheme{}, err
	}
	allowed, found := signatureAlgorithms[signature.id]
	if !found {
		return scheme{}, fmt.Errorf("the signature algorithm is %s; allowed are %s", request.Shown(signature.id.String()), allowedSignatures)
	}
	if allowed.digest != 0 && allowed.digest != hash {
		return scheme{}, fmt.Errorf("the digest algorithm is %v, but this kind of signature goes with %v", hash, allowed.digest)
	}
	chosen := scheme{padding: allowed.padding, digest: hash}
	if allowed.padding == pss {
		chosen.saltLength, err = pssSaltLength(signature.parameters, hash)
		return chosen, err
	}
	if signature.parameters != nil && !(allowed.nullAllowed && bytes.Equal(signature.parameters, derNull)) {
		return scheme{}, fmt.Errorf("the signature algorithm %s has parameters; expected none", allowed.padding)
	}
	return chosen, nil
}

func chooseDigest(digest algorithm) (crypto.Hash, error) {
	hash, found := digests[digest.id]
	if !found {
		return 0, fmt.Errorf("the digest algorithm is %s; allowed are %s (openssl: -md sha256)", request.Shown(digest.id.String()), allowedDigests)
	}
	if digest.parameters != nil && !bytes.Equal(digest.parameters, derNull) {
		return 0, fmt.Errorf("the digest algorithm %v has parameters; expected none", hash)
	}
	return hash, nil
}

// pssSaltLength reads RSASSA-PSS-params (RFC 4055, section 3.1): both hashes must be the digest of the signature, and the
// salt at least as long. What is left out has a default, and those stand for SHA-1.
func pssSaltLength(parameters []byte, digest crypto.Hash) (int, error) {
	body := newReader(parameters).inside(asn1.SEQUENCE, "the RSA-PSS parameters")
	hash := body.notDefault(constructed0, "the RSA-PSS hash algorithm", "SHA-1")
	hash.expectDigest(digest, "the RSA-PSS hash algorithm")
	hash.end("the RSA-PSS hash algorithm")
	explicit := body.notDefault(constructed1, "the hash algorithm of MGF1", "SHA-1")
	mask := explicit.inside(asn1.SEQUENCE, "the RSA-PSS mask generation")
	explicit.end("the RSA-PSS mask generation")
	mask.expectOID(oidMGF1, "the mask generation function MGF1")
	mask.expectDigest(digest, "the hash algorithm of MGF1")
	mask.end("the RSA-PSS mask generation")
	salt := body.notDefault(constructed2, "the RSA-PSS salt length", "20")
	length := salt.smallInteger("the RSA-PSS salt length")
	salt.end("the RSA-PSS salt length")
	body.end("the RSA-PSS parameters, whose trailer field must be the default")
	if !body.failed() && (length < digest.Size() || length > maxRSABits/8) {
		body.fail("the RSA-PSS salt length is %d; expected at least %d, the length of the digest", length, digest.Size())
	}
	return length, *body.failure
}

// notDefault reads an explicitly tagged parameter that must not be left out.
func (r *reader) notDefault(tag asn1.Tag, what, value string) *reader {
	if !r.failed() && !r.next(tag) {
		r.fail("%s is the default, %s; expected the digest of the signature, or for the salt its length", what, value)
	}
	return r.inside(tag, what)
}

// expectDigest reads the AlgorithmIdentifier of a digest that must be the expected one.
func (r *reader) expectDigest(expected crypto.Hash, what string) {
	read := r.algorithm(what)
	if r.failed() {
		return
	}
	if hash, err := chooseDigest(read); err != nil {
		r.fail("%s: %w", what, err)
	} else if hash != expected {
		r.fail("%s is %v; expected %v, the digest of the signature", what, hash, expected)
	}
}

// keyProblem says what is wrong with a public key; empty if it is allowed.
func keyProblem(key crypto.PublicKey) string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return fmt.Sprintf("its RSA key has %d bits; allowed are %d to %d", bits, minRSABits, maxRSABits)
		}
		if key.E < 3 || key.E%2 == 0 {
			return fmt.Sprintf("its RSA key has the public exponent %d; allowed are odd ones from 3", key.E)
		}
		return ""
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256(), elliptic.P384(), elliptic.P521():
			return ""
		}
		return fmt.Sprintf("its ECDSA key is on the curve %s; allowed are P-256, P-384 and P-521", key.Curve.Params().Name)
	case ed25519.PublicKey:
		return ""
	}
	return "its public key is not one of " + allowedKeys
}

// sum is the digest of some bytes.
func (s scheme) sum(message []byte) []byte {
	hash := s.digest.New()
	hash.Write(message)
	return hash.Sum(nil)
}

// publicKeyOperation is scheme.verify, and called instead of it, so that tests can count how often.
var publicKeyOperation = scheme.verify

// verify is the one public-key operation: whether value is a signature of message by the key.
func (s scheme) verify(key crypto.PublicKey, message, value []byte) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if s.padding == pss {
			return rsa.VerifyPSS(key, s.digest, s.sum(message), value, &rsa.PSSOptions{SaltLength: s.saltLength, Hash: s.digest}) == nil
		}
		return s.padding == pkcs1 && rsa.VerifyPKCS1v15(key, s.digest, s.sum(message), value) == nil
	case *ecdsa.PublicKey:
		return s.padding == ecdsaRS && ecdsa.VerifyASN1(key, s.sum(message), value)
	case ed25519.PublicKey:
		return s.padding == edDSA && ed25519.Verify(key, message, value)
	}
	return false
}

package signing_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"testing"

	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// Tags of the elements that these tests make.
const (
	tagInteger, tagOctets, tagNull, tagOID, tagUTCTime, tagGeneralizedTime = 0x02, 0x04, 0x05, 0x06, 0x17, 0x18
	tagSequence, tagSet, tagExplicit0, tagExplicit1, tagKeyID              = 0x30, 0x31, 0xa0, 0xa1, 0x80
)

// der makes a DER element. It shares nothing with the code under test.
func der(tag byte, parts ...[]byte) []byte {
	contents := bytes.Join(parts, nil)
	switch n := len(contents); {
	case n < 0x80:
		return append([]byte{tag, byte(n)}, contents...)
	case n < 0x100:
		return append([]byte{tag, 0x81, byte(n)}, contents...)
	default:
		return append([]byte{tag, 0x82, byte(n >> 8), byte(n)}, contents...)
	}
}

// indefinite makes the same with an indefinite length: BER, not DER.
func indefinite(tag byte, parts ...[]byte) []byte {
	return slices.Concat([]byte{tag, 0x80}, bytes.Join(parts, nil), []byte{0, 0})
}

// longLength makes the same with a length that is one byte too long: BER, not DER.
func longLength(tag byte, parts ...[]byte) []byte {
	contents := bytes.Join(parts, nil)
	return append([]byte{tag, 0x83, 0, byte(len(contents) >> 8), byte(len(contents))}, contents...)
}

func oid(arcs ...int) []byte {
	encoded, err := asn1.Marshal(asn1.ObjectIdentifier(arcs))
	if err != nil {
		panic(err)
	}
	return encoded
}

var (
	idSignedData    = oid(1, 2, 840, 113549, 1, 7, 2)
	idData          = oid(1, 2, 840, 113549, 1, 7, 1)
	idContentType   = oid(1, 2, 840, 113549, 1, 9, 3)
	idMessageDigest = oid(1, 2, 840, 113549, 1, 9, 4)
	idSigningTime   = oid(1, 2, 840, 113549, 1, 9, 5)
	idOther         = oid(1, 3, 6, 1, 4, 1, 99999, 1)
	idSHA256        = oid(2, 16, 840, 1, 101, 3, 4, 2, 1)
	idSHA384        = oid(2, 16, 840, 1, 101, 3, 4, 2, 2)
	idSHA512        = oid(2, 16, 840, 1, 101, 3, 4, 2, 3)
	idECDSASHA256   = oid(1, 2, 840, 10045, 4, 3, 2)
	idECDSASHA384   = oid(1, 2, 840, 10045, 4, 3, 3)
	idRSASHA256     = oid(1, 2, 840, 113549, 1, 1, 11)
	idRSA           = oid(1, 2, 840, 113549, 1, 1, 1)
	idPSS           = oid(1, 2, 840, 113549, 1, 1, 10)
	idMGF1          = oid(1, 2, 840, 113549, 1, 1, 8)
	idEd25519       = oid(1, 3, 101, 112)
	null            = der(tagNull)
)

func attribute(id []byte, values ...[]byte) []byte {
	return der(tagSequence, id, der(tagSet, values...))
}

func utcTime(text string) []byte { return der(tagUTCTime, []byte(text)) }

// crafted is a signature in parts, each of which a test can replace before it is signed and put together.
type crafted struct {
	officer signingtest.Officer

	content        []byte
	contentType    []byte   // of the encapsulated content
	octets         []byte   // the encapsulated content's element
	attributes     [][]byte // elements
	unsorted       bool     // keep the order of attributes
	messageToSign  []byte   // instead of the attributes
	digest         []byte   // AlgorithmIdentifier of the signer
	digests        []byte   // elements of the set of digest algorithms
	algorithm      []byte   // AlgorithmIdentifier of the signature
	version        []byte
	signerVersion  []byte
	signerID       []byte
	certificates   [][]byte
	revocations    []byte
	value          func([]byte) []byte
	unsigned       []byte
	signers        func(signer []byte) [][]byte
	behindSigner   []byte
	behindBody     []byte
	behindContent  []byte // in the encapsulated content
	behindExplicit []byte // around the SignedData
	behindInfo     []byte // in the ContentInfo
	infoType       []byte
	noAttributes   bool
}

// craft makes a signature of employeeCard by an officer with an ECDSA P-256 key. before changes what is signed,
// after what is put together around it.
func craft(t testing.TB, officer signingtest.Officer, before, after func(*crafted)) []byte {
	t.Helper()
	c := &crafted{
		officer:       officer,
		content:       canonical(t, employeeCard()),
		contentType:   idData,
		infoType:      idSignedData,
		digest:        der(tagSequence, idSHA256),
		algorithm:     der(tagSequence, idECDSASHA256),
		version:       der(tagInteger, []byte{1}),
		signerVersion: der(tagInteger, []byte{1}),
		signerID:      issuerAndSerial(officer.Certificate),
		certificates:  [][]byte{officer.Certificate.Raw},
		value:         func(value []byte) []byte { return value },
		signers:       func(signer []byte) [][]byte { return [][]byte{signer} },
	}
	digest := sha256.Sum256(c.content)
	c.attributes = [][]byte{
		attribute(idContentType, idData),
		attribute(idSigningTime, utcTime("261122120000Z")),
		attribute(idMessageDigest, der(tagOctets, digest[:])),
	}
	if before != nil {
		before(c)
	}
	if !c.unsorted {
		slices.SortFunc(c.attributes, bytes.Compare)
	}
	attributes := der(tagSet, c.attributes...)
	if c.messageToSign == nil {
		c.messageToSign = attributes
	}
	value := signMessage(t, officer.Key, c.messageToSign)
	c.octets = der(tagOctets, c.content)
	if after != nil {
		after(c)
	}
	return c.assemble(attributes, c.value(value))
}

func signMessage(t testing.TB, key crypto.Signer, message []byte) []byte {
	t.Helper()
	options := crypto.SignerOpts(crypto.SHA256)
	if _, isEd25519 := key.(ed25519.PrivateKey); isEd25519 {
		options = crypto.Hash(0)
	} else {
		sum := sha256.Sum256(message)
		message = sum[:]
	}
	value, err := key.Sign(rand.Reader, message, options)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func (c *crafted) assemble(attributes, value []byte) []byte {
	implicit := slices.Clone(attributes)
	implicit[0] = tagExplicit0
	if c.noAttributes {
		implicit = nil
	}
	signer := der(tagSequence, c.signerVersion, c.signerID, c.digest, implicit, c.algorithm, der(tagOctets, value), c.unsigned, c.behindSigner)
	digests := c.digests
	if digests == nil {
		digests = c.digest
	}
	var certificates []byte
	if c.certificates != nil {
		certificates = der(tagExplicit0, c.certificates...)
	}
	body := der(tagSequence,
		c.version,
		der(tagSet, digests),
		der(tagSequence, c.contentType, der(tagExplicit0, c.octets), c.behindContent),
		certificates,
		c.revocations,
		der(tagSet, c.signers(signer)...),
		c.behindBody,
	)
	return der(tagSequence, c.infoType, der(tagExplicit0, body, c.behindExplicit), c.behindInfo)
}

func issuerAndSerial(certificate *x509.Certificate) []byte {
	serial, err := asn1.Marshal(certificate.SerialNumber)
	if err != nil {
		panic(err)
	}
	return der(tagSequence, certificate.RawIssuer, serial)
}

// changeAttribute returns a change that replaces the attribute of a type by others.
func changeAttribute(id []byte, replacements ...[]byte) func(*crafted) {
	return func(c *crafted) {
		c.attributes = slices.DeleteFunc(c.attributes, func(a []byte) bool { return bytes.Contains(a, id) })
		c.attributes = append(c.attributes, replacements...)
	}
}

func addAttributes(added ...[]byte) func(*crafted) {
	return func(c *crafted) { c.attributes = append(c.attributes, added...) }
}

type craftedCase struct {
	name          string
	before, after func(*crafted)
	reason        string
	mention       string
}

func (c craftedCase) run(t *testing.T, officer signingtest.Officer, others ...signing.Officer) {
	t.Helper()
	signature := craft(t, officer, c.before, c.after)
	verdict := signing.Judge(signature, terms(append(others, officer.Officer)...))
	expect(t, "structure", "crafted by the test", c.name, verdict, c.reason, c.mention)
}

func TestAttributes(t *testing.T) {
	officer := signingtest.New(t, "officer")
	digest := sha256.Sum256(canonical(t, employeeCard()))
	wrong := sha256.Sum256([]byte("something else"))
	rightDigest := der(tagOctets, digest[:])
	for _, c := range []craftedCase{
		{"nothing changed", nil, nil, acceptedReason, ""},
		{"another signed attribute", addAttributes(attribute(idOther, null)), nil, acceptedReason, ""},
		{"a signing time of 1951", changeAttribute(idSigningTime, attribute(idSigningTime, utcTime("510101000000Z"))), nil, expiredReason, "1951-01-01"},
		{"a signing time of 2051", changeAttribute(idSigningTime, attribute(idSigningTime, der(tagGeneralizedTime, []byte("20510101000000Z")))), nil, futureReason, "2051-01-01"},

		{"content-type of signed data", changeAttribute(idContentType, attribute(idContentType, idSignedData)), nil, malformedReason, "content-type id-data"},
		{"no content-type", changeAttribute(idContentType), nil, malformedReason, "no signed attribute content-type"},
		{"content-type twice", addAttributes(attribute(idContentType, idData)), nil, malformedReason, "twice"},
		{"content-type twice, once of another type", addAttributes(attribute(idContentType, idSignedData)), nil, malformedReason, "twice"},
		{"content-type with two values", changeAttribute(idContentType, attribute(idContentType, idData, idData)), nil, malformedReason, "one value"},
		{"content-type without value", changeAttribute(idContentType, attribute(idContentType)), nil, malformedReason, "content-type"},
		{"no message-digest", changeAttribute(idMessageDigest), nil, malformedReason, "no signed attribute message-digest"},
		{"message-digest twice, the right one first", addAttributes(attribute(idMessageDigest, der(tagOctets, bytes.Repeat([]byte{0xff}, 32)))), nil, malformedReason, "twice"},
		{"message-digest twice, the right one last", addAttributes(attribute(idMessageDigest, der(tagOctets, make([]byte, 32)))), nil, malformedReason, "twice"},
		{"message-digest with two values", changeAttribute(idMessageDigest, attribute(idMessageDigest, rightDigest, der(tagOctets, wrong[:]))), nil, malformedReason, "one value"},
		{"a wrong message-digest", changeAttribute(idMessageDigest, attribute(idMessageDigest, der(tagOctets, wrong[:]))), nil, badReason, "message-digest"},
		{"an empty message-digest", changeAttribute(idMessageDigest, attribute(idMessageDigest, der(tagOctets))), nil, badReason, "message-digest"},
		{"the first half of the message-digest", changeAttribute(idMessageDigest, attribute(idMessageDigest, der(tagOctets, digest[:16]))), nil, badReason, "message-digest"},
		{"no signing-time", changeAttribute(idSigningTime), nil, malformedReason, "no signed attribute signing-time"},
		{"signing-time twice", addAttributes(attribute(idSigningTime, utcTime("261122110000Z"))), nil, malformedReason, "twice"},
		{"signing-time with two values", changeAttribute(idSigningTime, attribute(idSigningTime, utcTime("261122110000Z"), utcTime("261122120000Z"))), nil, malformedReason, "one value"},
		{"another attribute twice", addAttributes(attribute(idOther, null), attribute(idOther, rightDigest)), nil, acceptedReason, ""},
		{"a signing time without seconds", changeAttribute(idSigningTime, attribute(idSigningTime, utcTime("2611221200Z"))), nil, malformedReason, "signing-time"},
		{"a signing time with an offset", changeAttribute(idSigningTime, attribute(idSigningTime, utcTime("261122120000+0000"))), nil, malformedReason, "signing-time"},
		{"a signing time without a zone", changeAttribute(idSigningTime, attribute(idSigningTime, utcTime("261122120000"))), nil, malformedReason, "signing-time"},
		{"a signing time with a fraction", changeAttribute(idSigningTime, attribute(idSigningTime, utcTime("261122120000.5Z"))), nil, malformedReason, "signing-time"},
		{"a signing time on 30 February", changeAttribute(idSigningTime, attribute(idSigningTime, utcTime("260230120000Z"))), nil, malformedReason, "signing-time"},
		{"a signing time of 2026 as GeneralizedTime", changeAttribute(idSigningTime, attribute(idSigningTime, der(tagGeneralizedTime, []byte("20261122120000Z")))), nil, malformedReason, "UTCTime"},
		{"a signing time as a string", changeAttribute(idSigningTime, attribute(idSigningTime, der(tagOctets, []byte("261122120000Z")))), nil, malformedReason, "signing-time"},
		{"attributes that are not in DER order", func(c *crafted) {
			slices.SortFunc(c.attributes, func(a, b []byte) int { return bytes.Compare(b, a) })
			c.unsorted = true
		}, nil, malformedReason, "DER order"},
		{"no attribute at all, but the set", func(c *crafted) { c.attributes = nil }, nil, malformedReason, "no signed attribute"},
		{"an attribute with an indefinite length", func(c *crafted) {
			c.attributes[0], c.unsorted = indefinite(tagSequence, idContentType, der(tagSet, idData)), true
		}, nil, malformedReason, "definite length"},
		{"an attribute with a length that is too long", func(c *crafted) {
			c.attributes = append(c.attributes, longLength(tagSequence, idContentType, der(tagSet, idData)))
			c.attributes = c.attributes[1:]
		}, nil, malformedReason, "shortest form"},
		{"an attribute with something behind its values", changeAttribute(idOther, der(tagSequence, idOther, der(tagSet, null), null)), nil, malformedReason, "too many"},
		{"an attribute whose type is not in its shortest form", addAttributes(attribute(append([]byte{tagOID, 10, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x80}, 0x03), idData)), nil, malformedReason, "shortest form"},
	} {
		c.run(t, officer)
	}
}

// TestReplay has signatures that are good for something else: signed attributes and contents that change places
// (draft-ietf-lamps-cms-euf-cma-signeddata), and signatures over the wrong bytes.
func TestReplay(t *testing.T) {
	officer := signingtest.New(t, "officer")
	var attributes []byte
	for _, c := range []craftedCase{
		{"signed attributes replayed as content, without attributes", nil, func(c *crafted) {
			attributes = der(tagSet, c.attributes...)
			c.octets, c.noAttributes = der(tagOctets, attributes), true
		}, malformedReason, "no signed attributes"},
		{"signed attributes replayed as content, with attributes", nil, func(c *crafted) {
			c.octets = der(tagOctets, der(tagSet, c.attributes...))
		}, malformedReason, "not a request"},
		{"a signature of the content itself, with attributes beside it", func(c *crafted) { c.messageToSign = c.content }, nil, badReason, "signature value"},
		{"a signature of the content itself, without attributes", func(c *crafted) { c.messageToSign = c.content }, func(c *crafted) { c.noAttributes = true }, malformedReason, "no signed attributes"},
		{"a signature of the attributes with the tag [0]", func(c *crafted) {
			slices.SortFunc(c.attributes, bytes.Compare)
			c.messageToSign = der(tagExplicit0, c.attributes...)
		}, nil, badReason, "signature value"},
		{"another request put under the signature", nil, func(c *crafted) {
			other := employeeCard()
			other.Revision = 2
			c.octets = der(tagOctets, canonical(t, other))
		}, badReason, "message-digest"},
		{"another time put under the signature", func(c *crafted) {
			slices.SortFunc(c.attributes, bytes.Compare)
			c.messageToSign = der(tagSet, slices.Clone(c.attributes)...)
			changeAttribute(idSigningTime, attribute(idSigningTime, utcTime("261122110000Z")))(c)
		}, nil, badReason, "signature value"},
	} {
		c.run(t, officer)
	}
}

func TestStructure(t *testing.T) {
	officer, other := signingtest.New(t, "officer"), signingtest.New(t, "other")
	replaceOctets := func(element func(*crafted) []byte) func(*crafted) {
		return func(c *crafted) { c.octets = element(c) }
	}
	keyID := func(id []byte) func(*crafted) {
		return func(c *crafted) {
			c.signerVersion, c.version = der(tagInteger, []byte{3}), der(tagInteger, []byte{3})
			c.signerID = der(tagKeyID, id)
		}
	}
	for _, c := range []craftedCase{
		{"an unsigned attribute", nil, func(c *crafted) { c.unsigned = der(tagExplicit1, attribute(idOther, null)) }, acceptedReason, ""},
		{"another certificate before the signer's", nil, func(c *crafted) { c.certificates = [][]byte{other.Certificate.Raw, officer.Certificate.Raw} }, acceptedReason, ""},
		{"another certificate that is none", nil, func(c *crafted) { c.certificates = append(c.certificates, der(tagSequence, null)) }, acceptedReason, ""},
		{"an attribute certificate", nil, func(c *crafted) { c.certificates = append(c.certificates, der(tagExplicit1, null)) }, acceptedReason, ""},
		{"revocation lists", nil, func(c *crafted) { c.revocations = der(tagExplicit1, der(tagSequence)) }, acceptedReason, ""},
		{"the signer named by key identifier", nil, keyID(officer.Certificate.SubjectKeyId), acceptedReason, ""},
		{"a digest algorithm with the parameter NULL", nil, func(c *crafted) { c.digest = der(tagSequence, idSHA256, null) }, acceptedReason, ""},

		{"no signer", nil, func(c *crafted) { c.signers = func([]byte) [][]byte { return nil } }, malformedReason, "nobody has signed"},
		{"the same signer twice", nil, func(c *crafted) { c.signers = func(s []byte) [][]byte { return [][]byte{s, s} } }, malformedReason, "more than one signer"},
		{"no certificates", nil, func(c *crafted) { c.certificates = nil }, malformedReason, "is the signer's"},
		{"the certificate of another officer instead", nil, func(c *crafted) { c.certificates = [][]byte{other.Certificate.Raw} }, malformedReason, "is the signer's"},
		{"another key identifier", nil, keyID(other.Certificate.SubjectKeyId), malformedReason, "is the signer's"},
		{"an empty key identifier", nil, keyID(nil), malformedReason, "is the signer's"},
		{"certificate and name of another officer", nil, func(c *crafted) {
			c.certificates, c.signerID = [][]byte{other.Certificate.Raw}, issuerAndSerial(other.Certificate)
		}, badReason, "signature value"},
		{"a content of the type id-signedData", nil, func(c *crafted) { c.contentType = idSignedData }, malformedReason, "id-data"},
		{"a content in pieces", nil, replaceOctets(func(c *crafted) []byte { return der(tagOctets|0x20, der(tagOctets, c.content)) }), malformedReason, "one OCTET STRING"},
		{"a content with an indefinite length", nil, replaceOctets(func(c *crafted) []byte { return indefinite(tagOctets|0x20, der(tagOctets, c.content)) }), malformedReason, "one OCTET STRING"},
		{"a content with a length that is too long", nil, replaceOctets(func(c *crafted) []byte { return longLength(tagOctets, c.content) }), malformedReason, "shortest form"},
		{"two contents", nil, replaceOctets(func(c *crafted) []byte { return append(der(tagOctets, c.content), der(tagOctets, c.content)...) }), malformedReason, "too many"},
		{"something behind the signer", nil, func(c *crafted) { c.behindSigner = null }, malformedReason, "too many"},
		{"something behind the content", nil, func(c *crafted) { c.behindContent = null }, malformedReason, "too many"},
		{"something behind the SignedData", nil, func(c *crafted) { c.behindExplicit = null }, malformedReason, "too many"},
		{"something behind all, inside", nil, func(c *crafted) { c.behindInfo = null }, malformedReason, "too many"},
		{"something behind the signer's serial number", nil, func(c *crafted) {
			c.signerID = der(tagSequence, officer.Certificate.RawIssuer, der(tagInteger, officer.Certificate.SerialNumber.Bytes()), null)
		}, malformedReason, "too many"},
		{"something behind an algorithm's parameters", nil, func(c *crafted) { c.digest = der(tagSequence, idSHA256, null, null) }, malformedReason, "too many"},
		{"another type of message", nil, func(c *crafted) { c.infoType = oid(1, 2, 840, 113549, 1, 7, 3) }, malformedReason, "id-signedData"},
		{"the signer named with another issuer", nil, func(c *crafted) {
			c.signerID = der(tagSequence, other.Certificate.RawIssuer, der(tagInteger, officer.Certificate.SerialNumber.Bytes()))
		}, malformedReason, "is the signer's"},
		{"the signer named with another serial number", nil, func(c *crafted) {
			c.signerID = der(tagSequence, officer.Certificate.RawIssuer, der(tagInteger, other.Certificate.SerialNumber.Bytes()))
		}, malformedReason, "is the signer's"},
		{"something behind the signers", nil, func(c *crafted) { c.behindBody = null }, malformedReason, "too many"},
		{"version 0", nil, func(c *crafted) { c.version = der(tagInteger, []byte{0}) }, malformedReason, "version"},
		{"a version with a leading zero", nil, func(c *crafted) { c.version = der(tagInteger, []byte{0, 1}) }, malformedReason, "version"},
		{"a signer's version that does not go with its name", nil, func(c *crafted) { c.signerVersion = der(tagInteger, []byte{3}) }, malformedReason, "version of the signer"},
		{"unsigned attributes with an indefinite length", nil, func(c *crafted) { c.unsigned = indefinite(tagExplicit1, attribute(idOther, null)) }, malformedReason, ""},
		{"a certificate with an indefinite length", nil, func(c *crafted) { c.certificates = append(c.certificates, indefinite(tagSequence, null)) }, malformedReason, "definite length"},
	} {
		c.run(t, officer, other.Officer)
	}
	nameless := signingtest.New(t, "nameless", func(o *signingtest.Options) { o.WithoutKeyID = true })
	craftedCase{"no key identifier, and a certificate without one", nil, keyID(nil), malformedReason, "is the signer's"}.run(t, nameless)
}

// TestSize has good signatures of the largest size, and of one byte more.
func TestSize(t *testing.T) {
	officer := signingtest.New(t, "officer", func(o *signingtest.Options) { o.Kind = signingtest.Ed25519 })
	padded := func(padding int) []byte {
		return craft(t, officer, func(c *crafted) {
			digest := sha512.Sum512(c.content)
			changeAttribute(idMessageDigest, attribute(idMessageDigest, der(tagOctets, digest[:])))(c)
			c.digest, c.algorithm = der(tagSequence, idSHA512), der(tagSequence, idEd25519)
		}, func(c *crafted) {
			c.unsigned = der(tagExplicit1, attribute(idOther, der(tagOctets, make([]byte, padding))))
		})
	}
	room := signing.MaxBytes - len(padded(1000)) + 1000
	for _, c := range []struct {
		name            string
		size            int
		reason, mention string
	}{
		{"a signature of 32 KiB", signing.MaxBytes, acceptedReason, ""},
		{"a signature of 32 KiB and a byte", signing.MaxBytes + 1, malformedReason, "32769 bytes"},
	} {
		signature := padded(room + c.size - signing.MaxBytes)
		if len(signature) != c.size {
			t.Fatalf("%s: the test made %d bytes", c.name, len(signature))
		}
		expect(t, "structure", "crafted by the test", c.name, signing.Judge(signature, terms(officer.Officer)), c.reason, c.mention)
	}
}

// The strict parser of CMS SignedData (RFC 5652). It checks the shape and keeps what the judgement needs; it believes
// nothing: whether digests, signature and certificate are any good is decided elsewhere.

package signing

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// MaxBytes bounds a signature.
const MaxBytes = 32 << 10

var (
	oidSignedData    = newObjectID(1, 2, 840, 113549, 1, 7, 2)
	oidData          = newObjectID(1, 2, 840, 113549, 1, 7, 1)
	oidContentType   = newObjectID(1, 2, 840, 113549, 1, 9, 3)
	oidMessageDigest = newObjectID(1, 2, 840, 113549, 1, 9, 4)
	oidSigningTime   = newObjectID(1, 2, 840, 113549, 1, 9, 5)
)

// signedData is a SignedData with exactly one signer. Its slices share memory with the input.
type signedData struct {
	content      []byte
	certificates [][]byte // X.509 alone, each whole
	signer       signerID
	digest       algorithm
	signature    algorithm
	attributes   signedAttributes
	value        []byte
}

// signerID names the signer's certificate, either by issuer and serial number or by its subject key identifier.
type signerID struct {
	byKeyID        bool
	keyID          []byte
	issuer, serial []byte // Name, whole; INTEGER, contents
}

// algorithm is an AlgorithmIdentifier. parameters is the whole element, nil where there is none.
type algorithm struct {
	id         objectID
	parameters []byte
}

// signedAttributes are the attributes under the signature.
type signedAttributes struct {
	// encoded is the DER of the SET OF Attribute that is signed; it is a copy.
	encoded       []byte
	messageDigest []byte
	signingTime   time.Time
}

// parseSignedData reads a signature. What it refuses is Malformed; then nothing of the result means anything but the
// content, which is there where it could be read before anything was wrong.
func parseSignedData(input []byte) (*signedData, error) {
	signed := &signedData{}
	if len(input) > MaxBytes {
		return signed, fmt.Errorf("the signature has %d bytes; at most %d are allowed", len(input), MaxBytes)
	}
	outer := newReader(input)
	contentInfo := outer.inside(asn1.SEQUENCE, "a CMS ContentInfo in DER")
	contentInfo.expectOID(oidSignedData, "the content type id-signedData")
	explicit := contentInfo.inside(constructed0, "the SignedData")
	body := explicit.inside(asn1.SEQUENCE, "the SignedData")
	if version := body.smallInteger("the version of the SignedData"); !body.failed() && (version < 1 || version > 5) {
		body.fail("the version of the SignedData is %d; expected 1 to 5", version)
	}
	for digests := body.inside(asn1.SET, "the set of digest algorithms"); digests.more(); {
		digests.algorithm("a digest algorithm")
	}
	signed.content = body.attachedContent()
	outer.end("the ContentInfo")
	contentInfo.end("the ContentInfo")
	explicit.end("the SignedData")
	signed.certificates = body.certificates()
	if body.next(constructed1) {
		for revocations := body.inside(constructed1, "the revocation lists"); revocations.more(); {
			revocations.skipAny("a revocation list")
		}
	}
	signers := body.inside(asn1.SET, "the set of signers")
	body.end("the SignedData")
	if !body.failed() && !signers.more() {
		body.fail("nobody has signed: expected exactly one signer")
	}
	signed.readSigner(signers.inside(asn1.SEQUENCE, "the signer"))
	if signers.more() {
		body.fail("there is more than one signer: expected exactly one; each officer makes a signature of their own")
	}
	if body.failed() {
		return signed, *body.failure
	}
	return signed, nil
}

// attachedContent reads an EncapsulatedContentInfo of the type id-data with its content.
func (r *reader) attachedContent() []byte {
	encapsulated := r.inside(asn1.SEQUENCE, "the signed content")
	encapsulated.expectOID(oidData, "the content type id-data of the signed content")
	if !encapsulated.failed() && !encapsulated.more() {
		r.fail("the signed request is not in the signature: sign with it attached (openssl: -nodetach)")
	}
	explicit := encapsulated.inside(constructed0, "the signed content")
	encapsulated.end("the signed content")
	content := explicit.contents(asn1.OCTET_STRING, "the signed content as one OCTET STRING")
	explicit.end("the signed content")
	return content
}

// minCertificate is shorter than every certificate with an allowed key, validity, names and signature.
const minCertificate = 128

// certificates reads the optional CertificateSet. What is not X.509, or too short to be, is left out: so there are never
// more than a few hundred to look at.
func (r *reader) certificates() [][]byte {
	if !r.next(constructed0) {
		return nil
	}
	var list [][]byte
	for set := r.inside(constructed0, "the certificates"); set.more(); {
		before := set.rest
		tag := set.skipAny("a certificate")
		if whole := before[:len(before)-len(set.rest)]; tag == asn1.SEQUENCE && len(whole) >= minCertificate {
			list = append(list, whole)
		}
	}
	return list
}

// readSigner reads a SignerInfo.
func (s *signedData) readSigner(r *reader) {
	version, expected := r.smallInteger("the version of the signer"), 1
	if r.next(tag0) {
		expected, s.signer.byKeyID = 3, true
		s.signer.keyID = r.contents(tag0, "the signer's subject key identifier")
	} else {
		name := r.inside(asn1.SEQUENCE, "the signer's issuer and serial number")
		s.signer.issuer = name.element(asn1.SEQUENCE, "the issuer of the signer's certificate")
		s.signer.serial = name.contents(asn1.INTEGER, "the serial number of the signer's certificate")
		name.end("the signer's issuer and serial number")
	}
	if !r.failed() && version != expected {
		r.fail("the version of the signer is %d; expected %d", version, expected)
	}
	s.digest = r.algorithm("the signer's digest algorithm")
	if !r.failed() && !r.next(constructed0) {
		r.fail("there are no signed attributes: sign with them, they carry the signing time (openssl: without -noattr; certtool: with --p7-time)")
	}
	s.attributes = r.signedAttributes()
	s.signature = r.algorithm("the signature algorithm")
	s.value = r.contents(asn1.OCTET_STRING, "the signature value")
	if r.next(constructed1) {
		r.contents(constructed1, "the unsigned attributes")
	}
	r.end("the signer")
}

// signedAttributes reads the SignedAttributes: in DER order, with the three that everything rests on, each once.
// What is signed is their encoding as a plain SET OF, whose tag differs from the one in the SignerInfo (RFC 5652, 5.4).
func (r *reader) signedAttributes() signedAttributes {
	var found signedAttributes
	whole := r.element(constructed0, "the signed attributes")
	if r.failed() {
		return found
	}
	found.encoded = bytes.Clone(whole)
	found.encoded[0] = byte(asn1.SET)
	set := &reader{rest: whole, failure: r.failure}
	attributes := set.inside(constructed0, "the signed attributes")
	seen := make(map[objectID]bool, len(requiredAttributes))
	for previous := []byte(nil); attributes.more(); {
		before := attributes.rest
		attribute := attributes.inside(asn1.SEQUENCE, "a signed attribute")
		current := before[:len(before)-len(attributes.rest)]
		if bytes.Compare(previous, current) > 0 {
			r.fail("the signed attributes are not in DER order")
		}
		previous = current
		id := attribute.oid("the type of a signed attribute")
		if seen[id] && !r.failed() {
			r.fail("the signed attribute %s is there twice", id)
		}
		seen[id] = slices.ContainsFunc(requiredAttributes, func(required requiredAttribute) bool { return required.id == id })
		found.readAttribute(id, attribute.inside(asn1.SET, "the values of a signed attribute"))
		attribute.end("a signed attribute")
	}
	for _, required := range requiredAttributes {
		if !r.failed() && !seen[required.id] {
			r.fail("there is no signed attribute %s", required.name)
		}
	}
	return found
}

// requiredAttribute is a signed attribute that must be there once; others are ignored.
type requiredAttribute struct {
	id   objectID
	name string
}

var requiredAttributes = []requiredAttribute{
	{oidContentType, "content-type"},
	{oidMessageDigest, "message-digest"},
	{oidSigningTime, "signing-time (certtool: --p7-time)"},
}

// readAttribute reads the values of one signed attribute; those that are not required are ignored.
func (a *signedAttributes) readAttribute(id objectID, values *reader) {
	switch id {
	case oidContentType:
		values.expectOID(oidData, "the signed content-type id-data")
	case oidMessageDigest:
		a.messageDigest = values.contents(asn1.OCTET_STRING, "the signed message-digest")
	case oidSigningTime:
		a.signingTime = values.time("the signed signing-time")
	default:
		return
	}
	values.end("the one value of the signed attribute content-type, message-digest or signing-time")
}

// time reads a Time as RFC 5652 section 11.3 wants it: UTCTime from 1950 to 2049, GeneralizedTime otherwise, in UTC,
// with seconds, without fractions.
func (r *reader) time(what string) time.Time {
	layout, tag := "060102150405Z", asn1.UTCTime
	if r.next(asn1.GeneralizedTime) {
		layout, tag = "20060102150405Z", asn1.GeneralizedTime
	}
	text := string(r.contents(tag, what))
	if r.failed() {
		return time.Time{}
	}
	parsed, err := time.Parse(layout, text)
	if err != nil || parsed.Format(layout) != text {
		r.fail("%s is %q; expected a date and time in UTC with seconds, like %s", what, request.Shown(text), layout)
	}
	if tag == asn1.UTCTime && parsed.Year() >= 2050 {
		parsed = parsed.AddDate(-100, 0, 0) // Go takes 50 to 68 for this century
	}
	if tag == asn1.GeneralizedTime && parsed.Year() >= 1950 && parsed.Year() < 2050 {
		r.fail("%s is the GeneralizedTime %q; expected a UTCTime for the years 1950 to 2049", what, request.Shown(text))
	}
	return parsed
}

// algorithm reads an AlgorithmIdentifier.
func (r *reader) algorithm(what string) algorithm {
	sequence := r.inside(asn1.SEQUENCE, what)
	read := algorithm{id: sequence.oid(what)}
	if sequence.more() {
		parameters := sequence.rest
		sequence.skipAny("the parameters of " + what)
		read.parameters = parameters[:len(parameters)-len(sequence.rest)]
	}
	sequence.end(what)
	return read
}

func (r *reader) expectOID(expected objectID, what string) {
	if found := r.oid(what); !r.failed() && found != expected {
		r.fail("expected %s (%s), found %s", what, expected, request.Shown(found.String()))
	}
}

// The DER reader that the parsers of CMS and certificates share, and object identifiers.

package signing

import (
	encodingasn1 "encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Context-specific tags of CMS and X.509.
const (
	tag0 = asn1.Tag(0x80)
	tag1 = asn1.Tag(0x81)
	tag2 = asn1.Tag(0x82)
	tag3 = asn1.Tag(0x83)

	constructed0 = tag0 | 0x20
	constructed1 = tag1 | 0x20
	constructed2 = tag2 | 0x20
	constructed3 = tag3 | 0x20
)

// reader reads DER elements from the front of rest. cryptobyte accepts only definite lengths in their shortest form.
// The first failure sticks, is shared by all readers of one input, and makes every later read return nothing: so a
// parser reads like the ASN.1 module, and looks at the failure once, at its end.
type reader struct {
	rest    cryptobyte.String
	failure *error
}

func newReader(input []byte) *reader {
	return &reader{rest: input, failure: new(error)}
}

func (r *reader) failed() bool { return *r.failure != nil }

func (r *reader) fail(format string, arguments ...any) {
	if !r.failed() {
		*r.failure = fmt.Errorf(format, arguments...)
	}
}

// inside reads an element with the tag and returns a reader of what is in it.
func (r *reader) inside(tag asn1.Tag, what string) *reader {
	return &reader{rest: r.contents(tag, what), failure: r.failure}
}

// contents reads an element with the tag and returns what is in it, without tag and length.
func (r *reader) contents(tag asn1.Tag, what string) []byte {
	var contents cryptobyte.String
	if r.failed() {
		return nil
	}
	if !r.rest.ReadASN1(&contents, tag) {
		r.fail("expected %s: an element with the tag %#02x and a definite length in its shortest form", what, uint8(tag))
		return nil
	}
	return contents
}

// element reads an element with the tag and returns all of it, with tag and length.
func (r *reader) element(tag asn1.Tag, what string) []byte {
	before := r.rest
	r.contents(tag, what)
	if r.failed() {
		return nil
	}
	return before[:len(before)-len(r.rest)]
}

// skipAny reads an element with any tag and returns that tag.
func (r *reader) skipAny(what string) asn1.Tag {
	var contents cryptobyte.String
	var tag asn1.Tag
	if !r.failed() && !r.rest.ReadAnyASN1(&contents, &tag) {
		r.fail("expected %s: an element with a definite length in its shortest form", what)
	}
	return tag
}

// next tells whether the next element has the tag.
func (r *reader) next(tag asn1.Tag) bool { return !r.failed() && r.rest.PeekASN1Tag(tag) }

// more tells whether there is another element.
func (r *reader) more() bool { return !r.failed() && !r.rest.Empty() }

// end fails if something is left.
func (r *reader) end(what string) {
	if r.more() {
		r.fail("there are %d bytes too many in or behind %s", len(r.rest), what)
	}
}

// smallInteger reads an INTEGER that fits an int.
func (r *reader) smallInteger(what string) int {
	var value int
	if !r.failed() && !r.rest.ReadASN1Integer(&value) {
		r.fail("expected %s: a small INTEGER in its shortest form", what)
	}
	return value
}

// oid reads an OBJECT IDENTIFIER and returns its contents, for comparing with those of the constants.
func (r *reader) oid(what string) objectID {
	contents := r.contents(asn1.OBJECT_IDENTIFIER, what)
	if !r.failed() && !shortestOID(contents) {
		r.fail("expected %s: an OBJECT IDENTIFIER in its shortest form", what)
	}
	return objectID(contents)
}

// shortestOID tells whether every arc has its shortest encoding, and the last one ends.
func shortestOID(contents []byte) bool {
	start := true
	for _, b := range contents {
		if start && b == 0x80 {
			return false
		}
		start = b&0x80 == 0
	}
	return len(contents) > 0 && start
}

// objectID is the contents of a DER OBJECT IDENTIFIER. Comparing contents is exact, because DER has one form for each.
type objectID string

// newObjectID encodes the arcs of an OBJECT IDENTIFIER.
func newObjectID(arcs ...int) objectID {
	var builder cryptobyte.Builder
	builder.AddASN1ObjectIdentifier(arcs)
	return objectID(builder.BytesOrPanic()[2:])
}

// String is the dotted form, or hexadecimal digits where it has none that Go can hold.
func (id objectID) String() string {
	var builder cryptobyte.Builder
	builder.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes([]byte(id)) })
	element := cryptobyte.String(builder.BytesOrPanic())
	var arcs encodingasn1.ObjectIdentifier
	if !element.ReadASN1ObjectIdentifier(&arcs) {
		return fmt.Sprintf("%x", string(id))
	}
	return arcs.String()
}

package load

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
)

// attribute is one attribute of a name, with its string type.
type attribute struct {
	oid  asn1.ObjectIdentifier
	tag  int
	text string
}

var (
	oidCommonName   = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidOrganization = asn1.ObjectIdentifier{2, 5, 4, 10}
)

func subjectOf(t *testing.T, sets ...[]attribute) string {
	t.Helper()
	var name pkix.RDNSequence
	for _, set := range sets {
		var values pkix.RelativeDistinguishedNameSET
		for _, a := range set {
			values = append(values, pkix.AttributeTypeAndValue{Type: a.oid, Value: asn1.RawValue{Tag: a.tag, Bytes: []byte(a.text)}})
		}
		name = append(name, values)
	}
	raw, err := asn1.Marshal(name)
	if err != nil {
		t.Fatal(err)
	}
	canonical, err := canonicalSubject(raw)
	if err != nil {
		t.Fatal(err)
	}
	return canonical
}

func TestSubjectsAreComparedAsNames(t *testing.T) {
	organization := []attribute{{oidOrganization, asn1.TagUTF8String, "Example"}}
	commonName := func(tag int, text string) []attribute { return []attribute{{oidCommonName, tag, text}} }
	olga := subjectOf(t, organization, commonName(asn1.TagUTF8String, "Olga Öztürk"))
	for sentence, c := range map[string]struct {
		other [][]attribute
		same  bool
	}{
		"another case":               {[][]attribute{organization, commonName(asn1.TagUTF8String, "OLGA öztürk")}, true},
		"more spaces":                {[][]attribute{organization, commonName(asn1.TagUTF8String, " Olga  Öztürk ")}, true},
		"composed otherwise":         {[][]attribute{organization, commonName(asn1.TagUTF8String, "Olga O\u0308ztu\u0308rk")}, true},
		"a soft hyphen":              {[][]attribute{organization, commonName(asn1.TagUTF8String, "Ol\u00adga Öz\u200btürk")}, true},
		"another string type":        {[][]attribute{{{oidOrganization, asn1.TagPrintableString, "Example"}}, commonName(asn1.TagUTF8String, "Olga Öztürk")}, true},
		"another name":               {[][]attribute{organization, commonName(asn1.TagUTF8String, "Olgas Öztürk")}, false},
		"words that are one":         {[][]attribute{organization, commonName(asn1.TagUTF8String, "OlgaÖztürk")}, false},
		"another order":              {[][]attribute{commonName(asn1.TagUTF8String, "Olga Öztürk"), organization}, false},
		"fewer attributes":           {[][]attribute{commonName(asn1.TagUTF8String, "Olga Öztürk")}, false},
		"another attribute":          {[][]attribute{organization, {{oidOrganization, asn1.TagUTF8String, "Olga Öztürk"}}}, false},
		"both attributes in one set": {[][]attribute{{organization[0], {oidCommonName, asn1.TagUTF8String, "Olga Öztürk"}}}, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			if found := subjectOf(t, c.other...) == olga; found != c.same {
				t.Errorf("the same name: %v; expected %v", found, c.same)
			}
		})
	}
	if subjectOf(t, []attribute{{oidOrganization, asn1.TagUTF8String, "E"}, {oidCommonName, asn1.TagUTF8String, "O"}}) !=
		subjectOf(t, []attribute{{oidCommonName, asn1.TagUTF8String, "o"}, {oidOrganization, asn1.TagUTF8String, "e"}}) {
		t.Error("the order in a set makes another name")
	}
	if _, err := canonicalSubject([]byte{0x30, 0x00, 0x00}); err == nil {
		t.Error("a name with bytes behind it is taken")
	}
}

package load

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/runes"
	"golang.org/x/text/unicode/norm"
)

// canonicalSubject is the same text for all encodings of one distinguished name, as RFC 5280, section 7.1, compares them:
// whatever the string type, the case, the number of spaces, and characters that nobody sees. raw is the name in DER.
func canonicalSubject(raw []byte) (string, error) {
	var name pkix.RDNSequence
	rest, err := asn1.Unmarshal(raw, &name)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes behind it", len(rest))
	}
	if err != nil {
		return "", fmt.Errorf("the subject is not a distinguished name: %w", err)
	}
	parts := make([]string, len(name))
	for i, set := range name {
		attributes := make([]string, len(set))
		for j, attribute := range set {
			attributes[j] = attribute.Type.String() + "=" + canonicalValue(attribute.Value)
		}
		slices.Sort(attributes)
		parts[i] = strings.Join(attributes, "\x00")
	}
	return strings.Join(parts, "\x01"), nil
}

func canonicalValue(value any) string {
	text, ok := value.(string)
	if !ok {
		return fmt.Sprintf("%T %v", value, value)
	}
	seen := runes.Remove(runes.In(unicode.Cf)).String(text)
	return strings.Join(strings.Fields(norm.NFKC.String(cases.Fold().String(seen))), " ")
}

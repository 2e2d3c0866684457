// Package rules evaluates the rules of token procedures: those about a single object, which are written in the custom
// resource definitions and only there, and those that need the CM host's catalogue or other procedures, which are Go.
//
//   - ValidateCreate, ValidateUpdate, MissingFromDraft and ValidateRequest evaluate the static rules.
//   - CheckReferences holds a procedure against the catalogue, SelectCertificateProcedure tells which certificate
//     procedure a key gets.
//   - Warnings, ClosedReferences and SerialRanges find what is worth knowing without refusing anything.
//
// Everything is pure. Operator, host and plugin use the same functions. The package may import the API types, the
// request, the domain tree and the API machinery's validation; it knows neither Kubernetes clients nor HTTP.
package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Finding is one broken rule, or one warning.
type Finding struct {
	// Field is the path of the field at fault in the custom resource, for example
	// spec.procedure.certificateProcedures[2].
	Field string `json:"field"`
	// Reason is a condition reason, for example Invalid or UnknownReference, or the reason of a warning.
	Reason string `json:"reason"`
	// Message says what was found and what to do. It names the field.
	Message string `json:"message"`
}

// RequestPointer is the JSON pointer (RFC 6901) of the field in a request, where the custom resource's spec has no
// counterpart: /procedure/certificateProcedures/2.
func (f Finding) RequestPointer() string {
	path := strings.TrimPrefix(strings.TrimPrefix(f.Field, "spec"), ".")
	if path == "" {
		return ""
	}
	return "/" + strings.NewReplacer(".", "/", "[", "/", "]", "").Replace(path)
}

// maxMessages bounds joined messages in bytes; a condition holds no more than 32,768 characters.
const maxMessages = 30_000

// Messages joins the messages of findings into one line for a condition or a problem. Where there are too many, it says
// how many are left out; of the first, something is always there.
func Messages(findings []Finding) string {
	var joined strings.Builder
	for i, finding := range findings {
		message := finding.Message
		if joined.Len()+len(message) > maxMessages {
			if i > 0 {
				fmt.Fprintf(&joined, "; and %d more", len(findings)-i)
				break
			}
			message = strings.ToValidUTF8(message[:maxMessages], "") + "…"
		}
		if i > 0 {
			joined.WriteString("; ")
		}
		joined.WriteString(message)
	}
	return joined.String()
}

func sortByField(findings []Finding) []Finding {
	slices.SortStableFunc(findings, func(a, b Finding) int { return cmp.Compare(a.Field, b.Field) })
	return findings
}

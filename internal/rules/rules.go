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

// Messages joins the messages of findings into one line for a condition or a problem.
func Messages(findings []Finding) string {
	messages := make([]string, len(findings))
	for i, finding := range findings {
		messages[i] = finding.Message
	}
	return strings.Join(messages, "; ")
}

func sortByField(findings []Finding) []Finding {
	slices.SortStableFunc(findings, func(a, b Finding) int { return cmp.Compare(a.Field, b.Field) })
	return findings
}

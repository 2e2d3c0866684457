// Package rules evaluates the rules of token procedures: those about a single object, which are written in the custom
// resource definition and only there, and those that need the CM host's catalogue or other procedures, which are Go.
//
// Everything is pure. Operator, host and plugin use the same functions. The package knows neither Kubernetes clients nor HTTP.
package rules

import (
	"github.com/tokenprocedures/token-procedure-operator/internal/domains"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// Finding is one broken rule.
type Finding struct {
	// Field is the path of the field at fault, for example spec.procedure.pinProcedure.
	Field string `json:"field"`
	// Reason is a condition reason, for example Invalid or UnknownReference.
	Reason string `json:"reason"`
	// Message says what was found and what to do. It names the field.
	Message string `json:"message"`
}

// ValidateCreate evaluates the custom resource definition's own schema and CEL, and the rules on names that CEL cannot
// express (NFC), for an object of one of our kinds as decoded from YAML or JSON. Findings are ordered by field.
func ValidateCreate(object map[string]any) []Finding { panic("being written") }

// ValidateUpdate is ValidateCreate for a change, with the transition rules.
func ValidateUpdate(object, old map[string]any) []Finding { panic("being written") }

// MissingFromDraft lists what a draft TokenProcedure still lacks to be submitted: the same evaluation with draft taken away.
func MissingFromDraft(object map[string]any) []Finding { panic("being written") }

// ValidateRequest evaluates the static rules for a request that reaches the host without a custom resource.
func ValidateRequest(r request.Request) []Finding { panic("being written") }

// CatalogObject is an object of the CM host that procedures refer to by name.
type CatalogObject struct {
	Name               string `json:"name"`
	State              string `json:"state"`            // Active or Closed
	Domain             string `json:"domain,omitempty"` // empty: no domain, can be referred to from everywhere
	VisibleInSubdomain bool   `json:"visibleInSubdomain,omitempty"`
}

// Kinds of key procedures.
const (
	KeyArchive  = "Archive"
	KeyRecovery = "Recovery"
)

// KeyProcedure archives keys or recovers them.
type KeyProcedure struct {
	CatalogObject `json:",inline"`
	Kind          string `json:"kind"` // Archive or Recovery
	// ReusesCertificate is true for a recovery that puts the recovered key's own certificate onto the token.
	ReusesCertificate bool `json:"reusesCertificate,omitempty"`
}

// CertificateProcedure issues certificates with certain key usages; none means any.
type CertificateProcedure struct {
	CatalogObject `json:",inline"`
	KeyUsages     []string `json:"keyUsages,omitempty"` // names of RFC 5280 section 4.2.1.3
}

// Catalog is what a CM host offers. The JSON form is that of GET /v1/catalog.
type Catalog struct {
	StorageProfiles                []string               `json:"storageProfiles"`
	Domains                        []domains.Domain       `json:"domains"`
	PINProcedures                  []CatalogObject        `json:"pinProcedures"`
	KeyProcedures                  []KeyProcedure         `json:"keyProcedures"`
	CertificateProcedures          []CertificateProcedure `json:"certificateProcedures"`
	AttributeCertificateProcedures []CatalogObject        `json:"attributeCertificateProcedures"`
	InputViews                     []CatalogObject        `json:"inputViews"`
}

// CheckReferences evaluates the rules that need the catalogue, for a procedure whose static rules hold; all findings at
// once, the reasons in the order of the Validated condition. A procedure with state Closed has none.
func CheckReferences(p request.Procedure, c *Catalog) []Finding { panic("being written") }

// References tells whether a procedure depends on an object of the catalogue by one of these names (any kind), or on a
// domain by one of them.
func References(p request.Procedure, names map[string]bool) bool { panic("being written") }

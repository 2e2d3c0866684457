package rules

import (
	"encoding/json"

	"github.com/tokenprocedures/token-procedure-operator/internal/domains"
)

// States of the objects in a catalogue.
const (
	Active = "Active"
	Closed = "Closed"
)

// CatalogObject is an object of the CM host that procedures refer to by name.
type CatalogObject struct {
	Name               string `json:"name"`
	State              string `json:"state"`            // Active or Closed
	Domain             string `json:"domain,omitempty"` // empty: no domain, can be referred to from everywhere
	VisibleInSubdomain bool   `json:"visibleInSubdomain"`
}

// Kinds of key procedures.
const (
	KeyArchive  = "Archive"
	KeyRecovery = "Recovery"
)

// KeyProcedure archives keys or recovers them.
type KeyProcedure struct {
	CatalogObject
	Kind string `json:"kind"` // Archive or Recovery
	// ReusesCertificate is true for a recovery that puts the recovered key's own certificate onto the token.
	ReusesCertificate bool `json:"reusesCertificate"`
}

// reuses tells whether keys of this procedure need no certificate procedure.
func (k KeyProcedure) reuses() bool { return k.Kind == KeyRecovery && k.ReusesCertificate }

// CertificateProcedure issues certificates with certain key usages; none means any.
type CertificateProcedure struct {
	CatalogObject
	KeyUsages KeyUsageList `json:"keyUsages"`
}

// KeyUsageList holds names of RFC 5280 section 4.2.1.3. None is an empty list in JSON.
type KeyUsageList []string

// MarshalJSON writes the names.
func (u KeyUsageList) MarshalJSON() ([]byte, error) {
	return json.Marshal(append([]string{}, u...))
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

// keyProcedure finds a key procedure by name; nil if the catalogue has none.
func (c *Catalog) keyProcedure(name string) *KeyProcedure {
	for i := range c.KeyProcedures {
		if c.KeyProcedures[i].Name == name {
			return &c.KeyProcedures[i]
		}
	}
	return nil
}

// certificateProcedure finds a certificate procedure by name; nil if the catalogue has none.
func (c *Catalog) certificateProcedure(name string) *CertificateProcedure {
	for i := range c.CertificateProcedures {
		if c.CertificateProcedures[i].Name == name {
			return &c.CertificateProcedures[i]
		}
	}
	return nil
}

func findObject(objects []CatalogObject, name string) *CatalogObject {
	for i := range objects {
		if objects[i].Name == name {
			return &objects[i]
		}
	}
	return nil
}

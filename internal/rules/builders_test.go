package rules

import (
	"slices"
	"testing"

	"github.com/tokenprocedures/token-procedure-operator/internal/domains"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

func active(name string) CatalogObject { return CatalogObject{Name: name, State: Active} }

func in(domain string, object CatalogObject) CatalogObject {
	object.Domain = domain
	return object
}

func visible(object CatalogObject) CatalogObject {
	object.VisibleInSubdomain = true
	return object
}

func closed(object CatalogObject) CatalogObject {
	object.State = Closed
	return object
}

func issuing(object CatalogObject, usages ...string) CertificateProcedure {
	return CertificateProcedure{CatalogObject: object, KeyUsages: usages}
}

func recovery(name string, reuses bool) KeyProcedure {
	return KeyProcedure{CatalogObject: active(name), Kind: KeyRecovery, ReusesCertificate: reuses}
}

// sampleCatalog has one object of each sort that the rules tell apart.
func sampleCatalog() *Catalog {
	return &Catalog{
		StorageProfiles: []string{"SmartCard", "PKCS12", "PKCS10", "AttributeCertificateFile"},
		Domains: []domains.Domain{
			{Name: "Corp", State: Active}, {Name: "Emea", Parent: "Corp", State: Active},
			{Name: "Sales", State: Active}, {Name: "Old", State: Closed},
		},
		PINProcedures: []CatalogObject{
			active("PIN letter"), closed(active("PIN mail")), in("Corp", active("Corp PIN")), visible(in("Corp", active("Wide PIN"))),
			in("Root", active("Root PIN")), visible(in("Root", active("Wide root PIN"))),
		},
		KeyProcedures: []KeyProcedure{
			{CatalogObject: active("Archive"), Kind: KeyArchive},
			recovery("Recover", false), recovery("Recover with certificate", true), recovery("Recover both", true),
			{CatalogObject: active("Odd archive"), Kind: KeyArchive, ReusesCertificate: true},
			{CatalogObject: closed(active("Closed recovery")), Kind: KeyRecovery, ReusesCertificate: true},
		},
		CertificateProcedures: []CertificateProcedure{
			issuing(active("Authentication"), "digitalSignature"),
			issuing(active("Signature"), "nonRepudiation"),
			issuing(active("Encryption"), "keyEncipherment", "dataEncipherment"),
			issuing(active("Key encipherment"), "keyEncipherment"),
			issuing(active("General")),
			issuing(active("Everything"), KeyUsages...),
			issuing(closed(active("Retired")), "digitalSignature"),
		},
		AttributeCertificateProcedures: []CatalogObject{active("Attribute"), in("Emea", active("Attribute Emea"))},
		InputViews:                     []CatalogObject{active("Employee"), closed(active("Former view"))},
	}
}

// smartCard is a procedure that meets every rule with sampleCatalog.
func smartCard(changes ...func(*request.Procedure)) request.Procedure {
	enabled := true
	p := request.Procedure{
		Name: "Employee card", State: request.Active, StorageProfile: "SmartCard",
		CardSerialNumber:      &request.CardSerialNumber{Enabled: &enabled, Range: &request.SerialNumberRange{From: "100", To: "199"}},
		PINProcedure:          "PIN letter",
		IssuerCertificates:    &request.IssuerCertificates{Policy: "StoreNone"},
		CertificateProcedures: []string{"Authentication", "Signature"},
	}
	for _, change := range changes {
		change(&p)
	}
	return p
}

func certificates(names ...string) func(*request.Procedure) {
	return func(p *request.Procedure) { p.CertificateProcedures = names }
}

func keys(names ...string) func(*request.Procedure) {
	return func(p *request.Procedure) { p.KeyProcedures = names }
}

func serials(from, to string) func(*request.Procedure) {
	return func(p *request.Procedure) { p.CardSerialNumber.Range = &request.SerialNumberRange{From: from, To: to} }
}

func called(name string) func(*request.Procedure) {
	return func(p *request.Procedure) { p.Name = name }
}

// summaries are findings as "field: reason", for comparing.
func summaries(findings []Finding) []string {
	var lines []string
	for _, finding := range findings {
		lines = append(lines, finding.Field+": "+finding.Reason)
	}
	return lines
}

func expectSummaries(t *testing.T, findings []Finding, want ...string) {
	t.Helper()
	if got := summaries(findings); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, finding := range findings {
		if finding.Message == "" {
			t.Errorf("%s has no message", finding.Field)
		}
	}
}

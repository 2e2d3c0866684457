package rules

import (
	"encoding/json"
	"testing"

	"github.com/tokenprocedures/token-procedure-operator/internal/domains"
)

func TestCatalogOnTheWire(t *testing.T) {
	catalog := Catalog{
		StorageProfiles:                []string{"SmartCard"},
		Domains:                        []domains.Domain{{Name: "Corp", State: Active}, {Name: "Emea", Parent: "Corp", State: Closed}},
		PINProcedures:                  []CatalogObject{active("PIN letter")},
		KeyProcedures:                  []KeyProcedure{{CatalogObject: active("Archive"), Kind: KeyArchive}, recovery("Recover", true)},
		CertificateProcedures:          []CertificateProcedure{issuing(visible(in("Corp", active("Signature"))), "nonRepudiation"), issuing(active("General"))},
		AttributeCertificateProcedures: []CatalogObject{},
		InputViews:                     []CatalogObject{closed(active("Former view"))},
	}
	const want = `{"storageProfiles":["SmartCard"],` +
		`"domains":[{"name":"Corp","state":"Active"},{"name":"Emea","parent":"Corp","state":"Closed"}],` +
		`"pinProcedures":[{"name":"PIN letter","state":"Active","visibleInSubdomain":false}],` +
		`"keyProcedures":[{"name":"Archive","state":"Active","visibleInSubdomain":false,"kind":"Archive","reusesCertificate":false},{"name":"Recover","state":"Active","visibleInSubdomain":false,"kind":"Recovery","reusesCertificate":true}],` +
		`"certificateProcedures":[{"name":"Signature","state":"Active","domain":"Corp","visibleInSubdomain":true,"keyUsages":["nonRepudiation"]},{"name":"General","state":"Active","visibleInSubdomain":false,"keyUsages":[]}],` +
		`"attributeCertificateProcedures":[],` +
		`"inputViews":[{"name":"Former view","state":"Closed","visibleInSubdomain":false}]}`
	got, err := json.Marshal(catalog)
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
	var again Catalog
	if err := json.Unmarshal(got, &again); err != nil {
		t.Fatal(err)
	}
	if twice, err := json.Marshal(again); err != nil || string(twice) != want {
		t.Errorf("read and written again: %s, %v", twice, err)
	}
}

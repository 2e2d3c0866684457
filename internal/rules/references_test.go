package rules

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

func TestCheckReferences(t *testing.T) {
	const f = "spec.procedure."
	domain := func(name string) func(*request.Procedure) {
		return func(p *request.Procedure) { p.Domain = name }
	}
	pin := func(name string) func(*request.Procedure) {
		return func(p *request.Procedure) { p.PINProcedure = name }
	}
	view := func(name string) func(*request.Procedure) {
		return func(p *request.Procedure) { p.InputView = name }
	}
	attributes := func(names ...string) func(*request.Procedure) {
		return func(p *request.Procedure) { p.AttributeCertificateProcedures = names }
	}
	profile := func(name string) func(*request.Procedure) {
		return func(p *request.Procedure) { p.StorageProfile = name }
	}
	state := func(name string) func(*request.Procedure) {
		return func(p *request.Procedure) { p.State = name }
	}
	for _, c := range []struct {
		name    string
		p       request.Procedure
		want    []string
		message string // a part of the first finding's message
	}{
		{name: "everything is there", p: smartCard(keys("Archive"), attributes("Attribute"), view("Employee"))},
		{name: "an unknown PIN procedure", p: smartCard(pin("Nope")), want: []string{f + "pinProcedure: UnknownReference"}, message: `PIN procedure "Nope", which the CM host does not have`},
		{name: "a closed PIN procedure", p: smartCard(pin("PIN mail")), want: []string{f + "pinProcedure: ClosedReference"}, message: `"PIN mail", whose state is "Closed"`},
		{name: "an unknown key procedure", p: smartCard(keys("Archive", "Nope")), want: []string{f + "keyProcedures[1]: UnknownReference"}},
		{name: "a closed certificate procedure", p: smartCard(certificates("Signature", "Authentication", "Retired")), want: []string{f + "certificateProcedures[2]: ClosedReference"}},
		{name: "a certificate procedure in another case", p: smartCard(certificates("signature")), want: []string{f + "certificateProcedures[0]: UnknownReference"}},
		{name: "a name of another kind of object", p: smartCard(certificates("Archive")), want: []string{f + "certificateProcedures[0]: UnknownReference"}},
		{name: "an unknown attribute certificate procedure", p: smartCard(attributes("Nope")), want: []string{f + "attributeCertificateProcedures[0]: UnknownReference"}},
		{name: "a closed input view", p: smartCard(view("Former view")), want: []string{f + "inputView: ClosedReference"}},

		{name: "the domain Root by name", p: smartCard(domain("Root"))},
		{name: "an unknown domain", p: smartCard(domain("Nope")), want: []string{f + "domain: UnknownReference"}},
		{name: "a closed domain", p: smartCard(domain("Old")), want: []string{f + "domain: ClosedReference"}},

		{name: "an object without a domain, from a domain", p: smartCard(domain("Emea"))},
		{name: "an object of the same domain", p: smartCard(domain("Corp"), pin("Corp PIN"))},
		{name: "an object of a domain below", p: smartCard(domain("Corp"), attributes("Attribute Emea")), want: []string{f + "attributeCertificateProcedures[0]: NotVisibleInDomain"}, message: `belongs to the domain "Emea"`},
		{name: "an object of a domain above that is not visible", p: smartCard(domain("Emea"), pin("Corp PIN")), want: []string{f + "pinProcedure: NotVisibleInDomain"}, message: `cannot be used from the domain "Emea"`},
		{name: "an object of a domain above that is visible", p: smartCard(domain("Emea"), pin("Wide PIN"))},
		{name: "an object of a domain aside that is visible", p: smartCard(domain("Sales"), pin("Wide PIN")), want: []string{f + "pinProcedure: NotVisibleInDomain"}},
		{name: "an object of a domain, from none", p: smartCard(pin("Wide PIN")), want: []string{f + "pinProcedure: NotVisibleInDomain"}, message: `from the domain "Root"`},
		{name: "an object of Root by name, from none", p: smartCard(pin("Root PIN"))},
		{name: "an object of Root by name, from below", p: smartCard(domain("Corp"), pin("Root PIN")), want: []string{f + "pinProcedure: NotVisibleInDomain"}},
		{name: "an object of Root by name and visible, from below", p: smartCard(domain("Emea"), pin("Wide root PIN"))},

		{name: "no certificate procedure and recoveries that reuse the certificate", p: smartCard(certificates(), keys("Recover with certificate", "Recover both"))},
		{name: "no certificate procedure and one recovery that does not", p: smartCard(certificates(), keys("Recover with certificate", "Recover")), want: []string{f + "certificateProcedures: CertificateProcedureRequired"}, message: `keyProcedures names "Recover"`},
		{name: "no certificate procedure and an archive procedure", p: smartCard(certificates(), keys("Archive")), want: []string{f + "certificateProcedures: CertificateProcedureRequired"}},
		{name: "no certificate procedure and an archive procedure that says reuse", p: smartCard(certificates(), keys("Odd archive")), want: []string{f + "certificateProcedures: CertificateProcedureRequired"}},
		{name: "no certificate procedure and an unknown key procedure", p: smartCard(certificates(), keys("Nope")), want: []string{f + "keyProcedures[0]: UnknownReference"}},
		{name: "no certificate procedure and a closed recovery that reuses", p: smartCard(certificates(), keys("Closed recovery")), want: []string{f + "keyProcedures[0]: ClosedReference"}},
		{name: "certificate procedures and an archive procedure", p: smartCard(keys("Archive"))},

		{name: "a storage profile that is not offered", p: request.Procedure{Name: "D", State: request.Active, StorageProfile: "Data", CertificateProcedures: []string{"General"}}, want: []string{f + "storageProfile: StorageProfileNotOffered"}, message: `choose one of ["SmartCard" "PKCS12"`},

		{name: "everything at once, in the order of the condition",
			p: smartCard(profile("Data"), domain("Sales"), pin("Wide PIN"), view("Former view"), keys("Archive", "Nope"), certificates()),
			want: []string{
				f + "keyProcedures[1]: UnknownReference", f + "inputView: ClosedReference", f + "pinProcedure: NotVisibleInDomain",
				f + "certificateProcedures: CertificateProcedureRequired", f + "storageProfile: StorageProfileNotOffered",
			}},
		{name: "a Closed procedure skips them all", p: smartCard(state("Closed"), profile("Data"), domain("Nope"), pin("Nope"), certificates(), keys("Archive"))},
		{name: "a draft with nothing but a name", p: request.Procedure{Name: "Draft"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			findings := CheckReferences(c.p, sampleCatalog())
			expectSummaries(t, findings, c.want...)
			if len(findings) > 0 && !strings.Contains(findings[0].Message, c.message) {
				t.Errorf("message %q does not contain %q", findings[0].Message, c.message)
			}
		})
	}
}

func TestMessagesNameTheirField(t *testing.T) {
	p := smartCard(keys("Archive", "Nope"), certificates())
	for _, finding := range CheckReferences(p, sampleCatalog()) {
		if field := strings.TrimPrefix(finding.Field, "spec.procedure."); !strings.Contains(finding.Message, field) {
			t.Errorf("the message %q does not name %s", finding.Message, field)
		}
	}
}

func TestAFirstMessageThatIsTooLongIsCut(t *testing.T) {
	long := Finding{Message: "spec.procedure.name is " + strings.Repeat("ä", 1<<20)}
	joined := Messages([]Finding{long, long, {Message: "short"}})
	if !strings.HasPrefix(joined, "spec.procedure.name is ää") || !strings.HasSuffix(joined, "ä…; and 2 more") || len(joined) > 32768 || !utf8.ValidString(joined) {
		t.Errorf("%d bytes: %.40q … %q; want the beginning of the first, and 2 more", len(joined), joined, joined[max(0, len(joined)-40):])
	}
}

// TestWhatAHostSaysIsBounded: a catalogue is what a CM host says, and its words reach conditions.
func TestWhatAHostSaysIsBounded(t *testing.T) {
	catalog := sampleCatalog()
	catalog.StorageProfiles = []string{strings.Repeat("x", 1<<20)}
	catalog.PINProcedures[0].State = "\x1b[2J" + strings.Repeat("\u202e", 1<<20)
	var names []string
	for i := range 16 {
		names = append(names, strings.Repeat("n", 126)+string(rune('a'+i)))
		catalog.KeyProcedures = append(catalog.KeyProcedures, KeyProcedure{CatalogObject: CatalogObject{Name: names[i], State: strings.Repeat("s", 5000)}})
	}
	catalog.AttributeCertificateProcedures, catalog.CertificateProcedures = nil, nil
	for _, name := range names {
		object := CatalogObject{Name: name, State: strings.Repeat("s", 5000)}
		catalog.AttributeCertificateProcedures = append(catalog.AttributeCertificateProcedures, object)
		catalog.CertificateProcedures = append(catalog.CertificateProcedures, issuing(object))
	}
	findings := CheckReferences(smartCard(keys(names...), certificates(names...), func(p *request.Procedure) { p.AttributeCertificateProcedures = names }), catalog)
	joined := Messages(findings)
	if len(findings) != 50 || len(joined) > 32768 || !strings.HasSuffix(joined, " more") {
		t.Errorf("%d findings of %d bytes end in %q", len(findings), len(joined), joined[len(joined)-20:])
	}
	if strings.ContainsAny(joined, "\x1b\u202e") {
		t.Error("control characters of the host reach the message")
	}
}

func TestReferences(t *testing.T) {
	p := smartCard(keys("Archive"))
	p.Domain, p.InputView = "Corp", "Employee"
	for name, want := range map[string]bool{
		"PIN letter": true, "Archive": true, "Signature": true, "Employee": true, "Corp": true, "SmartCard": true,
		"Nope": false, "Employee card": false, "": false, "pin letter": false,
	} {
		if got := References(p, map[string]bool{name: true}); got != want {
			t.Errorf("References(%q) = %v, want %v", name, got, want)
		}
	}
	if References(request.Procedure{Name: "Draft"}, map[string]bool{"": true}) {
		t.Error("a procedure without references refers to an empty name")
	}
}

func TestRequestPointer(t *testing.T) {
	for field, want := range map[string]string{
		"spec.procedure.certificateProcedures[2]":    "/procedure/certificateProcedures/2",
		"spec.procedure.cardSerialNumber.range.from": "/procedure/cardSerialNumber/range/from",
		"spec.revision": "/revision",
		"spec":          "",
	} {
		if got := (Finding{Field: field}).RequestPointer(); got != want {
			t.Errorf("%s: got %q, want %q", field, got, want)
		}
	}
}

package rules

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

func TestWarnings(t *testing.T) {
	const f = "spec.procedure."
	shadow := func(i int) string {
		return fmt.Sprintf("%scertificateProcedures[%d]: ShadowedCertificateProcedure", f, i)
	}
	const overlap, recoveries = f + "cardSerialNumber.range: OverlappingSerialRange", f + "keyProcedures: SeveralRecoveries"
	var ranges SerialRanges
	ranges.Set("Employee card", SerialRange{"100", "199"})
	ranges.Set("Visitor card", SerialRange{"500", "599"})
	ranges.Set("Huge card", SerialRange{"99999999999999999990", "99999999999999999999"})
	closedOne := func(p *request.Procedure) { p.State = request.Closed }
	pkcs12 := func(p *request.Procedure) { p.StorageProfile, p.CardSerialNumber = "PKCS12", nil }
	for _, c := range []struct {
		name    string
		p       request.Procedure
		want    []string
		message string
	}{
		{name: "nothing to say", p: smartCard()},
		{name: "behind one that matches everything", p: smartCard(certificates("General", "Signature", "Authentication")), want: []string{shadow(1), shadow(2)}, message: `"Signature", which is never chosen: "General" comes before it`},
		{name: "one that matches everything comes last", p: smartCard(certificates("Signature", "Authentication", "General"))},
		{name: "all usages set and none set are the same", p: smartCard(certificates("Everything", "General")), want: []string{shadow(1)}},
		{name: "fewer usages than an earlier one", p: smartCard(certificates("Encryption", "Key encipherment")), want: []string{shadow(1)}},
		{name: "more usages than an earlier one", p: smartCard(certificates("Key encipherment", "Encryption"))},
		{name: "the first entry alone", p: smartCard(certificates("General"))},
		{name: "an entry that the catalogue does not have", p: smartCard(certificates("Nope", "Signature"))},
		{name: "one recovery on a smart card", p: smartCard(keys("Recover", "Archive"))},
		{name: "two recoveries on a smart card", p: smartCard(keys("Recover", "Archive", "Recover with certificate")), want: []string{recoveries}, message: `names 2 recoveries`},
		{name: "two recoveries in a PKCS#12 file", p: smartCard(pkcs12, keys("Recover", "Recover with certificate"))},
		{name: "its own range", p: smartCard(serials("150", "160"))},
		{name: "another's range by one number", p: smartCard(serials("599", "600")), want: []string{overlap}, message: `599 to 600, overlaps the range of the Active procedure "Visitor card", 500 to 599: both can give the numbers 599 to 599`},
		{name: "right beside another's range", p: smartCard(serials("600", "700"))},
		{name: "around another's range", p: smartCard(serials("2", "1000")), want: []string{overlap}, message: "the numbers 500 to 599"},
		{name: "twenty digits", p: smartCard(serials("0", "99999999999999999990")), want: []string{overlap, overlap}},
		{name: "cards without serial numbers", p: smartCard(func(p *request.Procedure) {
			p.CardSerialNumber = &request.CardSerialNumber{Enabled: new(bool)}
		})},
		{name: "a Closed procedure", p: smartCard(closedOne, certificates("General", "Signature"), keys("Recover", "Recover both"), serials("500", "501"))},
		{name: "all at once", p: smartCard(certificates("General", "Signature"), keys("Recover", "Recover both"), serials("500", "501")), want: []string{shadow(1), recoveries, overlap}},
	} {
		t.Run(c.name, func(t *testing.T) {
			warnings := Warnings(c.p, sampleCatalog(), &ranges)
			expectSummaries(t, warnings, c.want...)
			if len(warnings) > 0 && !strings.Contains(warnings[0].Message, c.message) {
				t.Errorf("message %q does not contain %q", warnings[0].Message, c.message)
			}
		})
	}
	expectSummaries(t, Warnings(smartCard(certificates("General", "Signature"), serials("500", "501")), nil, nil))
}

func TestManyOverlapsAreToldInBounds(t *testing.T) {
	var ranges SerialRanges
	for i := range 40 {
		ranges.Set(fmt.Sprintf("Card %02d", i), SerialRange{"1", "1000"})
	}
	warnings := Warnings(smartCard(called("Card 00")), nil, &ranges)
	if len(warnings) != shownOverlaps+1 {
		t.Fatalf("got %d warnings, want %d", len(warnings), shownOverlaps+1)
	}
	if last := warnings[shownOverlaps].Message; !strings.Contains(last, "more Active procedures than the 8") {
		t.Errorf("the last warning is %q", last)
	}
}

func TestWarningsFitTheStatus(t *testing.T) {
	catalog := &Catalog{}
	var names []string
	for i := range 16 {
		name := fmt.Sprintf("%s %02d", strings.Repeat("𐐀", 125), i)
		names = append(names, name)
		catalog.KeyProcedures = append(catalog.KeyProcedures, recovery(name, false))
		catalog.CertificateProcedures = append(catalog.CertificateProcedures, issuing(closed(active(name))))
	}
	var ranges SerialRanges
	for i := range 20 {
		ranges.Set(fmt.Sprintf("%s %02d", strings.Repeat("𐐀", 125), i), SerialRange{"0", "99999999999999999999"})
	}
	p := smartCard(keys(names...), certificates(names...))
	warnings := append(Warnings(p, catalog, &ranges), ClosedReferences(p, catalog)...)
	for _, warning := range warnings {
		if length := utf8.RuneCountInString(warning.Message); length > maxMessage || len(warning.Reason) > 64 {
			t.Errorf("%s: a message of %d characters", warning.Reason, length)
		}
	}
	if len(warnings) != 15+1+shownOverlaps+1+16 {
		t.Errorf("got %d warnings", len(warnings))
	}
}

func TestClosedReferences(t *testing.T) {
	p := smartCard(certificates("Retired", "Signature"), keys("Closed recovery", "Nope"))
	p.Domain, p.InputView = "Old", "Former view"
	const f, reason = "spec.procedure.", ": ReferenceClosed"
	warnings := ClosedReferences(p, sampleCatalog())
	expectSummaries(t, warnings, f+"domain"+reason, f+"keyProcedures[0]"+reason, f+"certificateProcedures[0]"+reason, f+"inputView"+reason)
	if !strings.Contains(warnings[2].Message, `certificate procedure "Retired", which was closed after the CM host had accepted`) {
		t.Errorf("message %q", warnings[2].Message)
	}
	p.State = request.Closed
	expectSummaries(t, ClosedReferences(p, sampleCatalog()))
}

func TestStatusWarnings(t *testing.T) {
	warnings := make([]Finding, 40)
	for i := range warnings {
		warnings[i] = Finding{Field: "spec", Reason: "R", Message: fmt.Sprintf("warning %d", i)}
	}
	if got := StatusWarnings(warnings[:32]); len(got) != 32 || got[31].Message != "warning 31" {
		t.Errorf("of 32: %v", got)
	}
	if got := StatusWarnings(warnings); len(got) != 32 || got[30].Message != "warning 30" || !strings.HasPrefix(got[31].Message, "9 more warnings") {
		t.Errorf("of 40: %v", got)
	}
	if got := StatusWarnings(nil); got != nil {
		t.Errorf("of none: %v", got)
	}
}

package request

import (
	"strconv"
	"strings"
)

// Field is one field of a procedure as people read it.
type Field struct {
	// Path is the field's path in spec.procedure, for example cardSerialNumber.range.
	Path string
	// Label is the field's label in the vendor's dialog.
	Label string
	// Value is the value for people; empty where the field is absent.
	Value string
}

// Difference is one field that two procedures have different values for; Old or New is empty where the field is absent.
type Difference struct {
	Path, Label, Old, New string
}

// String is the difference in one line, in domain words.
func (d Difference) String() string {
	return d.Label + ": " + orNone(printable(d.Old)) + " -> " + orNone(printable(d.New))
}

func orNone(value string) string {
	if value == "" {
		return "(none)"
	}
	return value
}

// Fields lists all fields of a procedure in the order of the vendor's dialog and under its labels, absent ones too.
func Fields(p Procedure) []Field {
	p = p.Normalize()
	yesNo := map[bool]string{true: "Yes", false: "No"}
	var visible, serial, serialRange, policy, recovered string
	if p.VisibleInSubdomain {
		visible = "Yes"
	}
	if c := p.CardSerialNumber; c != nil {
		if c.Enabled != nil {
			serial = yesNo[*c.Enabled]
		}
		if r := c.Range; r != nil {
			serialRange = r.From + " - " + r.To
		}
	}
	if i := p.IssuerCertificates; i != nil {
		policy, recovered = i.Policy, i.RecoveredCertificates
	}
	return []Field{
		{"name", "Procedure name", p.Name},
		{"state", "State", p.State},
		{"domain", "Domain", p.Domain},
		{"visibleInSubdomain", "Visible in subdomain", visible},
		{"storageProfile", "Storage profile", p.StorageProfile},
		{"cardSerialNumber.enabled", "Card serial number", serial},
		{"cardSerialNumber.range", "Serial number range", serialRange},
		{"pinProcedure", "PIN procedure", p.PINProcedure},
		{"keyProcedures", "Key procedures", joinList(p.KeyProcedures)},
		{"issuerCertificates.policy", "Issuer certificates", policy},
		{"issuerCertificates.recoveredCertificates", "CAs for recovered certificates", recovered},
		{"attributeCertificateProcedures", "Attribute certificate procedures", joinList(p.AttributeCertificateProcedures)},
		{"certificateProcedures", "Certificate procedures", joinList(p.CertificateProcedures)},
		{"inputView", "Input view", p.InputView},
	}
}

// joinList writes a list so that no two lists look the same, whatever their entries contain.
func joinList(list []string) string {
	quoted := make([]string, len(list))
	for i, entry := range list {
		quoted[i] = strconv.Quote(entry)
	}
	return strings.Join(quoted, ", ")
}

// Differences lists the fields in which two procedures differ, in the order of Fields.
func Differences(before, after Procedure) []Difference {
	var differences []Difference
	old := Fields(before)
	for i, field := range Fields(after) {
		if field.Value != old[i].Value {
			differences = append(differences, Difference{Path: field.Path, Label: field.Label, Old: old[i].Value, New: field.Value})
		}
	}
	return differences
}

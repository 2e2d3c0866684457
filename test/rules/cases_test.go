package rules

import (
	"strings"
	"testing"
)

// expectation is what one rule says: nothing where field is empty.
type expectation struct {
	field   string // below spec, or spec itself
	message string // a part of the message
}

func (e expectation) check(t *testing.T, findings []finding) {
	t.Helper()
	if e.field == "" {
		if len(findings) > 0 {
			t.Errorf("refused: %+v", findings)
		}
		return
	}
	if last := len(findings) - 1; last > 0 && strings.Contains(findings[last].Message, "were not checked") {
		findings = findings[:last] // which the API server says too
	}
	if len(findings) != 1 || strings.TrimPrefix(findings[0].Field, "spec.") != e.field || !strings.Contains(findings[0].Message, e.message) {
		t.Errorf("got %+v\nwant one finding for spec.%s with %q", findings, e.field, e.message)
	}
}

const aName = "a name must begin with a letter or digit"

// TestRulesOfOneObject has each rule beside the storage profile table, with what it accepts and what it refuses.
func TestRulesOfOneObject(t *testing.T) {
	card := func(changes ...change) map[string]any { return procedureOf("SmartCard", changes...) }
	pkcs10 := func(changes ...change) map[string]any { return procedureOf("PKCS10", changes...) }
	serials := func(from, to string) change {
		return set("procedure.cardSerialNumber", map[string]any{"enabled": true, "range": map[string]any{"from": from, "to": to}})
	}
	const from, to = "procedure.cardSerialNumber.range.from", "procedure.cardSerialNumber.range.to"
	const policy, recovered = "procedure.issuerCertificates.policy", "procedure.issuerCertificates.recoveredCertificates"
	seventeen := list(strings.Split("a b c d e f g h i j k l m n o p q", " ")...)
	for _, c := range []struct {
		name   string
		object map[string]any
		want   expectation
	}{
		{"revision 1", card(set("revision", int64(1))), expectation{}},
		{"the highest revision", card(set("revision", int64(9007199254740991))), expectation{}},
		{"revision 0", card(set("revision", int64(0))), expectation{"revision", "greater than or equal to 1"}},
		{"a revision above 2^53-1", card(set("revision", int64(9007199254740992))), expectation{"revision", "less than or equal to 9007199254740991"}},
		{"no revision", card(unset("revision")), expectation{"revision", "revision is missing"}},
		{"no revision in a draft", card(unset("revision"), draft), expectation{}},
		{"revision 0 in a draft", card(set("revision", int64(0)), draft), expectation{"revision", "greater than or equal to 1"}},
		{"draft false", card(set("draft", false)), expectation{}},
		{"draft false and incomplete", card(set("draft", false), unset("revision")), expectation{"revision", "revision is missing"}},

		{"no state", card(unset("procedure.state")), expectation{"procedure.state", "state is missing"}},
		{"an empty state", card(set("procedure.state", "")), expectation{"procedure.state", "state is missing"}},
		{"an empty state in a draft", card(set("procedure.state", ""), draft), expectation{}},
		{"the state Closed", card(set("procedure.state", "Closed")), expectation{}},
		{"a state in lower case", card(set("procedure.state", "active")), expectation{"procedure.state", `"active"`}},
		{"a state of its own in a draft", card(set("procedure.state", "Paused"), draft), expectation{"procedure.state", `"Paused"`}},
		{"no storage profile", tokenProcedure(map[string]any{"cmHostRef": map[string]any{"name": "local"}, "revision": int64(1),
			"procedure": map[string]any{"name": "Card", "state": "Active"}}), expectation{"procedure.storageProfile", "storageProfile is missing"}},
		{"an unknown storage profile", tokenProcedure(map[string]any{"cmHostRef": map[string]any{"name": "local"}, "revision": int64(1),
			"procedure": map[string]any{"name": "Card", "state": "Active", "storageProfile": "PKCS11"}}), expectation{"procedure.storageProfile", `"PKCS11"`}},
		{"an unknown deletion policy", card(set("deletionPolicy", "Delete")), expectation{"deletionPolicy", `"Delete"`}},
		{"the deletion policy Close", card(set("deletionPolicy", "Close")), expectation{}},
		{"an empty deletion policy", card(set("deletionPolicy", "")), expectation{}},

		{"visible in a domain", card(set("procedure.visibleInSubdomain", true), set("procedure.domain", "Corp")), expectation{}},
		{"visible without a domain", card(set("procedure.visibleInSubdomain", true)), expectation{"procedure.visibleInSubdomain", "there is no domain"}},
		{"visible in an empty domain", card(set("procedure.visibleInSubdomain", true), set("procedure.domain", "")), expectation{"procedure.visibleInSubdomain", "there is no domain"}},
		{"not visible without a domain", card(set("procedure.visibleInSubdomain", false)), expectation{}},
		{"visible without a domain in a draft", card(set("procedure.visibleInSubdomain", true), draft), expectation{}},

		{"a range", card(serials("100000", "199999")), expectation{}},
		{"a range of one number", card(serials("0", "0")), expectation{}},
		{"twenty digits", card(serials("99999999999999999998", "99999999999999999999")), expectation{}},
		{"a range by numbers, not by letters", card(serials("9", "10")), expectation{}},
		{"a range that falls", card(serials("10", "9")), expectation{to, "range.to is 9, below range.from, which is 10"}},
		{"a range that falls within one length", card(serials("200", "199")), expectation{to, "range.to is 199"}},
		{"a range that falls in a draft", card(serials("2", "1"), draft), expectation{to, "range.to is 1"}},
		{"twenty-one digits", card(serials("1", "100000000000000000000")), expectation{to, "more than 20 characters"}},
		{"a leading zero", card(serials("01", "2")), expectation{from, "without leading zeros"}},
		{"a sign", card(serials("+1", "2")), expectation{from, "1 to 20 decimal digits"}},
		{"Arabic digits", card(serials("1", "٢")), expectation{to, "1 to 20 decimal digits"}},
		{"hexadecimal in a draft", card(serials("1", "0xff"), draft), expectation{to, "1 to 20 decimal digits"}},
		{"a range without an end", card(serials("1", "")), expectation{to, "range.to is missing"}},
		{"a range without a start", card(serials("", "1")), expectation{from, "range.from is missing"}},
		{"half a range in a draft", card(serials("", "1"), draft), expectation{}},
		{"serial numbers off and a range", card(serials("1", "2"), set("procedure.cardSerialNumber.enabled", false)), expectation{"procedure.cardSerialNumber.range", "must be absent while cardSerialNumber.enabled is false"}},
		{"serial numbers off and half a range", card(serials("", "2"), set("procedure.cardSerialNumber.enabled", false)), expectation{"procedure.cardSerialNumber.range", "must be absent"}},
		{"serial numbers off and an empty range", card(serials("", ""), set("procedure.cardSerialNumber.enabled", false)), expectation{}},
		{"serial numbers off and a range in a draft", card(serials("1", "2"), set("procedure.cardSerialNumber.enabled", false), draft), expectation{}},
		{"a range without saying", card(serials("1", "2"), unset("procedure.cardSerialNumber.enabled")), expectation{"procedure.cardSerialNumber.enabled", "cardSerialNumber.enabled is missing"}},

		{"StoreAll and recovered certificates", card(set(policy, "StoreAll"), set(recovered, "Store")), expectation{}},
		{"StoreRoot and recovered certificates", card(set(policy, "StoreRoot"), set(recovered, "DoNotStore")), expectation{}},
		{"StoreIssuingCA and nothing", card(set(policy, "StoreIssuingCA")), expectation{recovered, "policy StoreIssuingCA requires Store or DoNotStore"}},
		{"StoreAll and an empty string", card(set(policy, "StoreAll"), set(recovered, "")), expectation{recovered, "policy StoreAll requires"}},
		{"StoreAll and nothing in a draft", card(set(policy, "StoreAll"), draft), expectation{}},
		{"StoreNone and recovered certificates", card(set(recovered, "DoNotStore")), expectation{recovered, "must be absent with policy StoreNone"}},
		{"StoreNone and an empty string", card(set(recovered, "")), expectation{}},
		{"StoreNone and recovered certificates in a draft", card(set(recovered, "Store"), draft), expectation{}},
		{"recovered certificates without a policy", card(set("procedure.issuerCertificates", map[string]any{"recoveredCertificates": "Store"})), expectation{policy, "storage profile SmartCard requires StoreAll"}},
		{"recovered certificates without a policy, for PKCS10", pkcs10(set(recovered, "Store")), expectation{policy, "issuerCertificates.policy is missing beside"}},
		{"StoreRoot and nothing, for PKCS10", pkcs10(set(policy, "StoreRoot")), expectation{recovered, "policy StoreRoot requires"}},
		{"an unknown word for recovered certificates", card(set(policy, "StoreAll"), set(recovered, "Yes")), expectation{recovered, `"Yes"`}},

		{"sixteen entries", card(set("procedure.certificateProcedures", seventeen[:16])), expectation{}},
		{"seventeen entries", card(set("procedure.certificateProcedures", seventeen)), expectation{"procedure.certificateProcedures", "at most 16 items"}},
		{"an entry twice", card(set("procedure.certificateProcedures", list("a", "b", "c", "b"))), expectation{"procedure.certificateProcedures", "certificateProcedures[3] is the same as certificateProcedures[1]"}},
		{"a key procedure twice in a draft", card(set("procedure.keyProcedures", list("a", "a")), draft), expectation{"procedure.keyProcedures", "keyProcedures[1] is the same as keyProcedures[0]"}},
		{"an attribute certificate procedure twice", card(set("procedure.attributeCertificateProcedures", list("a", "a"))), expectation{"procedure.attributeCertificateProcedures", "attributeCertificateProcedures[1]"}},
		{"two entries that differ in case", card(set("procedure.certificateProcedures", list("a", "A"))), expectation{}},

		{"a name of one letter", card(set("procedure.name", "K")), expectation{}},
		{"a name with all that is allowed", card(set("procedure.name", "Ä1 ._,:+&()'-z.")), expectation{}},
		{"a name that ends in a parenthesis", card(set("procedure.name", "Card (old)")), expectation{}},
		{"a name in another script", card(set("procedure.name", "社員証 Ωμέγα ١٢٣")), expectation{}},
		{"128 characters of four bytes", card(set("procedure.name", strings.Repeat("𐐀", 128))), expectation{}},
		{"129 characters", card(set("procedure.name", strings.Repeat("a", 129))), expectation{"procedure.name", "more than 128 characters"}},
		{"no procedure name in a draft", card(unset("procedure.name"), draft), expectation{"procedure.name", "spec.procedure.name: Required value"}},
		{"a leading space", card(set("procedure.inputView", " a")), expectation{"procedure.inputView", aName}},
		{"a trailing hyphen", card(set("procedure.pinProcedure", "a-")), expectation{"procedure.pinProcedure", aName}},
		{"a leading full stop", card(set("procedure.name", "..")), expectation{"procedure.name", aName}},
		{"a slash", card(set("procedure.name", "a/b")), expectation{"procedure.name", aName}},
		{"a newline at the end", card(set("procedure.name", "a\n")), expectation{"procedure.name", aName}},
		{"an escape sequence", card(set("procedure.domain", "a\x1b[2Jb")), expectation{"procedure.domain", aName}},
		{"a bidirectional override", card(set("procedure.keyProcedures", list("a", "b\u202ec"))), expectation{"procedure.keyProcedures[1]", aName}},
		{"a zero-width space, in a draft", card(set("procedure.certificateProcedures", list("a\u200bb")), draft), expectation{"procedure.certificateProcedures[0]", aName}},
		{"an empty name in a list", card(set("procedure.keyProcedures", list(""))), expectation{"procedure.keyProcedures[0]", "at least 1 chars"}},
	} {
		t.Run(c.name, func(t *testing.T) { c.want.check(t, judgeCreate(t, c.object)) })
	}
}

// TestManyFindingsAtOnce: presence is CEL, so that one thing that is missing does not hide another.
func TestManyFindingsAtOnce(t *testing.T) {
	findings := judgeCreate(t, tokenProcedure(map[string]any{
		"cmHostRef": map[string]any{"name": "local"},
		"procedure": map[string]any{"name": " ", "storageProfile": "SmartCard", "visibleInSubdomain": true, "keyProcedures": list("a", "a"),
			"cardSerialNumber":   map[string]any{"enabled": true, "range": map[string]any{"from": "x"}},
			"issuerCertificates": map[string]any{"policy": "StoreAll"}},
	}))
	want := []string{"cardSerialNumber.range.from", "cardSerialNumber.range.to", "issuerCertificates.recoveredCertificates",
		"keyProcedures", "name", "pinProcedure", "state", "visibleInSubdomain"}
	if len(findings) != len(want)+1 || findings[len(want)].Field != "spec.revision" {
		t.Fatalf("got %+v", findings)
	}
	for i, field := range want {
		if findings[i].Field != "spec.procedure."+field {
			t.Errorf("finding %d is %+v, want one for %s", i, findings[i], field)
		}
	}
}

// TestNulls has where the two differ: the API server drops an explicit null of what is created, and refuses to apply it.
func TestNulls(t *testing.T) {
	withNull := procedureOf("SmartCard", set("procedure.inputView", nil))
	expectation{"procedure.inputView", "inputView is null: remove the field"}.check(t, findInProcess(withNull))
	if err := createDryRun(withNull); err != nil {
		t.Errorf("the API server refuses to create it: %v", err)
	}
	if err := applyDryRun(withNull); err == nil {
		t.Error("the API server applies it")
	}
	if err := applyDryRun(procedureOf("SmartCard")); err != nil {
		t.Errorf("the API server does not apply what has no null: %v", err)
	}
}

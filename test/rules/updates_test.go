package rules

import (
	"strings"
	"testing"
)

// TestRulesOfAChange has each transition rule, with what it accepts and what it refuses.
func TestRulesOfAChange(t *testing.T) {
	card := func(changes ...change) map[string]any { return procedureOf("SmartCard", changes...) }
	revision := func(n int64) change { return set("revision", n) }
	serials := set("procedure.cardSerialNumber", map[string]any{"enabled": true, "range": map[string]any{"from": "1", "to": "2"}})
	stored := set("procedure.issuerCertificates", map[string]any{"policy": "StoreAll", "recoveredCertificates": "Store"})
	const still = "revision is still 1: raise it to 2 or more"
	for _, c := range []struct {
		name     string
		old, new map[string]any
		want     expectation
	}{
		{"nothing", card(), card(), expectation{}},
		{"another CM host", card(), card(set("cmHostRef.name", "other")), expectation{"cmHostRef", "cmHostRef cannot be changed"}},
		{"another CM host for a draft", card(draft), card(draft, set("cmHostRef.name", "other")), expectation{"cmHostRef", "cmHostRef cannot be changed"}},
		{"the deletion policy", card(), card(set("deletionPolicy", "Close")), expectation{}},
		{"the deletion policy back", card(set("deletionPolicy", "Close")), card(), expectation{}},

		{"a draft into a submitted procedure", card(draft), card(), expectation{}},
		{"a draft into draft false", card(draft), card(set("draft", false)), expectation{}},
		{"a draft that stays one", card(draft), card(draft, set("procedure.pinProcedure", "")), expectation{}},
		{"back to a draft", card(), card(draft), expectation{"draft", "draft cannot be set again"}},
		{"back to a draft from draft false", card(set("draft", false)), card(draft), expectation{"draft", "draft cannot be set again"}},
		{"draft false into absent", card(set("draft", false)), card(), expectation{}},
		{"an incomplete draft, submitted", card(draft, unset("procedure.state")), card(unset("procedure.state")), expectation{"procedure.state", "state is missing"}},

		{"the name of a draft", card(draft), card(draft, set("procedure.name", "Other")), expectation{}},
		{"the name of a draft, submitted with it", card(draft), card(set("procedure.name", "Other")), expectation{}},
		{"the name", card(), card(set("procedure.name", "Other"), revision(2)), expectation{"procedure.name", "name cannot be changed"}},

		{"a higher revision of the same", card(), card(revision(7)), expectation{}},
		{"a lower revision", card(revision(5)), card(revision(4)), expectation{"revision", "revision fell from 5 to 4"}},
		{"a lower revision of something else", card(revision(5)), card(revision(4), set("procedure.inputView", "V")), expectation{"revision", "revision fell from 5 to 4"}},
		{"a lower revision of a draft", card(draft, revision(5)), card(draft, revision(4)), expectation{"revision", "revision fell from 5 to 4"}},
		{"no revision any more", card(), card(unset("revision")), expectation{"revision", "revision is missing"}},
		{"no revision of a draft any more", card(draft), card(draft, unset("revision")), expectation{}},
		{"a change with a higher revision", card(), card(revision(2), set("procedure.state", "Closed")), expectation{}},
		{"a change of a draft with the same revision", card(draft), card(draft, set("procedure.state", "Closed")), expectation{}},
		{"a change that submits a draft with the same revision", card(draft), card(set("procedure.state", "Closed")), expectation{}},

		{"state", card(), card(set("procedure.state", "Closed")), expectation{"revision", "state changed and " + still}},
		{"domain", card(set("procedure.domain", "Corp")), card(set("procedure.domain", "Emea")), expectation{"revision", "domain changed and " + still}},
		{"domain, added", card(), card(set("procedure.domain", "Emea")), expectation{"revision", "domain changed and " + still}},
		{"visibleInSubdomain", card(set("procedure.domain", "Corp")), card(set("procedure.domain", "Corp"), set("procedure.visibleInSubdomain", true)), expectation{"revision", "visibleInSubdomain changed and " + still}},
		{"storageProfile", procedureOf("PKCS10"), procedureOf("Data"), expectation{"revision", "storageProfile changed and " + still}},
		{"cardSerialNumber.range.from", card(serials), card(serials, set("procedure.cardSerialNumber.range.from", "0")), expectation{"revision", "cardSerialNumber.range.from changed and " + still}},
		{"cardSerialNumber.range.to", card(serials), card(serials, set("procedure.cardSerialNumber.range.to", "3")), expectation{"revision", "cardSerialNumber.range.to changed and " + still}},
		{"pinProcedure", card(), card(set("procedure.pinProcedure", "PIN mail")), expectation{"revision", "pinProcedure changed and " + still}},
		{"keyProcedures", card(set("procedure.keyProcedures", list("a", "b"))), card(set("procedure.keyProcedures", list("b", "a"))), expectation{"revision", "keyProcedures changed and " + still}},
		{"issuerCertificates.recoveredCertificates", card(stored), card(stored, set("procedure.issuerCertificates.recoveredCertificates", "DoNotStore")), expectation{"revision", "issuerCertificates.recoveredCertificates changed and " + still}},
		{"issuerCertificates.policy", card(stored), card(stored, set("procedure.issuerCertificates.policy", "StoreRoot")), expectation{"revision", "issuerCertificates.policy changed and " + still}},
		{"attributeCertificateProcedures", card(), card(set("procedure.attributeCertificateProcedures", list("a"))), expectation{"revision", "attributeCertificateProcedures changed and " + still}},
		{"certificateProcedures", card(), card(set("procedure.certificateProcedures", list("Signature", "Other"))), expectation{"revision", "certificateProcedures changed and " + still}},
		{"the order of certificateProcedures", card(set("procedure.certificateProcedures", list("a", "b"))), card(set("procedure.certificateProcedures", list("b", "a"))), expectation{"revision", "certificateProcedures changed and " + still}},
		{"inputView", card(set("procedure.inputView", "V")), card(), expectation{"revision", "inputView changed and " + still}},

		{"what is empty, written out", card(), card(set("procedure.domain", ""), set("procedure.visibleInSubdomain", false), set("procedure.inputView", ""),
			set("procedure.keyProcedures", list()), set("procedure.attributeCertificateProcedures", list()),
			set("procedure.cardSerialNumber.range", map[string]any{"from": ""}), set("procedure.issuerCertificates.recoveredCertificates", "")), expectation{}},
		{"objects that are empty, left out", procedureOf("PKCS10", set("procedure.cardSerialNumber", map[string]any{"range": map[string]any{}}), set("procedure.issuerCertificates", map[string]any{})),
			procedureOf("PKCS10"), expectation{}},
	} {
		t.Run(c.name, func(t *testing.T) { c.want.check(t, judgeUpdate(t, c.new, c.old)) })
	}
	t.Run("cardSerialNumber.enabled", func(t *testing.T) {
		findings := judgeUpdate(t, card(serials), card())
		if len(findings) != 3 || !strings.HasPrefix(findings[0].Message, "cardSerialNumber.enabled changed and "+still) {
			t.Errorf("got %+v, want one each for enabled, range.from and range.to", findings)
		}
	})
}

// TestRulesOfTheOtherKinds has each rule of ProcedureSignature and CMHost, with what it accepts and what it refuses.
func TestRulesOfTheOtherKinds(t *testing.T) {
	signature := func(value string) map[string]any {
		return object("ProcedureSignature", map[string]any{"procedureRef": map[string]any{"name": "card"}, "signature": value})
	}
	host := func(changes ...change) map[string]any {
		spec := map[string]any{"url": "https://cm.example.com:8443", "audience": "cm.example.com", "tlsSecretRef": map[string]any{"name": "cm-client"}}
		all(changes...)(spec)
		return object("CMHost", spec)
	}
	url := func(value string) map[string]any { return host(set("url", value)) }
	const notURL, notPort, notBase64 = "url must be https with a host", "the port in url must be 1 to 65535", "signature is not base64 on one line"
	for _, c := range []struct {
		name   string
		object map[string]any
		want   expectation
	}{
		{"a signature", signature("MIIF+/=="), expectation{}},
		{"the longest signature", signature(strings.Repeat("A", 43692)), expectation{}},
		{"a signature that is too long", signature(strings.Repeat("A", 43696)), expectation{"signature", "more than 43692"}},
		{"no signature", signature(""), expectation{"signature", "at least 4 chars"}},
		{"a signature in PEM", signature("-----BEGIN CMS-----"), expectation{"signature", notBase64}},
		{"a signature on two lines", signature("MIIF\nMIIFMII"), expectation{"signature", notBase64}},
		{"a signature in base64url", signature("MI-F"), expectation{"signature", notBase64}},
		{"a signature without its padding", signature("MIIFM"), expectation{"signature", notBase64}},
		{"a host", host(), expectation{}},
		{"a host without a port", url("https://cm"), expectation{}},
		{"an address", url("https://192.0.2.1:1"), expectation{}},
		{"an IPv6 address", url("https://[2001:db8::1]:65535"), expectation{}},
		{"an IPv6 address without a port", url("https://[2001:db8::1]"), expectation{}},
		{"http", url("http://cm.example.com"), expectation{"url", notURL}},
		{"a path", url("https://cm.example.com/v1"), expectation{"url", notURL}},
		{"a slash", url("https://cm.example.com/"), expectation{"url", notURL}},
		{"a user", url("https://me@cm.example.com"), expectation{"url", notURL}},
		{"a query", url("https://cm.example.com?"), expectation{"url", notURL}},
		{"a fragment", url("https://cm.example.com#"), expectation{"url", notURL}},
		{"no host", url("https://:8443"), expectation{"url", notURL}},
		{"a host with a bidi override", url("https://cm.example.com\u202e"), expectation{"url", notURL}},
		{"no URL", url("cm.example.com"), expectation{"url", notURL}},
		{"port 0", url("https://cm.example.com:0"), expectation{"url", notPort}},
		{"port 65536", url("https://cm.example.com:65536"), expectation{"url", notPort}},
		{"port 070000", url("https://cm.example.com:070000"), expectation{"url", notPort}},
		{"no port behind the colon", url("https://cm.example.com:"), expectation{"url", notPort}},
		{"an audience of one letter", host(set("audience", "c")), expectation{}},
		{"an audience with a space", host(set("audience", "cm local")), expectation{"audience", "audience must begin and end with a letter or digit"}},
		{"no Secret", host(unset("tlsSecretRef")), expectation{"tlsSecretRef", "tlsSecretRef: Required value"}},
	} {
		t.Run(c.name, func(t *testing.T) { c.want.check(t, judgeCreate(t, c.object)) })
	}
	for _, c := range []struct {
		name     string
		old, new map[string]any
		want     expectation
	}{
		{"another signature", signature("MIIF"), signature("MIIG"), expectation{"spec", "spec cannot be changed"}},
		{"another url", host(), url("https://cm2.example.com"), expectation{}},
		{"another Secret", host(), host(set("tlsSecretRef.name", "new")), expectation{}},
		{"another audience", host(), host(set("audience", "cm2.example.com")), expectation{"audience", "audience cannot be changed"}},
	} {
		t.Run(c.name, func(t *testing.T) { c.want.check(t, judgeUpdate(t, c.new, c.old)) })
	}
}

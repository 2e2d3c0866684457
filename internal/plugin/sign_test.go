//go:build linux

package plugin_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"sigs.k8s.io/yaml"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

const asOfficer = "--key file:officer-1.key --cert officer-1.crt "

// signedIn judges all signatures of a file by the officer's certificate, and returns what was signed.
func (d *desk) signedIn(name string, officer signingtest.Officer) []request.Request {
	d.Helper()
	var signed []request.Request
	for document := range strings.SplitSeq(d.read(name), "---\n") {
		if strings.TrimSpace(document) == "" {
			continue
		}
		var object v1alpha1.ProcedureSignature
		if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
			d.Fatal(err)
		}
		der, err := signing.FromText(object.Spec.Signature)
		if err != nil {
			d.Fatal(err)
		}
		verdict := signing.VerifyEvidence(der, signing.NewRegister([]signing.Officer{officer.Officer}, nil), time.Now())
		if !verdict.Verified() {
			d.Fatalf("%s: %s", verdict.Reason, verdict.Message)
		}
		signed = append(signed, *verdict.Request)
	}
	return signed
}

// TestEachIsConfirmed signs one procedure of two, whichever it is.
func TestEachIsConfirmed(t *testing.T) {
	d := newDesk(t)
	officer := d.officer("officer-1")
	d.write("cards/a.yaml", employeeCard)
	d.write("cards/b.yaml", strings.NewReplacer("employee-card", "visitor-card", "Employee card", "Visitor card").Replace(employeeCard))
	for _, c := range []struct{ first, second, signed string }{{"y", "n", "Employee card"}, {"n", "y", "Visitor card"}} {
		s := d.terminal("kubectl-tokenproc sign -f cards --audience cm.example.com " + asOfficer + "--out " + c.first + c.second + ".yaml")
		s.expect("Request 1 of 2: cards/a.yaml:1")
		s.expect("Employee card")
		s.expect("Sign this request for cm.example.com? [y/N]")
		s.answer(c.first)
		s.expect("Request 2 of 2: cards/b.yaml:1")
		s.expect("Visitor card")
		s.expect("Sign this request for cm.example.com? [y/N]")
		s.answer(c.second)
		s.expect("not signed, as you said")
		s.end(4)
		signed := d.signedIn(c.first+c.second+".yaml", officer)
		if len(signed) != 1 || signed[0].Procedure.Name != c.signed {
			t.Errorf("%s, %s: signed %+v; want %s alone", c.first, c.second, signed, c.signed)
		}
	}
}

// TestWhatIsShownIsWhatIsSigned holds every line that the officer reads against the bytes inside the signature. The
// manifest says other things in its status, and things that say nothing in its spec.
func TestWhatIsShownIsWhatIsSigned(t *testing.T) {
	d := newDesk(t)
	officer := d.officer("officer-1")
	d.write("card.yaml", strings.NewReplacer(
		"spec:\n", "status:\n  request: {revision: 7, digest: 'sha256:00'}\n  host: {revision: 6, state: Closed}\nspec:\n",
		"    domain: Corp\n", "    domain: Сorp\n    visibleInSubdomain: false\n    keyProcedures: []\n    inputView: ''\n",
	).Replace(employeeCard))
	s := d.terminal(signOffline + asOfficer + "--out signed.yaml")
	s.expect("Request 1 of 1: card.yaml:1")
	shown := s.until("Sign this request for cm.example.com? [y/N]")
	s.answer("y")
	s.end(0)
	signed := d.signedIn("signed.yaml", officer)[0]
	digest, err := signed.Digest()
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	for line := range strings.SplitSeq(shown, "\n") {
		lines[strings.Join(strings.Fields(line), " ")] = true
	}
	for _, field := range append(request.Fields(signed.Procedure), request.Field{Label: "Digest", Value: digest}, request.Field{Label: "Audience", Value: signed.Audience}) {
		value := field.Value
		if value == "" {
			value = "-"
		}
		if !lines[strings.Join(strings.Fields(field.Label+" "+value), " ")] {
			t.Errorf("%s: %s was signed and not shown:\n%s", field.Label, value, shown)
		}
	}
	if !lines["Revision 1, replacing: not known here"] || !lines["not ASCII: С U+0421 CYRILLIC CAPITAL LETTER ES"] || strings.Index(shown, "Audience") > strings.Index(shown, "Fields") {
		t.Errorf("audience first, the revision and the letter that is not ASCII have to be shown:\n%s", shown)
	}
	if strings.Contains(shown, "sha256:00") || strings.Contains(shown, "Closed") {
		t.Errorf("something of the status is shown:\n%s", shown)
	}
}

// until waits for a text and returns what is on the screen before it, without styles.
func (s *screen) until(text string) string {
	s.Helper()
	for deadline := time.After(30 * time.Second); ; {
		if before, _, found := strings.Cut(s.text(), text); found {
			s.expect(text)
			return strings.NewReplacer("\x1b[1m", "", "\x1b[33m", "", "\x1b[0m", "").Replace(before)
		}
		select {
		case <-s.changed:
		case <-deadline:
			s.Fatalf("%q did not appear; the screen has:\n%s", text, s.text())
		}
	}
}

// TestNothingInvisibleIsSigned has names with characters that a terminal hides or acts upon: they are refused, and shown
// escaped.
func TestNothingInvisibleIsSigned(t *testing.T) {
	d := newDesk(t)
	d.officer("officer-1")
	for name, c := range map[string]struct{ text, shown string }{
		"a right-to-left override": {`Employee\u202Ecard`, `\u202e`},
		"a right-to-left isolate":  {`Employee\u2067card`, `\u2067`},
		"a zero-width space":       {`Employee\u200Bcard`, `\u200b`},
		"a soft hyphen":            {`Employee\u00ADcard`, `\u00ad`},
		"an escape sequence":       {`Employee\e[2Jcard`, `\x1b`},
		"a line end":               {`Employee\ncard`, `\n`},
		"a letter not in NFC":      {`Employe\u0301card`, `\u0301`},
		"a no-break space":         {`Employee\u00A0card`, `\u00a0`},
	} {
		d.write("card.yaml", strings.Replace(employeeCard, "name: Employee card", `name: "`+c.text+`"`, 1))
		done := d.run(signOffline + asOfficer + "--yes")
		if done.code == 0 || strings.Contains(done.stdout, "signature:") || !strings.Contains(done.stderr, c.shown) {
			t.Errorf("%s: ended with %d; want a refusal that shows %s\n%s%s", name, done.code, c.shown, done.stdout, done.stderr)
		}
		for _, r := range done.stdout + done.stderr {
			if r != '\n' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Mn, unicode.Zs) && r != ' ') {
				t.Errorf("%s: %U is printed", name, r)
			}
		}
	}
}

const fakeHost = "---\napiVersion: cm.tokenprocedures.dev/v1alpha1\nkind: CMHost\nmetadata: {name: local, namespace: pki}\nspec: {url: 'https://127.0.0.1:1', audience: %, tlsSecretRef: {name: cm-client}}\n"

// TestNobodyBorrowsAnAudience has CMHosts, beside a manifest, that call themselves what the officer has not allowed.
func TestNobodyBorrowsAnAudience(t *testing.T) {
	d := newDesk(t)
	officer := d.officer("officer-1")
	refused := `the request is for the CM host "cm.production", which you have not allowed`
	for name, c := range map[string]struct {
		config, elsewhere, host, flags string
		code                           int
		mention, audience              string
	}{
		"nothing allowed":                   {host: "cm.production", code: 2, mention: refused},
		"another one allowed":               {config: "audiences: [cm.test]", host: "cm.production", code: 2, mention: refused},
		"one with the same beginning":       {config: "audiences: [cm.production.example.com, cm]", host: "cm.production", code: 2, mention: refused},
		"one in other letters":              {config: "audiences: [CM.production]", host: "cm.production", code: 2, mention: refused},
		"an empty one":                      {config: "audiences: ['']", host: "cm.production", code: 2, mention: refused},
		"a configuration in the folder":     {elsewhere: "audiences: [cm.production]", host: "cm.production", code: 2, mention: refused},
		"a configuration with a slip":       {config: "audience: [cm.production]", host: "cm.production", code: 2, mention: "expected `audiences: [cm.example.com]`"},
		"allowed in the configuration":      {config: "audiences: [cm.test, cm.production]", host: "cm.production", audience: "cm.production"},
		"allowed on the command line":       {config: "audiences: [cm.test]", host: "cm.production", flags: "--audience cm.production", audience: "cm.production"},
		"the command line against the file": {host: "cm.production", flags: "--audience cm.test", audience: "cm.test"},
	} {
		t.Run(name, func(t *testing.T) {
			for path, content := range map[string]string{"home/.config/kubectl-tokenproc/config.yaml": c.config, "config.yaml": c.elsewhere, ".config/kubectl-tokenproc/config.yaml": c.elsewhere} {
				d.write(path, content+"\n")
			}
			d.write("card.yaml", employeeCard+strings.Replace(fakeHost, "%", c.host, 1))
			done := d.run("rm -f signed.yaml; kubectl-tokenproc sign -f card.yaml " + asOfficer + "--yes --out signed.yaml " + c.flags)
			if done.code != c.code || !strings.Contains(done.stderr, c.mention) {
				t.Errorf("ended with %d, want %d and %q\n%s", done.code, c.code, c.mention, done.stderr)
			}
			if _, err := os.Stat(filepath.Join(d.folder, "signed.yaml")); (err == nil) != (c.audience != "") {
				t.Errorf("signed: %v", err == nil)
			} else if err == nil && d.signedIn("signed.yaml", officer)[0].Audience != c.audience {
				t.Errorf("signed for %s", d.signedIn("signed.yaml", officer)[0].Audience)
			}
		})
	}
}

// TestTheBuildWithoutPKCS11 says which build has it.
func TestTheBuildWithoutPKCS11(t *testing.T) {
	d := newDesk(t)
	d.write("card.yaml", employeeCard)
	done := d.run(signOffline + "--key 'pkcs11:token=Officer?module-path=/usr/lib/opensc-pkcs11.so' --yes")
	if done.code != 3 || !strings.Contains(done.stderr, "use the build whose `kubectl tokenproc version` says pkcs11: true, made with `CGO_ENABLED=1 go build -tags pkcs11 ./cmd/kubectl-tokenproc`") {
		t.Errorf("ended with %d\n%s", done.code, done.stderr)
	}
	if version := d.run("kubectl-tokenproc version"); !strings.Contains(version.stdout, "pkcs11: false") {
		t.Errorf("the version does not say that it has no PKCS#11:\n%s", version.stdout)
	}
}

// TestSigningWhatIsBeingDeleted signs in a cluster for an object that waits for its closing request, and for a cluster
// that has production's name.
func TestSigningWhatIsBeingDeleted(t *testing.T) {
	c := newCluster(t)
	c.write("card.yaml", strings.Replace(employeeCard, "spec:\n", "spec:\n  deletionPolicy: Close\n", 1))
	c.write("borrowed.yaml", strings.NewReplacer("%", "cm.production", "name: local", "name: borrowed", "---\n", "").Replace(fakeHost)+
		"---\n"+strings.NewReplacer("employee-card", "borrowed", "name: local", "name: borrowed").Replace(employeeCard))
	c.must("kubectl apply -f card.yaml -f borrowed.yaml")
	c.waitFor(awaiting)
	sign := func(officer, flags string) result {
		return c.run("kubectl tokenproc sign " + flags + " -n pki --key file:" + officer + ".key --cert " + officer + ".crt --yes --apply")
	}
	expect := func(done result, code int, mentions ...string) {
		t.Helper()
		for _, mention := range mentions {
			if !strings.Contains(done.stderr, mention) {
				t.Errorf("%s: %q is missing in\n%s", done.line, mention, done.stderr)
			}
		}
		if done.code != code {
			t.Errorf("%s: ended with %d, want %d\n%s", done.line, done.code, code, done.stderr)
		}
	}
	expect(sign("officer-1", "borrowed"), 2, `"cm.production", which you have not allowed`)
	expect(sign("officer-1", "borrowed --audience cm.test"), 3, `has the audience "cm.production", you said "cm.test"`)
	for _, officer := range []string{"officer-1", "officer-2"} {
		expect(sign(officer, "employee-card --audience cm.test"), 0)
	}
	c.waitFor("condition=Ready")
	c.must("kubectl delete tokenprocedure employee-card -n pki --wait=false")
	c.waitFor(awaiting)
	expect(sign("officer-1", "employee-card --audience cm.test"), 2, "is being deleted", "--close")
	for _, officer := range []string{"officer-1", "officer-2"} {
		expect(sign(officer, "employee-card --audience cm.test --close $HOST"), 0, "State: Active -> Closed", "Revision   2, replacing revision 1")
	}
	c.must("kubectl wait -n pki --timeout=30s --for=delete tokenprocedure/employee-card")
	expect(c.run(`kubectl tokenproc history "Employee card" $HOST | grep Closed >&2`), 0, "Revision 2  Closed")
}

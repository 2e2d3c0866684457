package request

import (
	"strings"
	"testing"
	"unicode"
)

const vectorOne = `{"audience":"cm.example.com","procedure":{"cardSerialNumber":{"enabled":true,"range":{"from":"100000","to":"199999"}},"certificateProcedures":["Authentication","Signature"],"domain":"Corp","issuerCertificates":{"policy":"StoreAll","recoveredCertificates":"Store"},"name":"Employee card","pinProcedure":"PIN letter","state":"Active","storageProfile":"SmartCard"},"revision":1,"type":"tokenprocedures.dev/request/v1"}`
const vectorTwo = `{"audience":"cm.example.com","procedure":{"cardSerialNumber":{"enabled":false},"certificateProcedures":["Signature"],"domain":"Corp","inputView":"Employee","issuerCertificates":{"policy":"StoreNone"},"keyProcedures":["Archive encryption key"],"name":"Dienstausweis Zürich","pinProcedure":"PIN letter","state":"Closed","storageProfile":"SmartCard","visibleInSubdomain":true},"revision":2,"type":"tokenprocedures.dev/request/v1"}`

func TestVectors(t *testing.T) {
	for line, digest := range map[string]string{
		vectorOne: "sha256:449e99edc2221f151d59def70b2dcdf1a2bebffae27b52e71b78928b6d7cb2ac",
		vectorTwo: "sha256:465844b86aa8f27142ac932918bcbec0fb75666e4cb7679281aa8333a56320c4",
	} {
		parsed, err := Parse([]byte(line))
		if err != nil {
			t.Fatalf("Parse(%s): %v", line, err)
		}
		if got, err := parsed.Bytes(); err != nil || string(got) != line {
			t.Errorf("Bytes() = %s, %v; want %s", got, err, line)
		}
		if got, err := parsed.Digest(); err != nil || got != digest {
			t.Errorf("Digest() = %s, %v; want %s", got, err, digest)
		}
		converted := ToV1alpha1(parsed.Procedure)
		again := New(parsed.Audience, parsed.Revision, FromV1alpha1(&converted))
		if got, err := again.Bytes(); err != nil || string(got) != line {
			t.Errorf("through v1alpha1: %s, %v; want %s", got, err, line)
		}
	}
}

func TestAbsentIsLeftOutInnermostFirst(t *testing.T) {
	off := false
	p := Procedure{
		Name:               "P",
		CardSerialNumber:   &CardSerialNumber{Range: &SerialNumberRange{}},
		IssuerCertificates: &IssuerCertificates{},
		KeyProcedures:      []string{},
	}
	got, err := New("a", 1, p).Bytes()
	if want := `{"audience":"a","procedure":{"name":"P"},"revision":1,"type":"tokenprocedures.dev/request/v1"}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
	p.CardSerialNumber = &CardSerialNumber{Enabled: &off}
	got, err = New("a", 1, p).Bytes()
	if want := `{"audience":"a","procedure":{"cardSerialNumber":{"enabled":false},"name":"P"},"revision":1,"type":"tokenprocedures.dev/request/v1"}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

func TestNormalFormIsACopy(t *testing.T) {
	original, err := Parse([]byte(vectorOne))
	if err != nil {
		t.Fatal(err)
	}
	copied := original.Procedure.Normalize()
	*copied.CardSerialNumber.Enabled, copied.CardSerialNumber.Range.From = false, "0"
	copied.IssuerCertificates.Policy, copied.CertificateProcedures[0] = "StoreNone", "Other"
	if again, err := original.Bytes(); err != nil || string(again) != vectorOne {
		t.Errorf("changing the normal form changed the original to %s (%v)", again, err)
	}
}

func TestListsNeverLookTheSame(t *testing.T) {
	one, two := Procedure{KeyProcedures: []string{`a", "b`}}, Procedure{KeyProcedures: []string{"a", "b"}}
	if differences := Differences(one, two); len(differences) != 1 {
		t.Errorf("differences: %v", differences)
	}
}

func TestParseRefusesWhatIsNotCanonical(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"a newline at the end": func(s string) string { return s + "\n" },
		"a second object":      func(s string) string { return s + "{}" },
		"white space":          func(s string) string { return strings.Replace(s, `":`, `": `, 1) },
		"another key order": func(s string) string {
			return `{"type":"` + Type + `",` + strings.Replace(s[1:], `,"type":"`+Type+`"`, "", 1)
		},
		"a doubled key":  func(s string) string { return strings.Replace(s, `"revision":1`, `"revision":1,"revision":1`, 1) },
		"an unknown key": func(s string) string { return strings.Replace(s, `"revision":1`, `"reason":"x","revision":1`, 1) },
		"a key that Go folds to state": func(s string) string {
			return strings.Replace(s, `"state":"Active"`, `"ſtate":"Closed","state":"Active"`, 1)
		},
		"a key in capitals": func(s string) string { return strings.Replace(s, `"name"`, `"Name"`, 1) },
		"an escaped letter": func(s string) string { return strings.Replace(s, `Corp`, `C\u006frp`, 1) },
		"an empty list":     func(s string) string { return strings.Replace(s, `"name"`, `"keyProcedures":[],"name"`, 1) },
		"a false": func(s string) string {
			return strings.Replace(s, `"SmartCard"`, `"SmartCard","visibleInSubdomain":false`, 1)
		},
		"a null": func(s string) string {
			return strings.Replace(s, `"SmartCard"`, `"SmartCard","visibleInSubdomain":null`, 1)
		},
		"another type":             func(s string) string { return strings.Replace(s, "request/v1", "request/v2", 1) },
		"revision 0":               func(s string) string { return strings.Replace(s, `"revision":1`, `"revision":0`, 1) },
		"a fraction":               func(s string) string { return strings.Replace(s, `"revision":1`, `"revision":1.0`, 1) },
		"a revision above 2^53-1":  func(s string) string { return strings.Replace(s, `"revision":1`, `"revision":9007199254740992`, 1) },
		"bytes that are not UTF-8": func(s string) string { return strings.Replace(s, "Corp", "Co\xffrp", 1) },
		"too many bytes":           func(s string) string { return strings.Replace(s, "Corp", strings.Repeat("C", MaxBytes), 1) },
		"too many entries": func(s string) string {
			return strings.Replace(s, `"Authentication"`, strings.Repeat(`"A",`, MaxParts)+`"A"`, 1)
		},
		"nothing": func(string) string { return "" },
	} {
		if changed := change(vectorOne); changed == vectorOne {
			t.Errorf("%s: the test changed nothing", name)
		} else if _, err := Parse([]byte(changed)); err == nil {
			t.Errorf("%s: accepted %s", name, changed)
		}
	}
}

func TestDifferencesNameTheFields(t *testing.T) {
	one, err := Parse([]byte(vectorOne))
	if err != nil {
		t.Fatal(err)
	}
	two := one.Procedure
	two.State = Closed
	two.CertificateProcedures = []string{"Signature", "Authentication"}
	two.PINProcedure = ""
	var got []string
	for _, difference := range Differences(one.Procedure, two) {
		got = append(got, difference.String())
	}
	want := []string{
		"State: Active -> Closed",
		"PIN procedure: PIN letter -> (none)",
		`Certificate procedures: "Authentication", "Signature" -> "Signature", "Authentication"`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// FuzzParse feeds bytes as somebody might have signed them. Accepted is only what serialises to the same bytes, also by
// way of the custom resource, and what the published schema accepts. Errors are fit to be shown.
func FuzzParse(f *testing.F) {
	schema := compiledSchema(f)
	f.Add([]byte(vectorOne))
	f.Add([]byte(vectorTwo))
	f.Fuzz(func(t *testing.T, signed []byte) {
		agree(t, schema, signed)
		parsed, err := Parse(signed)
		if err != nil {
			checkShown(t, err.Error())
			return
		}
		again, err := parsed.Bytes()
		if err != nil || string(again) != string(signed) {
			t.Fatalf("accepted %q, which serialises to %q (%v)", signed, again, err)
		}
		if differences := Differences(parsed.Procedure, parsed.Procedure.Normalize()); len(differences) != 0 {
			t.Fatalf("%q differs from itself: %v", signed, differences)
		}
		object := ToV1alpha1(parsed.Procedure)
		again, err = New(parsed.Audience, parsed.Revision, FromV1alpha1(&object)).Bytes()
		if err != nil || string(again) != string(signed) {
			t.Fatalf("%q becomes %q by way of the custom resource (%v)", signed, again, err)
		}
	})
}

// checkShown fails if a message is too long or could fool a terminal.
func checkShown(t testing.TB, message string) {
	t.Helper()
	if message == "" || len(message) > 2*maxShown+200 {
		t.Fatalf("a message of %d bytes: %s", len(message), message)
	}
	for _, r := range message {
		if !unicode.IsPrint(r) {
			t.Fatalf("the message %q has the character %q", message, r)
		}
	}
}

func TestErrorsAreFitToBeShown(t *testing.T) {
	long := strings.Repeat("x", MaxBytes/2)
	for name, c := range map[string]struct{ old, new, mention string }{
		"a long unknown field":          {`"revision":1`, `"` + long + `":1,"revision":1`, "unknown field"},
		"a long type":                   {Type, long, "of type"},
		"a type with a control":         {Type, `\u001b[2J\u202e`, "of type"},
		"a long number":                 {`"revision":1`, `"revision":1` + strings.Repeat("0", MaxBytes/2), "revision"},
		"a number as a name":            {`"Employee card"`, `7`, "procedure.name"},
		"another type with other names": {`"revision":1,"type":"` + Type, `"version":1,"type":"tokenprocedures.dev/request/v2`, "request/v2"},
		"no audience":                   {`"cm.example.com"`, `""`, "audience"},
		"no name":                       {`"name":"Employee card",`, ``, "name"},
	} {
		_, err := Parse([]byte(strings.Replace(vectorOne, c.old, c.new, 1)))
		if err == nil || !strings.Contains(err.Error(), c.mention) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkShown(t, err.Error())
	}
}

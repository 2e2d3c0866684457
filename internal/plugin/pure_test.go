package plugin

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

func TestNumberLine(t *testing.T) {
	for name, c := range map[string]struct {
		used     [][3]string
		size     int64
		overlaps []string
		free     []string
	}{
		"nothing in use":             {nil, 1, nil, []string{"0-99999999999999999999"}},
		"one at the start":           {[][3]string{{"A", "0", "9"}}, 1, nil, []string{"10-99999999999999999999"}},
		"neighbours leave no gap":    {[][3]string{{"B", "10", "19"}, {"A", "0", "9"}}, 1, nil, []string{"20-99999999999999999999"}},
		"one number in common":       {[][3]string{{"A", "0", "10"}, {"B", "10", "19"}}, 1, []string{"A,B:10-10"}, []string{"20-99999999999999999999"}},
		"one inside another":         {[][3]string{{"A", "0", "100"}, {"B", "10", "19"}, {"C", "50", "60"}}, 1, []string{"A,B:10-19", "A,C:50-60"}, []string{"101-99999999999999999999"}},
		"three on one spot":          {[][3]string{{"A", "5", "5"}, {"B", "5", "5"}, {"C", "5", "5"}}, 1, []string{"A,B:5-5", "A,C:5-5", "B,C:5-5"}, []string{"0-4", "6-99999999999999999999"}},
		"small gaps are left out":    {[][3]string{{"A", "5", "9"}, {"B", "20", "99999999999999999999"}}, 10, nil, []string{"10-19"}},
		"more digits than a machine": {[][3]string{{"A", "0", "99999999999999999998"}}, 1, nil, []string{"99999999999999999999-99999999999999999999"}},
	} {
		t.Run(name, func(t *testing.T) {
			var used []numberRange
			for _, u := range c.used {
				used = append(used, newNumberRange(u[0], u[1], u[2]))
			}
			report := newNumberLine(used).report(big.NewInt(c.size))
			var overlaps, free []string
			for _, o := range report.Overlaps {
				overlaps = append(overlaps, o.Procedures[0]+","+o.Procedures[1]+":"+o.From+"-"+o.To)
			}
			for _, f := range report.Free {
				free = append(free, f.From+"-"+f.To)
			}
			if !reflect.DeepEqual(overlaps, c.overlaps) || !reflect.DeepEqual(free, c.free) {
				t.Errorf("overlaps %v, free %v; want %v, %v", overlaps, free, c.overlaps, c.free)
			}
		})
	}
}

// TestOneTextPerSignature takes a signature in the one way in which the API server admits it, and in no other.
func TestOneTextPerSignature(t *testing.T) {
	officer := signingtest.New(t, "officer-1")
	text := base64.StdEncoding.EncodeToString(officer.Sign(t, request.New("cm.test", 2, signingtest.Procedure("Employee card")), time.Now()))
	for name, c := range map[string]struct {
		text string
		want int
	}{
		"as base64 -w0 writes it": {text, 1},
		"with a line end":         {text + "\n", 0},
		"in two lines":            {text[:64] + "\n" + text[64:], 0},
	} {
		t.Run(name, func(t *testing.T) {
			object := signatureObject{ProcedureSignature: v1alpha1.ProcedureSignature{Spec: v1alpha1.ProcedureSignatureSpec{Signature: c.text}}}
			if got := len(candidatesOf([]signatureObject{object}, "cm.test")); got != c.want {
				t.Errorf("%d candidates for submit, want %d", got, c.want)
			}
			if got := signedRequest(c.text); (got != nil) != (c.want == 1) {
				t.Errorf("the request in it: %v", got)
			}
		})
	}
}

func TestObjectNames(t *testing.T) {
	taken := map[string]bool{}
	for _, c := range []struct{ procedure, want string }{
		{"Employee card", "employee-card"},
		{"Employee  Card", "employee-card-2"},
		{"Dienstausweis Zürich (groß)", "dienstausweis-zurich-gross"},
		{"カード", "procedure"},
		{"A.+B", "a-b"},
	} {
		if got := objectName(c.procedure, taken); got != c.want {
			t.Errorf("%s: %s, want %s", c.procedure, got, c.want)
		}
	}
}

func TestSignatureNames(t *testing.T) {
	long := make([]byte, 253)
	for i := range long {
		long[i] = 'a'
	}
	name := signatureName(string(long), 9007199254740991, []byte("certificate"))
	if len(name) != 253 || name == signatureName(string(long), 9007199254740990, []byte("certificate")) {
		t.Errorf("%s has %d characters", name, len(name))
	}
	if signatureName("a", 1, []byte("one")) == signatureName("a", 1, []byte("two")) {
		t.Error("two officers have one name")
	}
}

func TestSpreadsheetsGetNoFormulas(t *testing.T) {
	for text, want := range map[string]string{"=1+1": "'=1+1", "@x": "'@x", "Employee": "Employee", "": "", "\x1b[1m": `\u001b[1m`} {
		if got := cell(text); got != want {
			t.Errorf("cell(%q) = %q, want %q", text, got, want)
		}
	}
}

// hostileReport is what a host could make up: formulas, markup, control characters.
func hostileReport() *AuditReport {
	at := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	return &AuditReport{
		Audience: "<script>alert(1)</script>", From: at.Add(-time.Hour), To: at, LogLength: 2, LogHead: "sha256:00",
		Approvals: []Approval{{
			Index: 1, Time: at, Procedure: "=HYPERLINK(\"http://evil\")", Revision: 1, Digest: "+1", State: "-1", New: true, Checked: true,
			Signatures: []SignatureOf{
				{Officer: OfficerName{ID: "@SUM(A1)", Subject: "=cmd|' /C calc'!A0"}, SignedAt: at},
				{Officer: OfficerName{ID: "\t=1+1", Subject: "CN=<b>Bold</b>,O=\u202eevil"}, SignedAt: at},
			},
			Changes: []Difference{{Field: "spec.procedure.name", Label: "Procedure name", New: "a, \"quoted\" & <i>name</i>"}},
		}},
		Loads:      []LoadEntry{{Index: 2, Time: at, Action: "Added", Kind: "Officer", Name: "</td></table><img src=x onerror=alert(1)>"}},
		Procedures: []ProcedureAtDate{{Procedure: "javascript:alert(1)", Revision: 1, State: "Active", Since: at}},
		Problems:   []string{"entry 2: </p><script>alert(2)</script>"},
	}
}

func written(t *testing.T, write func(*session, *AuditReport) error) string {
	t.Helper()
	var out bytes.Buffer
	if err := write(&session{IOStreams: genericiooptions.IOStreams{Out: &out, ErrOut: io.Discard}}, hostileReport()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestNoCellOfTheReportIsAFormula(t *testing.T) {
	rows, err := csv.NewReader(strings.NewReader(written(t, writeAuditCSV))).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, want a head and two signatures (%v)", len(rows), err)
	}
	for _, row := range rows {
		for _, text := range row {
			if text != "" && strings.ContainsAny(text[:1], "=+-@\t\r") {
				t.Errorf("%q begins as a formula does", text)
			}
		}
	}
	if want := "'=HYPERLINK(\"http://evil\")"; rows[1][1] != want {
		t.Errorf("the procedure is %q, want %q: nothing may be lost", rows[1][1], want)
	}
}

func TestReportForBrowsers(t *testing.T) {
	page := written(t, writeAuditHTML)
	path := filepath.Join("testdata", "golden", "report.html")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if page != string(want) {
		t.Errorf("%s differs:\n%s", path, page)
	}
	known := []string{"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "code", "table", "tr", "th", "td", "br"}
	decoder := xml.NewDecoder(strings.NewReader(page))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		if element, isStart := token.(xml.StartElement); isStart && !slices.Contains(known, element.Name.Local) {
			t.Errorf("the page has an element <%s> that the report never writes", element.Name.Local)
		}
	}
}

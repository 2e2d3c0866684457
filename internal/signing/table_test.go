package signing_test

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// row is one case of the table that `go test -v` prints at its end.
type row struct{ topic, program, name, outcome, message string }

var (
	rowsLock sync.Mutex
	rows     []row
)

// record puts a case into the table.
func record(topic, program, name, outcome, message string) {
	rowsLock.Lock()
	defer rowsLock.Unlock()
	rows = append(rows, row{topic, program, name, outcome, message})
}

func TestMain(m *testing.M) {
	code := m.Run()
	if testing.Verbose() {
		printTable()
	}
	os.Exit(code)
}

func printTable() {
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.program, b.program)) })
	lines := []string{"TOPIC\tMADE BY\tCASE\tVERDICT\tMESSAGE\n"}
	accepted := 0
	for _, r := range rows {
		lines = append(lines, strings.Join([]string{r.topic, r.program, r.name, r.outcome, r.message}, "\t")+"\n")
		if good(r.outcome) {
			accepted++
		}
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	_, err := out.Write([]byte(strings.Join(lines, "")))
	if err := errors.Join(err, out.Flush()); err != nil {
		fmt.Fprintln(os.Stderr, "cannot print the table:", err)
	}
	fmt.Printf("%d cases: %d accepted, %d refused\n", len(rows), accepted, len(rows)-accepted)
}

func good(reason string) bool {
	return slices.Contains([]string{v1alpha1.ReasonOfficerSignature, v1alpha1.ReasonRecordedByHost, v1alpha1.ReasonCounted}, reason)
}

const (
	audience = "cm.example.com"
	maxAge   = 720 * time.Hour
)

// now is the judging time of tests that make their signatures themselves.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// employeeCard is the request that tests sign.
func employeeCard() request.Request {
	return request.New(audience, 1, signingtest.Procedure("Employee card"))
}

func canonical(t testing.TB, r request.Request) []byte {
	t.Helper()
	bytes, err := r.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// terms are those by which a good signature of employeeCard is good.
func terms(officers ...signing.Officer) signing.Terms {
	return signing.Terms{
		Register:        signing.NewRegister(officers, nil),
		Audience:        audience,
		ProcedureName:   "Employee card",
		MaxSignatureAge: maxAge,
		Now:             now,
	}
}

// expect checks a verdict's reason and that its message mentions something, and puts the case into the table.
func expect(t testing.TB, topic, program, name string, verdict signing.Verdict, reason string, mentions ...string) {
	t.Helper()
	record(topic, program, name, verdict.Reason, verdict.Message)
	if verdict.Reason != reason {
		t.Errorf("%s, %s: got %s (%s), want %s", program, name, verdict.Reason, verdict.Message, reason)
	}
	for _, mention := range mentions {
		if !strings.Contains(verdict.Message, mention) {
			t.Errorf("%s, %s: the message %q does not mention %q", program, name, verdict.Message, mention)
		}
	}
	if verdict.Verified() != (reason == v1alpha1.ReasonOfficerSignature) {
		t.Errorf("%s, %s: Verified() is %v for %s", program, name, verdict.Verified(), verdict.Reason)
	}
	unauthentic := []string{malformedReason, weakReason, unknownReason, badReason, v1alpha1.ReasonHostUnavailable}
	if slices.Contains(unauthentic, reason) != (verdict.Officer == nil) {
		t.Errorf("%s, %s: the officer is %v for %s", program, name, verdict.Officer, verdict.Reason)
	}
	if !verdict.Verified() && verdict.Message == "" {
		t.Errorf("%s, %s: refused without a message", program, name)
	}
}

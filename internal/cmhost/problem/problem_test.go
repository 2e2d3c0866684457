package problem

import (
	"strings"
	"testing"
	"unicode/utf8"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
)

func TestEveryKindHasAStatusAndATitle(t *testing.T) {
	for kind := range kinds {
		made := New(kind, "detail")
		if made.Status < 400 || made.Title == "" || made.Kind() != kind {
			t.Errorf("%s: %+v", kind, made)
		}
		if wait := made.RetryAfter > 0; wait != (kind == cmhostv1.ProblemBusy || kind == cmhostv1.ProblemUnavailable) {
			t.Errorf("%s: Retry-After is %v", kind, made.RetryAfter)
		}
	}
}

func TestHostileTextIsBounded(t *testing.T) {
	long := strings.Repeat("ü\xff", 10_000)
	made := New(cmhostv1.ProblemMalformed, "%s", long)
	for range 200 {
		made = made.At("/"+long, "%s", long)
	}
	if n := utf8.RuneCountInString(made.Detail); n > maxDetail || !utf8.ValidString(made.Detail) {
		t.Errorf("detail has %d characters", n)
	}
	if len(made.Errors) > maxErrors || utf8.RuneCountInString(made.Errors[0].Pointer) > maxPointer {
		t.Errorf("%d errors, the first at a pointer of %d bytes", len(made.Errors), len(made.Errors[0].Pointer))
	}
}

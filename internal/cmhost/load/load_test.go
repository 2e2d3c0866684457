package load

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/store"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// newStore is an empty store.
func newStore(t *testing.T) *store.Store {
	t.Helper()
	opened, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "host.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	return opened
}

func TestProceduresListedTwiceAreRefused(t *testing.T) {
	s, once, again := newStore(t), signingtest.Procedure("Employee card"), signingtest.Procedure("Employee card")
	again.State = request.Closed
	_, _, err := Load(t.Context(), s, Input{Procedures: []request.Procedure{once, again}, Now: time.Now()})
	if err == nil || !strings.Contains(err.Error(), `"Employee card" is listed twice`) {
		t.Errorf("%v; want a refusal", err)
	}
	if head, err := s.Head(t.Context()); err != nil || head.Length > 0 {
		t.Errorf("a refused load left %d entries, %v", head.Length, err)
	}
}

func TestALoadThatBreaksManyProceduresSaysHowMany(t *testing.T) {
	s, catalog := newStore(t), sample(t)
	input := Input{Catalog: &catalog, Now: time.Now()}
	for i := range 105 {
		input.Procedures = append(input.Procedures, signingtest.Procedure(fmt.Sprintf("Procedure %03d", i)))
	}
	if _, _, err := Load(t.Context(), s, input); err != nil {
		t.Fatal(err)
	}
	input.Catalog, input.Procedures = &rules.Catalog{}, nil
	if _, _, err := Load(t.Context(), s, input); err == nil || !strings.Contains(err.Error(), "Procedure 099: ") || !strings.Contains(err.Error(), "\n  and 5 more\n") {
		t.Errorf("%v; want a refusal that names 100 and counts 5 more", err)
	}
	input.AllowBreaking = true
	if _, broken, err := Load(t.Context(), s, input); err != nil || len(broken) != 101 || broken[100] != "and 5 more" {
		t.Errorf("%v, %q; want 100 and 5 more", err, broken)
	}
}

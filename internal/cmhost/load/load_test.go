package load

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/store"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
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

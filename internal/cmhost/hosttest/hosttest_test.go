package hosttest

import (
	"net/http"
	"testing"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

func TestHostServesAndKeepsItsStoreAcrossARestart(t *testing.T) {
	one, two := signingtest.New(t, "officer-1"), signingtest.New(t, "officer-2")
	host, err := Start(t.TempDir(), Options{Officers: signingtest.Officers(one, two)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := host.Stop(); err != nil {
			t.Error(err)
		}
	}()
	client, err := host.Client(host.Submitter)
	if err != nil {
		t.Fatal(err)
	}
	signed := request.New(host.Audience, 1, signingtest.Procedure("Employee card"))
	now := time.Now()
	for _, want := range []int{http.StatusCreated, http.StatusOK} {
		status, refused, err := Put(t.Context(), client, signed, one.Sign(t, signed, now), two.Sign(t, signed, now))
		if err != nil || status != want {
			t.Fatalf("status %d, %+v, %v; want %d", status, refused, err, want)
		}
		if err := host.Restart(); err != nil {
			t.Fatal(err)
		}
	}
}

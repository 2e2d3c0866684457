package cmhost_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/postgrestest"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/server"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// postgres is one server for all tests, started by the first that needs it.
var postgres = sync.OnceValues(postgrestest.Start)

func TestMain(m *testing.M) {
	code := m.Run()
	if started {
		server, err := postgres()
		if err == nil {
			err = server.Stop()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

var started bool

// newPostgres is an empty database.
func newPostgres(t testing.TB, options ...string) string {
	t.Helper()
	started = true
	server, err := postgres()
	if err != nil {
		t.Fatal(err)
	}
	address, err := server.NewDatabase(t.Context(), options...)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// databases makes an empty database of each kind.
var databases = map[string]func(testing.TB) string{
	"SQLite":     func(t testing.TB) string { t.Helper(); return filepath.Join(t.TempDir(), "host.db") },
	"PostgreSQL": func(t testing.TB) string { t.Helper(); return newPostgres(t) },
}

// onEachDatabase runs a test on an empty database of each kind.
func onEachDatabase(t *testing.T, test func(t *testing.T, address string)) {
	for name, make := range databases {
		t.Run(name, func(t *testing.T) { test(t, make(t)) })
	}
}

// bench is a host with two officers in good standing.
type bench struct {
	*hosttest.Host
	one, two signingtest.Officer
	client   *cmhostv1.ClientWithResponses
}

// unlimited lets one client do what it can.
var unlimited = server.Limits{Rate: -1}

func start(t testing.TB, address string, officers ...signingtest.Officer) bench {
	t.Helper()
	return startWith(t, hosttest.Options{Database: address, Limits: unlimited}, officers...)
}

func startWith(t testing.TB, options hosttest.Options, officers ...signingtest.Officer) bench {
	t.Helper()
	if officers == nil {
		officers = []signingtest.Officer{signingtest.New(t, "officer-1"), signingtest.New(t, "officer-2")}
	}
	options.Officers = signingtest.Officers(officers...)
	host, err := hosttest.Start(t.TempDir(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Stop(); err != nil {
			t.Error(err)
		}
	})
	client, err := host.Client(host.Submitter)
	if err != nil {
		t.Fatal(err)
	}
	return bench{Host: host, one: officers[0], two: officers[1], client: client}
}

// signed is a request with the signatures of both officers, now.
func (b bench) signed(t testing.TB, revision int64, p request.Procedure) (request.Request, [][]byte) {
	t.Helper()
	r, now := request.New(b.Audience, revision, p), time.Now()
	return r, [][]byte{b.one.Sign(t, r, now), b.two.Sign(t, r, now)}
}

// put submits a revision and returns the status, and the kind of a refusal.
func (b bench) put(t testing.TB, revision int64, p request.Procedure) (int, string) {
	t.Helper()
	r, signatures := b.signed(t, revision, p)
	status, refused, err := hosttest.Put(t.Context(), b.client, r, signatures...)
	if err != nil {
		t.Fatal(err)
	}
	if refused != nil {
		return status, refused.Type[len(cmhostv1.ProblemBase):]
	}
	return status, ""
}

// accept submits a revision that must be accepted.
func (b bench) accept(t testing.TB, revision int64, p request.Procedure) {
	t.Helper()
	if status, kind := b.put(t, revision, p); status != 201 {
		t.Fatalf("PUT %s revision %d: %d %s; want 201", p.Name, revision, status, kind)
	}
}

// dropDatabase takes the database away from who uses it.
func dropDatabase(t testing.TB, address string) error {
	t.Helper()
	server, err := postgres()
	if err != nil {
		return err
	}
	return server.DropDatabase(t.Context(), address)
}

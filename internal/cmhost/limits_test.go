package cmhost_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/load"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/server"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// short is a limit that a test waits for, patience one that no good host reaches.
const (
	short    = 300 * time.Millisecond
	patience = 8 * time.Second
)

// dial opens a connection for bytes of the test's own.
func dial(t testing.TB, host bench, credentials hosttest.Credentials) *tls.Conn {
	t.Helper()
	client, err := host.HTTPClient(credentials)
	if err != nil {
		t.Fatal(err)
	}
	config := client.Transport.(*http.Transport).TLSClientConfig.Clone()
	made, err := tls.Dial("tcp", strings.TrimPrefix(host.URL, "https://"), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = made.Close() })
	return made
}

// untilClosed reads what a host sends until it closes the connection, which must be before patience ends.
func untilClosed(t *testing.T, from net.Conn) string {
	t.Helper()
	if err := from.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	sent, err := io.ReadAll(from)
	if netError := net.Error(nil); errors.As(err, &netError) && netError.Timeout() {
		t.Errorf("the connection is open after %v; it had sent %.200q", patience, sent)
	}
	return string(sent)
}

func TestSlowClientsAreCutOff(t *testing.T) {
	const put = "PUT /v1/token-procedures/A HTTP/1.1\r\nHost: host\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
	const get = "GET /v1/host HTTP/1.1\r\nHost: host\r\n\r\n"
	for name, c := range map[string]struct {
		limits server.Limits
		send   string
		want   string // in what the host sends before it closes the connection
	}{
		"a header that does not end":  {server.Limits{Header: short}, "GET /v1/host HTTP/1.1\r\nHost: host\r\nX-Slow: ", ""},
		"a header that never comes":   {server.Limits{Header: short}, "", ""},
		"a body that does not end":    {server.Limits{Request: short}, put + `{"request":`, "problems/malformed"},
		"a body that never comes":     {server.Limits{Request: short}, put, "problems/malformed"},
		"a connection without a call": {server.Limits{Idle: short}, get, "HTTP/1.1 200 OK"},
		"a header that is too large":  {server.Limits{}, "GET /v1/host HTTP/1.1\r\nHost: host\r\nX-Large: " + strings.Repeat("x", 64<<10), "431"},
	} {
		t.Run(name, func(t *testing.T) {
			host := startWith(t, hosttest.Options{Limits: c.limits})
			connection := dial(t, host, host.Submitter)
			if _, err := io.WriteString(connection, c.send); err != nil {
				t.Fatal(err)
			}
			if sent := untilClosed(t, connection); !strings.Contains(sent, c.want) {
				t.Errorf("the host sent %.200q; want %s", sent, c.want)
			}
		})
	}
	t.Run("a handshake that does not end", func(t *testing.T) {
		host := startWith(t, hosttest.Options{Limits: server.Limits{Header: short}})
		connection, err := net.Dial("tcp", strings.TrimPrefix(host.URL, "https://"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = connection.Close() }()
		untilClosed(t, connection)
	})
	t.Run("an answer that nobody reads", func(t *testing.T) {
		host := startWith(t, hosttest.Options{Limits: server.Limits{Answer: short}})
		const views, calls = 8000, 60 // far more than the buffers on the way hold
		catalog, err := hosttest.SampleCatalog()
		if err != nil {
			t.Fatal(err)
		}
		for i := range views {
			catalog.InputViews = append(catalog.InputViews, rules.CatalogObject{Name: fmt.Sprintf("View %d", i), State: request.Active})
		}
		if err := host.Load(load.Input{Catalog: catalog}); err != nil {
			t.Fatal(err)
		}
		connection := dial(t, host, host.Reader)
		if _, err := io.WriteString(connection, strings.Repeat("GET /v1/catalog HTTP/1.1\r\nHost: host\r\n\r\n", calls)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		host.WaitForCalls(ctx, func(inFlight int) bool { return inFlight == 1 })
		last := time.Now() // when a call was answered last; between two of them there is none for a moment
		host.WaitForCalls(ctx, func(inFlight int) bool {
			if inFlight > 0 {
				last = time.Now()
			}
			return time.Since(last) > 2*short
		})
		if ctx.Err() != nil {
			t.Error("the host waits for a client that does not read")
		}
		if sent := untilClosed(t, connection); strings.Count(sent, "HTTP/1.1 200 OK") == calls {
			t.Error("the host has answered every call")
		}
	})
}

// TestWaitingForChangesOutlivesTheTimeToSendACall waits longer than a call may take to be sent, over both protocols.
func TestWaitingForChangesOutlivesTheTimeToSendACall(t *testing.T) {
	host := startWith(t, hosttest.Options{Limits: server.Limits{Request: short}})
	cursor, wait := cursorNow(t, host), 1
	got, err := host.client.WatchChangesWithResponse(t.Context(), &cmhostv1.WatchChangesParams{After: &cursor, Wait: &wait})
	if err != nil || got.JSON200 == nil || got.JSON200.Next != cursor {
		t.Errorf("HTTP/2: %v %+v; want an empty answer", err, got)
	}
	connection := dial(t, host, host.Reader)
	for range 2 {
		if _, err := io.WriteString(connection, "GET /v1/changes?wait=1&after="+cursor+" HTTP/1.1\r\nHost: host\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("HTTP/1.1: %s %s %v; want an empty answer", answer.Status, body, err)
		}
	}
}

// locked takes a lock that writers need until the test ends or it is released.
func locked(t *testing.T, address string) (release func()) {
	t.Helper()
	driver, take := "sqlite", "BEGIN IMMEDIATE"
	if strings.HasPrefix(address, "postgres://") {
		driver, take = "pgx", "BEGIN; LOCK TABLE log IN EXCLUSIVE MODE"
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		t.Fatal(err)
	}
	connection, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := connection.ExecContext(t.Context(), take); err != nil {
		t.Fatal(err)
	}
	release = func() {
		_, err := connection.ExecContext(context.WithoutCancel(t.Context()), "ROLLBACK")
		if err := errors.Join(err, connection.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	}
	return release
}

// TestCallsThatTakeTooLongEnd holds the database: submissions get an answer in their time, what else there is goes on, and
// more calls than allowed at a time are refused. A submission that was given up may be written; again it is answered 200.
func TestCallsThatTakeTooLongEnd(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, address string) {
		host := startWith(t, hosttest.Options{Database: address, Limits: server.Limits{Rate: -1, Call: short, Calls: 2}})
		release := locked(t, address)
		r, signatures := host.signed(t, 1, signingtest.Procedure("Employee card"))
		begun := time.Now()
		status, refused, err := hosttest.Put(t.Context(), host.client, r, signatures...)
		if took := time.Since(begun); err != nil || status != http.StatusServiceUnavailable || refused.Type != cmhostv1.ProblemBase+"unavailable" || took > patience {
			t.Errorf("a call of at most %v: %d %+v %v after %v; want unavailable", short, status, refused, err, took)
		}
		if got, err := host.client.GetHostWithResponse(t.Context()); err != nil || got.StatusCode() != http.StatusOK {
			t.Errorf("reading meanwhile: %v %v; want 200", got, err)
		}
		release()
		deadline := time.Now().Add(patience)
		for status != http.StatusOK && time.Now().Before(deadline) {
			if status, refused, err = hosttest.Put(t.Context(), host.client, r, signatures...); err != nil {
				t.Fatal(err)
			}
		}
		if status != http.StatusOK {
			t.Errorf("the same submission again: %d %+v; want 200 in the end", status, refused)
		}
		readLog(t, host)
	})
}

// TestStoppingFinishesTheCallsUnderWay stops a host while a submission waits for the database.
func TestStoppingFinishesTheCallsUnderWay(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, address string) {
		host := start(t, address)
		r, signatures := host.signed(t, 1, signingtest.Procedure("Employee card"))
		release := locked(t, address)
		answered, stopped := make(chan int, 1), make(chan error, 1)
		go func() {
			status, refused, err := hosttest.Put(t.Context(), host.client, r, signatures...)
			if err != nil || refused != nil {
				t.Errorf("%+v %v", refused, err)
			}
			answered <- status
		}()
		host.WaitForCalls(t.Context(), func(inFlight int) bool { return inFlight == 1 })
		go func() { stopped <- host.Stop() }()
		for { // until the host takes no more connections
			connection, err := net.Dial("tcp", strings.TrimPrefix(host.URL, "https://"))
			if err != nil {
				break
			}
			_ = connection.Close()
		}
		release()
		if status := <-answered; status != http.StatusCreated {
			t.Errorf("the submission under way: %d; want 201", status)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
}

// TestOptionsAreAnsweredLikeEveryOtherCall asks for what Go's server answers by itself, whoever the client is.
func TestOptionsAreAnsweredLikeEveryOtherCall(t *testing.T) {
	host := startWith(t, hosttest.Options{})
	for _, c := range []struct {
		client hosttest.Credentials
		want   string
	}{{host.Unlisted, "client-not-permitted"}, {host.Reader, "client-not-permitted"}, {host.Submitter, "not-found"}} {
		connection := dial(t, host, c.client)
		if _, err := io.WriteString(connection, "OPTIONS * HTTP/1.1\r\nHost: host\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if sent := untilClosed(t, connection); !strings.Contains(sent, "problems/"+c.want) {
			t.Errorf("the host sent %.300q; want %s", sent, c.want)
		}
	}
}

// TestNegativeLimitsAreTheDefaults starts a host whose flags make no sense: it serves all the same.
func TestNegativeLimitsAreTheDefaults(t *testing.T) {
	cursorNow(t, startWith(t, hosttest.Options{Limits: server.Limits{Burst: -1, Calls: -1, LongPolls: -1}}))
}

// TestMoreCallsThanAllowedAtATimeAreRefused lets one client wait for changes where one may wait.
func TestMoreCallsThanAllowedAtATimeAreRefused(t *testing.T) {
	host := startWith(t, hosttest.Options{Limits: server.Limits{LongPolls: 1}})
	cursor, wait := cursorNow(t, host), 60
	ended := make(chan error, 1)
	go func() {
		_, err := host.client.WatchChangesWithResponse(t.Context(), &cmhostv1.WatchChangesParams{After: &cursor, Wait: &wait})
		ended <- err
	}()
	host.WaitForCalls(t.Context(), func(inFlight int) bool { return inFlight == 1 })
	got, err := host.client.WatchChangesWithResponse(t.Context(), &cmhostv1.WatchChangesParams{After: &cursor, Wait: &wait})
	if err != nil || got.ApplicationproblemJSON429 == nil || got.HTTPResponse.Header.Get("Retry-After") != "1" {
		t.Errorf("the second: %v %v; want busy with Retry-After", got, err)
	}
	host.accept(t, 1, signingtest.Procedure("Employee card")) // other calls go on, and end the waiting
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

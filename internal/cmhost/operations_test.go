package cmhost_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/server"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/store"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// lockedBuffer is written by the host and read by the test.
type lockedBuffer struct {
	mutex sync.Mutex
	bytes bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.bytes.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.bytes.String()
}

func TestAccessLogNamesOfficersAndDigestsAndNoSecrets(t *testing.T) {
	log := &lockedBuffer{}
	host := startWith(t, hosttest.Options{Log: slog.New(slog.NewJSONHandler(log, nil))})
	p := signingtest.Procedure("Employee card")
	r, signatures := host.signed(t, 1, p)
	digest, err := r.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if status, refused, err := hosttest.Put(t.Context(), host.client, r, signatures...); err != nil || status != http.StatusCreated {
		t.Fatal(status, refused, err)
	}
	stale, _ := host.put(t, 1, signingtest.Procedure("Other")) // accepted
	host.put(t, 12_000, p)                                     // refused
	if err := host.Stop(); err != nil || stale != http.StatusCreated {
		t.Fatal(stale, err)
	}
	text := log.String()
	for _, wanted := range []string{`"officers":["officer-1","officer-2"]`, `"digest":"` + digest + `"`, `"outcome":"accepted"`, `"problem":"rule-broken"`, `"role":"submitter"`, `"name":"Employee card"`} {
		if !strings.Contains(text, wanted) {
			t.Errorf("the log lacks %s", wanted)
		}
	}
	for what, secret := range map[string]string{
		"a signature": base64.StdEncoding.EncodeToString(signatures[0])[:60], "a private key": "PRIVATE KEY",
		"the request": `"pinProcedure"`, "a certificate": base64.StdEncoding.EncodeToString(host.one.Certificate.Raw)[:60],
	} {
		if strings.Contains(text, secret) {
			t.Errorf("the log holds %s", what)
		}
	}
}

func TestAnswersAreCompressedWhereThatPays(t *testing.T) {
	host := start(t, "")
	client, err := host.HTTPClient(host.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/v1/catalog": "gzip", "/v1/host": ""} {
		call, err := http.NewRequestWithContext(t.Context(), http.MethodGet, host.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		call.Header.Set("Accept-Encoding", "gzip, zstd")
		answer, err := client.Do(call)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if found := answer.Header.Get("Content-Encoding"); found != want {
			t.Errorf("GET %s: Content-Encoding %q; want %q", path, found, want)
		}
	}
}

func TestTooManyCallsAreRefusedWithRetryAfter(t *testing.T) {
	host := startWith(t, hosttest.Options{Limits: server.Limits{Rate: 0.1, Burst: 3}})
	for i, want := range []int{200, 200, 200, 429} {
		got, err := host.client.GetHostWithResponse(t.Context())
		if err != nil || got.StatusCode() != want {
			t.Fatalf("call %d: %v %v; want %d", i+1, got.Status(), err, want)
		}
		if want == 429 && (got.HTTPResponse.Header.Get("Retry-After") == "" || got.ApplicationproblemJSON429.Type != cmhostv1.ProblemBase+"busy") {
			t.Errorf("%v %s; want busy with Retry-After", got.HTTPResponse.Header, got.Body)
		}
	}
	other, err := host.Client(host.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := other.GetHostWithResponse(t.Context()); err != nil || got.StatusCode() != http.StatusOK {
		t.Errorf("another client: %v %v; want 200", got, err)
	}
}

// TestStoppingEndsLongPollsAtOnce stops a host while a client waits a minute for changes.
func TestStoppingEndsLongPollsAtOnce(t *testing.T) {
	host := start(t, "")
	cursor, wait := cursorNow(t, host), 60
	type outcome struct {
		next string
		err  error
	}
	waiting := make(chan struct{})
	ended := make(chan outcome, 1)
	go func() {
		close(waiting)
		got, err := host.client.WatchChangesWithResponse(t.Context(), &cmhostv1.WatchChangesParams{After: &cursor, Wait: &wait})
		if err != nil || got.JSON200 == nil {
			ended <- outcome{err: err}
			return
		}
		ended <- outcome{next: got.JSON200.Next}
	}()
	<-waiting
	host.WaitForCalls(t.Context(), func(inFlight int) bool { return inFlight == 1 })
	begun := time.Now()
	if err := host.Stop(); err != nil {
		t.Fatal(err)
	}
	if found := <-ended; found.err != nil || found.next != cursor {
		t.Errorf("%+v; want an empty answer with the same cursor", found)
	}
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("stopping took %v", took)
	}
}

func TestOperationsShowMetricsAndHealth(t *testing.T) {
	opened, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "host.db"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	metrics := server.NewMetrics(prometheus.NewRegistry())
	metrics.ObserveLog(opened)
	host, err := server.New(ctx, server.Config{Audience: "cm.test", Store: opened, Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	host.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/v1/host", nil)) // without TLS: refused
	for path, want := range map[string]string{"/metrics": `cmhost_problems_total{problem="client-not-permitted",reason=""} 1`, "/healthz": "ok", "/readyz": "ok"} {
		if status, body := operation(host, path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s; want %s", path, status, body, want)
		}
	}
	stop()
	if err := opened.Close(); err != nil {
		t.Fatal(err)
	}
	if status, _ := operation(host, "/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz without a database: %d; want 503", status)
	}
}

func operation(host *server.Server, path string) (int, string) {
	recorder := httptest.NewRecorder()
	host.Operations().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
	body, _ := io.ReadAll(recorder.Body)
	return recorder.Code, string(body)
}

// TestALostDatabaseIsUnavailableAndTellsNothing stops PostgreSQL under a running host.
func TestALostDatabaseIsUnavailableAndTellsNothing(t *testing.T) {
	log := &lockedBuffer{}
	address := newPostgres(t)
	host := startWith(t, hosttest.Options{Database: address, Log: slog.New(slog.NewJSONHandler(log, nil))})
	if err := dropDatabase(t, address); err != nil {
		t.Fatal(err)
	}
	for _, call := range []func() (int, []byte, error){
		func() (int, []byte, error) {
			got, err := host.client.GetHostWithResponse(t.Context())
			if got.HTTPResponse.Header.Get("Retry-After") == "" {
				t.Error("there is no Retry-After")
			}
			return got.StatusCode(), got.Body, err
		},
		func() (int, []byte, error) {
			r, signatures := host.signed(t, 1, signingtest.Procedure("Employee card"))
			status, refused, err := hosttest.Put(t.Context(), host.client, r, signatures...)
			body, _ := json.Marshal(refused)
			return status, body, err
		},
	} {
		status, body, err := call()
		if err != nil || status != http.StatusServiceUnavailable || !strings.Contains(string(body), "problems/unavailable") {
			t.Errorf("%d %s %v; want unavailable", status, body, err)
		}
		if strings.Contains(string(body), "127.0.0.1") || strings.Contains(string(body), "SQLSTATE") {
			t.Errorf("%s tells about the database", body)
		}
	}
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := parsed.User.Password()
	if text := log.String(); !strings.Contains(text, `"cause"`) || strings.Contains(text, password) {
		t.Error("the log must say the cause, and not the password")
	}
}

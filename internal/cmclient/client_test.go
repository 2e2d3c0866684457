package cmclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// clientOf is a client of a server that answers as the handler does.
func clientOf(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	client, err := NewClient(server.URL, &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, func(string, string, time.Duration) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestAnswersThatAreNotOfAHostAreFailures(t *testing.T) {
	problem := func(status int, kind string, more string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, `{"type":"https://tokenprocedures.dev/problems/%s","title":"t","status":%d%s}`, kind, status, more)
		}
	}
	plain := func(contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			_, _ = w.Write([]byte(body))
		}
	}
	for sentence, c := range map[string]struct {
		handler http.HandlerFunc
		refused string // the type of a refusal; empty for a failure
		retry   time.Duration
		says    string
	}{
		"a page of HTML":              {plain("text/html", "<html>"), "", 0, "content type"},
		"JSON that is cut off":        {plain("application/json", `{"audience":`), "", 0, "unexpected end"},
		"JSON of another shape":       {plain("application/json", `{"audience":[1]}`), "", 0, "cannot unmarshal"},
		"JSON that says nothing":      {plain("application/json", `{}`), "", 0, "no audience"},
		"no object":                   {plain("application/json", `null`), "", 0, "no audience"},
		"more than 4 MiB":             {plain("application/json", strings.Repeat(" ", MaxAnswer+1)), "", 0, "more than 4194304 bytes"},
		"busy":                        {problem(429, "busy", ""), "", 7 * time.Second, "busy"},
		"unavailable":                 {problem(503, "unavailable", ""), "", 7 * time.Second, "unavailable"},
		"a problem of unknown type":   {problem(422, "made-up", ""), "", 7 * time.Second, "made-up"},
		"a refusal":                   {problem(409, "stale-revision", `,"detail":"too\u0000 old\u202e"`), "stale-revision", 0, "too? old?"},
		"a refusal with a long story": {problem(422, "rule-broken", `,"detail":"`+strings.Repeat("x", 5000)+`"`), "rule-broken", 0, strings.Repeat("x", MaxDetail)},
		"a reason that is no word":    {problem(403, "officer", `,"reason":"a b"`), "officer", 0, "officer"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://127.0.0.1:1/", http.StatusFound)
		}, "", 0, "status 302"},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, err := clientOf(t, c.handler).host(context.Background())
			var refusal *Refusal
			var failure *Failure
			switch {
			case errors.As(err, &refusal) != (c.refused != ""):
				t.Fatalf("got %v; expected a refusal: %v", err, c.refused != "")
			case refusal != nil && refusal.Type != c.refused:
				t.Errorf("refusal of type %s; expected %s", refusal.Type, c.refused)
			case refusal == nil && !errors.As(err, &failure):
				t.Fatalf("got %v; expected a failure", err)
			}
			if failure != nil && failure.RetryAfter != c.retry {
				t.Errorf("retry after %v; expected %v", failure.RetryAfter, c.retry)
			}
			if !strings.Contains(err.Error(), c.says) || len(err.Error()) > 1000 {
				t.Errorf("got %q; expected it to say %q in less than 1000 bytes", err, c.says)
			}
		})
	}
}

func TestACertificateThatIsNotTrustedIsTLSRefused(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	client, err := NewClient(server.URL, &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS13}, func(string, string, time.Duration) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	_, err = client.host(context.Background())
	if failure := AsFailure(err); failure.Reason != v1alpha1.ReasonTLSRefused {
		t.Errorf("got %v; expected TLSRefused", err)
	}
}

func TestThePauseGrowsToItsLongestAndKeepsWhatTheHostAsks(t *testing.T) {
	p := newPause(30 * time.Second)
	for attempt := range 40 {
		ceiling := min(100*time.Millisecond<<min(attempt, 16), 30*time.Second)
		if pause := p.next(0); pause < ceiling/2 || pause > ceiling {
			t.Errorf("attempt %d: a pause of %v; expected %v to %v", attempt, pause, ceiling/2, ceiling)
		}
	}
	if pause := p.next(45 * time.Second); pause != 45*time.Second {
		t.Errorf("a pause of %v although the host asked for 45 s", pause)
	}
	p.held(0)
	if pause := p.next(0); pause > 1600*time.Millisecond {
		t.Errorf("a pause of %v after a feed that broke at once", pause)
	}
	p.held(time.Minute)
	if pause := p.next(0); pause > 100*time.Millisecond {
		t.Errorf("a pause of %v after a calm minute", pause)
	}
}

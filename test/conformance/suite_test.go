package conformance

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
)

// check is the whole suite against one host.
func check(t *testing.T, to target) {
	s := open(t, to)
	t.Logf("checking %s, audience %s", s.url, s.host.Audience)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *session)
	}{
		{"connection", checkConnection},
		{"queries", checkQueries},
		{"host, register and catalogue", checkDocuments},
		{"accepting", checkAccepting},
		{"refusing", checkRefusals},
		{"order of the checks", checkOrder},
		{"list", checkList},
		{"names", checkNames},
		{"reading", checkReading},
		{"selection", checkSelection},
		{"log", checkLog},
		{"changes", checkChanges},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, s) })
	}
}

func checkConnection(t *testing.T, s *session) {
	if answer, err := s.target.client(t, "", tls.VersionTLS13).Get(s.url + "/v1/host"); err == nil {
		_ = answer.Body.Close()
		t.Errorf("without a client certificate: %s; want no handshake", answer.Status)
	}
	if answer, err := s.target.client(t, "submitter", tls.VersionTLS12).Get(s.url + "/v1/host"); err == nil {
		_ = answer.Body.Close()
		t.Errorf("with TLS 1.2: %s; want no handshake", answer.Status)
	}
	if s.clients["unlisted"] == nil {
		t.Log("not checked: a client without a role (-unlisted-cert, -unlisted-key)")
		return
	}
	for _, path := range []string{"/v1/host", "/v1/officers", "/v1/catalog", "/v1/token-procedures", pathOf("X"), pathOf("X") + "/history", pathOf("X") + "/selection", "/v1/log", "/v1/changes"} {
		s.call(t, "unlisted", http.MethodGet, path, nil, nil).want(t, http.StatusForbidden, "client-not-permitted", "")
	}
}

// checkQueries asks with queries that cannot be read: none of it may count as absent.
func checkQueries(t *testing.T, s *session) {
	for _, path := range []string{
		"/v1/host", "/v1/officers", "/v1/catalog", "/v1/token-procedures", "/v1/log", "/v1/changes",
		pathOf(s.name("nobody")), pathOf(s.name("nobody")) + "/history", pathOf(s.name("nobody")) + "/selection",
	} {
		for _, query := range []string{"limit=501%", "keyUsage=%zz", "after=1;limit=2", "%"} {
			s.call(t, "reader", http.MethodGet, path+"?"+query, nil, nil).want(t, http.StatusBadRequest, "malformed", "")
		}
	}
	s.call(t, "submitter", http.MethodPut, pathOf(s.name("nobody"))+"?%zz", []byte("{}"), nil).want(t, http.StatusBadRequest, "malformed", "")
	s.call(t, "reader", http.MethodPut, pathOf(s.name("nobody"))+"?%zz", []byte("{}"), nil).want(t, http.StatusForbidden, "client-not-permitted", "")
}

func checkDocuments(t *testing.T, s *session) {
	for _, path := range []string{"/v1/officers", "/v1/catalog"} {
		got := s.get(t, path)
		tag := got.header.Get("ETag")
		if tag == "" {
			t.Errorf("GET %s: no ETag", path)
		}
		for _, lines := range [][]string{{tag}, {`"other", ` + tag}, {`"other"`, tag}, {tag, `"other"`}} {
			again := s.call(t, "reader", http.MethodGet, path, nil, http.Header{"If-None-Match": lines})
			if again.status != http.StatusNotModified || len(again.body) > 0 {
				t.Errorf("GET %s with its ETag as %q: %d with %d bytes; want 304 without", path, lines, again.status, len(again.body))
			}
		}
		if other := s.call(t, "reader", http.MethodGet, path, nil, http.Header{"If-None-Match": {`"other"`}}); other.status != http.StatusOK {
			t.Errorf("GET %s with another ETag: %d; want 200", path, other.status)
		}
	}
	if s.host.Log.Length > 0 && !strings.HasPrefix(s.host.Log.Head, "sha256:") {
		t.Errorf("a log of %d entries has the head %q", s.host.Log.Length, s.host.Log.Head)
	}
}

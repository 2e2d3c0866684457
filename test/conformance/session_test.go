package conformance

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

// session is one run of the suite against a host.
type session struct {
	target
	clients map[string]*http.Client
	router  routers.Router
	run     string // in every name, so that a host can be checked again
	host    cmhostv1.Host
	maxAge  time.Duration
	base    request.Procedure
}

// answer is what a host said.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	problem cmhostv1.Problem
}

// open begins a session: it finds out what the host is and what a procedure can be there.
func open(t *testing.T, to target) *session {
	t.Helper()
	contract, err := cmhostv1.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	contract.Servers = nil
	router, err := legacy.NewRouter(contract)
	if err != nil {
		t.Fatal(err)
	}
	s := &session{target: to, clients: map[string]*http.Client{}, router: router, run: strings.ToLower(rand.Text()[:8])}
	for role := range to.clients {
		s.clients[role] = to.client(t, role, tls.VersionTLS13)
	}
	s.get(t, "/v1/host").into(t, &s.host)
	if s.maxAge, err = time.ParseDuration(s.host.MaxSignatureAge); err != nil {
		t.Fatal(err)
	}
	var catalog rules.Catalog
	s.get(t, "/v1/catalog").into(t, &catalog)
	s.base = request.Procedure{State: request.Active, StorageProfile: "Data", CertificateProcedures: []string{usable(t, catalog)}}
	if !slices.Contains(catalog.StorageProfiles, "Data") {
		s.base.StorageProfile = "PKCS10"
	}
	return s
}

// usable is a certificate procedure that every procedure can refer to.
func usable(t *testing.T, catalog rules.Catalog) string {
	t.Helper()
	for _, procedure := range catalog.CertificateProcedures {
		if procedure.State == request.Active && procedure.Domain == "" && len(procedure.KeyUsages) > 0 && len(procedure.KeyUsages) < len(rules.KeyUsages) {
			return procedure.Name
		}
	}
	t.Fatal("the catalogue has no Active certificate procedure without a domain and with some key usages; one is needed")
	return ""
}

// name is a name of this run.
func (s *session) name(label string) string { return "Conformance " + s.run + " " + label }

// procedure is one that a host accepts.
func (s *session) procedure(label string) request.Procedure {
	p := s.base
	p.Name = s.name(label)
	return p
}

// get calls as the reader, and expects 200.
func (s *session) get(t *testing.T, path string) answer {
	t.Helper()
	got := s.call(t, "reader", http.MethodGet, path, nil, nil)
	if got.status != http.StatusOK {
		t.Fatalf("GET %s: status %d %s; want 200", path, got.status, got.body)
	}
	return got
}

// call makes a call and checks the answer against the contract.
func (s *session) call(t *testing.T, role, method, path string, body []byte, header http.Header) answer {
	t.Helper()
	call, err := http.NewRequestWithContext(t.Context(), method, s.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	call.Header = header.Clone()
	if call.Header == nil {
		call.Header = http.Header{}
	}
	if body != nil {
		call.Header.Set("Content-Type", "application/json")
	}
	got, err := s.clients[role].Do(call)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = got.Body.Close() }()
	content, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	found := answer{status: got.StatusCode, header: got.Header, body: content}
	s.checkAgainstContract(t, call, found)
	if found.status >= http.StatusBadRequest {
		found.into(t, &found.problem)
	}
	return found
}

// checkAgainstContract validates an answer: the status is described, and the body has the schema.
func (s *session) checkAgainstContract(t *testing.T, call *http.Request, found answer) {
	t.Helper()
	local := *call
	local.URL = &url.URL{Path: call.URL.Path, RawPath: call.URL.RawPath, RawQuery: call.URL.RawQuery}
	route, parameters, err := s.router.FindRoute(&local)
	if err != nil {
		return // not a call of the contract
	}
	err = openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: &local, PathParams: parameters, Route: route},
		Status:                 found.status, Header: found.header, Body: io.NopCloser(bytes.NewReader(found.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if err != nil {
		t.Errorf("%s %s: the answer breaks the contract: %v\n%.500s", call.Method, call.URL.Path, err, found.body)
	}
	if found.status >= http.StatusBadRequest && !strings.HasPrefix(found.header.Get("Content-Type"), "application/problem+json") {
		t.Errorf("%s %s: status %d has the content type %q; want application/problem+json", call.Method, call.URL.Path, found.status, found.header.Get("Content-Type"))
	}
}

func (a answer) into(t *testing.T, value any) {
	t.Helper()
	if err := json.Unmarshal(a.body, value); err != nil {
		t.Fatalf("%v in %.500s", err, a.body)
	}
}

// want checks that an answer is a refusal of a kind, with a reason unless that is empty.
func (a answer) want(t *testing.T, status int, kind, reason string) {
	t.Helper()
	if a.status != status || a.problem.Type != cmhostv1.ProblemBase+kind || (reason != "" && a.problem.Reason != reason) {
		t.Errorf("got %d %.600s; want %d %s %s", a.status, a.body, status, kind, reason)
	}
}

func pathOf(name string) string { return "/v1/token-procedures/" + url.PathEscape(name) }

// sign makes the submission of a request by officers, now.
func (s *session) sign(t *testing.T, signed request.Request, officers ...string) cmhostv1.Submission {
	t.Helper()
	return s.signAt(t, signed, time.Now(), officers...)
}

func (s *session) signAt(t *testing.T, signed request.Request, at time.Time, officers ...string) cmhostv1.Submission {
	t.Helper()
	canonical, err := signed.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	body := cmhostv1.Submission{Request: canonical}
	for _, name := range officers {
		body.Signatures = append(body.Signatures, s.officers[name].Sign(t, signed, at))
	}
	return body
}

// put submits as the submitter.
func (s *session) put(t *testing.T, name string, body cmhostv1.Submission) answer {
	t.Helper()
	plain, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return s.call(t, "submitter", http.MethodPut, pathOf(name), plain, nil)
}

// accept submits a revision with two good signatures and expects it to be accepted.
func (s *session) accept(t *testing.T, revision int64, p request.Procedure) cmhostv1.TokenProcedure {
	t.Helper()
	got := s.put(t, p.Name, s.sign(t, request.New(s.host.Audience, revision, p), "officer-1", "officer-2"))
	if got.status != http.StatusCreated {
		t.Fatalf("PUT %s revision %d: %d %s; want 201", p.Name, revision, got.status, got.body)
	}
	var made cmhostv1.TokenProcedure
	got.into(t, &made)
	return made
}

// length is how long the log is.
func (s *session) length(t *testing.T) int64 {
	t.Helper()
	var host cmhostv1.Host
	s.get(t, "/v1/host").into(t, &host)
	return host.Log.Length
}

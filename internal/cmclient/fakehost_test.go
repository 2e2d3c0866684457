package cmclient

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// fakeHost is a CM host that says the truth until a test makes it lie. Every change is one entry of its log.
type fakeHost struct {
	// before is called before an operation is answered; it answers itself where it returns true.
	before func(operation string, w http.ResponseWriter, r *http.Request) bool
	// longPoll is how long the feed waits at most.
	longPoll time.Duration

	server *httptest.Server

	mu         sync.Mutex
	audience   string
	maxAge     string
	epoch      int
	changes    []cmhostv1.Change
	changed    chan struct{} // closed and made anew with every change
	officers   []signing.Officer
	catalog    rules.Catalog
	procedures map[string]cmhostv1.TokenProcedure
	calls      map[string]int
}

func newFakeHost(t *testing.T, procedures int) *fakeHost {
	t.Helper()
	h := &fakeHost{
		audience: "cm.test", maxAge: "720h", longPoll: time.Minute, changed: make(chan struct{}), calls: map[string]int{}, procedures: map[string]cmhostv1.TokenProcedure{},
		officers: []signing.Officer{{ID: "officer-1", Subject: "CN=one", State: "Active"}}, before: func(string, http.ResponseWriter, *http.Request) bool { return false },
	}
	for i := range procedures {
		h.accept(fmt.Sprintf("p%05d", i), 1)
	}
	h.server = httptest.NewUnstartedServer(h)
	h.server.TLS = &tls.Config{MinVersion: tls.VersionTLS13}
	h.server.StartTLS()
	t.Cleanup(func() {
		h.server.CloseClientConnections()
		h.server.Close()
	})
	return h
}

// accept makes a revision of a procedure, as if officers had signed it.
func (h *fakeHost) accept(name string, revision int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.procedures[name] = revisionNamed(name, revision)
	h.note(cmhostv1.ChangeKindTokenProcedure, name)
}

func revisionNamed(name string, revision int64) cmhostv1.TokenProcedure {
	return cmhostv1.TokenProcedure{
		Name: name, Revision: revision, Digest: digestOf(name, revision), AcceptedAt: time.Unix(revision, 0),
		Procedure: request.Procedure{Name: name, State: request.Active},
	}
}

func digestOf(name string, revision int64) string {
	return "sha256:" + fmt.Sprintf("%064x", []byte(fmt.Sprint(name, revision)))[:64]
}

// register makes a change of the register.
func (h *fakeHost) register(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.officers = append(slices.Clone(h.officers), signing.Officer{ID: id, Subject: "CN=" + id, State: "Active"})
	h.note(cmhostv1.ChangeKindOfficer, id)
}

func (h *fakeHost) note(kind cmhostv1.ChangeKind, name string) {
	h.changes = append(h.changes, cmhostv1.Change{Kind: kind, Name: name})
	close(h.changed)
	h.changed = make(chan struct{})
}

// with changes the host while nothing is answered.
func (h *fakeHost) with(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

// counts are the calls since they were counted last.
func (h *fakeHost) counts() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	counted := maps.Clone(h.calls)
	clear(h.calls)
	return counted
}

func (h *fakeHost) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation := operationOf(r)
	h.mu.Lock()
	before := h.before
	h.calls[operation]++
	h.mu.Unlock()
	if before(operation, w, r) {
		return
	}
	switch operation {
	case "feed":
		h.feed(w, r)
	case "now":
		h.mu.Lock()
		defer h.mu.Unlock()
		answer(w, cmhostv1.Changes{Items: []cmhostv1.Change{}, Next: h.cursor(len(h.changes))})
	case "put":
		name := strings.TrimPrefix(r.URL.Path, "/v1/token-procedures/")
		h.mu.Lock()
		next := h.procedures[name].Revision + 1
		h.mu.Unlock()
		h.accept(name, next)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(revisionNamed(name, next))
	default:
		h.mu.Lock()
		defer h.mu.Unlock()
		h.read(operation, w, r)
	}
}

func (h *fakeHost) read(operation string, w http.ResponseWriter, r *http.Request) {
	switch operation {
	case "host":
		answer(w, cmhostv1.Host{Audience: h.audience, Product: "fake", MaxSignatureAge: h.maxAge, Log: cmhostv1.LogHead{Length: int64(len(h.changes)), Head: headAt(len(h.changes))}})
	case "log":
		after, _ := strconv.Atoi(r.URL.Query().Get("after"))
		answer(w, map[string]any{"items": []any{map[string]any{"index": after + 1, "hash": headAt(after + 1), "time": time.Unix(0, 0)}}})
	case "officers":
		tagged(w, r, h.officers, cmhostv1.OfficerList{Items: h.officers})
	case "catalog":
		tagged(w, r, h.catalog, h.catalog)
	case "list":
		h.list(w, r)
	default:
		name, _, historical := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/token-procedures/"), "/")
		switch procedure, found := h.procedures[name]; {
		case !found:
			problem(w, http.StatusNotFound, ProblemNotFound)
		case historical:
			answer(w, map[string]any{"items": []any{procedure}})
		default:
			answer(w, procedure)
		}
	}
}

func operationOf(r *http.Request) string {
	switch path := strings.TrimPrefix(r.URL.Path, "/v1/"); {
	case r.Method == http.MethodPut:
		return "put"
	case path == "changes" && r.URL.Query().Get("after") == "":
		return "now"
	case path == "changes":
		return "feed"
	case path == "token-procedures":
		return "list"
	case strings.HasSuffix(path, "/history"):
		return "history"
	case strings.HasPrefix(path, "token-procedures/"):
		return "procedure"
	default:
		return path
	}
}

func headAt(length int) string {
	if length == 0 {
		return ""
	}
	return digestOf("log", int64(length))
}

func (h *fakeHost) cursor(index int) string { return fmt.Sprintf("%d.%d", h.epoch, index) }

// feed answers as soon as there are changes behind the cursor.
func (h *fakeHost) feed(w http.ResponseWriter, r *http.Request) {
	seconds, _ := strconv.Atoi(r.URL.Query().Get("wait"))
	timeout := time.After(min(time.Duration(seconds)*time.Second, h.longPoll))
	for {
		var epoch, index int
		_, err := fmt.Sscanf(r.URL.Query().Get("after"), "%d.%d", &epoch, &index)
		h.mu.Lock()
		changed, next := h.changed, h.cursor(len(h.changes))
		gone := err != nil || epoch != h.epoch || index > len(h.changes)
		var items []cmhostv1.Change
		if !gone {
			items = slices.Clone(h.changes[index:])
		}
		h.mu.Unlock()
		switch {
		case gone:
			problem(w, http.StatusGone, ProblemCursorGone)
			return
		case len(items) > 0 || seconds == 0:
			answer(w, cmhostv1.Changes{Items: items, Next: next})
			return
		}
		select {
		case <-changed:
		case <-timeout:
			answer(w, cmhostv1.Changes{Items: []cmhostv1.Change{}, Next: next})
			return
		case <-r.Context().Done():
			return
		}
	}
}

func (h *fakeHost) list(w http.ResponseWriter, r *http.Request) {
	after, limit := r.URL.Query().Get("after"), 100
	if given, err := strconv.Atoi(r.URL.Query().Get("limit")); err == nil {
		limit = given
	}
	page := cmhostv1.TokenProcedureList{Items: []cmhostv1.TokenProcedureSummary{}}
	for _, name := range slices.Sorted(maps.Keys(h.procedures)) {
		if name <= after {
			continue
		}
		if len(page.Items) == limit {
			page.Next = page.Items[limit-1].Name
			break
		}
		p := h.procedures[name]
		page.Items = append(page.Items, cmhostv1.TokenProcedureSummary{Name: name, Revision: p.Revision, Digest: p.Digest, AcceptedAt: p.AcceptedAt, State: p.Procedure.State})
	}
	answer(w, page)
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}

// tagged answers with an ETag, or that nothing changed.
func tagged(w http.ResponseWriter, r *http.Request, of, body any) {
	tag := fmt.Sprintf("%q", fmt.Sprint(of))
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	answer(w, body)
}

func problem(w http.ResponseWriter, status int, kind string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"type":"https://tokenprocedures.dev/problems/%s","title":"t","status":%d}`, kind, status)
}

// told is what a connection has told its owner.
type told struct {
	state  State
	change Change
}

// follower is an owner of a connection.
type follower struct {
	*Connection
	t    *testing.T
	told chan told
}

// follow connects to a host and waits until it was tried.
func follow(t *testing.T, h *fakeHost, changes ...func(*Config)) *follower {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(h.server.Certificate())
	f := &follower{t: t, told: make(chan told, 1000)}
	config := Config{
		URL: h.server.URL, Audience: "cm.test", TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13},
		Notify: func(state State, change Change) { f.told <- told{state, change} }, LongestBackOff: 200 * time.Millisecond,
	}
	for _, change := range changes {
		change(&config)
	}
	var err error
	if f.Connection, err = Connect(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	f.until("the first answer", func(n told) bool { return n.state.Tried })
	return f
}

// until waits for a notification.
func (f *follower) until(what string, wanted func(told) bool) told {
	f.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case n := <-f.told:
			if wanted(n) {
				return n
			}
		case <-deadline:
			f.t.Fatalf("waited in vain for %s; the connection says %+v", what, f.State().Failure)
		}
	}
}

// untilProcedure waits until a change of a procedure was told.
func (f *follower) untilProcedure(name string) told {
	f.t.Helper()
	return f.until("a change of "+name, func(n told) bool { return slices.Contains(n.change.Procedures, name) })
}

package cmclient

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// breaks cuts every connection to the host, after a change that nobody hears of.
func (h *fakeHost) breaks(change func()) {
	down := func(_ string, w http.ResponseWriter, _ *http.Request) bool {
		problem(w, http.StatusServiceUnavailable, ProblemUnavailable)
		return true
	}
	h.with(func() { h.before = down })
	h.server.CloseClientConnections()
	change()
	h.counts()
	h.with(func() { h.before = func(string, http.ResponseWriter, *http.Request) bool { return false } })
}

// cut cuts every connection to the host once its feed is followed.
func (h *fakeHost) cut(t *testing.T) {
	t.Helper()
	eventually(t, "one long poll", func() bool { return h.peek("feed") > 0 })
	h.server.CloseClientConnections()
}

// TestWhatCatchingUpCosts counts every call of a connection that is made, broken, and told that its cursor is gone.
func TestWhatCatchingUpCosts(t *testing.T) {
	h := newFakeHost(t, 1200)
	f := follow(t, h)
	first := map[string]int{"host": 1, "officers": 1, "catalog": 1, "now": 1, "list": 3, "feed": 1}
	eventually(t, "one long poll", func() bool { return h.peek("feed") == 1 })
	if got := h.counts(); !maps.Equal(got, first) {
		t.Errorf("connecting cost %v; expected %v", got, first)
	}

	h.breaks(func() { h.accept("p00007", 2); h.accept("p01100", 2) })
	f.until("both changes", collect(map[string]bool{"p00007": true, "p01100": true}))
	got := h.counts()
	for operation, most := range map[string]int{"procedure": 2, "list": 0, "now": 0} {
		if got[operation] != most {
			t.Errorf("catching up with two changes made %d calls of %q; expected %d: %v", got[operation], operation, most, got)
		}
	}

	h.breaks(func() { h.accept("p00008", 2); h.with(func() { h.epoch++ }) })
	n := f.untilProcedure("p00008")
	if !slices.Equal(n.change.Procedures, []string{"p00008"}) || n.change.Everything || len(n.change.Officers)+len(n.change.Catalog) > 0 {
		t.Errorf("a listing in which one digest is another one told %+v; expected that procedure alone", n.change)
	}
	eventually(t, "one long poll", func() bool { return h.peek("feed") >= 2 })
	got = h.counts()
	for operation, wanted := range map[string]int{"list": 3, "now": 1, "procedure": 0, "history": 0} {
		if got[operation] != wanted {
			t.Errorf("with the cursor gone there were %d calls of %q; expected %d: %v", got[operation], operation, wanted, got)
		}
	}
	if entry, _ := f.Entry("p00008"); entry.Revision != 2 {
		t.Errorf("revision %d is known; expected 2", entry.Revision)
	}
}

// collect tells when all of some procedures were told.
func collect(missing map[string]bool) func(told) bool {
	return func(n told) bool {
		for _, name := range n.change.Procedures {
			delete(missing, name)
		}
		return len(missing) == 0
	}
}

// peek is how often an operation was called since the calls were counted last.
func (h *fakeHost) peek(operation string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls[operation]
}

// eventually asks every few milliseconds until something is so.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestTheRegisterIsReadByETag(t *testing.T) {
	h := newFakeHost(t, 1)
	var conditional atomic.Int64
	h.before = func(operation string, _ http.ResponseWriter, r *http.Request) bool {
		if (operation == "officers" || operation == "catalog") && r.Header.Get("If-None-Match") != "" {
			conditional.Add(1)
		}
		return false
	}
	f := follow(t, h)
	h.cut(t)
	eventually(t, "both asked for by ETag", func() bool { return conditional.Load() == 2 })
	policy := f.State().Snapshot.Policy
	h.register("officer-2")
	n := f.until("the new officer", func(n told) bool { return len(n.change.Officers) > 0 })
	if !maps.Equal(n.change.Officers, map[string]bool{"officer-2": true}) || n.state.Snapshot.Policy != policy+1 {
		t.Errorf("told %v with policy %d; expected officer-2 alone, and policy %d", n.change.Officers, n.state.Snapshot.Policy, policy+1)
	}
}

// TestAPolicyThatChangesWhileItIsReadIsNotLost changes the register before each of the calls that a connection begins with.
func TestAPolicyThatChangesWhileItIsReadIsNotLost(t *testing.T) {
	for _, moment := range []string{"host", "officers", "catalog", "now", "list", "feed"} {
		t.Run(moment, func(t *testing.T) {
			h := newFakeHost(t, 1)
			var once sync.Once
			h.before = func(operation string, _ http.ResponseWriter, _ *http.Request) bool {
				if operation == moment {
					once.Do(func() { h.register("officer-2") })
				}
				return false
			}
			f := follow(t, h)
			eventually(t, "officer-2", func() bool { return f.State().Snapshot.Officers == 2 })
		})
	}
}

func TestManyWhoAskForOneHistoryAreOneCall(t *testing.T) {
	h := newFakeHost(t, 1)
	waiting := make(chan struct{})
	h.before = func(operation string, _ http.ResponseWriter, _ *http.Request) bool {
		if operation == "history" || operation == "procedure" {
			<-waiting
		}
		return false
	}
	f := follow(t, h)
	var asking, all sync.WaitGroup
	for range 12 {
		asking.Add(1)
		all.Go(func() {
			asking.Done()
			if history, err := f.History(t.Context(), "p00000"); err != nil || len(history) != 1 {
				t.Errorf("%d revisions, %v", len(history), err)
			}
			if content, err := f.Content(t.Context(), "p00000"); err != nil || content.Revision != 1 {
				t.Errorf("revision %d, %v", content.Revision, err)
			}
		})
	}
	asking.Wait()
	eventually(t, "a call", func() bool { return h.peek("history") > 0 })
	close(waiting)
	all.Wait()
	if h.peek("history") != 1 || h.peek("procedure") != 1 {
		t.Errorf("%d calls for the history and %d for the content; expected one each", h.peek("history"), h.peek("procedure"))
	}
}

// TestAnotherAgeOfSignaturesConcernsEverything has a host that takes signatures of another age from now on.
func TestAnotherAgeOfSignaturesConcernsEverything(t *testing.T) {
	for sentence, learn := range map[string]func(*testing.T, *fakeHost){
		"after an interruption": func(t *testing.T, h *fakeHost) { h.cut(t) },
		"with the next change":  func(_ *testing.T, h *fakeHost) { h.accept("p00000", 2) },
	} {
		t.Run(sentence, func(t *testing.T) {
			h := newFakeHost(t, 1)
			f := follow(t, h)
			h.with(func() { h.maxAge = "48h" })
			learn(t, h)
			n := f.until("the other age", func(n told) bool { return n.change.Everything })
			if n.state.Snapshot.MaxSignatureAge != 48*time.Hour {
				t.Errorf("told of %s; expected 48 h", n.state.Snapshot.MaxSignatureAge)
			}
		})
	}
}

func TestAHostThatBecomesAnotherOneIsNotUsed(t *testing.T) {
	h := newFakeHost(t, 3)
	f := follow(t, h)
	h.with(func() { h.audience = "cm.other" })
	h.cut(t)
	n := f.until("the failure", func(n told) bool { return n.state.Failure != nil })
	if n.state.Failure.Reason != v1alpha1.ReasonAudienceMismatch || !n.change.Availability {
		t.Errorf("told %+v with %+v; expected AudienceMismatch", n.change, n.state.Failure)
	}
	if _, err := f.Put(t.Context(), "p00000", digestOf("p00000", 2), []byte("r"), nil); AsFailure(err).Reason != v1alpha1.ReasonAudienceMismatch || h.peek("put") != 0 {
		t.Errorf("a submission ended with %v after %d calls; expected AudienceMismatch without a call", err, h.peek("put"))
	}

	h.with(func() { h.audience, h.epoch, h.changes = "cm.test", h.epoch+1, h.changes[:1] })
	n = f.until("another failure", func(n told) bool {
		return n.state.Failure != nil && n.state.Failure.Reason != v1alpha1.ReasonAudienceMismatch
	})
	if n.state.Failure.Reason != v1alpha1.ReasonHistoryRewound || !strings.Contains(n.state.Failure.Message, headAt(1)) {
		t.Errorf("a shorter log was told as %+v; expected HistoryRewound and the new head", n.state.Failure)
	}
	f.AcceptHead(headAt(1))
	f.until("the accepted host", func(n told) bool { return n.state.Available() })

	h.with(func() { h.epoch, h.changes = h.epoch+1, nil })
	h.cut(t)
	n = f.until("a host that lost everything", func(n told) bool { return n.state.Failure != nil })
	if !strings.HasSuffix(n.state.Failure.Message, ": empty on this CMHost") {
		t.Errorf("an empty log was told as %+v; expected how to accept it", n.state.Failure)
	}
	f.AcceptHead("empty")
	f.until("the accepted empty host", func(n told) bool { return n.state.Available() })
}

func TestAHostThatSaysItIsAnotherOneIsAskedAgain(t *testing.T) {
	h := newFakeHost(t, 1)
	h.before = func(operation string, w http.ResponseWriter, _ *http.Request) bool {
		if operation == "put" {
			problem(w, http.StatusBadRequest, ProblemAudienceMismatch)
		}
		return operation == "put"
	}
	f := follow(t, h)
	eventually(t, "one long poll", func() bool { return h.peek("feed") > 0 })
	h.counts()
	_, err := f.Put(t.Context(), "p00000", digestOf("p00000", 2), []byte("r"), nil)
	if failure := AsFailure(err); failure.Reason != v1alpha1.ReasonAudienceMismatch {
		t.Errorf("got %v; expected AudienceMismatch, which is tried again", err)
	}
	eventually(t, "a question who it is", func() bool { return h.peek("host") > 0 })
}

// TestAHostThatPermitsAgainIsUsed has a host that forgets for a while who may submit. Nothing else happens on it, so only
// asking finds out, and asking submits nothing.
func TestAHostThatPermitsAgainIsUsed(t *testing.T) {
	h := newFakeHost(t, 1)
	var permits atomic.Bool
	var asked, submitted atomic.Int32
	h.before = func(operation string, w http.ResponseWriter, r *http.Request) bool {
		if operation != "put" {
			return false
		}
		var sent cmhostv1.Submission
		switch err := json.NewDecoder(r.Body).Decode(&sent); {
		case !permits.Load():
			asked.Add(1)
			problem(w, http.StatusForbidden, ProblemClientNotPermitted)
		case err != nil || len(sent.Request) == 0:
			problem(w, http.StatusBadRequest, "malformed")
		default:
			submitted.Add(1)
			problem(w, http.StatusServiceUnavailable, "unavailable")
		}
		return true
	}
	f := follow(t, h)
	eventually(t, "one long poll", func() bool { return h.peek("feed") > 0 })
	put := func() error {
		_, err := f.Put(t.Context(), "p00000", digestOf("p00000", 2), []byte("r"), nil)
		return err
	}
	if failure := AsFailure(put()); failure.Reason != v1alpha1.ReasonNotPermitted {
		t.Fatalf("got %+v; expected NotPermitted", failure)
	}
	f.until("a host that does not permit it", func(n told) bool { return !n.state.Available() && n.change.Availability })
	eventually(t, "the host to be asked again", func() bool { return asked.Load() > 2 })
	if failure := AsFailure(put()); failure.Reason != v1alpha1.ReasonNotPermitted {
		t.Fatalf("got %+v; expected NotPermitted still", failure)
	}
	permits.Store(true)
	f.until("a host that permits it", func(n told) bool { return n.state.Available() && n.change.Availability })
	if found := submitted.Load(); found != 0 {
		t.Errorf("%d submissions by asking; expected none", found)
	}
	if failure := AsFailure(put()); failure.Reason != v1alpha1.ReasonUnreachable || submitted.Load() != 1 {
		t.Errorf("got %+v after %d submissions; expected the answer to one", failure, submitted.Load())
	}
}

// TestADisagreeingHostIsAskedSeldom has a host that permits only what is wrong: it must not have everything looked at again
// and again.
func TestADisagreeingHostIsAskedSeldom(t *testing.T) {
	h := newFakeHost(t, 1)
	h.before = func(operation string, w http.ResponseWriter, r *http.Request) bool {
		if operation != "put" {
			return false
		}
		var sent cmhostv1.Submission
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil || len(sent.Request) == 0 {
			problem(w, http.StatusBadRequest, "malformed")
		} else {
			problem(w, http.StatusForbidden, ProblemClientNotPermitted)
		}
		return true
	}
	f := follow(t, h, func(c *Config) { c.LongestBackOff = 2 * time.Second })
	eventually(t, "one long poll", func() bool { return h.peek("feed") > 0 })
	refused := 0
	for until := time.Now().Add(3 * time.Second); time.Now().Before(until); {
		if _, err := f.Put(t.Context(), "p00000", digestOf("p00000", 2), []byte("r"), nil); AsFailure(err).Reason != v1alpha1.ReasonNotPermitted {
			t.Fatalf("got %v; expected NotPermitted", err)
		}
		eventually(t, "the host to be available", func() bool { return f.State().Available() })
		refused++
	}
	if refused > 8 {
		t.Errorf("available again %d times in 3 s; expected growing pauses", refused)
	}
}

// TestAnotherReasonOfAnOutageIsTold lets those who wait know what they wait for now.
func TestAnotherReasonOfAnOutageIsTold(t *testing.T) {
	h := newFakeHost(t, 1)
	var down atomic.Bool
	h.before = func(_ string, w http.ResponseWriter, _ *http.Request) bool {
		if down.Load() {
			problem(w, http.StatusServiceUnavailable, "unavailable")
		}
		return down.Load()
	}
	f := follow(t, h)
	down.Store(true)
	h.cut(t)
	f.until("the outage", func(n told) bool { return !n.state.Available() && n.state.Failure.Reason == v1alpha1.ReasonUnreachable })
	h.with(func() { h.audience = "cm.other" })
	down.Store(false)
	n := f.until("another reason", func(n told) bool {
		return !n.state.Available() && n.state.Failure.Reason == v1alpha1.ReasonAudienceMismatch
	})
	if !n.change.Availability {
		t.Errorf("told %+v; expected those who wait to be woken", n.change)
	}
}

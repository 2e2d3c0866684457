package cmclient

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// TestAFeedThatLiesKeepsNobodyBusy counts what a host can make of a connection in two seconds.
func TestAFeedThatLiesKeepsNobodyBusy(t *testing.T) {
	count := 0
	for sentence, c := range map[string]struct {
		answer func(after string) cmhostv1.Changes
		most   int // calls in two seconds
	}{
		"it says at once that nothing changed": {func(after string) cmhostv1.Changes { return cmhostv1.Changes{Next: after} }, 4},
		"it repeats a change at the same cursor": {func(after string) cmhostv1.Changes {
			return cmhostv1.Changes{Next: after, Items: []cmhostv1.Change{{Kind: cmhostv1.ChangeKindTokenProcedure, Name: "p00000"}}}
		}, 120},
		"it has a change whenever it is asked": {func(string) cmhostv1.Changes {
			count++
			return cmhostv1.Changes{Next: fmt.Sprint("0.", count), Items: []cmhostv1.Change{{Kind: cmhostv1.ChangeKindTokenProcedure, Name: "p00000"}}}
		}, 60},
		"it has no cursor": {func(string) cmhostv1.Changes { return cmhostv1.Changes{} }, 120},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			h := newFakeHost(t, 2)
			h.before = func(operation string, w http.ResponseWriter, r *http.Request) bool {
				if operation != "feed" {
					return false
				}
				h.with(func() { answer(w, c.answer(r.URL.Query().Get("after"))) })
				return true
			}
			follow(t, h)
			h.counts()
			<-time.After(2 * time.Second) // what is counted, not a wait for something
			calls := 0
			for _, made := range h.counts() {
				calls += made
			}
			if calls == 0 || calls > c.most {
				t.Errorf("%d calls in two seconds; expected 1 to %d", calls, c.most)
			}
		})
	}
}

// TestAnAnswerToASubmissionIsNotBelieved plays answers that are not what the host then has.
func TestAnAnswerToASubmissionIsNotBelieved(t *testing.T) {
	for sentence, c := range map[string]struct {
		status int
		answer cmhostv1.TokenProcedure
		stored bool // a change makes it known later that it was not
	}{
		"the answer to an earlier submission again":   {http.StatusOK, revisionNamed("p00000", 1), false},
		"the answer for another procedure":            {http.StatusCreated, revisionNamed("p00001", 2), false},
		"confirmed as accepted before, and not there": {http.StatusOK, revisionNamed("p00000", 2), false},
		"accepted now, and never said to be a change": {http.StatusCreated, revisionNamed("p00000", 2), true},
		"a revision without a digest":                 {http.StatusCreated, cmhostv1.TokenProcedure{Name: "p00000", Revision: 2}, false},
		"a revision with a state that there is not":   {http.StatusCreated, odd(revisionNamed("p00000", 2)), false},
	} {
		t.Run(sentence, func(t *testing.T) {
			h := newFakeHost(t, 2)
			h.longPoll = 100 * time.Millisecond
			h.before = func(operation string, w http.ResponseWriter, _ *http.Request) bool {
				if operation != "put" {
					return false
				}
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(c.status)
				return json.NewEncoder(w).Encode(c.answer) == nil
			}
			f := follow(t, h)
			_, err := f.Put(t.Context(), "p00000", digestOf("p00000", 2), []byte("r"), nil)
			if c.stored {
				if err != nil {
					t.Fatalf("got %v; expected that the answer is believed at first", err)
				}
				f.untilProcedure("p00000")
			} else if failure := AsFailure(err); err == nil || failure.Reason != v1alpha1.ReasonUnreachable {
				t.Errorf("got %v; expected a failure", err)
			}
			if entry, _ := f.Entry("p00000"); entry.Revision != 1 {
				t.Errorf("revision %d is known; expected 1, which the host has", entry.Revision)
			}
		})
	}
}

// TestAChangeDuringASubmissionIsTold has somebody else submit a revision while the host confirms an earlier one again.
func TestAChangeDuringASubmissionIsTold(t *testing.T) {
	h := newFakeHost(t, 1)
	h.before = func(operation string, w http.ResponseWriter, _ *http.Request) bool {
		if operation != "put" {
			return false
		}
		h.with(func() { h.procedures["p00000"] = revisionNamed("p00000", 2) }) // the feed brings it later
		answer(w, revisionNamed("p00000", 1))
		return true
	}
	f := follow(t, h)
	if _, err := f.Put(t.Context(), "p00000", digestOf("p00000", 1), []byte("r"), nil); err != nil {
		t.Fatal(err)
	}
	f.untilProcedure("p00000")
	if entry, _ := f.Entry("p00000"); entry.Revision != 2 {
		t.Errorf("revision %d is known; expected 2", entry.Revision)
	}
}

func odd(procedure cmhostv1.TokenProcedure) cmhostv1.TokenProcedure {
	procedure.Procedure.State = "Perhaps"
	return procedure
}

// TestAConstantETagHidesNoChange has a host whose ETags never change, and which says so.
func TestAConstantETagHidesNoChange(t *testing.T) {
	h := newFakeHost(t, 1)
	h.before = func(operation string, w http.ResponseWriter, r *http.Request) bool {
		if operation != "officers" && operation != "catalog" {
			return false
		}
		w.Header().Set("ETag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return true
		}
		h.with(func() {
			if operation == "officers" {
				answer(w, cmhostv1.OfficerList{Items: h.officers})
			} else {
				answer(w, h.catalog)
			}
		})
		return true
	}
	f := follow(t, h)
	h.register("officer-2")
	f.until("officer-2", func(n told) bool { return n.change.Officers["officer-2"] && n.state.Snapshot.Officers == 2 })
}

// TestAListingThatLiesIsNotTakenOver has listings that no CM host gives.
func TestAListingThatLiesIsNotTakenOver(t *testing.T) {
	many := make([]cmhostv1.TokenProcedureSummary, pageSize+1)
	for i := range many {
		many[i] = cmhostv1.TokenProcedureSummary{Name: fmt.Sprint(i), Revision: 1, Digest: digestOf("x", 1), State: "Active"}
	}
	for sentence, c := range map[string]struct {
		page cmhostv1.TokenProcedureList
		says string
	}{
		"a next page that goes back":     {cmhostv1.TokenProcedureList{Items: many[:1], Next: "-"}, `next "-" after "-"`},
		"more than was asked for":        {cmhostv1.TokenProcedureList{Items: many}, "501 procedures in a page of at most 500"},
		"a name as long as a book":       {cmhostv1.TokenProcedureList{Items: []cmhostv1.TokenProcedureSummary{{Name: strings.Repeat("x", 1<<20), State: "Active"}}}, "procedure"},
		"a digest that is none":          {cmhostv1.TokenProcedureList{Items: []cmhostv1.TokenProcedureSummary{{Name: "x", Revision: 1, Digest: "?", State: "Active"}}}, `digest "?"`},
		"a revision beyond the last one": {cmhostv1.TokenProcedureList{Items: []cmhostv1.TokenProcedureSummary{{Name: "x", Revision: 1 << 60, Digest: digestOf("x", 1), State: "Active"}}}, "revision"},
		"a revision 0 that has a digest": {cmhostv1.TokenProcedureList{Items: []cmhostv1.TokenProcedureSummary{{Name: "x", Digest: digestOf("x", 1), State: "Active"}}}, "revision 0"},
	} {
		t.Run(sentence, func(t *testing.T) {
			h := newFakeHost(t, 0)
			h.before = func(operation string, w http.ResponseWriter, _ *http.Request) bool {
				if operation == "list" {
					answer(w, c.page)
				}
				return operation == "list"
			}
			f := follow(t, h)
			failure := f.State().Failure
			if failure == nil || failure.Reason != v1alpha1.ReasonUnreachable || !strings.Contains(failure.Message, c.says) || len(failure.Message) > 1000 {
				t.Errorf("got %+v; expected Unreachable that says %q", failure, c.says)
			}
			if f.Procedures() != 0 {
				t.Errorf("%d procedures were taken over; expected none", f.Procedures())
			}
		})
	}
}

// TestAnEndlessListingKeepsNobodyWaiting has a host that has one more page for ever.
func TestAnEndlessListingKeepsNobodyWaiting(t *testing.T) {
	h := newFakeHost(t, 0)
	page := 0
	h.before = func(operation string, w http.ResponseWriter, r *http.Request) bool {
		if operation != "list" {
			return false
		}
		select {
		case <-r.Context().Done():
		case <-time.After(50 * time.Millisecond): // the host is slow
		}
		h.with(func() {
			page++
			answer(w, cmhostv1.TokenProcedureList{Items: []cmhostv1.TokenProcedureSummary{}, Next: fmt.Sprintf("%06d", page)})
		})
		return true
	}
	f := follow(t, h, func(c *Config) { c.FirstAnswer = 300 * time.Millisecond })
	if failure := f.State().Failure; failure == nil || !strings.Contains(failure.Message, "still being read") {
		t.Errorf("the connection says %+v; expected that the host is still being read", failure)
	}
}

// TestAHostThatSaysTooMuchTakesNoMemory has a host that never ends to say what it has.
func TestAHostThatSaysTooMuchTakesNoMemory(t *testing.T) {
	signer := cmhostv1.Signer{Officer: cmhostv1.OfficerReference{Id: "1", Subject: strings.Repeat("s", 1000)}, SignedAt: time.Unix(0, 0)}
	page := func(r *http.Request) any {
		first, _ := strconv.Atoi(r.URL.Query().Get("after"))
		list := cmhostv1.TokenProcedureList{}
		for i := range pageSize {
			list.Next = fmt.Sprintf("%09d", first+i+1)
			list.Items = append(list.Items, cmhostv1.TokenProcedureSummary{Name: list.Next, Revision: 1, Digest: digestOf("x", 1), State: "Active", Signers: []cmhostv1.Signer{signer, signer}})
		}
		return list
	}
	for operation, c := range map[string]struct {
		body func(r *http.Request) any
		says string
		most int // calls of each attempt
	}{
		"list":     {page, "more procedures than one CM host may have", 1},
		"officers": {func(*http.Request) any { return map[string]any{"items": make([]struct{}, maxObjects)} }, "more than 100000 JSON objects", 1},
	} {
		t.Run(operation, func(t *testing.T) {
			h := newFakeHost(t, 0)
			h.before = func(asked string, w http.ResponseWriter, r *http.Request) bool {
				if asked == operation {
					answer(w, c.body(r))
				}
				return asked == operation
			}
			f := follow(t, h, func(c *Config) { c.LargestList = 1 << 20 })
			if failure := f.State().Failure; failure == nil || !strings.Contains(failure.Message, c.says) || f.Procedures() != 0 {
				t.Errorf("%d procedures were taken over, and the failure is %+v; expected none, and %q", f.Procedures(), failure, c.says)
			}
			if calls := h.counts()[operation]; calls == 0 || calls > 3*c.most { // it is tried again soon
				t.Errorf("%d calls; expected 1 to %d", calls, 3*c.most)
			}
		})
	}
}

// TestAHostThatGrowsTooLargeIsNotUsed has room for ten procedures, and gets more one by one.
func TestAHostThatGrowsTooLargeIsNotUsed(t *testing.T) {
	h := newFakeHost(t, 5)
	f := follow(t, h, func(c *Config) { c.LargestList = 4 << 10 })
	for i := range 5 {
		h.accept(fmt.Sprint("another ", i), 1)
	}
	f.until("no failure", func(n told) bool { return n.state.Available() && f.Procedures() == 10 })
	h.accept("one too many", 1)
	n := f.until("the failure", func(n told) bool { return n.state.Failure != nil })
	if !strings.Contains(n.state.Failure.Message, "more procedures than one CM host may have: those found by now, 11, take more than 4 KiB") {
		t.Errorf("told %+v; expected that there are too many", n.state.Failure)
	}
	h.with(func() {
		delete(h.procedures, "another 0")
		h.note(cmhostv1.ChangeKindTokenProcedure, "another 0")
	})
	f.until("the host when it has fewer", func(n told) bool { return n.state.Available() })
	if f.Procedures() != 10 {
		t.Errorf("%d procedures are known; expected 10", f.Procedures())
	}
}

// TestAnEndlessHistoryIsGivenUp has a history of large revisions that goes on for ever.
func TestAnEndlessHistoryIsGivenUp(t *testing.T) {
	h := newFakeHost(t, 1)
	next := int64(0)
	h.before = func(operation string, w http.ResponseWriter, _ *http.Request) bool {
		if operation == "history" {
			h.with(func() { next++ })
			revision := revisionNamed("p00000", 1)
			revision.Signatures = []cmhostv1.Signature{{Signature: make([]byte, 2<<20)}}
			answer(w, cmhostv1.TokenProcedureHistory{Items: []cmhostv1.TokenProcedure{revision}, Next: next})
		}
		return operation == "history"
	}
	f := follow(t, h)
	h.counts()
	_, err := f.History(t.Context(), "p00000")
	if failure := AsFailure(err); err == nil || !strings.Contains(failure.Message, "more than 16777216 bytes") {
		t.Errorf("got %v; expected that there is more than is read", err)
	}
	if calls := h.counts()["history"]; calls != 6 {
		t.Errorf("%d calls; expected 6, with the answer that was too much", calls)
	}
}

package cmhost_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/audit"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/store"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

const writers = 32

// TestConcurrentWriters lets 32 writers submit through two hosts on one database, all of them on one name and each on a
// name of its own, while two clients follow the change feed.
func TestConcurrentWriters(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, address string) {
		first := start(t, address)
		second := start(t, address, first.one, first.two)
		hosts := []bench{first, second}
		length := logLength(t, first)
		var followers [2]*follower
		for i, host := range hosts {
			followers[i] = follow(t, host)
		}
		const rounds = 4
		contest(t, hosts, rounds)
		apart(t, hosts, rounds)

		entries := readLog(t, first)
		added := entries[length:]
		if want := rounds + writers*rounds; len(added) != want {
			t.Errorf("%d entries; want %d", len(added), want)
		}
		for i, f := range followers {
			found := f.upTo(t, len(added))
			want := make([]cmhostv1.Change, len(added))
			for j, entry := range added {
				want[j] = cmhostv1.Change{Kind: entry.Kind, Name: entry.Name}
			}
			if !slices.Equal(found, want) {
				t.Errorf("follower %d saw %d changes, not those of the log in their order", i, len(found))
			}
		}
	})
}

// TestAWriteAtOneHostWakesWhoWaitsAtAnother waits for changes at each of two hosts on one database while the other writes.
func TestAWriteAtOneHostWakesWhoWaitsAtAnother(t *testing.T) {
	host := start(t, newPostgres(t))
	second, err := host.Another()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := second.Stop(); err != nil {
			t.Error(err)
		}
	})
	other := bench{Host: second, one: host.one, two: host.two}
	if other.client, err = second.Client(second.Submitter); err != nil {
		t.Fatal(err)
	}
	for i, hosts := range [][2]bench{{host, other}, {other, host}} {
		waiting, writing := hosts[0], hosts[1]
		cursor, wait := cursorNow(t, writing), 60
		woken := make(chan *cmhostv1.WatchChangesResponse, 1)
		go func() {
			got, err := waiting.client.WatchChangesWithResponse(t.Context(), &cmhostv1.WatchChangesParams{After: &cursor, Wait: &wait})
			if err != nil {
				t.Error(err)
			}
			woken <- got
		}()
		waiting.WaitForCalls(t.Context(), func(inFlight int) bool { return inFlight == 1 })
		name := fmt.Sprintf("Procedure %d", i)
		writing.accept(t, 1, signingtest.Procedure(name))
		begun := time.Now()
		select {
		case got := <-woken:
			if got.JSON200 == nil || len(got.JSON200.Items) != 1 || got.JSON200.Items[0].Name != name {
				t.Errorf("woken with %s", got.Body)
			}
			t.Logf("woken %v after the write was acknowledged", time.Since(begun))
		case <-time.After(5 * time.Second):
			t.Fatal("nobody was woken in 5 s")
		}
	}
}

// contest lets all writers submit other content as the same revision: exactly one wins.
func contest(t *testing.T, hosts []bench, rounds int) {
	t.Helper()
	for round := range rounds {
		var running sync.WaitGroup
		outcomes := make([]string, writers)
		for i := range writers {
			running.Go(func() {
				p := signingtest.Procedure("Contested")
				p.CardSerialNumber.Range.From = strconv.Itoa(100_000 + i)
				status, kind := hosts[i%len(hosts)].put(t, int64(round+1), p)
				outcomes[i] = fmt.Sprint(status, kind)
			})
		}
		running.Wait()
		count := map[string]int{}
		for _, outcome := range outcomes {
			count[outcome]++
		}
		if count["201"] != 1 || count["409revision-conflict"] != writers-1 {
			t.Errorf("revision %d: %v; want one accepted, all others in conflict", round+1, count)
		}
	}
}

// apart lets every writer submit a name of its own.
func apart(t *testing.T, hosts []bench, rounds int) {
	t.Helper()
	var running sync.WaitGroup
	for i := range writers {
		running.Go(func() {
			for round := range rounds {
				p := signingtest.Procedure(fmt.Sprintf("Writer %d", i))
				if status, kind := hosts[i%len(hosts)].put(t, int64(round+1), p); status != http.StatusCreated {
					t.Errorf("writer %d revision %d: %d %s; want 201", i, round+1, status, kind)
				}
			}
		})
	}
	running.Wait()
}

// follower follows the change feed.
type follower struct {
	changes chan []cmhostv1.Change
}

func follow(t *testing.T, host bench) *follower {
	t.Helper()
	now, err := host.client.WatchChangesWithResponse(t.Context(), &cmhostv1.WatchChangesParams{})
	if err != nil {
		t.Fatal(err)
	}
	f := &follower{changes: make(chan []cmhostv1.Change, 10_000)}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	t.Cleanup(func() { cancel(); <-ended })
	go func() {
		defer close(ended)
		cursor, wait := now.JSON200.Next, 10
		for {
			got, err := host.client.WatchChangesWithResponse(ctx, &cmhostv1.WatchChangesParams{After: &cursor, Wait: &wait})
			if err != nil || got.JSON200 == nil {
				return // the test ends
			}
			f.changes <- got.JSON200.Items
			cursor = got.JSON200.Next
		}
	}()
	return f
}

// upTo collects a number of changes.
func (f *follower) upTo(t *testing.T, count int) []cmhostv1.Change {
	t.Helper()
	deadline := time.After(30 * time.Second)
	var all []cmhostv1.Change
	for len(all) < count {
		select {
		case some := <-f.changes:
			all = append(all, some...)
		case <-deadline:
			t.Fatalf("%d changes seen; want %d", len(all), count)
		}
	}
	return all
}

func logLength(t *testing.T, host bench) int64 {
	t.Helper()
	got, err := host.client.GetHostWithResponse(t.Context())
	if err != nil || got.JSON200 == nil {
		t.Fatalf("%v %v", got, err)
	}
	return got.JSON200.Log.Length
}

// readLog reads the whole log from the database, checks it, and checks that what is listed follows from it.
func readLog(t testing.TB, host bench) []cmhostv1.LogEntry {
	t.Helper()
	opened, err := store.Open(t.Context(), host.Database(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	auditor := &audit.Auditor{}
	var entries []cmhostv1.LogEntry
	last := map[string]cmhostv1.LogEntry{}
	for after := int64(0); ; {
		page, err := opened.Log(t.Context(), after, 500)
		if err != nil {
			t.Fatal(err)
		}
		for _, plain := range page.Items {
			if err := auditor.Check(plain); err != nil {
				t.Fatal(err)
			}
			entry := entryOf(t, plain)
			entries = append(entries, entry)
			if entry.Kind == cmhostv1.ChangeKindTokenProcedure {
				last[entry.Name] = entry
			}
		}
		if !page.More {
			break
		}
		after = page.LastIndex
	}
	head, err := opened.Head(t.Context())
	if err != nil || head != auditor.Head {
		t.Errorf("the store's head is %+v, %v; its log ends with %+v", head, err, auditor.Head)
	}
	for name, entry := range last {
		stored, err := opened.Procedure(t.Context(), name)
		if err != nil || stored.Revision != entry.Revision || stored.Digest != entry.Digest {
			t.Errorf("%s is stored as %+v, %v; its last entry is revision %d", name, stored, err, entry.Revision)
		}
	}
	return entries
}

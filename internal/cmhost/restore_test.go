package cmhost_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/store"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// backUp takes a backup of a database by its own means, of a SQLite file while no host serves it. The result puts it back.
func backUp(t *testing.T, address string) (restore func()) {
	t.Helper()
	if !strings.HasPrefix(address, "postgres://") {
		content := readFile(t, address)
		return func() { writeFile(t, address, content) } // in place, as cp does
	}
	server, err := postgres()
	if err != nil {
		t.Fatal(err)
	}
	dump, err := server.Dump(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := server.Restore(t.Context(), address, dump); err != nil {
			t.Fatal(err)
		}
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// whileStopped stops a host, does something, and starts the host again.
func whileStopped(t *testing.T, host bench, do func()) {
	t.Helper()
	if err := host.Stop(); err != nil {
		t.Fatal(err)
	}
	do()
	if err := host.Restart(); err != nil {
		t.Fatal(err)
	}
}

// expectCursor checks whether a cursor is one of the store's.
func expectCursor(t *testing.T, host bench, cursor string, want int, which string) {
	t.Helper()
	got, err := host.client.WatchChangesWithResponse(t.Context(), &cmhostv1.WatchChangesParams{After: &cursor})
	if err != nil {
		t.Fatal(err)
	}
	if got.StatusCode() != want {
		t.Errorf("%s: %d; want %d", which, got.StatusCode(), want)
	}
}

func cursorNow(t *testing.T, host bench) string {
	t.Helper()
	got, err := host.client.WatchChangesWithResponse(t.Context(), &cmhostv1.WatchChangesParams{})
	if err != nil || got.JSON200 == nil {
		t.Fatalf("%v %+v", err, got)
	}
	return got.JSON200.Next
}

// TestCursorsFromBeforeARestoreAreGone restores a database from before some changes, and goes on writing.
func TestCursorsFromBeforeARestoreAreGone(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, address string) {
		host := start(t, address)
		early := cursorNow(t, host)
		host.accept(t, 1, signingtest.Procedure("Kept"))
		var restore func()
		atBackup := cursorNow(t, host)
		whileStopped(t, host, func() { restore = backUp(t, address) })
		for which, cursor := range map[string]string{"an early cursor": early, "the last cursor": atBackup} {
			expectCursor(t, host, cursor, http.StatusOK, which+", after a restart")
		}
		host.accept(t, 1, signingtest.Procedure("Lost"))
		lost := cursorNow(t, host)

		whileStopped(t, host, restore)
		before := map[string]string{"from before the backup": early, "from the backup's time": atBackup, "from the future": lost}
		for which, cursor := range before {
			expectCursor(t, host, cursor, http.StatusGone, "a cursor "+which+", after the restore")
		}
		fresh := cursorNow(t, host)
		host.accept(t, 1, signingtest.Procedure("Other"))
		host.accept(t, 1, signingtest.Procedure("Another"))
		for which, cursor := range before {
			expectCursor(t, host, cursor, http.StatusGone, "a cursor "+which+", when its index is there again")
		}
		expectCursor(t, host, fresh, http.StatusOK, "a cursor from after the restore")
		whileStopped(t, host, func() {})
		expectCursor(t, host, fresh, http.StatusOK, "a cursor from after the restore, after a restart")
		readLog(t, host)

		elsewhere := start(t, databases[map[bool]string{true: "PostgreSQL", false: "SQLite"}[strings.HasPrefix(address, "postgres://")]](t), host.one, host.two)
		elsewhere.accept(t, 1, signingtest.Procedure("Kept"))
		expectCursor(t, elsewhere, fresh, http.StatusGone, "a cursor of another store")
	})
}

// TestRunningHostsGoOnAfterARestore replaces what is in PostgreSQL while two hosts serve it.
func TestRunningHostsGoOnAfterARestore(t *testing.T) {
	address := newPostgres(t)
	one := start(t, address)
	two := start(t, address, one.one, one.two)
	one.accept(t, 1, signingtest.Procedure("Kept"))
	kept, restore := cursorNow(t, one), backUp(t, address)
	expectCursor(t, two, kept, http.StatusOK, "the cursor of one host, at another")
	two.accept(t, 1, signingtest.Procedure("Lost"))
	restore()
	expectCursor(t, one, kept, http.StatusGone, "a cursor from before the restore")
	expectCursor(t, two, kept, http.StatusGone, "a cursor from before the restore, at another host")
	two.accept(t, 1, signingtest.Procedure("Lost"))
	one.accept(t, 2, signingtest.Procedure("Lost"))
	expectCursor(t, one, cursorNow(t, two), http.StatusOK, "the cursor of one host, at another, after the restore")
}

// waitBehind waits for changes behind a cursor; the status of the answer comes later.
func waitBehind(t *testing.T, host bench, cursor string) <-chan int {
	t.Helper()
	wait, status := 60, make(chan int, 1)
	go func() {
		got, err := host.client.WatchChangesWithResponse(t.Context(), &cmhostv1.WatchChangesParams{After: &cursor, Wait: &wait})
		if err != nil {
			t.Error(err)
			got = &cmhostv1.WatchChangesResponse{}
		}
		status <- got.StatusCode()
	}()
	host.WaitForCalls(t.Context(), func(inFlight int) bool { return inFlight > 0 })
	return status
}

// TestWhoWaitsLearnsOfARestore begins a new epoch while a call waits for changes.
func TestWhoWaitsLearnsOfARestore(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, address string) {
		host := start(t, address)
		opened, err := store.Open(t.Context(), address, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = opened.Close() }()
		waiting := waitBehind(t, host, cursorNow(t, host))
		if err := opened.Restored(t.Context()); err != nil {
			t.Fatal(err)
		}
		if status := <-waiting; status != http.StatusGone {
			t.Errorf("a person says that the database was restored while a call waits: %d; want 410", status)
		}
	})
}

// TestWhoWaitsAtPostgreSQLLearnsOfARestore replaces what is there, and goes beyond the place that a call waits for.
func TestWhoWaitsAtPostgreSQLLearnsOfARestore(t *testing.T) {
	address := newPostgres(t)
	host := start(t, address)
	restore := backUp(t, address)
	host.accept(t, 1, signingtest.Procedure("Lost"))
	waiting := waitBehind(t, host, cursorNow(t, host))
	restore()
	host.accept(t, 1, signingtest.Procedure("Missed"))
	host.accept(t, 1, signingtest.Procedure("Seen"))
	if status := <-waiting; status != http.StatusGone {
		t.Errorf("restored while a call waits: %d; want 410", status)
	}
}

// TestTheWitnessOfAFile shows what counts as a restore of a SQLite file, and what does not.
func TestTheWitnessOfAFile(t *testing.T) {
	address := filepath.Join(t.TempDir(), "host.db")
	witness := filepath.Join(filepath.Dir(address), ".witness-of-"+filepath.Base(address))
	host := start(t, address)
	host.accept(t, 1, signingtest.Procedure("First"))
	var behind []byte
	whileStopped(t, host, func() { behind = readFile(t, witness) })
	host.accept(t, 1, signingtest.Procedure("Second"))
	cursor := cursorNow(t, host)
	whileStopped(t, host, func() { writeFile(t, witness, behind) })
	expectCursor(t, host, cursor, http.StatusOK, "with a witness that lags behind, as after a kill")
	whileStopped(t, host, func() {
		if err := os.Remove(witness); err != nil {
			t.Fatal(err)
		}
	})
	expectCursor(t, host, cursor, http.StatusGone, "without a witness, as on another machine")
	cursor = cursorNow(t, host)
	whileStopped(t, host, func() { writeFile(t, witness, []byte("something else")) })
	expectCursor(t, host, cursor, http.StatusGone, "with a witness that cannot be read")
	cursor = cursorNow(t, host)
	opened, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	expectCursor(t, host, cursor, http.StatusOK, "with another program at the same file")
	if err := opened.Restored(t.Context()); err != nil {
		t.Fatal(err)
	}
	expectCursor(t, host, cursor, http.StatusGone, "when a person says that it was restored")
}

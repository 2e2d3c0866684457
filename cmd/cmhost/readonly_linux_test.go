package main

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestVerifyAndExportOnlyRead works on a copy that nobody can write, and leaves nothing beside the database.
func TestVerifyAndExportOnlyRead(t *testing.T) {
	database := accepted(t)
	folder := filepath.Dir(database)
	before := filesOf(t, folder)
	good := mustRun(t, "verify", "--database", database)
	exported := mustRun(t, "export", "--database", database)
	if after := filesOf(t, folder); !slices.Equal(after, before) {
		t.Errorf("beside the database: %q; before: %q", after, before)
	}
	for path, mode := range map[string]os.FileMode{database: 0o444, folder: 0o555, filepath.Dir(folder): 0o755} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	defer func() {
		if err := os.Chmod(folder, 0o700); err != nil {
			t.Error(err)
		}
	}()
	asNobody(t, func() {
		if out := mustRun(t, "verify", "--database", database); out != good {
			t.Errorf("verify printed %s; want %s", out, good)
		}
		if out := mustRun(t, "export", "--database", database); out != exported {
			t.Error("export printed something else")
		}
		if err := os.WriteFile(filepath.Join(folder, "probe"), nil, 0o600); err == nil {
			t.Error("the folder can be written: this test shows nothing")
		}
	})
}

// asNobody takes from root the right to write everywhere, while it does something on one thread.
func asNobody(t *testing.T, do func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		do()
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const nobody = 65534
	if err := unix.Setfsuid(nobody); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setfsuid(0); err != nil {
			t.Error(err)
		}
	}()
	do()
}

func filesOf(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".witness") {
			names = append(names, entry.Name())
		}
	}
	return names
}

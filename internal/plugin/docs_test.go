package plugin_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tokenprocedures/token-procedure-operator/internal/plugin"
)

func TestCommandPagesAreFresh(t *testing.T) {
	fresh := t.TempDir()
	if err := plugin.WriteDocs(fresh); err != nil {
		t.Fatal(err)
	}
	want, got := pages(t, fresh), pages(t, "../../docs/commands")
	for name, content := range want {
		if got[name] != content {
			t.Errorf("docs/commands/%s is not what the program says: run `go generate ./internal/plugin`", name)
		}
	}
	for name := range got {
		if _, known := want[name]; !known {
			t.Errorf("docs/commands/%s is of no command: run `go generate ./internal/plugin`", name)
		}
	}
}

func pages(t *testing.T, folder string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages in %s (%v)", folder, err)
	}
	found := map[string]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(file)] = string(content)
	}
	return found
}

package load

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// readers read each kind of file.
var readers = map[string]func(string) error{
	"officers":   func(path string) error { _, err := ReadOfficers(path); return err },
	"catalogue":  func(path string) error { _, err := ReadCatalog(path); return err },
	"procedures": func(path string) error { _, err := ReadProcedures(path); return err },
}

// readText reads a text as a file of a kind.
func readText(t *testing.T, kind, text string) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return readers[kind](path)
}

func TestFilesAreReadAsTheyAreWritten(t *testing.T) {
	for _, c := range []struct{ kind, text, want string }{
		{"officers", "officers: []\n", ""},
		{"officers", "# all of them\n---\nofficers: []\n...\n", ""},
		{"officers", "officers:\n- {id: '0123', state: Active}\n", ""},
		{"officers", "officers:\n- {id: 2026-11-22, state: Active}\n", ""},
		{"officers", "officers:\n- {id: 0123, state: Active}\n", "/officers/0/id: this is no text"},
		{"officers", "officers:\n- {id: a, state: Active, domain: Null}\n", "/officers/0/domain: this is no text"},
		{"officers", "officers:\n- {id: a, state: Active, roles: [Use AWB, 1.10]}\n", "/officers/0/roles/1: this is no text"},
		{"officers", "officers:\n- {id: a, state: Active, Roles: [Use AWB]}\n", "/officers/0/Roles: unknown"},
		{"officers", "officers:\n- {id: a, state: Closed, \u017ftate: Active}\n", "/officers/0/\u017ftate: unknown"},
		{"officers", "officers:\n- {id: a, id: b, state: Active}\n", `"id" already set`},
		{"officers", "officers: []\n---\nofficers: []\n", "second document"},
		{"officers", "officers: {}\n", "/officers"},
		{"catalogue", "pinProcedures:\n- {name: PIN letter, state: Active}\n", ""},
		{"catalogue", "pinProcedures:\n- {name: NO, state: Active}\n", "/pinProcedures/0/name: this is no text"},
		{"catalogue", "storageProfiles: [Data, yes]\n", "/storageProfiles/1: this is no text"},
		{"catalogue", "PINProcedures: []\n", "/PINProcedures: unknown"},
		{"catalogue", "domains: []\n---\ninputViews: []\n", "second document"},
		{"procedures", "procedures:\n- {name: Card, state: Active, storageProfile: Data}\n", ""},
		{"procedures", "procedures:\n- {name: 1.10, state: Active, storageProfile: Data}\n", "/procedures/0/name: this is no text"},
		{"procedures", "procedures:\n- {name: Card, state: Active, cardSerialNumber: {enabled: true, range: {from: 100, to: '200'}}}\n", "/procedures/0/cardSerialNumber/range/from: this is no text"},
		{"procedures", "procedures:\n- {name: Card, State: Active}\n", "/procedures/0/State: unknown"},
		{"procedures", "procedures: []\n---\nprocedures: []\n", "second document"},
	} {
		err := readText(t, c.kind, c.text)
		if (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s %q: %v; want %q", c.kind, c.text, err, c.want)
		}
	}
}

// TestFilesWithoutTheirListsRemoveNothing reads what is left of files that were cut off.
func TestFilesWithoutTheirListsRemoveNothing(t *testing.T) {
	for _, c := range []struct{ kind, text, want string }{
		{"officers", "", "empty"},
		{"officers", "# the officers\n", "empty"},
		{"officers", "---\n", "empty"},
		{"officers", "{}\n", "officers: []"},
		{"officers", "officers:\n", "/officers: there is nothing"},
		{"officers", "officers: []\n", ""},
		{"catalogue", "", "empty"},
		{"catalogue", "null\n", "empty"},
		{"catalogue", "[]\n", "array"},
		{"catalogue", "{}\n", ""},
		{"catalogue", "storageProfiles: [Data]\ndomains:\n", "/domains: there is nothing"},
		{"catalogue", "pinProcedures:\n- {name: PIN letter, state: Active, visibleInSubdomain: }\n", "/pinProcedures/0/visibleInSubdomain: there is nothing"},
		{"procedures", "", "empty"},
		{"procedures", "{}\n", "procedures: []"},
		{"procedures", "procedures:\n", "/procedures: there is nothing"},
		{"procedures", "procedures: []\n", ""},
	} {
		err := readText(t, c.kind, c.text)
		if (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s %q: %v; want %q", c.kind, c.text, err, c.want)
		}
	}
}

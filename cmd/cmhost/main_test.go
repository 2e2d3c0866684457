package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/docs"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/chain"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

const sampleCatalog = "../../config/samples/host/catalog.yaml"

// run runs the program with some arguments and returns what it printed.
func run(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	command := newCommand()
	var out bytes.Buffer
	command.SetOut(&out)
	command.SetErr(&out)
	command.SetArgs(arguments)
	err := command.ExecuteContext(t.Context())
	return out.String(), err
}

func mustRun(t *testing.T, arguments ...string) string {
	t.Helper()
	out, err := run(t, arguments...)
	if err != nil {
		t.Fatalf("cmhost %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
	return out
}

// officersFile writes a register of two officers, with certificate paths relative to it.
func officersFile(t *testing.T, folder string, officers ...signingtest.Officer) string {
	t.Helper()
	text := "officers:\n"
	for _, officer := range officers {
		officer.WriteFiles(t, folder, officer.ID)
		text += fmt.Sprintf("- {id: %s, state: Active, roles: [Use AWB, Policy tasks], certificates: [%s.crt]}\n", officer.ID, officer.ID)
	}
	path := filepath.Join(folder, "officers.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadPrintsWhatChanges(t *testing.T) {
	folder := t.TempDir()
	database := filepath.Join(folder, "host.db")
	officers := officersFile(t, folder, signingtest.New(t, "officer-1"), signingtest.New(t, "officer-2"))
	dry := mustRun(t, "load", "--database", database, "--officers", officers, "--catalog", sampleCatalog, "--dry-run")
	first := mustRun(t, "load", "--database", database, "--officers", officers, "--catalog", sampleCatalog)
	again := mustRun(t, "load", "--database", database, "--officers", officers, "--catalog", sampleCatalog)
	if !strings.Contains(first, `+ Officer "officer-1"`) || !strings.Contains(first, `+ PINProcedure "PIN letter"`) {
		t.Errorf("the first load printed:\n%s", first)
	}
	if strings.Count(dry, "\n+") != strings.Count(first, "\n+") {
		t.Errorf("the dry run printed:\n%s\nthe load:\n%s", dry, first)
	}
	if again != "loaded 0 changes\n" {
		t.Errorf("the same again printed:\n%s", again)
	}
	fewer := officersFile(t, folder, signingtest.New(t, "officer-1"))
	if out := mustRun(t, "load", "--database", database, "--officers", fewer); !strings.Contains(out, `- Officer "officer-2"`) || !strings.Contains(out, `~ Officer "officer-1": certificates (1 -> 1)`) {
		t.Errorf("a renewed certificate and an officer less printed:\n%s", out)
	}
}

func TestLoadRefusesWhatBreaksUnlessToldSo(t *testing.T) {
	database := accepted(t)
	before := mustRun(t, "verify", "--database", database)
	content, err := os.ReadFile(sampleCatalog)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "catalog.yaml")
	changed := strings.Replace(string(content), "PIN letter", "PIN mail", 1)
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	load := []string{"load", "--database", database, "--catalog", path}
	for _, more := range []string{"--dry-run", ""} {
		out, err := run(t, append(slices.Clone(load), strings.Fields(more)...)...)
		if err == nil || !strings.Contains(err.Error(), "Employee card") || !strings.Contains(err.Error(), "--allow-breaking") {
			t.Errorf("load %s: %v\n%s\nwant a refusal that names Employee card and the way out", more, err, out)
		}
	}
	if after := mustRun(t, "verify", "--database", database); after != before {
		t.Errorf("a refused load left something behind: %s; before: %s", after, before)
	}
	out := mustRun(t, append(load, "--allow-breaking")...)
	for _, wanted := range []string{`- PINProcedure "PIN letter"`, `+ PINProcedure "PIN mail"`, "! broken: Employee card", "loaded 2 changes"} {
		if !strings.Contains(out, wanted) {
			t.Errorf("printed without %q:\n%s", wanted, out)
		}
	}
}

// emptyProcedures is a file with nothing to load.
func emptyProcedures(t *testing.T, folder string) string {
	t.Helper()
	path := filepath.Join(folder, "procedures.yaml")
	if err := os.WriteFile(path, []byte("procedures: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadRefusesFilesThatItCannotRead(t *testing.T) {
	folder := t.TempDir()
	database := filepath.Join(folder, "host.db")
	mustRun(t, "load", "--database", database, "--procedures", emptyProcedures(t, folder))
	for name, text := range map[string]string{
		"an unknown member":     "officers:\n- {id: officer-1, state: Active, role: [Use AWB]}\n",
		"a missing certificate": "officers:\n- {id: officer-1, state: Active, certificates: [nowhere.crt]}\n",
		"no certificate":        "officers:\n- {id: officer-1, state: Active}\n",
		"no YAML":               "officers: [",
	} {
		path := filepath.Join(folder, "officers.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := run(t, "load", "--database", database, "--officers", path); err == nil {
			t.Errorf("%s was loaded:\n%s", name, out)
		}
	}
	if out := mustRun(t, "verify", "--database", database); !strings.HasPrefix(out, "good: 0 entries") {
		t.Errorf("refused loads left something in the log: %s", out)
	}
}

// accepted is a database with one accepted request.
func accepted(t *testing.T) string {
	t.Helper()
	one, two := signingtest.New(t, "officer-1"), signingtest.New(t, "officer-2")
	host, err := hosttest.Start(t.TempDir(), hosttest.Options{Officers: signingtest.Officers(one, two)})
	if err != nil {
		t.Fatal(err)
	}
	client, err := host.Client(host.Submitter)
	if err != nil {
		t.Fatal(err)
	}
	signed := request.New(host.Audience, 1, signingtest.Procedure("Employee card"))
	if status, refused, err := hosttest.Put(t.Context(), client, signed, one.Sign(t, signed, time.Now()), two.Sign(t, signed, time.Now())); err != nil || status != 201 {
		t.Fatal(status, refused, err)
	}
	if err := host.Stop(); err != nil {
		t.Fatal(err)
	}
	return host.Database()
}

func TestExportIsEvidenceThatVerifyChecks(t *testing.T) {
	database := accepted(t)
	exported := mustRun(t, "export", "--database", database)
	good := mustRun(t, "verify", "--database", database)
	head := strings.TrimSpace(good[strings.LastIndex(good, " "):])
	if !strings.Contains(good, "1 accepted requests") || !strings.HasPrefix(head, "sha256:") {
		t.Fatalf("verify printed %s", good)
	}
	path := filepath.Join(t.TempDir(), "log.jsonl")
	check := func(text string, more ...string) (string, error) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return run(t, append([]string{"verify", "-f", path}, more...)...)
	}
	lines := strings.SplitAfter(strings.TrimSpace(exported), "\n")
	asPage := `{"items":[` + strings.Join(lines, ",") + `]}`
	for name, text := range map[string]string{"JSON lines": exported, "a page": asPage} {
		if out, err := check(text, "--head", head); err != nil || out != good {
			t.Errorf("%s: %s, %v; want %s", name, out, err, good)
		}
	}
	for name, text := range map[string]string{
		"a changed name":           strings.Replace(exported, "Employee card", "Employee cart", 1),
		"an entry left out":        strings.Join(lines[1:], ""),
		"a swapped officer":        strings.Replace(exported, `"id":"officer-1"`, `"id":"officer-9"`, 1),
		"something that no log is": "log",
	} {
		if out, err := check(text); err == nil {
			t.Errorf("%s: %s", name, out)
		}
	}
	if out, err := check(strings.Join(lines[:len(lines)-1], ""), "--head", head); err == nil {
		t.Errorf("cut off at the end, with the head remembered: %s", out)
	}
}

// TestVerifyComparesWhatIsStoredBesideTheLog changes the register, the catalogue and the head that a host keeps beside the log.
func TestVerifyComparesWhatIsStoredBesideTheLog(t *testing.T) {
	good, err := os.ReadFile(accepted(t))
	if err != nil {
		t.Fatal(err)
	}
	for statement, want := range map[string]string{
		`SELECT 1`: "",
		`UPDATE store SET log_length = log_length - 1`:                                                         "stored as its head",
		`UPDATE store SET log_head = 'sha256:other'`:                                                           "stored as its head is sha256:other",
		`UPDATE documents SET body = replace(body, 'Policy tasks', 'All tasks') WHERE kind = 'officers'`:       `~ Officer "officer-1": roles`,
		`UPDATE documents SET body = replace(body, '"id":"officer-2"', '"id":"mallory"')`:                      `+ Officer "mallory"`,
		`DELETE FROM documents WHERE kind = 'officers'`:                                                        `- Officer "officer-2"`,
		`UPDATE documents SET body = replace(body, 'PIN letter', 'PIN ladder') WHERE kind = 'catalog'`:         `+ PINProcedure "PIN ladder"`,
		`UPDATE documents SET body = replace(body, '"kind":"Archive"', '"kind":"Recovery"')`:                   "~ KeyProcedure",
		`UPDATE store SET log_head = ''; UPDATE documents SET body = '{"items":[]}' WHERE kind = 'officers'`:   "stored as its head",
		`UPDATE documents SET body = '{"items":[]}' WHERE kind = 'officers'; UPDATE store SET log_head = 'no'`: `- Officer "officer-1"`,
	} {
		database := filepath.Join(t.TempDir(), "host.db")
		if err := os.WriteFile(database, good, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := sql.Open("sqlite", database)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		out, err := run(t, "verify", "--database", database)
		if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v %s; want %q", statement, err, out, want)
		}
	}
}

// TestAnybodyCanCheckTheLog runs what the documentation says, on logs that are good and not.
func TestAnybodyCanCheckTheLog(t *testing.T) {
	for program, debian := range map[string]string{"jq": "jq", "openssl": "openssl", "bash": "bash"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is needed for this test: install Debian's package %s", program, debian)
		}
	}
	page, err := os.ReadFile("../../docs/host.md")
	if err != nil {
		t.Fatal(err)
	}
	script := ""
	for _, block := range docs.Blocks(string(page)) {
		if block.Part == "Checking the log without our programs" {
			script = block.Script
		}
	}
	database := accepted(t)
	exported := mustRun(t, "export", "--database", database)
	good := mustRun(t, "verify", "--database", database)
	head := "head " + good[strings.LastIndex(good, " ")+1:]
	check := func(text string) (string, error) {
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "log.jsonl"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		command := exec.CommandContext(t.Context(), "bash", "-eu", "-o", "pipefail", "-c", script)
		command.Dir = folder
		out, err := command.CombinedOutput()
		return string(out), err
	}
	if out, err := check(exported); err != nil || !strings.Contains(out, "Employee card, revision 1: officer-1 and officer-2\n") || !strings.HasSuffix(out, head) {
		t.Errorf("%v\n%s\nwant the accepted request and the %s", err, out, head)
	}
	lines := strings.SplitAfter(strings.TrimSpace(exported), "\n")
	for name, text := range map[string]string{
		"a changed name":    strings.Replace(exported, "Employee card", "Employee cart", 1),
		"an entry left out": strings.Join(append(slices.Clone(lines[:1]), lines[2:]...), ""),
		"a forged signature, with its hash made again": forged(t, lines),
	} {
		if out, err := check(text); err == nil {
			t.Errorf("%s was found good:\n%s", name, out)
		}
	}
}

// forged is a log whose last entry has another signature value, and the hash for it.
func forged(t *testing.T, lines []string) string {
	t.Helper()
	var last cmhostv1.LogEntry
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	signature := last.Signatures[1].Signature
	signature[len(signature)-1] ^= 1
	_, entry, err := chain.Link(chain.Head{Length: last.Index - 1, Hash: last.Previous}, last)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines[:len(lines)-1], "") + entry + "\n"
}

func TestRestoredEndsCursors(t *testing.T) {
	host, err := hosttest.Start(t.TempDir(), hosttest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := host.Stop(); err != nil {
			t.Error(err)
		}
	}()
	client, err := host.Client(host.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now, err := client.WatchChangesWithResponse(t.Context(), nil)
	if err != nil || now.JSON200 == nil {
		t.Fatal(now, err)
	}
	status := func() int {
		got, err := client.WatchChangesWithResponse(t.Context(), &cmhostv1.WatchChangesParams{After: &now.JSON200.Next})
		if err != nil {
			t.Fatal(err)
		}
		return got.StatusCode()
	}
	if found := status(); found != http.StatusOK {
		t.Errorf("before: %d; want 200", found)
	}
	mustRun(t, "restored", "--database", host.Database())
	if found := status(); found != http.StatusGone {
		t.Errorf("after: %d; want 410", found)
	}
}

func TestVerifyDoesNotCallAMissingDatabaseGood(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "host.db")
	if out, err := run(t, "verify", "--database", missing); err == nil {
		t.Errorf("printed %s", out)
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("verify made a database")
	}
}

// TestInterruptedCommandsSayWhatTheyLeft ends commands by what a signal does, while another program holds the database.
func TestInterruptedCommandsSayWhatTheyLeft(t *testing.T) {
	database, empty := accepted(t), emptyProcedures(t, t.TempDir())
	exported := filepath.Join(t.TempDir(), "log.jsonl")
	if err := os.WriteFile(exported, []byte(mustRun(t, "export", "--database", database)), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+database+"?_txlock=exclusive")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	held, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = held.Rollback() }()
	for line, want := range map[string]string{
		"load --procedures " + empty + " --database " + database: "nothing was loaded",
		"restored --database " + database:                        "run it again",
		"verify -f " + exported:                                  "not the whole log was checked",
		"verify --database " + database:                          "not the whole log was checked",
		"export --database " + database:                          "the export is not complete",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		waiting := strings.HasPrefix(line, "load") || strings.HasPrefix(line, "restored")
		if waiting {
			time.AfterFunc(300*time.Millisecond, cancel)
		} else {
			cancel()
		}
		begun, command := time.Now(), newCommand()
		command.SetArgs(strings.Fields(line))
		var said bytes.Buffer
		status := execute(ctx, command, &said)
		cancel()
		if status != 1 || !strings.HasPrefix(said.String(), "cmhost: interrupted; ") || !strings.Contains(said.String(), want) {
			t.Errorf("cmhost %s: status %d, %s; want status 1 and %q", line, status, said.String(), want)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("cmhost %s: ended %v after it was interrupted", line, took)
		}
	}
}

func TestServeRefusesTheDatabaseOfAnotherAudience(t *testing.T) {
	folder := t.TempDir()
	host, err := hosttest.Start(folder, hosttest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Stop(); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"ca.crt": host.CA, "host.crt": host.Own.Certificate, "host.key": host.Own.Key}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	arguments := func(database, audience string) []string {
		return []string{
			"serve", "--database", database, "--audience", audience, "--listen", "127.0.0.1:0", "--submitter", "dns:submitter.test",
			"--tls-cert", filepath.Join(folder, "host.crt"), "--tls-key", filepath.Join(folder, "host.key"), "--client-ca", filepath.Join(folder, "ca.crt"),
		}
	}
	database := accepted(t)
	if _, err := run(t, arguments(database, "other.test")...); err == nil || !strings.Contains(err.Error(), hosttest.Audience) {
		t.Errorf("%v; want a refusal that names %s", err, hosttest.Audience)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	command := newCommand()
	command.SetArgs(arguments(database, hosttest.Audience))
	if err := command.ExecuteContext(ctx); err != nil {
		t.Errorf("a host that is told to stop after a second: %v; want no error", err)
	}
	interrupted, interrupt := context.WithCancel(t.Context())
	interrupt()
	command = newCommand()
	command.SetArgs(arguments(database, hosttest.Audience))
	if err := command.ExecuteContext(interrupted); err != nil {
		t.Errorf("a host that is told to stop before it serves: %v; want no error", err)
	}
}

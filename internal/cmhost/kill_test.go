package cmhost_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

func entryOf(t testing.TB, plain []byte) cmhostv1.LogEntry {
	t.Helper()
	var entry cmhostv1.LogEntry
	if err := json.Unmarshal(plain, &entry); err != nil {
		t.Fatal(err)
	}
	return entry
}

// TestKilledHostKeepsWhatItAcknowledged kills the program a hundred times while four writers submit: everything that was
// acknowledged is there afterwards, and nothing is half-written.
func TestKilledHostKeepsWhatItAcknowledged(t *testing.T) {
	program := filepath.Join(t.TempDir(), "cmhost")
	if output, err := exec.Command("go", "build", "-o", program, "../../cmd/cmhost").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	const kills = 50 // on each of the two databases
	onEachDatabase(t, func(t *testing.T, address string) {
		seed := start(t, address) // loads officers and catalogue
		if err := seed.Stop(); err != nil {
			t.Fatal(err)
		}
		victim := newVictim(t, program, seed)
		acknowledged := &sync.Map{} // name: highest acknowledged revision
		for kill := range kills {
			// From the third to the fiftieth write on, so that the kill hits every phase of the program's life.
			victim.run(t, acknowledged, 2+kill)
		}
		highest := map[string]int64{}
		for _, entry := range readLog(t, seed) {
			if entry.Kind == cmhostv1.ChangeKindTokenProcedure {
				highest[entry.Name] = entry.Revision
			}
		}
		count := int64(0)
		acknowledged.Range(func(name, revision any) bool {
			count += revision.(int64)
			if highest[name.(string)] < revision.(int64) {
				t.Errorf("%s: revision %d was acknowledged, the log has %d", name, revision, highest[name.(string)])
			}
			return true
		})
		t.Logf("%d acknowledged writes survived %d kills", count, kills)
	})
}

// victim is the program, and what is needed to start it again.
type victim struct {
	bench
	program string
	flags   []string
	client  *http.Client
	next    map[int]int64 // the writers' next revisions
}

func newVictim(t *testing.T, program string, seed bench) *victim {
	t.Helper()
	folder := t.TempDir()
	files := map[string][]byte{"ca.crt": seed.CA, "host.crt": seed.Own.Certificate, "host.key": seed.Own.Key}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	client, err := seed.HTTPClient(seed.Submitter)
	if err != nil {
		t.Fatal(err)
	}
	return &victim{bench: seed, program: program, client: client, next: map[int]int64{}, flags: []string{
		"serve", "--audience", seed.Audience, "--listen", "127.0.0.1:0", "--database", seed.Database(), "--client-rate", "-1",
		"--tls-cert", filepath.Join(folder, "host.crt"), "--tls-key", filepath.Join(folder, "host.key"),
		"--client-ca", filepath.Join(folder, "ca.crt"), "--submitter", "dns:submitter.test",
	}}
}

// run starts the program, lets four writers submit, and kills it when enough writes were acknowledged.
func (v *victim) run(t *testing.T, acknowledged *sync.Map, enough int) {
	t.Helper()
	command := exec.Command(v.program, v.flags...)
	output, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(output)
	url, err := servingURL(lines)
	if err != nil {
		_ = command.Process.Kill()
		t.Fatalf("%v: %v", err, command.Wait())
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	client, err := cmhostv1.NewClientWithResponses(url, cmhostv1.WithHTTPClient(v.client))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	acks := make(chan struct{}, 1000)
	var running sync.WaitGroup
	revisions := make([]int64, 4)
	for i := range revisions {
		revisions[i] = v.next[i] + 1
		running.Go(func() { revisions[i] = v.write(ctx, t, client, i, revisions[i], acknowledged, acks) })
	}
	for range enough {
		select {
		case <-acks:
		case <-ctx.Done():
			t.Fatal("the host does not acknowledge writes")
		}
	}
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait() // it was killed
	running.Wait()
	for i, revision := range revisions {
		v.next[i] = revision
	}
}

// write submits revision after revision until the host is gone. The last one may or may not be there: it is skipped next
// time. It returns the last revision that was tried.
func (v *victim) write(ctx context.Context, t *testing.T, client *cmhostv1.ClientWithResponses, writer int, revision int64, acknowledged *sync.Map, acks chan<- struct{}) int64 {
	name := fmt.Sprintf("Writer %d", writer)
	for ; ; revision++ {
		r, signatures := v.signed(t, revision, signingtest.Procedure(name))
		status, refused, err := hosttest.Put(ctx, client, r, signatures...)
		if err != nil {
			return revision
		}
		if status != http.StatusCreated {
			t.Errorf("%s revision %d: %d %+v; want 201", name, revision, status, refused)
			return revision
		}
		acknowledged.Store(name, revision)
		acks <- struct{}{}
	}
}

// servingURL reads the program's log until it serves.
func servingURL(lines *bufio.Reader) (string, error) {
	var seen strings.Builder
	for {
		line, err := lines.ReadString('\n')
		seen.WriteString(line)
		var entry struct{ Msg, Address string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "serving" {
			return "https://" + entry.Address, nil
		}
		if err != nil {
			return "", fmt.Errorf("the host does not serve: %s", seen.String())
		}
	}
}

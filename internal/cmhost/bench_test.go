package cmhost_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

const (
	benchWriters = 16
	benchPuts    = 1600
	// leastRatio is how fast the host must be beside its database.
	leastRatio = 0.5
)

// BenchmarkPut measures submissions through the whole host beside the bare database, whose 16 clients make the same
// inserts with the same durability: the entry of the log, the procedure, and the head of the log, which makes both sides
// take turns. Each of the host's 16 clients has a connection of its own, over mutual TLS. Their requests are signed and
// serialised before, so that what is measured from the first byte sent to the last one answered is the host: TLS, HTTP,
// reading, judging, the transaction, the answer. It fails where the host has less than half of the database's speed.
func BenchmarkPut(b *testing.B) {
	for name, newDatabase := range databases {
		b.Run(name, func(b *testing.B) {
			var host, bare figures
			for b.Loop() {
				var entries []cmhostv1.LogEntry
				host, entries = measureHost(b, newDatabase(b))
				bare = measureBare(b, name, newDatabase(b), entries)
			}
			ratio := host.speed / bare.speed
			for what, found := range map[string]figures{"host": host, "bare": bare} {
				b.ReportMetric(found.speed, what+"-put/s")
				b.ReportMetric(found.p99, what+"-p99-ms")
				b.ReportMetric(found.cpu, what+"-cpu-ms/put")
			}
			b.Logf("%s: host %s; bare %s; ratio %.2f", name, host, bare, ratio)
			b.ReportMetric(ratio, "ratio")
			b.ReportMetric(0, "ns/op")
			if ratio < leastRatio {
				b.Errorf("the host has %.2f of the bare database's speed (%.0f of %.0f a second); want %.2f", ratio, host.speed, bare.speed, leastRatio)
			}
		})
	}
}

// figures are calls a second, the time in milliseconds within which 99 of 100 calls were answered, and the milliseconds
// of processor time that this process, clients included, took for each.
type figures struct{ speed, p99, cpu float64 }

func (f figures) String() string {
	return fmt.Sprintf("%.0f a second, p99 %.1f ms, %.2f ms of processor time each", f.speed, f.p99, f.cpu)
}

// measure lets each client make its share of the calls, all clients at once.
func measure(b *testing.B, call func(client, i int) error) figures {
	b.Helper()
	latencies := make([]time.Duration, benchPuts)
	var running sync.WaitGroup
	start, busy := time.Now(), processorTime(b)
	for client := range benchWriters {
		running.Go(func() {
			for i := client; i < benchPuts; i += benchWriters {
				begun := time.Now()
				if err := call(client, i); err != nil {
					b.Error(err)
					return
				}
				latencies[i] = time.Since(begun)
			}
		})
	}
	running.Wait()
	took, worked := time.Since(start), processorTime(b)-busy
	slices.Sort(latencies)
	return figures{
		speed: benchPuts / took.Seconds(),
		p99:   float64(latencies[benchPuts*99/100].Microseconds()) / 1000,
		cpu:   float64(worked.Microseconds()) / 1000 / benchPuts,
	}
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// measureHost submits new procedures. It returns the entries that the log has then.
func measureHost(b *testing.B, address string) (figures, []cmhostv1.LogEntry) {
	b.Helper()
	host := start(b, address)
	calls := make([][]byte, benchPuts)
	for i := range calls {
		calls[i] = host.prepared(b, signingtest.Procedure(fmt.Sprintf("Procedure %d", i)))
	}
	connections := make([]*connection, benchWriters)
	for i := range connections {
		connections[i] = connect(b, host)
	}
	found := measure(b, func(client, i int) error { return connections[client].exchange(calls[i]) })
	var accepted []cmhostv1.LogEntry
	for _, entry := range readLog(b, host) {
		if entry.Action == cmhostv1.LogEntryActionAccepted {
			accepted = append(accepted, entry)
		}
	}
	return found, accepted
}

// prepared is the submission of a new procedure as it goes over the connection.
func (b bench) prepared(t testing.TB, p request.Procedure) []byte {
	t.Helper()
	r, signatures := b.signed(t, 1, p)
	canonical, err := r.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	call, err := cmhostv1.NewPutTokenProcedureRequest(b.URL, p.Name, cmhostv1.Submission{Request: canonical, Signatures: signatures})
	if err != nil {
		t.Fatal(err)
	}
	var wire bytes.Buffer
	if err := call.Write(&wire); err != nil {
		t.Fatal(err)
	}
	return wire.Bytes()
}

// connection is a client that does no more than it must.
type connection struct {
	*tls.Conn
	answers *bufio.Reader
}

func connect(b *testing.B, host bench) *connection {
	b.Helper()
	client, err := host.HTTPClient(host.Submitter)
	if err != nil {
		b.Fatal(err)
	}
	config := client.Transport.(*http.Transport).TLSClientConfig.Clone()
	made, err := tls.Dial("tcp", strings.TrimPrefix(host.URL, "https://"), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = made.Close() })
	return &connection{made, bufio.NewReader(made)}
}

// exchange sends a submission and reads the answer, which must be that it was accepted.
func (c *connection) exchange(call []byte) error {
	if _, err := c.Write(call); err != nil {
		return err
	}
	answer, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusCreated {
		err = fmt.Errorf("%s: %s", answer.Status, body)
	}
	return err
}

// bareRow is what the host wrote for one submission.
type bareRow struct{ name, hash, entry, summary string }

// measureBare writes the same rows into tables of the same form, one transaction for each submission.
func measureBare(b *testing.B, kind, address string, entries []cmhostv1.LogEntry) figures {
	b.Helper()
	rows := make([]bareRow, len(entries))
	for i, entry := range entries {
		rows[i] = bareOf(b, entry)
	}
	db := openBare(b, kind, address)
	return measure(b, func(_, i int) error { return insertBare(b.Context(), db, int64(i+1), rows[i]) })
}

func bareOf(b *testing.B, entry cmhostv1.LogEntry) bareRow {
	b.Helper()
	plain, err := json.Marshal(entry)
	if err != nil {
		b.Fatal(err)
	}
	summary, err := json.Marshal(cmhostv1.TokenProcedureSummary{Name: entry.Name, Revision: 1, Digest: entry.Digest, AcceptedAt: entry.Time, State: request.Active, Signers: []cmhostv1.Signer{
		{Officer: entry.Signatures[0].Officer, SignedAt: entry.Time}, {Officer: entry.Signatures[1].Officer, SignedAt: entry.Time},
	}})
	if err != nil {
		b.Fatal(err)
	}
	return bareRow{entry.Name, entry.Hash, string(plain), string(summary)}
}

// openBare makes the tables, by starting a host once, and opens the database with the host's durability.
func openBare(b *testing.B, kind, address string) *sql.DB {
	b.Helper()
	host, err := hosttest.Start(b.TempDir(), hosttest.Options{Database: address})
	if err != nil {
		b.Fatal(err)
	}
	if err := host.Stop(); err != nil {
		b.Fatal(err)
	}
	driver := "pgx"
	if kind == "SQLite" {
		driver, address = "sqlite", "file:"+filepath.ToSlash(address)+"?_pragma=busy_timeout(15000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate"
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(benchWriters)
	db.SetMaxIdleConns(benchWriters)
	if kind == "SQLite" {
		db.SetMaxOpenConns(1) // more only wait for its lock, in steps
	}
	if _, err := db.ExecContext(b.Context(), strings.Join([]string{"DELETE FROM log", "UPDATE store SET log_length = 0"}, ";")); err != nil {
		b.Fatal(err)
	}
	return db
}

func insertBare(ctx context.Context, db *sql.DB, index int64, row bareRow) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, `UPDATE store SET log_length = log_length + 1, log_head = $1 WHERE id = 1`, row.hash); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO log (idx, kind, name, revision, hash, entry) VALUES ($1, 'TokenProcedure', $2, 1, $3, $4)`, index, row.name, row.hash, row.entry); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO procedures (name, idx, summary) VALUES ($1, $2, $3)`, row.name, index, row.summary); err != nil {
		return err
	}
	return tx.Commit()
}

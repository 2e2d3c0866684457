package cmhost_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/server"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/store"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

const (
	benchWriters = 16
	benchRounds  = 8
	benchPuts    = 800 // in each round
	// leastRatio is how fast the host must be beside its database.
	leastRatio = 0.5
)

// BenchmarkPut measures submissions through the whole host beside the bare database, whose 16 clients make the same
// inserts with the same durability: the entry of the log, the procedure, and the head of the log, which makes both sides
// take turns. Each of the host's 16 clients has a connection of its own, over mutual TLS. Their requests are signed and
// serialised before, so that what is measured from the first byte sent to the last one answered is the host: TLS, HTTP,
// reading, judging, the transaction, the answer. Host and database go by turns, so that what else the machine does falls
// on both. It fails where the host has less than half of the database's speed.
func BenchmarkPut(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(server.GarbagePercent)) // as `cmhost serve` does
	for name, newDatabase := range databases {
		b.Run(name, func(b *testing.B) {
			host, bare := start(b, newDatabase(b)), openBare(b, name, newDatabase(b))
			connections := make([]*connection, benchWriters)
			for i := range connections {
				connections[i] = connect(b, host)
			}
			var ours, floor figures
			for b.Loop() {
				for range benchRounds {
					measureHost(b, host, connections, &ours)
					measureBare(b, bare, rowsOf(b, host.Database(), bare.length), &floor)
				}
			}
			ratio := ours.speed() / floor.speed()
			b.Logf("%s: host %s; bare %s; ratio %.2f", name, ours, floor, ratio)
			b.ReportMetric(ratio, "ratio")
			b.ReportMetric(0, "ns/op")
			if ratio < leastRatio {
				b.Errorf("the host has %.2f of the bare database's speed; want %.2f", ratio, leastRatio)
			}
		})
	}
}

// figures are what some rounds took. Processor time is that of this process, clients included.
type figures struct {
	latencies  []time.Duration
	took, busy time.Duration
}

// speed is in calls a second.
func (f figures) speed() float64 { return float64(len(f.latencies)) / f.took.Seconds() }

func (f figures) String() string {
	milliseconds := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	slices.Sort(f.latencies)
	count := len(f.latencies)
	return fmt.Sprintf("%.0f a second, p50 %.1f ms, p99 %.1f ms, %.2f ms of processor time each",
		f.speed(), milliseconds(f.latencies[count/2]), milliseconds(f.latencies[count*99/100]), milliseconds(f.busy)/float64(count))
}

// measure lets each client make its share of a round's calls, all clients at once.
func (f *figures) measure(b *testing.B, call func(client, i int) error) {
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
	f.took, f.busy = f.took+time.Since(start), f.busy+processorTime(b)-busy
	f.latencies = append(f.latencies, latencies...)
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// measureHost submits new procedures.
func measureHost(b *testing.B, host bench, connections []*connection, into *figures) {
	b.Helper()
	calls := make([][]byte, benchPuts)
	for i := range calls {
		calls[i] = host.prepared(b, signingtest.Procedure(fmt.Sprintf("Procedure %d %d", len(into.latencies), i)))
	}
	into.measure(b, func(client, i int) error { return connections[client].exchange(calls[i]) })
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
	made := dial(b, host, host.Submitter)
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

// rowsOf are the rows that the host wrote for a round's submissions, behind as many others.
func rowsOf(b *testing.B, address string, behind int) []bareRow {
	b.Helper()
	db := openDatabase(b, address)
	defer func() { _ = db.Close() }()
	found, err := db.QueryContext(b.Context(), `SELECT l.name, l.hash, l.entry, p.summary FROM log l JOIN procedures p ON p.idx = l.idx ORDER BY l.idx LIMIT $1 OFFSET $2`, benchPuts, behind)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = found.Close() }()
	var rows []bareRow
	for found.Next() {
		var row bareRow
		if err := found.Scan(&row.name, &row.hash, &row.entry, &row.summary); err != nil {
			b.Fatal(err)
		}
		rows = append(rows, row)
	}
	if err := found.Err(); err != nil || len(rows) != benchPuts {
		b.Fatalf("%d rows, %v; want %d", len(rows), err, benchPuts)
	}
	return rows
}

// bareDatabase has the host's tables and durability, and nothing in front.
type bareDatabase struct {
	db         *sql.DB
	statements [3]*sql.Stmt
	length     int
}

// openDatabase opens a database with the host's durability.
func openDatabase(b *testing.B, address string) *sql.DB {
	b.Helper()
	driver := "pgx"
	if !strings.HasPrefix(address, "postgres://") {
		driver, address = "sqlite", "file:"+filepath.ToSlash(address)+"?_pragma=busy_timeout(15000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate"
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		b.Fatal(err)
	}
	return db
}

// openBare makes the tables, by opening a store once.
func openBare(b *testing.B, kind, address string) *bareDatabase {
	b.Helper()
	opened, err := store.Open(b.Context(), address, store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := opened.Close(); err != nil {
		b.Fatal(err)
	}
	bare := &bareDatabase{db: openDatabase(b, address)}
	b.Cleanup(func() { _ = bare.db.Close() })
	bare.db.SetMaxOpenConns(benchWriters)
	bare.db.SetMaxIdleConns(benchWriters)
	if kind == "SQLite" {
		bare.db.SetMaxOpenConns(1) // more only wait for its lock, in steps
	}
	for i, text := range []string{
		`UPDATE store SET log_length = log_length + 1, log_head = $1 WHERE id = 1`,
		`INSERT INTO log (idx, kind, name, revision, hash, entry) VALUES ($1, 'TokenProcedure', $2, 1, $3, $4)`,
		`INSERT INTO procedures (name, idx, summary) VALUES ($1, $2, $3)`,
	} {
		if bare.statements[i], err = bare.db.PrepareContext(b.Context(), text); err != nil {
			b.Fatal(err)
		}
	}
	return bare
}

// measureBare writes rows, one transaction for each submission.
func measureBare(b *testing.B, bare *bareDatabase, rows []bareRow, into *figures) {
	b.Helper()
	into.measure(b, func(_, i int) error { return bare.insert(b.Context(), int64(bare.length+i+1), rows[i]) })
	bare.length += benchPuts
}

func (d *bareDatabase) insert(ctx context.Context, index int64, row bareRow) error {
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for i, arguments := range [][]any{{row.hash}, {index, row.name, row.hash, row.entry}, {row.name, index, row.summary}} {
		if _, err := tx.StmtContext(ctx, d.statements[i]).ExecContext(ctx, arguments...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

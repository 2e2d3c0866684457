package cmhost_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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

// BenchmarkPut measures submissions through the whole host, over mutual TLS with 16 clients, beside the bare database,
// whose 16 clients make the same inserts with the same durability: the entry of the log, the procedure, and the head of
// the log, which makes both sides take turns. It fails where the host has less than half of the database's speed.
func BenchmarkPut(b *testing.B) {
	for name, newDatabase := range databases {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				entries := measureHost(b, newDatabase(b))
				measureBare(b, name, newDatabase(b), entries)
			}
			ratio := speed["host"] / speed["bare"]
			b.ReportMetric(speed["host"], "host-put/s")
			b.ReportMetric(p99["host"], "host-p99-ms")
			b.ReportMetric(speed["bare"], "bare-put/s")
			b.ReportMetric(p99["bare"], "bare-p99-ms")
			b.ReportMetric(ratio, "ratio")
			b.ReportMetric(0, "ns/op")
			if ratio < leastRatio {
				b.Errorf("the host has %.2f of the bare database's speed (%.0f of %.0f a second); want %.2f", ratio, speed["host"], speed["bare"], leastRatio)
			}
		})
	}
}

var speed, p99 = map[string]float64{}, map[string]float64{}

// measure runs all calls by all clients and notes speed and latency.
func measure(b *testing.B, what string, call func(client, i int) error) {
	b.Helper()
	latencies := make([]time.Duration, benchPuts)
	var running sync.WaitGroup
	start := time.Now()
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
	speed[what] = benchPuts / time.Since(start).Seconds()
	slices.Sort(latencies)
	p99[what] = float64(latencies[benchPuts*99/100].Microseconds()) / 1000
}

// measureHost submits new procedures; the signatures are made before. It returns the entries that the log has then.
func measureHost(b *testing.B, address string) []cmhostv1.LogEntry {
	b.Helper()
	host := start(b, address)
	bodies := make([]cmhostv1.Submission, benchPuts)
	names := make([]string, benchPuts)
	for i := range bodies {
		p := signingtest.Procedure(fmt.Sprintf("Procedure %d", i))
		r, signatures := host.signed(b, 1, p)
		canonical, err := r.Bytes()
		if err != nil {
			b.Fatal(err)
		}
		names[i], bodies[i] = p.Name, cmhostv1.Submission{Request: canonical, Signatures: signatures}
	}
	measure(b, "host", func(_, i int) error {
		answer, err := host.client.PutTokenProcedureWithResponse(b.Context(), names[i], bodies[i])
		if err == nil && answer.StatusCode() != http.StatusCreated {
			err = fmt.Errorf("%s: %s", answer.Status(), answer.Body)
		}
		return err
	})
	var accepted []cmhostv1.LogEntry
	for _, entry := range readLog(b, host) {
		if entry.Action == cmhostv1.LogEntryActionAccepted {
			accepted = append(accepted, entry)
		}
	}
	return accepted
}

// bareRow is what the host wrote for one submission.
type bareRow struct{ name, hash, entry, summary string }

// measureBare writes the same rows into tables of the same form, one transaction for each submission.
func measureBare(b *testing.B, kind, address string, entries []cmhostv1.LogEntry) {
	b.Helper()
	rows := make([]bareRow, len(entries))
	for i, entry := range entries {
		rows[i] = bareOf(b, entry)
	}
	db := openBare(b, kind, address)
	measure(b, "bare", func(_, i int) error { return insertBare(b.Context(), db, int64(i+1), rows[i]) })
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

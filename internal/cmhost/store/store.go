// Package store keeps the CM host's log and what is derived from it, in a SQLite file or in PostgreSQL.
//
// Whatever changes the host is one entry of the append-only log, written together with what it changes in one
// serialisable transaction (Update). Writers are serialised, by SQLite's own lock or by a lock on PostgreSQL's log table,
// also across several hosts on one database; an index is given to an entry inside that lock, so the log, and the change
// feed that is made from it, have no gaps and the order of the commits. Reads never wait for writers.
//
// The statements are the same for both databases; only the migrations, and what opens and locks them, differ.
// The package knows the interface's types, the catalogue and the register, and decides nothing: neither HTTP nor rules.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/chain"
)

// ErrNotFound says that there is no such token procedure.
var ErrNotFound = errors.New("no such token procedure")

// Options say how a store is opened. The zero value is good.
type Options struct {
	// Log gets what an administrator should know; nil discards it.
	Log *slog.Logger
	// Poll is how often the database is asked whether somebody else has changed it; 200 ms if zero.
	Poll time.Duration
	// Existing refuses to make a database that is not there.
	Existing bool
	// Observe is told about each transaction that was written; may be nil.
	Observe func(Batch)
}

// Batch describes one transaction of writers that committed together.
type Batch struct {
	// Changes is how many calls of Update it holds.
	Changes int
	// Retries is how often the database asked to try it again.
	Retries int
	// Duration is from its begin to its commit.
	Duration time.Duration
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	address  string
	dialect  dialect
	witness  *witness
	reader   *sql.DB
	writer   *sql.DB
	options  Options
	prepared prepared

	queue    chan *change
	expected atomic.Int64
	stopped  chan struct{}
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mutex   sync.Mutex
	current chain.Head
	moved   chan struct{} // closed when current or the epoch changes
	cached  *Policy
}

// Open opens the database at an address: a PostgreSQL URL (postgres://…), else the name of a SQLite file, which is made
// if it is not there. Its schema is brought forward; a schema newer than this program is refused.
func Open(ctx context.Context, address string, options Options) (*Store, error) {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.Poll == 0 {
		options.Poll = 200 * time.Millisecond
	}
	dialect := dialectOf(address)
	if _, err := os.Stat(address); options.Existing && dialect.isFile && err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	writer, reader, err := dialect.open(address)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	s := &Store{address: address, dialect: dialect, reader: reader, writer: writer, options: options, queue: make(chan *change), stopped: make(chan struct{}), moved: make(chan struct{})}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.witness.close(), reader.Close(), writer.Close())
	}
	background, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.running.Go(func() { s.write(background) })
	s.running.Go(func() { s.poll(background) })
	return s, nil
}

// prepare brings the schema forward and reads where the store is.
func (s *Store) prepare(ctx context.Context) error {
	if err := s.migrate(ctx); err != nil {
		return err
	}
	if err := s.begin(ctx); err != nil {
		return err
	}
	var err error
	if s.prepared, err = prepareAll(ctx, s.writer, s.dialect.statements); err != nil {
		return err
	}
	s.current, err = s.Head(ctx)
	return err
}

// begin makes the one row of a new store, and finds out whether a file was restored.
func (s *Store) begin(ctx context.Context) error {
	const insert = `INSERT INTO store (id, epoch, audience, log_length, log_head) VALUES (1, $1, '', 0, '') ON CONFLICT (id) DO NOTHING`
	if _, err := s.writer.ExecContext(ctx, insert, newEpoch()); err != nil {
		return fmt.Errorf("begin a new store: %w", err)
	}
	if !s.dialect.isFile {
		return nil
	}
	locked, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin a new store: %w", err)
	}
	defer func() { _ = locked.Rollback() }() // nothing is written
	head, err := readHead(ctx, locked)
	if err != nil {
		return err
	}
	s.witness, err = openWitness(ctx, witnessOf(s.address), locked, head)
	return err
}

// Close ends the store after the changes under way.
func (s *Store) Close() error {
	close(s.stopped)
	s.cancel()
	s.running.Wait()
	return errors.Join(s.witness.close(), s.reader.Close(), s.writer.Close())
}

// Ping tells whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.Head(ctx)
	return err
}

// Head is the end of the log.
func (s *Store) Head(ctx context.Context) (chain.Head, error) { return readHead(ctx, s.reader) }

func readHead(ctx context.Context, from querier) (chain.Head, error) {
	var head chain.Head
	err := from.QueryRowContext(ctx, `SELECT log_length, log_head FROM store WHERE id = 1`).Scan(&head.Length, &head.Hash)
	if err != nil {
		return chain.Head{}, fmt.Errorf("read the head of the log: %w", err)
	}
	return head, nil
}

// Audience is what the accepted requests in the log are for; empty while there are none.
func (s *Store) Audience(ctx context.Context) (string, error) {
	var audience string
	if err := s.reader.QueryRowContext(ctx, `SELECT audience FROM store WHERE id = 1`).Scan(&audience); err != nil {
		return "", fmt.Errorf("read the store's audience: %w", err)
	}
	return audience, nil
}

package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

//go:embed migrations
var migrations embed.FS

// dialect is what differs between the databases.
type dialect struct {
	driver string
	goose  goose.Dialect
	folder string
	isFile bool
	// flush writes rows, with these statements prepared.
	flush      func(context.Context, *Tx, rows) error
	statements []string
	// epoch is what names the epoch in the database.
	epoch string
	open  func(address string) (writer, reader *sql.DB, err error)
	// readOnly is what the driver opens for reading only. A SQLite file is one that could be written, or what SQLite makes
	// beside it would stay.
	readOnly func(address string) string
	// lock is the first statement of a writing transaction; empty where beginning it locks already. It must not read:
	// what a serialisable transaction sees is what was there when it first read.
	lock string
	// again tells whether a failed transaction can be tried again.
	again func(error) bool
	// options of the migrations.
	options func() ([]goose.ProviderOption, error)
}

func dialectOf(address string) dialect {
	if strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://") {
		return dialect{
			driver: "pgx", readOnly: func(address string) string { return address },
			goose: goose.DialectPostgres, folder: "migrations/postgres", open: openPostgres, epoch: postgresEpoch,
			flush: flushAll, statements: append(slices.Clone(statements), insertEntries, putProcedures),
			lock: "LOCK TABLE log IN EXCLUSIVE MODE", again: postgresAgain, options: postgresOptions,
		}
	}
	return dialect{
		driver: "sqlite", readOnly: func(address string) string {
			return sqliteFile(address, "mode=rw&_pragma=busy_timeout(15000)&_pragma=query_only(1)")
		},
		goose: goose.DialectSQLite3, folder: "migrations/sqlite", isFile: true, open: openSQLite, epoch: "epoch", again: sqliteAgain,
		flush: flushEach, statements: statements,
		options: func() ([]goose.ProviderOption, error) { return nil, nil },
	}
}

// provider is what knows the migrations of a database.
func (d dialect) provider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, d.folder)
	if err != nil {
		return nil, err
	}
	options, err := d.options()
	if err != nil {
		return nil, err
	}
	provider, err := goose.NewProvider(d.goose, db, files, options...)
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return provider, nil
}

// errAddress stands for an error that may hold the password.
var errAddress = errors.New("the PostgreSQL URL cannot be read; expected postgres://USER@HOST:PORT/DATABASE")

// postgresEpoch adds what a restored dump does not bring back: the cluster, its timeline, which a recovery to a point in
// time or the promotion of a standby ends, and the log's table, which pg_restore makes anew.
const postgresEpoch = `epoch || '/' || (SELECT system_identifier FROM pg_control_system()) || '/' || (SELECT timeline_id FROM pg_control_checkpoint()) || '/' || 'log'::regclass::oid`

// openPostgres opens one pool for both: the log's lock serialises writers.
func openPostgres(address string) (writer, reader *sql.DB, err error) {
	if writer, err = sql.Open("pgx", address); err != nil {
		return nil, nil, errAddress
	}
	if reader, err = sql.Open("pgx", address); err != nil {
		return nil, nil, errors.Join(err, writer.Close())
	}
	writer.SetMaxOpenConns(4)
	reader.SetMaxOpenConns(16)
	reader.SetMaxIdleConns(16)
	return writer, reader, nil
}

func postgresAgain(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && (refused.Code == "40001" || refused.Code == "40P01")
}

func postgresOptions() ([]goose.ProviderOption, error) {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60), lock.WithUnlockTimeout(1, 60))
	if err != nil {
		return nil, err
	}
	return []goose.ProviderOption{goose.WithSessionLocker(locker)}, nil
}

// openSQLite opens one connection for writing, whose transactions take the lock at their begin, and a few for reading.
// Write-ahead logging lets readers and one writer go on side by side, also from several processes; `synchronous` FULL
// makes a commit durable before it is acknowledged.
func openSQLite(address string) (writer, reader *sql.DB, err error) {
	file := sqliteFile(address, "_pragma=busy_timeout(15000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if writer, err = sql.Open("sqlite", file+"&_txlock=immediate"); err != nil {
		return nil, nil, err
	}
	if reader, err = sql.Open("sqlite", file); err != nil {
		return nil, nil, errors.Join(err, writer.Close())
	}
	writer.SetMaxOpenConns(1)
	reader.SetMaxOpenConns(4)
	reader.SetMaxIdleConns(4)
	return writer, reader, nil
}

func sqliteFile(address, options string) string {
	return "file:" + (&url.URL{Path: address}).EscapedPath() + "?" + options
}

// sqliteAgain is true for SQLITE_BUSY: another process held the lock for longer than the busy timeout.
func sqliteAgain(err error) bool { return sqliteCode(err) == sqlite3.SQLITE_BUSY }

// sqliteUnwritable is true where SQLite could not write what it needs beside a file to read it.
func sqliteUnwritable(err error) bool {
	return sqliteCode(err) == sqlite3.SQLITE_CANTOPEN || sqliteCode(err) == sqlite3.SQLITE_READONLY
}

// sqliteCode is the primary result code of an error of SQLite; 0 of another error.
func sqliteCode(err error) int {
	if refused, ok := errors.AsType[*sqlite.Error](err); ok {
		return refused.Code() & 0xff
	}
	return 0
}

// pause waits before a transaction is tried again.
func pause(ctx context.Context, attempt int) {
	timer := time.NewTimer(time.Duration(attempt*attempt) * 5 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"github.com/pressly/goose/v3"

	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/chain"
)

// Snapshot is a database as it is at one moment, for reading only: nothing is made, brought forward or witnessed. SQLite
// itself merges a write-ahead log that nobody has open, where it may write.
type Snapshot struct {
	db *sql.DB
	tx *sql.Tx
}

// OpenSnapshot opens what is at an address, as Open knows them. A SQLite file may be one that nobody can write.
func OpenSnapshot(ctx context.Context, address string) (*Snapshot, error) {
	dialect := dialectOf(address)
	if _, err := os.Stat(address); dialect.isFile && err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	snapshot, err := openReadOnly(ctx, dialect, dialect.readOnly(address))
	if sqliteUnwritable(err) {
		if log, statErr := os.Stat(address + "-wal"); statErr == nil && log.Size() > 0 {
			return nil, fmt.Errorf("open database: %w: it has a write-ahead log, beside which SQLite must write: copy both into a folder of your own", err)
		}
		snapshot, err = openReadOnly(ctx, dialect, sqliteFile(address, "immutable=1"))
	}
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return snapshot, nil
}

func openReadOnly(ctx context.Context, dialect dialect, source string) (*Snapshot, error) {
	db, err := sql.Open(dialect.driver, source)
	if err != nil {
		return nil, errAddress
	}
	snapshot, err := beginReading(ctx, db, dialect)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return snapshot, nil
}

// beginReading begins to read, from a schema that this program knows.
func beginReading(ctx context.Context, db *sql.DB, dialect dialect) (*Snapshot, error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	known, err := dialect.provider(db)
	if err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	var found int64
	if err := tx.QueryRowContext(ctx, `SELECT MAX(version_id) FROM `+goose.DefaultTablename).Scan(&found); err != nil {
		return nil, errors.Join(fmt.Errorf("read the schema's version: %w", err), tx.Rollback())
	}
	sources := known.ListSources()
	if newest := sources[len(sources)-1].Version; found != newest {
		return nil, errors.Join(fmt.Errorf("the database has schema version %d, this program reads version %d: use the cmhost that serves it", found, newest), tx.Rollback())
	}
	return &Snapshot{db: db, tx: tx}, nil
}

// EachEntry visits the log, from its first entry on.
func (s *Snapshot) EachEntry(ctx context.Context, visit func(entry []byte) error) error {
	rows, err := s.tx.QueryContext(ctx, `SELECT entry FROM log ORDER BY idx`)
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var entry []byte
		if err := rows.Scan(&entry); err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if err := visit(entry); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	return nil
}

// Head is where the log ends, as it is stored beside the log.
func (s *Snapshot) Head(ctx context.Context) (chain.Head, error) { return readHead(ctx, s.tx) }

// Policy is the register and the catalogue, as they are stored beside the log.
func (s *Snapshot) Policy(ctx context.Context) (*Policy, error) { return readPolicy(ctx, s.tx) }

// Close ends the reading.
func (s *Snapshot) Close() error { return errors.Join(s.tx.Rollback(), s.db.Close()) }

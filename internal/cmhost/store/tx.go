package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/chain"
)

// What transactions read and write, prepared once.
const (
	selectState = `SELECT s.audience, s.log_length, s.log_head,
		COALESCE((SELECT etag FROM documents WHERE kind = 'officers'), $1),
		COALESCE((SELECT etag FROM documents WHERE kind = 'catalog'), $1)
		FROM store s WHERE s.id = 1`
	moveState     = `UPDATE store SET audience = $1, log_length = $2, log_head = $3 WHERE id = 1`
	selectCurrent = `SELECT summary FROM procedures WHERE name = $1`
	insertEntry   = `INSERT INTO log (idx, kind, name, revision, hash, entry) VALUES ($1, $2, $3, $4, $5, $6)`
	putProcedure  = `INSERT INTO procedures (name, idx, summary) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET idx = excluded.idx, summary = excluded.summary`
	putDocument = `INSERT INTO documents (kind, etag, body) VALUES ($1, $2, $3)
		ON CONFLICT (kind) DO UPDATE SET etag = excluded.etag, body = excluded.body`
)

// statements are those of both databases.
var statements = []string{selectState, moveState, selectCurrent, insertEntry, putProcedure, putDocument}

// prepared are prepared statements by their texts.
type prepared map[string]*sql.Stmt

// prepareAll prepares the statements on a database whose schema is there.
func prepareAll(ctx context.Context, db *sql.DB, texts []string) (prepared, error) {
	made := prepared{}
	for _, text := range texts {
		statement, err := db.PrepareContext(ctx, text)
		if err != nil {
			return nil, fmt.Errorf("prepare a statement: %w", err)
		}
		made[text] = statement // closed with the database
	}
	return made, nil
}

// Tx is the transaction of an Update. It reads what the changes before it in the same transaction have written.
type Tx struct {
	sql      *sql.Tx
	prepared prepared
	flush    func(context.Context, *Tx, rows) error
	waiting  rows
	head     chain.Head
	audience string
	policy   *Policy
	written  int   // of changes, whether they wait or not
	failed   error // the first error of the database: the transaction is lost
}

// start takes the writers' lock, then reads where the store is.
func (tx *Tx) start(ctx context.Context, lock string) error {
	if lock != "" {
		if _, err := tx.sql.ExecContext(ctx, lock); err != nil {
			return fmt.Errorf("lock the log: %w", err)
		}
	}
	var officers, catalog string
	if err := tx.row(ctx, selectState, noTag).Scan(&tx.audience, &tx.head.Length, &tx.head.Hash, &officers, &catalog); err != nil {
		return fmt.Errorf("read the head of the log: %w", err)
	}
	if tx.policy.is(officers, catalog) {
		return nil
	}
	policy, err := readPolicy(ctx, tx.sql)
	tx.policy = policy
	return err
}

// finish writes what waits and where the store is now, and commits.
func (tx *Tx) finish(ctx context.Context) error {
	if err := tx.settle(ctx); err != nil {
		return err
	}
	if err := tx.exec(ctx, "write the head of the log", moveState, tx.audience, tx.head.Length, tx.head.Hash); err != nil {
		return err
	}
	if err := tx.sql.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// row runs a prepared statement that reads one row.
func (tx *Tx) row(ctx context.Context, statement string, arguments ...any) *sql.Row {
	return tx.sql.StmtContext(ctx, tx.prepared[statement]).QueryRowContext(ctx, arguments...)
}

// exec runs a prepared statement that writes.
func (tx *Tx) exec(ctx context.Context, purpose, statement string, arguments ...any) error {
	if _, err := tx.sql.StmtContext(ctx, tx.prepared[statement]).ExecContext(ctx, arguments...); err != nil {
		return tx.fail(purpose, err)
	}
	return nil
}

func (tx *Tx) fail(purpose string, err error) error {
	if tx.failed == nil {
		tx.failed = fmt.Errorf("%s: %w", purpose, err)
	}
	return tx.failed
}

// Audience is what the accepted requests in the log are for; empty while there are none.
func (tx *Tx) Audience() string { return tx.audience }

// Policy is the register and the catalogue.
func (tx *Tx) Policy() *Policy { return tx.policy }

// Current is a token procedure as it is listed now; nil if there is none.
func (tx *Tx) Current(ctx context.Context, name string) (*cmhostv1.TokenProcedureSummary, error) {
	if err := tx.settleFor(ctx, name); err != nil {
		return nil, err
	}
	var plain string
	err := tx.row(ctx, selectCurrent, name).Scan(&plain)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, tx.fail("read a token procedure", err)
	}
	var summary cmhostv1.TokenProcedureSummary
	if err := json.Unmarshal([]byte(plain), &summary); err != nil {
		return nil, tx.fail("read a token procedure", err)
	}
	return &summary, nil
}

// Procedure is a token procedure with its evidence.
func (tx *Tx) Procedure(ctx context.Context, name string) (*cmhostv1.TokenProcedure, error) {
	if err := tx.settleFor(ctx, name); err != nil {
		return nil, err
	}
	procedure, err := readProcedure(ctx, tx.sql, name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, tx.fail("read a token procedure", err)
	}
	return procedure, err
}

// EachProcedure calls visit for every token procedure, by name.
func (tx *Tx) EachProcedure(ctx context.Context, visit func(*cmhostv1.TokenProcedure) error) error {
	if err := tx.settle(ctx); err != nil {
		return err
	}
	rows, err := tx.sql.QueryContext(ctx, `SELECT l.entry FROM procedures p JOIN log l ON l.idx = p.idx ORDER BY p.name`)
	if err != nil {
		return tx.fail("read the token procedures", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var plain string
		if err := rows.Scan(&plain); err != nil {
			return tx.fail("read the token procedures", err)
		}
		procedure, err := procedureOf([]byte(plain))
		if err != nil {
			return err
		}
		if err := visit(procedure); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return tx.fail("read the token procedures", err)
	}
	return nil
}

// Append makes an entry the last one of the log. Its index and hashes are set here.
func (tx *Tx) Append(ctx context.Context, entry cmhostv1.LogEntry) error {
	head, stored, err := chain.Link(tx.head, entry)
	if err != nil {
		return tx.fail("append to the log", err)
	}
	row := entryRow{head.Length, string(entry.Kind), entry.Name, nil, head.Hash, stored}
	if entry.Kind == cmhostv1.ChangeKindTokenProcedure {
		row.revision = &entry.Revision
	}
	tx.written++
	tx.waiting.entries = append(tx.waiting.entries, row)
	tx.head = head
	if len(tx.waiting.entries) >= maxBatch {
		return tx.settle(ctx)
	}
	return nil
}

// PutProcedure appends the entry that makes a token procedure what its summary says. The audience of an accepted request
// becomes the store's.
func (tx *Tx) PutProcedure(ctx context.Context, entry cmhostv1.LogEntry, summary cmhostv1.TokenProcedureSummary, audience string) error {
	if err := tx.settleFor(ctx, summary.Name); err != nil {
		return err
	}
	if err := tx.Append(ctx, entry); err != nil {
		return err
	}
	plain, err := json.Marshal(summary)
	if err != nil {
		return tx.fail("write a token procedure", err)
	}
	if audience != "" {
		tx.audience = audience
	}
	tx.waiting.procedures = append(tx.waiting.procedures, procedureRow{summary.Name, tx.head.Length, string(plain)})
	return nil
}

package store

import (
	"context"
	"slices"
)

// rows are what a transaction has yet to write: a database that is asked over a connection gets them together.
type rows struct {
	entries    []entryRow
	procedures []procedureRow // of different names
}

// entryRow is a row of the log.
type entryRow struct {
	index      int64
	kind, name string
	revision   *int64 // of token procedures
	hash       string
	entry      string
}

// procedureRow is a token procedure as it is listed from now on.
type procedureRow struct {
	name    string
	index   int64
	summary string
}

// settle writes what waits.
func (tx *Tx) settle(ctx context.Context) error {
	if len(tx.waiting.entries)+len(tx.waiting.procedures) == 0 {
		return nil
	}
	waiting := tx.waiting
	tx.waiting = rows{}
	return tx.flush(ctx, tx, waiting)
}

// settleFor writes what waits if a token procedure is among it.
func (tx *Tx) settleFor(ctx context.Context, name string) error {
	if slices.ContainsFunc(tx.waiting.procedures, func(p procedureRow) bool { return p.name == name }) {
		return tx.settle(ctx)
	}
	return nil
}

// flushEach writes row by row, for a database in this process.
func flushEach(ctx context.Context, tx *Tx, waiting rows) error {
	for _, e := range waiting.entries {
		if err := tx.exec(ctx, "append to the log", insertEntry, e.index, e.kind, e.name, e.revision, e.hash, e.entry); err != nil {
			return err
		}
	}
	for _, p := range waiting.procedures {
		if err := tx.exec(ctx, "write a token procedure", putProcedure, p.name, p.index, p.summary); err != nil {
			return err
		}
	}
	return nil
}

// Of PostgreSQL: many rows in one statement.
const (
	insertEntries = `INSERT INTO log (idx, kind, name, revision, hash, entry)
		SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[])`
	putProcedures = `INSERT INTO procedures (name, idx, summary) SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[])
		ON CONFLICT (name) DO UPDATE SET idx = excluded.idx, summary = excluded.summary`
)

// flushAll writes each table's rows in one statement.
func flushAll(ctx context.Context, tx *Tx, waiting rows) error {
	e, p := waiting.entries, waiting.procedures
	err := tx.exec(ctx, "append to the log", insertEntries,
		column(e, func(r entryRow) int64 { return r.index }), column(e, func(r entryRow) string { return r.kind }),
		column(e, func(r entryRow) string { return r.name }), column(e, func(r entryRow) *int64 { return r.revision }),
		column(e, func(r entryRow) string { return r.hash }), column(e, func(r entryRow) string { return r.entry }))
	if err != nil {
		return err
	}
	return tx.exec(ctx, "write token procedures", putProcedures,
		column(p, func(r procedureRow) string { return r.name }), column(p, func(r procedureRow) int64 { return r.index }),
		column(p, func(r procedureRow) string { return r.summary }))
}

func column[Row, Value any](all []Row, of func(Row) Value) []Value {
	values := make([]Value, len(all))
	for i, row := range all {
		values[i] = of(row)
	}
	return values
}

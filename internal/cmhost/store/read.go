package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// PageBytes is where a page of large items ends, although it has fewer than asked for.
const PageBytes = 2 << 20

// Page is a part of a longer list.
type Page struct {
	Items []json.RawMessage
	// More tells whether something follows; then Last is the place of the last item.
	More bool
	// Last is the name or the log's index of the last item.
	LastName  string
	LastIndex int64
}

// Procedures are token procedures as they are listed, in the order of code points.
func (s *Store) Procedures(ctx context.Context, after string, limit int) (Page, error) {
	const list = `SELECT name, summary FROM procedures WHERE name > $1 ORDER BY name LIMIT $2`
	return s.page(ctx, limit, func(page *Page) []any { return []any{&page.LastName} }, list, after, limit+1)
}

// Log are entries of the log.
func (s *Store) Log(ctx context.Context, after int64, limit int) (Page, error) {
	const list = `SELECT idx, entry FROM log WHERE idx > $1 ORDER BY idx LIMIT $2`
	return s.page(ctx, limit, func(page *Page) []any { return []any{&page.LastIndex} }, list, after, limit+1)
}

// page reads rows of a place and a JSON text, until the page is full.
func (s *Store) page(ctx context.Context, limit int, place func(*Page) []any, query string, arguments ...any) (Page, error) {
	rows, err := s.reader.QueryContext(ctx, query, arguments...)
	if err != nil {
		return Page{}, fmt.Errorf("read a page: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var page Page
	size := 0
	for rows.Next() {
		if len(page.Items) == limit || size >= PageBytes {
			page.More = true
			return page, nil
		}
		var item []byte
		if err := rows.Scan(append(place(&page), &item)...); err != nil {
			return Page{}, fmt.Errorf("read a page: %w", err)
		}
		page.Items = append(page.Items, item)
		size += len(item)
	}
	return page, rows.Err()
}

// Procedure is a token procedure with its evidence, or ErrNotFound.
func (s *Store) Procedure(ctx context.Context, name string) (*cmhostv1.TokenProcedure, error) {
	return readProcedure(ctx, s.reader, name)
}

func readProcedure(ctx context.Context, from querier, name string) (*cmhostv1.TokenProcedure, error) {
	var plain []byte
	err := from.QueryRowContext(ctx, `SELECT l.entry FROM procedures p JOIN log l ON l.idx = p.idx WHERE p.name = $1`, name).Scan(&plain)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read a token procedure: %w", err)
	}
	return procedureOf(plain)
}

// History are the revisions of a token procedure behind a place in the log, oldest first, or ErrNotFound. A procedure that
// was loaded more than once has revision 0 more than once.
func (s *Store) History(ctx context.Context, name string, after int64, limit int) ([]cmhostv1.TokenProcedure, Page, error) {
	const list = `SELECT idx, entry FROM log WHERE name = $1 AND revision IS NOT NULL AND idx > $2 ORDER BY idx LIMIT $3`
	page, err := s.page(ctx, limit, func(page *Page) []any { return []any{&page.LastIndex} }, list, name, after, limit+1)
	if err != nil {
		return nil, page, err
	}
	if len(page.Items) == 0 {
		if _, err := s.Procedure(ctx, name); err != nil {
			return nil, page, err
		}
	}
	revisions := make([]cmhostv1.TokenProcedure, 0, len(page.Items))
	for _, plain := range page.Items {
		revision, err := procedureOf(plain)
		if err != nil {
			return nil, page, err
		}
		revisions = append(revisions, *revision)
	}
	return revisions, page, nil
}

// procedureOf is the token procedure that an entry of the log made.
func procedureOf(plain []byte) (*cmhostv1.TokenProcedure, error) {
	var entry struct {
		cmhostv1.LogEntry
		Object request.Procedure `json:"object"`
	}
	if err := json.Unmarshal(plain, &entry); err != nil {
		return nil, fmt.Errorf("read a log entry: %w", err)
	}
	if entry.Action != cmhostv1.LogEntryActionAccepted {
		return &cmhostv1.TokenProcedure{Name: entry.Name, Procedure: entry.Object, Signatures: []cmhostv1.Signature{}}, nil
	}
	accepted, err := request.Parse(entry.Request)
	if err != nil {
		return nil, fmt.Errorf("log entry %d: %w", entry.Index, err)
	}
	return Accepted(entry.LogEntry, accepted.Procedure), nil
}

// Accepted is the token procedure that an accepted request made, with its evidence.
func Accepted(entry cmhostv1.LogEntry, procedure request.Procedure) *cmhostv1.TokenProcedure {
	made := &cmhostv1.TokenProcedure{
		Name: entry.Name, Revision: entry.Revision, Digest: entry.Digest, AcceptedAt: entry.Time, Procedure: procedure,
		Signatures: make([]cmhostv1.Signature, 0, len(entry.Signatures)),
	}
	for _, signature := range entry.Signatures {
		made.Signatures = append(made.Signatures, cmhostv1.Signature{Officer: signature.Officer, SignedAt: signature.SignedAt, Signature: signature.Signature})
	}
	return made
}

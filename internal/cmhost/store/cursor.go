package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/chain"
)

// ErrCursorGone says that a cursor does not belong to this store's history: unknown, from the future, or from before
// a restore.
var ErrCursorGone = errors.New("the cursor does not belong to this store's history")

// A cursor is a place in the log: its index, bound to the epoch and to the hash of the entry there. The epoch is a random
// name that the database has, and beside it something that a backup cannot bring back: for a SQLite file its witness, for
// PostgreSQL where the tables live. So after a restore all cursors from before are gone, those too whose entry is there
// again. Hosts on one database have one epoch, and keep it when they start again.
const (
	cursorIndex = 8
	cursorBond  = 16
)

func newEpoch() string {
	var epoch [16]byte
	_, _ = rand.Read(epoch[:]) // never fails
	return hex.EncodeToString(epoch[:])
}

// cursor is the cursor for a place in the log of an epoch.
func cursor(epoch string, at chain.Head) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(at.Length))
	return base64.RawURLEncoding.EncodeToString(append(raw, bond(epoch, at)...))
}

// bond is what binds a cursor to the epoch and to an entry.
func bond(epoch string, at chain.Head) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%s", epoch, at.Length, at.Hash))
	return sum[:cursorBond]
}

// epoch is the epoch of what was read with the dialect's epoch.
func (s *Store) epoch(read string) string {
	if s.witness == nil {
		return read
	}
	return read + "/" + s.witness.name
}

// Now is the cursor for the end of the log.
func (s *Store) Now(ctx context.Context) (string, error) {
	epoch, head, err := s.end(ctx)
	if err != nil {
		return "", err
	}
	return cursor(epoch, head), nil
}

// end is the epoch, and the end of the log.
func (s *Store) end(ctx context.Context) (epoch string, head chain.Head, err error) {
	query := `SELECT ` + s.dialect.epoch + `, log_length, log_head FROM store WHERE id = 1`
	if err := s.reader.QueryRowContext(ctx, query).Scan(&epoch, &head.Length, &head.Hash); err != nil {
		return "", head, fmt.Errorf("read the head of the log: %w", err)
	}
	return s.epoch(epoch), head, nil
}

// bonded is a cursor that was read, and not yet held against the store.
type bonded struct {
	index int64
	bond  []byte
}

func readCursor(cursor string) (bonded, error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(raw) != cursorIndex+cursorBond || base64.RawURLEncoding.EncodeToString(raw) != cursor {
		return bonded{}, ErrCursorGone
	}
	index := binary.BigEndian.Uint64(raw)
	if index > 1<<53 {
		return bonded{}, ErrCursorGone
	}
	return bonded{index: int64(index), bond: raw[cursorIndex:]}, nil
}

// check tells whether a cursor is of the store's history as it is now, and returns the epoch.
func (s *Store) check(ctx context.Context, cursor bonded) (epoch string, err error) {
	at := chain.Head{Length: cursor.index}
	query := `SELECT ` + s.dialect.epoch + `, COALESCE((SELECT hash FROM log WHERE idx = $1), '') FROM store WHERE id = 1`
	if err := s.reader.QueryRowContext(ctx, query, at.Length).Scan(&epoch, &at.Hash); err != nil {
		return "", fmt.Errorf("look up a cursor: %w", err)
	}
	epoch = s.epoch(epoch)
	if !bytes.Equal(cursor.bond, bond(epoch, at)) {
		return "", ErrCursorGone
	}
	return epoch, nil
}

// Restored begins a new epoch, for a restore that nothing in reach can notice: of a whole machine or volume.
func (s *Store) Restored(ctx context.Context) error {
	if _, err := s.writer.ExecContext(ctx, `UPDATE store SET epoch = $1 WHERE id = 1`, newEpoch()); err != nil {
		return fmt.Errorf("begin a new epoch: %w", err)
	}
	return nil
}

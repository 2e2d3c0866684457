package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
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

// A cursor is a place in the log: its index, bound to the store's epoch and to the hash of the entry there. After a
// restore either the index is beyond the log's end, or the entry there has another hash: what a client saw is not
// this store's history any more.
const (
	cursorIndex = 8
	cursorBond  = 16
)

func newEpoch() string {
	var epoch [16]byte
	_, _ = rand.Read(epoch[:]) // never fails
	return hex.EncodeToString(epoch[:])
}

// Cursor is the cursor for a place in the log.
func (s *Store) Cursor(at chain.Head) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(at.Length))
	return base64.RawURLEncoding.EncodeToString(append(raw, s.bond(at.Hash)...))
}

// bond is what binds a cursor to the epoch and to an entry.
func (s *Store) bond(hash string) []byte {
	sum := sha256.Sum256([]byte(s.epoch + "/" + hash))
	return sum[:cursorBond]
}

// resolve is the place in the log that a cursor stands for.
func (s *Store) resolve(ctx context.Context, cursor string) (chain.Head, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) != cursorIndex+cursorBond {
		return chain.Head{}, ErrCursorGone
	}
	index := binary.BigEndian.Uint64(raw)
	if index > 1<<53 {
		return chain.Head{}, ErrCursorGone
	}
	at := chain.Head{Length: int64(index)}
	if at.Length > 0 {
		err := s.reader.QueryRowContext(ctx, `SELECT hash FROM log WHERE idx = $1`, at.Length).Scan(&at.Hash)
		if errors.Is(err, sql.ErrNoRows) {
			return chain.Head{}, ErrCursorGone
		}
		if err != nil {
			return chain.Head{}, fmt.Errorf("look up a cursor: %w", err)
		}
	}
	if !bytes.Equal(raw[cursorIndex:], s.bond(at.Hash)) {
		return chain.Head{}, ErrCursorGone
	}
	return at, nil
}

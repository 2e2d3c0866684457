package store

import (
	"context"
	"fmt"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/chain"
)

// MaxChanges bounds the changes in one answer.
const MaxChanges = 500

// Changes are the changes behind a cursor, and the cursor behind them. It waits until there are any, at most until the
// time is over or ended is closed; then there are none, and the cursor is the same.
func (s *Store) Changes(ctx context.Context, ended <-chan struct{}, after string, wait time.Duration) ([]cmhostv1.Change, string, error) {
	from, err := readCursor(after)
	if err != nil {
		return nil, "", err
	}
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		moved := s.movement()
		changes, end, err := s.changesAfter(ctx, from.index)
		if err != nil {
			return nil, "", err
		}
		epoch, err := s.check(ctx, from) // after reading: then what was read is of the cursor's history as well
		if err != nil {
			return nil, "", err
		}
		if len(changes) > 0 {
			return changes, cursor(epoch, end), nil
		}
		select {
		case <-moved:
		case <-deadline.C:
			return nil, after, nil
		case <-ended:
			return nil, after, nil
		}
	}
}

// changesAfter are changes behind a place in the log, and the place of the last one.
func (s *Store) changesAfter(ctx context.Context, index int64) (changes []cmhostv1.Change, end chain.Head, err error) {
	rows, err := s.reader.QueryContext(ctx, `SELECT idx, kind, name, hash FROM log WHERE idx > $1 ORDER BY idx LIMIT $2`, index, MaxChanges)
	if err != nil {
		return nil, end, fmt.Errorf("read changes: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var change cmhostv1.Change
		if err := rows.Scan(&end.Length, &change.Kind, &change.Name, &end.Hash); err != nil {
			return nil, end, fmt.Errorf("read changes: %w", err)
		}
		changes = append(changes, change)
	}
	return changes, end, rows.Err()
}

// Length is how long the log was when this program last looked.
func (s *Store) Length() int64 {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.current.Length
}

// movement is closed when the log grows, or a new epoch begins.
func (s *Store) movement() <-chan struct{} {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.moved
}

// advance notes where the log ends now, and wakes who waits for changes if that is another place or the epoch is new.
func (s *Store) advance(head chain.Head, newEpoch bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if head == s.current && !newEpoch {
		return
	}
	s.current = head
	close(s.moved)
	s.moved = make(chan struct{})
}

// poll notices what other programs write to the database.
func (s *Store) poll(ctx context.Context) {
	ticker := time.NewTicker(s.options.Poll)
	defer ticker.Stop()
	known := "" // the epoch
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		epoch, head, err := s.end(ctx)
		if err == nil {
			s.advance(head, epoch != known)
			known = epoch
		} else if ctx.Err() == nil {
			s.options.Log.WarnContext(ctx, "the database does not answer", "error", err.Error())
		}
	}
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// maxBatch bounds how many changes commit together.
	maxBatch = 64
	// maxRetries bounds how often a transaction is tried again.
	maxRetries = 8
	// maxGather bounds how long a change waits for others that are expected, to commit together with them.
	maxGather = 2 * time.Millisecond
)

// ErrClosed says that the store is being closed.
var ErrClosed = errors.New("the store is being closed")

// change is a call of Update that waits for its transaction.
type change struct {
	ctx     context.Context
	apply   func(context.Context, *Tx) error
	outcome error // of apply
	done    chan error
}

// Update applies a change in a serialisable transaction: whatever apply reads through the Tx is what it changes. It
// returns when the change is durable. An error of apply is returned, and nothing is changed; apply may be called again
// if the database asks for it, so it must have no other effects.
//
// When the context ends first, its error is returned, and apply may still run and its change be written.
//
// Changes that wait at the same time commit together, one after the other in one transaction: durability costs one
// write to disk for all of them.
func (s *Store) Update(ctx context.Context, apply func(context.Context, *Tx) error) error {
	waiting := &change{ctx: ctx, apply: apply, done: make(chan error, 1)}
	select {
	case s.queue <- waiting:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
		return ErrClosed
	}
	select {
	case err := <-waiting.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write is the only one in this process that writes.
func (s *Store) write(ctx context.Context) {
	for {
		select {
		case <-s.stopped:
			return
		case first := <-s.queue:
			s.commit(context.WithoutCancel(ctx), s.batch(first))
		}
	}
}

// Expect says that a call of Update is being prepared. Until arrived is called, which must be soon, changes wait for it a
// little: two that commit together cost not much more than one. Nobody waits while nothing is expected.
func (s *Store) Expect() (arrived func()) {
	s.expected.Add(1)
	return sync.OnceFunc(func() { s.expected.Add(-1) })
}

// batch takes all changes that wait by now, and those that arrive while more are expected.
func (s *Store) batch(first *change) []*change {
	batch := []*change{first}
	enough := time.NewTimer(maxGather)
	defer enough.Stop()
	for len(batch) < maxBatch {
		select {
		case next := <-s.queue:
			batch = append(batch, next)
			continue
		default:
		}
		if s.expected.Load() == 0 {
			return batch
		}
		select {
		case next := <-s.queue:
			batch = append(batch, next)
		case <-enough.C:
			return batch
		}
	}
	return batch
}

// commit applies a batch and answers each of its changes. If one of them spoils the transaction, each gets its own.
func (s *Store) commit(ctx context.Context, batch []*change) {
	start := time.Now()
	retries, err := s.commitWithRetries(ctx, batch)
	if err != nil && len(batch) > 1 {
		for _, alone := range batch {
			s.commit(ctx, []*change{alone})
		}
		return
	}
	if s.options.Observe != nil {
		s.options.Observe(Batch{Changes: len(batch), Retries: retries, Duration: time.Since(start)})
	}
	for _, c := range batch {
		c.done <- errors.Join(c.outcome, err)
	}
}

func (s *Store) commitWithRetries(ctx context.Context, batch []*change) (int, error) {
	for attempt := 0; ; attempt++ {
		err := s.commitOnce(ctx, batch)
		if err == nil || !s.dialect.again(err) || attempt == maxRetries {
			return attempt, err
		}
		pause(ctx, attempt)
	}
}

// commitOnce applies a batch in one transaction. A change that refuses before it has written anything leaves the others
// alone; any other error ends the transaction.
func (s *Store) commitOnce(ctx context.Context, batch []*change) error {
	const transactionTimeout = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	tx, err := s.beginTx(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.sql.Rollback() }() // without effect after the commit
	s.remember(tx.policy)
	for _, c := range batch {
		written := tx.written
		c.outcome = c.ctx.Err()
		if c.outcome == nil {
			c.outcome = c.apply(ctx, tx)
		}
		if tx.failed != nil {
			return tx.failed
		}
		if c.outcome != nil && tx.written != written {
			err, c.outcome = c.outcome, nil
			return err
		}
	}
	if tx.written == 0 {
		return nil
	}
	if err := tx.finish(ctx); err != nil {
		return err
	}
	s.remember(tx.policy)
	if err := s.witness.note(tx.head); err != nil { // it lags behind, and what was committed stays
		s.options.Log.WarnContext(ctx, "the witness of the database cannot be written", "error", err.Error())
	}
	s.advance(tx.head, false)
	return nil
}

func (s *Store) beginTx(ctx context.Context) (*Tx, error) {
	options := &sql.TxOptions{Isolation: sql.LevelSerializable}
	begun, err := s.writer.BeginTx(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("begin a transaction: %w", err)
	}
	tx := &Tx{sql: begun, prepared: s.prepared, flush: s.dialect.flush, policy: s.recalled()}
	if err := tx.start(ctx, s.dialect.lock); err != nil {
		return nil, errors.Join(err, begun.Rollback())
	}
	return tx, nil
}

package main

import (
	"context"
	"fmt"
	"time"
)

// straight are what the counted targets are about: for how many procedures, and what was counted.
type straight struct {
	procedures    int
	writes, calls counts
	// computed is how long the operator's process computed until nothing was left to do.
	computed time.Duration
}

func (s straight) per(what counts, key string) float64 {
	return float64(what[key]) / float64(s.procedures)
}

// measureStart measures how long an operator takes that finds everything present, beside the floor.
func (b *bench) measureStart(ctx context.Context) error {
	count := b.of(2000)
	var measured, floors []float64
	var found []straight
	for round := range b.rounds {
		progress("start, round %d: %d procedures with %d signatures are created twice", round+1, count, 2*count)
		err := b.inWorld(ctx, func(w *world) error {
			byFloor, err := w.prepare(ctx, "floor", count)
			if err != nil {
				return err
			}
			if _, err := w.prepare(ctx, "operator", count); err != nil {
				return err
			}
			took, err := w.floor.all(ctx, byFloor)
			if err != nil {
				return fmt.Errorf("the floor: %w", err)
			}
			seconds, counted, err := w.runToSynced(ctx, "operator", count, "start")
			if err != nil {
				return err
			}
			floors, measured, found = append(floors, took.Seconds()), append(measured, seconds), append(found, counted)
			progress("  operator %.2f s, floor %.2f s", seconds, took.Seconds())
			return nil
		})
		if err != nil {
			return err
		}
	}
	b.table.add(targetStart, fmt.Sprintf("%d procedures with %d signatures present, operator started: all Synced", count, 2*count),
		fmt.Sprintf("the operator computes %.2f ms for each procedure with its signatures", computedEach(found)),
		timed("from the start of the process to the last status", "s", measured, floors, 1.5))
	b.straightAtStart = found
	return nil
}

// computedEach is the median of how long the operator computed for a procedure, in milliseconds.
func computedEach(found []straight) float64 {
	var each []float64
	for _, s := range found {
		each = append(each, s.computed.Seconds()*1000/float64(s.procedures))
	}
	return median(each)
}

// prepare makes and creates procedures with both signatures in a namespace of their own.
func (w *world) prepare(ctx context.Context, namespace string, count int) ([]*signedProcedure, error) {
	made, err := w.make(namespace, count)
	if err != nil {
		return nil, err
	}
	if err := w.namespace(ctx, namespace); err != nil {
		return nil, err
	}
	return made, w.create(ctx, made, both)
}

// runToSynced runs the operator until every status of a namespace is written and nothing more comes. It returns the time
// from its start to the last of these statuses.
func (w *world) runToSynced(ctx context.Context, namespace string, count int, profile string, then ...func(*operator) error) (seconds float64, found straight, err error) {
	err = w.withOperator([]string{namespace}, func(o *operator) error {
		profiled := o.profiling(ctx, profile, 5)
		if err := o.written(ctx, count, 2*count); err != nil {
			return err
		}
		seconds = w.writes.lastOf(procedureStatus, signatureStatus).Sub(o.started).Seconds()
		if err := profiled(); err != nil {
			return err
		}
		if err := o.quiet(ctx); err != nil {
			return err
		}
		if found, err = w.straight(count); err != nil {
			return err
		}
		if found.computed, err = o.cpu(); err != nil {
			return err
		}
		for _, look := range then {
			if err := look(o); err != nil {
				return err
			}
		}
		return w.allReady(ctx, namespace, count)
	})
	return seconds, found, err
}

// straight is what has been counted for some procedures since the operator was started.
func (w *world) straight(count int) (straight, error) {
	writes, err := w.writes.now()
	if err != nil {
		return straight{}, err
	}
	calls, err := w.calls.now()
	progress("  writes: %s; calls: %s", writes, calls)
	return straight{procedures: count, writes: writes, calls: calls}, err
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// longPoll is how long the operator lets the host wait for changes, at least.
const longPoll = 30 * time.Second

// sized is what was found with one number of procedures.
type sized struct {
	seconds, heap                       float64 // until Synced; of the operator's objects
	memory, restarted, encoded          float64 // of the process, and of the next one; of the objects in JSON without managed fields
	listing, ready, readyWrites, puts   float64 // of a restart
	idleCPU, idleCalls, polls, settling float64
}

// measureSize measures how the operator grows with the number of procedures, how it starts again with many, and what it
// costs when nothing happens.
func (b *bench) measureSize(ctx context.Context) error {
	small, large := b.of(1000), b.of(10_000)
	var few, many []sized
	for round := range b.rounds {
		for _, size := range []struct {
			count int
			into  *[]sized
			also  func(context.Context, *world, *sized) error
		}{
			{small, &few, func(context.Context, *world, *sized) error { return nil }},
			{large, &many, b.restart},
		} {
			progress("size, round %d: %d procedures", round+1, size.count)
			found := sized{}
			err := b.inWorld(ctx, func(w *world) error {
				if err := w.grow(ctx, size.count, &found); err != nil {
					return err
				}
				return size.also(ctx, w, &found)
			})
			if err != nil {
				return err
			}
			progress("  %.2f s to Synced, %.1f MiB of objects", found.seconds, found.heap/(1<<20))
			*size.into = append(*size.into, found)
		}
	}
	b.tableOfSizes(small, large, few, many)
	return nil
}

func column(all []sized, of func(sized) float64) (values []float64) {
	for _, s := range all {
		values = append(values, of(s))
	}
	return values
}

func (b *bench) tableOfSizes(small, large int, few, many []sized) {
	const mebi = 1 << 20
	factor := float64(large) / float64(small)
	b.table.add(targetRestart, fmt.Sprintf("restart with %d synced procedures: nothing is written", large),
		fmt.Sprintf("every object was looked at again %.1f s after the start; the floor lists the objects as the operator's caches do; the CMHost's last contact, which is written every five minutes, restart or not, is not counted", median(column(many, func(s sized) float64 { return s.settling }))),
		timed("ready", "s", column(many, func(s sized) float64 { return s.ready }), column(many, func(s sized) float64 { return s.listing }), 2),
		bounded("writes to the API server", "in all", column(many, func(s sized) float64 { return s.readyWrites }), 0),
		bounded("PUTs", "in all", column(many, func(s sized) float64 { return s.puts }), 0))
	limit := median(column(many, func(s sized) float64 { return 3*s.encoded/mebi + 40 }))
	b.table.add(targetMemory, fmt.Sprintf("memory at %d procedures + %d signatures", large, 2*large),
		fmt.Sprintf("resident memory of the process; the objects are %.1f MiB in JSON without managed fields", median(column(many, func(s sized) float64 { return s.encoded / mebi }))),
		bounded("resident after they came", "MiB", column(many, func(s sized) float64 { return s.memory / mebi }), limit),
		bounded("resident after a restart", "MiB", column(many, func(s sized) float64 { return s.restarted / mebi }), limit))
	b.table.add(targetGrowth, fmt.Sprintf("growth from %d to %d: linear", small, large), "the floor is what was found with the smaller number, times the ratio of the numbers",
		timed("time to all Synced", "s", column(many, func(s sized) float64 { return s.seconds }), column(few, func(s sized) float64 { return s.seconds * factor }), 1.2),
		timed("memory of objects", "MiB", column(many, func(s sized) float64 { return s.heap / mebi }), column(few, func(s sized) float64 { return s.heap * factor / mebi }), 1.2))
	b.table.add(targetIdle, fmt.Sprintf("idle with %d procedures", large), fmt.Sprintf("watched for %s", b.idle),
		bounded("CPU", "% of a core", column(many, func(s sized) float64 { return s.idleCPU }), 1),
		exactly("long polls at once", "calls", column(many, func(s sized) float64 { return s.polls }), 1),
		bounded("calls beside them", "in all", column(many, func(s sized) float64 { return s.idleCalls }), 0))
}

// grow lets the operator bring so many procedures to the host, and weighs it.
func (w *world) grow(ctx context.Context, count int, into *sized) error {
	if _, err := w.prepare(ctx, "size", count); err != nil {
		return err
	}
	var err error
	into.seconds, _, err = w.runToSynced(ctx, "size", count, fmt.Sprintf("size-%d", count), func(o *operator) error {
		memory, err := o.memory()
		if err != nil {
			return err
		}
		heap, err := o.heap(ctx)
		into.memory, into.heap = float64(memory), heap-w.empty
		return errors.Join(err, o.keepProfile(ctx, fmt.Sprintf("heap-%d", count), "heap"), w.logWritten(ctx))
	})
	return err
}

// logWritten waits until the CMHost's status has the host's log head, which is written with some delay.
func (w *world) logWritten(ctx context.Context) error {
	host := &v1alpha1.CMHost{}
	var length int64
	return until(ctx, "the CMHost's status to have the log head", time.Minute, 200*time.Millisecond, func() (bool, error) {
		if err := w.api.Get(ctx, client.ObjectKey{Namespace: "size", Name: hostName}, host); err != nil {
			return false, err
		}
		answer, err := w.floor.host.GetHost(ctx)
		if err != nil {
			return false, err
		}
		var said struct {
			Log struct {
				Length int64 `json:"length"`
			} `json:"log"`
		}
		err = errors.Join(json.NewDecoder(answer.Body).Decode(&said), answer.Body.Close())
		length = said.Log.Length
		return host.Status.Log != nil && host.Status.Log.Length != nil && *host.Status.Log.Length == length, err
	})
}

// restart starts the operator again with everything synced, and then leaves it alone.
func (b *bench) restart(ctx context.Context, w *world, into *sized) error {
	for i := range 3 { // the first makes the server's watch cache and ours warm
		listing, encoded, err := w.list(ctx, "size")
		if err != nil {
			return err
		}
		into.encoded = encoded
		if into.listing == 0 || i > 0 && listing < into.listing {
			into.listing = listing
		}
	}
	contact, err := w.lastContact(ctx)
	if err != nil {
		return err
	}
	return w.withOperator([]string{"size"}, func(o *operator) error {
		profiled := o.profiling(ctx, "restart", 3)
		ready, err := o.ready(ctx)
		if err != nil {
			return err
		}
		into.ready = ready.Seconds()
		if err := errors.Join(o.quiet(ctx), profiled()); err != nil {
			return err
		}
		into.settling = time.Since(o.started).Seconds()
		found, err := w.straight(1)
		if err != nil {
			return err
		}
		due, err := w.contactDue(ctx, contact)
		if err != nil {
			return err
		}
		into.readyWrites = float64(found.writes.sum("") - min(due, found.writes[hostStatus]))
		into.puts = float64(found.calls[putCall])
		memory, err := o.memory()
		into.restarted = float64(memory)
		return errors.Join(err, b.idleOperator(ctx, w, o, into))
	})
}

// contactAge is how old the CMHost's last contact may become in its status.
const contactAge = 5 * time.Minute

func (w *world) lastContact(ctx context.Context) (time.Time, error) {
	host := &v1alpha1.CMHost{}
	if err := w.api.Get(ctx, client.ObjectKey{Namespace: "size", Name: hostName}, host); err != nil || host.Status.LastContactTime == nil {
		return time.Time{}, err
	}
	return host.Status.LastContactTime.Time, nil
}

// contactDue is how many writes of the CMHost's last contact were due since it was read, in an operator that goes on as
// in one that is started anew: those are no writes of the restart.
func (w *world) contactDue(ctx context.Context, before time.Time) (int, error) {
	now, err := w.lastContact(ctx)
	return int(now.Sub(before) / contactAge), err
}

// idleOperator watches the operator while nothing happens.
func (b *bench) idleOperator(ctx context.Context, w *world, o *operator, into *sized) error {
	before, err := o.cpu()
	if err != nil {
		return err
	}
	if err := w.calls.reset(); err != nil {
		return err
	}
	began := time.Now()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(b.idle):
	}
	after, err := o.cpu()
	if err != nil {
		return err
	}
	took := time.Since(began)
	into.idleCPU = 100 * (after - before).Seconds() / took.Seconds()
	calls, err := w.calls.now()
	if err != nil {
		return err
	}
	ended := int(took / longPoll)
	into.idleCalls = float64(calls.sum("")-calls[changesCall]) + math.Max(0, float64(calls[changesCall]-ended-1))
	_, page, err := fetch(ctx, "http://"+w.operations+"/metrics")
	into.polls = metric(page, "cmhost_calls_in_flight")
	progress("  idle: %.2f %% of a core; calls that ended: %s; under way: %.0f", into.idleCPU, calls, into.polls)
	return err
}

// list lists all objects of a namespace as the operator's caches do, both kinds at once, and says how long that took and
// how many bytes they have in JSON without managed fields.
func (w *world) list(ctx context.Context, namespace string) (seconds, encoded float64, err error) {
	var procedures v1alpha1.TokenProcedureList
	var signatures v1alpha1.ProcedureSignatureList
	fromCache := &client.ListOptions{Namespace: namespace, Raw: &metav1.ListOptions{ResourceVersion: "0"}}
	var failures [2]error
	began := time.Now()
	var running sync.WaitGroup
	running.Go(func() { failures[0] = w.api.List(ctx, &procedures, fromCache) })
	running.Go(func() { failures[1] = w.api.List(ctx, &signatures, fromCache) })
	running.Wait()
	seconds = time.Since(began).Seconds()
	if err := errors.Join(failures[:]...); err != nil {
		return 0, 0, err
	}
	add := func(object client.Object) error {
		object.SetManagedFields(nil)
		text, err := json.Marshal(object)
		encoded += float64(len(text))
		return err
	}
	for i := range procedures.Items {
		err = errors.Join(err, add(&procedures.Items[i]))
	}
	for i := range signatures.Items {
		err = errors.Join(err, add(&signatures.Items[i]))
	}
	return seconds, encoded, err
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// breather is how long the system is left alone between two of a series of single procedures.
const breather = 60 * time.Millisecond

// maxStatus is how many bytes the status of a procedure may have, whatever signatures it has.
const maxStatus = 16 << 10

// seen are latencies of one round in milliseconds: of the floor, of the operator on the way of a person, and before and
// after another procedure has got bogus signatures.
type seen struct{ floor, operator, before, after []float64 }

// measureLatency measures how long it takes from the second signature to an Active procedure, one at a time, with and
// without a procedure that has many bogus signatures, and counts what a procedure costs that is signed step by step.
func (b *bench) measureLatency(ctx context.Context) error {
	count, bogus := b.of(200), b.of(1000)
	var rounds []seen
	var status []float64
	for round := range b.rounds {
		progress("latency, round %d: %d procedures, one at a time, by the floor and three times by the operator", round+1, count)
		err := b.inWorld(ctx, func(w *world) error {
			s := seen{}
			var err error
			if s.floor, err = w.floorLatencies(ctx, count); err != nil {
				return fmt.Errorf("the floor: %w", err)
			}
			if s.operator, err = w.stepwise(ctx, count); err != nil {
				return err
			}
			bytes, err := w.besideBogus(ctx, count, bogus, &s)
			rounds, status = append(rounds, s), append(status, bytes)
			return err
		})
		if err != nil {
			return err
		}
	}
	column := func(q float64, of func(seen) []float64) (values []float64) {
		for _, s := range rounds {
			values = append(values, quantile(of(s), q))
		}
		return values
	}
	floor := func(s seen) []float64 { return s.floor }
	operator := func(s seen) []float64 { return s.operator }
	before := func(s seen) []float64 { return s.before }
	after := func(s seen) []float64 { return s.after }
	b.table.add(targetLatency, "second signature created → Active True, one at a time, idle system",
		fmt.Sprintf("the 99th percentile is compared with the floor's median; the floor's own is %.4g ms", median(column(0.99, floor))),
		timed("median", "ms", column(0.5, operator), column(0.5, floor), 2),
		timed("99th percentile", "ms", column(0.99, operator), column(0.5, floor), 5))
	b.table.add(targetBogus, fmt.Sprintf("one procedure with %d bogus signatures: others' latency unchanged, bounded status", bogus), "the floor is the same operator's latency before they came",
		timed("median of the others", "ms", column(0.5, after), column(0.5, before), 1.2),
		bounded("status of the procedure that has them", "bytes", status, maxStatus))
	b.tableOfCounts()
	return nil
}

// tableOfCounts compares what was counted with what nobody can avoid.
func (b *bench) tableOfCounts() {
	var parts []part
	for _, way := range []struct {
		name                   string
		found                  []straight
		procedures, signatures float64
	}{
		{"all present at the start", b.straightAtStart, 1, 2},
		{"signed step by step", b.straightStepwise, 3, 2},
	} {
		if len(way.found) == 0 {
			continue
		}
		var procedures, signatures, others, puts, reads []float64
		for _, s := range way.found {
			procedures = append(procedures, s.per(s.writes, procedureStatus))
			signatures = append(signatures, s.per(s.writes, signatureStatus))
			others = append(others, float64(s.writes.sum("")-s.writes[procedureStatus]-s.writes[signatureStatus]-s.writes[hostStatus]))
			puts = append(puts, s.per(s.calls, putCall))
			reads = append(reads, float64(s.calls.sum(listCall+"/")))
		}
		parts = append(parts,
			exactly(way.name+": writes of a procedure's status", "per procedure", procedures, way.procedures),
			exactly(way.name+": writes of its signatures' statuses", "per procedure", signatures, way.signatures),
			exactly(way.name+": PUTs", "per procedure", puts, 1),
			exactly(way.name+": calls that read a procedure", "in all", reads, 0),
			exactly(way.name+": other writes, CMHost's status apart", "in all", others, 0))
	}
	b.table.add(targetCounts, "API writes and host calls per procedure on the straight path: exactly the unavoidable ones",
		"besides, whatever the number of procedures: reading the host once at the start, its changes, its log head at most once a second, and the CMHost's status at most every ten seconds", parts...)
}

// stepwise lets procedures be created, signed by one and then by the other officer, and returns the latencies of the latter.
func (w *world) stepwise(ctx context.Context, count int) (latencies []float64, err error) {
	made, err := w.make("stepwise", count)
	if err != nil {
		return nil, err
	}
	if err := w.namespace(ctx, "stepwise"); err != nil {
		return nil, err
	}
	err = w.withOperator([]string{"stepwise"}, func(o *operator) error {
		if err := w.firstSteps(ctx, o, made); err != nil {
			return err
		}
		if latencies, err = w.secondSignatures(ctx, o, made); err != nil {
			return err
		}
		if err := o.quiet(ctx); err != nil {
			return err
		}
		counted, err := w.straight(count)
		w.straightStepwise = append(w.straightStepwise, counted)
		return err
	})
	return latencies, err
}

// firstSteps are those before the second signature.
func (w *world) firstSteps(ctx context.Context, o *operator, all []*signedProcedure) error {
	for i, which := range []parts{onlyProcedure, onlyFirst} {
		if err := w.create(ctx, all, which); err != nil {
			return err
		}
		if err := errors.Join(o.written(ctx, (i+1)*len(all), i*len(all)), o.quiet(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// secondSignatures creates the second signatures one at a time. A latency goes from the answer to that until a client
// that watches sees the procedure Active.
func (w *world) secondSignatures(ctx context.Context, o *operator, all []*signedProcedure) ([]float64, error) {
	return w.oneByOne(ctx, all, func(m *signedProcedure) (time.Time, error) {
		err := w.api.Create(ctx, m.signatures[1])
		return time.Now(), err
	}, func() error {
		return o.check()
	})
}

// floorLatencies are those of the writes alone: the PUT, and the procedure's status.
func (w *world) floorLatencies(ctx context.Context, count int) ([]float64, error) {
	made, err := w.prepare(ctx, "floor", count)
	if err != nil {
		return nil, err
	}
	return w.oneByOne(ctx, made, func(m *signedProcedure) (time.Time, error) {
		started := time.Now()
		return started, w.floor.procedureDone(ctx, m)
	}, func() error { return nil })
}

// oneByOne begins one procedure after the other and waits each time until a client that watches sees it Active.
func (w *world) oneByOne(ctx context.Context, all []*signedProcedure, begin func(*signedProcedure) (time.Time, error), between func() error) (latencies []float64, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute+time.Duration(len(all))*5*time.Second)
	defer cancel()
	there, inNamespace := &v1alpha1.TokenProcedureList{}, client.InNamespace(all[0].procedure.Namespace)
	if err := w.api.List(ctx, there, inNamespace); err != nil {
		return nil, err
	}
	// From now on: a watch that begins with all that is there would be busy with that when the first one is measured.
	fromNow := &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: there.ResourceVersion}}
	watch, err := w.api.Watch(ctx, &v1alpha1.TokenProcedureList{}, inNamespace, fromNow)
	if err != nil {
		return nil, err
	}
	defer watch.Stop()
	idle := time.NewTicker(breather)
	defer idle.Stop()
	for _, m := range all {
		idle.Reset(breather)
		select {
		case <-idle.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		started, err := begin(m)
		if err != nil {
			return nil, err
		}
		if err := errors.Join(awaitActive(watch, m.procedure.Name), between()); err != nil {
			return nil, err
		}
		latencies = append(latencies, float64(time.Since(started).Microseconds())/1000)
	}
	return latencies, nil
}

func awaitActive(watch apiwatch.Interface, name string) error {
	for event := range watch.ResultChan() {
		if procedure, ok := event.Object.(*v1alpha1.TokenProcedure); ok && procedure.Name == name && isTrue(procedure, v1alpha1.ConditionActive) {
			return nil
		}
	}
	return fmt.Errorf("the watch ended before the procedure %s was Active", name)
}

// besideBogus measures latencies before and after a procedure of the same namespace has got bogus signatures. It returns
// how many bytes its status has then.
func (w *world) besideBogus(ctx context.Context, count, bogus int, s *seen) (bytes float64, err error) {
	made, err := w.make("beside", 2*count+1)
	if err != nil {
		return 0, err
	}
	if err := w.namespace(ctx, "beside"); err != nil {
		return 0, err
	}
	victim, others := made[0], made[1:]
	forged, err := w.bogus(victim, bogus)
	if err != nil {
		return 0, err
	}
	err = w.withOperator([]string{"beside"}, func(o *operator) error {
		if err := w.firstSteps(ctx, o, made); err != nil {
			return err
		}
		if s.before, err = w.secondSignatures(ctx, o, others[:count]); err != nil {
			return err
		}
		began := time.Now()
		if err := parallel(8, bogus, func(i int) error { return w.api.Create(ctx, forged[i]) }); err != nil {
			return err
		}
		if err := errors.Join(o.written(ctx, 0, len(made)+count+bogus), o.quiet(ctx)); err != nil {
			return err
		}
		progress("  %d bogus signatures came and were judged within %.1f s", bogus, time.Since(began).Seconds())
		if s.after, err = w.secondSignatures(ctx, o, others[count:]); err != nil {
			return err
		}
		found := &v1alpha1.TokenProcedure{}
		if err := w.api.Get(ctx, client.ObjectKeyFromObject(victim.procedure), found); err != nil {
			return err
		}
		encoded, err := json.Marshal(found.Status)
		bytes = float64(len(encoded))
		return err
	})
	return bytes, err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// operator is the manager, running in a world for some namespaces.
type operator struct {
	*program
	world                    *world
	probes, metrics, profile string
}

// withOperator runs the operator for some namespaces while something happens. The counts of its writes and calls begin with it.
func (w *world) withOperator(namespaces []string, happens func(*operator) error) (err error) {
	o := &operator{world: w}
	for _, address := range []*string{&o.probes, &o.metrics, &o.profile} {
		if *address, err = freeAddress(); err != nil {
			return err
		}
	}
	if err := errors.Join(w.writes.reset(), w.calls.reset()); err != nil {
		return err
	}
	o.program, err = startProgram("manager", filepath.Join(w.programs, "manager"), w.at("manager.log"), []string{"KUBECONFIG=" + w.kubeconfig},
		"--namespaces", strings.Join(namespaces, ","), "--health-probe-bind-address", o.probes,
		"--metrics-bind-address", o.metrics, "--metrics-secure=false", "--pprof-bind-address", o.profile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.stop()) }()
	return happens(o)
}

// ready waits until the operator says that it is ready, and tells how long that took since it was started.
func (o *operator) ready(ctx context.Context) (time.Duration, error) {
	err := until(ctx, "the operator to be ready", 2*time.Minute, 10*time.Millisecond, func() (bool, error) {
		status, _, err := fetch(ctx, "http://"+o.probes+"/readyz")
		return err == nil && status == http.StatusOK, o.check()
	})
	return time.Since(o.started), err
}

// written waits until so many statuses of procedures and signatures have been written since the operator was started.
func (o *operator) written(ctx context.Context, procedures, signatures int) error {
	return until(ctx, fmt.Sprintf("%d statuses of procedures and %d of signatures", procedures, signatures), 10*time.Minute, 50*time.Millisecond, func() (bool, error) {
		now, err := o.world.writes.now()
		return now[procedureStatus] >= procedures && now[signatureStatus] >= signatures, errors.Join(err, o.check())
	})
}

// quiet waits until the operator has nothing to do.
func (o *operator) quiet(ctx context.Context) error {
	calm, before := 0, -1.0
	return until(ctx, "the operator to become quiet", 5*time.Minute, 100*time.Millisecond, func() (bool, error) {
		status, page, err := fetch(ctx, "http://"+o.metrics+"/metrics")
		if err != nil || status != http.StatusOK {
			return false, o.check()
		}
		done := metric(page, "controller_runtime_reconcile_total")
		if done != before || metric(page, "workqueue_depth")+metric(page, "controller_runtime_active_workers") > 0 {
			calm = 0
		}
		calm, before = calm+1, done
		return calm >= 5, o.check()
	})
}

// metric adds up all series of a metric.
func metric(page []byte, name string) (total float64) {
	for _, found := range regexp.MustCompile(`(?m)^`+name+`(?:\{[^\n]*\})? (\S+)$`).FindAllSubmatch(page, -1) {
		value, err := strconv.ParseFloat(string(found[1]), 64)
		if err == nil {
			total += value
		}
	}
	return total
}

var heapInUse = regexp.MustCompile(`(?m)^# HeapAlloc = (\d+)$`)

// heap is what the operator's objects in use occupy, in bytes, garbage not counted.
func (o *operator) heap(ctx context.Context) (float64, error) {
	_, page, err := fetch(ctx, "http://"+o.profile+"/debug/pprof/heap?gc=1&debug=1")
	if err != nil {
		return 0, err
	}
	found := heapInUse.FindSubmatch(page)
	if found == nil {
		return 0, errors.New("the operator's heap profile does not say HeapAlloc")
	}
	return strconv.ParseFloat(string(found[1]), 64)
}

// keepProfile writes a profile of the operator, where profiles are wanted.
func (o *operator) keepProfile(ctx context.Context, name, query string) error {
	if o.world.profiles == "" {
		return nil
	}
	_, page, err := fetch(ctx, "http://"+o.profile+"/debug/pprof/"+query)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.world.profiles, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(o.world.profiles, name+".pprof"), page, 0o644)
}

// profiling keeps a CPU profile of what happens next.
func (o *operator) profiling(ctx context.Context, name string, seconds int) (done func() error) {
	if o.world.profiles == "" {
		return func() error { return nil }
	}
	ended := make(chan error, 1)
	go func() {
		_, err := o.ready(ctx) // before it does not serve
		ended <- errors.Join(err, o.keepProfile(ctx, name, fmt.Sprintf("profile?seconds=%d", seconds)))
	}()
	return func() error { return <-ended }
}

// allReady fails unless all procedures of a namespace are Synced.
func (w *world) allReady(ctx context.Context, namespace string, count int) error {
	var procedures v1alpha1.TokenProcedureList
	if err := w.api.List(ctx, &procedures, client.InNamespace(namespace)); err != nil {
		return err
	}
	ready := 0
	for i := range procedures.Items {
		if isTrue(&procedures.Items[i], v1alpha1.ConditionSynced) && isTrue(&procedures.Items[i], v1alpha1.ConditionActive) {
			ready++
		}
	}
	if ready != count || len(procedures.Items) != count {
		return fmt.Errorf("%d of %d procedures in the namespace %s are Synced and Active; expected all %d", ready, len(procedures.Items), namespace, count)
	}
	return nil
}

func isTrue(procedure *v1alpha1.TokenProcedure, condition string) bool {
	for _, c := range procedure.Status.Conditions {
		if c.Type == condition {
			return c.Status == "True"
		}
	}
	return false
}

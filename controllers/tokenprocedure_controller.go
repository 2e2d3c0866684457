package controllers

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/flowcontrol"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmclient"
)

// TokenProcedureReconciler brings signed procedures to their CM host and reports what the host has.
type TokenProcedureReconciler struct {
	Client   client.Client
	Recorder events.EventRecorder
	Waker    *Waker

	gatherer *gatherer
	refusals *refusals
	backOff  *flowcontrol.Backoff
	metrics  *metrics
	now      func() time.Time
}

// +kubebuilder:rbac:groups=cm.tokenprocedures.dev,resources=tokenprocedures,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=cm.tokenprocedures.dev,resources=tokenprocedures/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=cm.tokenprocedures.dev,resources=tokenprocedures/finalizers,verbs=update
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile gathers facts, decides, acts and reports.
func (r *TokenProcedureReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	facts, err := r.gatherer.gather(ctx, req.NamespacedName)
	switch {
	case isNotFound(err):
		r.forget(req.NamespacedName)
		return ctrl.Result{}, nil
	case errors.Is(err, errNotTried):
		return ctrl.Result{}, nil
	case err != nil:
		return ctrl.Result{}, err
	}
	plan, released, err := r.act(ctx, facts, decide(facts, r.now()))
	if err != nil || released {
		return afterConflict(err)
	}
	if err := r.report(ctx, facts, plan); err != nil {
		return ctrl.Result{}, err
	}
	return r.next(facts, plan), nil
}

// afterConflict tries again soon where somebody else was faster, which is nothing that anyone has to hear of.
func afterConflict(err error) (ctrl.Result, error) {
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: wait.Jitter(conflictPause, 1)}, nil
	}
	return ctrl.Result{}, err
}

// conflictPause is about as long as the cache needs to hear of somebody else's write.
const conflictPause = 50 * time.Millisecond

// next says when to look again although nothing was heard: after a submission that the host did not take now, or when what
// a decision rests on changes by time. Everything else wakes the procedure.
func (r *TokenProcedureReconciler) next(f *facts, p plan) ctrl.Result {
	key, now := client.ObjectKeyFromObject(f.object).String(), r.now()
	failure := f.failure()
	if failure == nil && !f.attempt.passes() {
		r.backOff.Reset(key)
		if p.review.IsZero() {
			return ctrl.Result{}
		}
		return ctrl.Result{RequeueAfter: max(p.review.Sub(now), 0) + time.Millisecond}
	}
	r.backOff.Next(key, now)
	again := min(r.backOff.Get(key), longestBackOff)
	if failure != nil && failure.RetryAfter > again { // not all at the same moment
		again = wait.Jitter(failure.RetryAfter, 0.2)
	}
	return ctrl.Result{RequeueAfter: again}
}

// longestBackOff bounds the time between two attempts at a host that does not take a request.
const longestBackOff = 30 * time.Second

// failure is what this procedure has to try again by itself: a call that it made. When the connection is down, the
// connection tries and wakes the procedure.
func (f *facts) failure() *cmclient.Failure {
	if f.attempt != nil && f.attempt.failure != nil {
		return f.attempt.failure
	}
	return f.host.failed
}

func (r *TokenProcedureReconciler) forget(key types.NamespacedName) {
	r.backOff.Reset(key.String())
	r.refusals.forget(key)
	r.gatherer.checks.forget(key)
}

// SetupWithManager registers the controller and what wakes it.
func (r *TokenProcedureReconciler) SetupWithManager(mgr ctrl.Manager, options Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("tokenprocedure").
		For(&v1alpha1.TokenProcedure{}).
		Watches(&v1alpha1.TokenProcedure{}, r.Waker.rivals()).
		Watches(&v1alpha1.ProcedureSignature{}, r.Waker.procedureOfSignature()).
		Watches(&v1alpha1.CMHost{}, r.Waker.proceduresOfHost()).
		WatchesRawSource(r.Waker.procedures).
		WatchesRawSource(r.Waker.hostsFirst).
		WithOptions(options.controller(options.ProcedureWorkers)).
		Complete(traced("TokenProcedure", r))
}

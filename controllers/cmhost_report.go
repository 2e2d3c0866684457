package controllers

import (
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	applyv1alpha1 "github.com/tokenprocedures/token-procedure-operator/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmclient"
)

const (
	// contactAge is how old status.lastContactTime may be.
	contactAge = 5 * time.Minute
	// logAge is how old status.log may be: what was logged later is not missed if host and operator are lost together.
	logAge = 10 * time.Second
)

// report writes the status of a CMHost, unless it is what is there already, and says when to look again.
func (r *CMHostReconciler) report(ctx context.Context, host *v1alpha1.CMHost, known *knownHost) (ctrl.Result, error) {
	now := r.now()
	connection, state := r.pool.Get(string(host.UID))
	again := ctrl.Result{RequeueAfter: r.secretDue(known.secretRead, now, refused(state) || connection == nil)}
	if !state.Tried {
		return again, nil
	}
	status := hostStatusOf(host, connection, state, r.neededBy(ctx, host), now)
	if equality.Semantic.DeepEqual(host.Status, status) {
		return again, nil
	}
	if wait := known.logWritten.Add(logAge).Sub(now); wait > 0 && onlyLogDiffers(host.Status, status) {
		return ctrl.Result{RequeueAfter: min(wait, again.RequeueAfter)}, nil
	}
	replaced := host.DeepCopy()
	replaced.Status = status
	configuration := applyv1alpha1.CMHost(host.Name, host.Namespace).WithUID(host.UID)
	if err := applyStatus(ctx, r.Client, configuration, replaced, status); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	known.logWritten = now
	r.announce(host, status)
	return again, nil
}

// secretDue says how long the knowledge of a Secret is good for. A pass in between, for whatever reason, does not prolong it.
func (r *CMHostReconciler) secretDue(read, now time.Time, refused bool) time.Duration {
	if refused {
		return r.refusedSecretAge
	}
	return max(secretAge-now.Sub(read), time.Second)
}

// onlyLogDiffers tells whether nothing but the log head is new, which need not be written at once.
func onlyLogDiffers(before, after v1alpha1.CMHostStatus) bool {
	before.Log, after.Log = nil, nil
	return equality.Semantic.DeepEqual(before, after)
}

// hostStatusOf is the status of a CMHost whose connection has been tried.
func hostStatusOf(host *v1alpha1.CMHost, connection *cmclient.Connection, state cmclient.State, neededBy []string, now time.Time) v1alpha1.CMHostStatus {
	status := *host.Status.DeepCopy()
	status.ObservedGeneration = host.Generation
	status.Conditions = conditionsOf(decideHost(state.Failure, neededBy), host.Status.Conditions, host.Generation, now)
	if snapshot := state.Snapshot; snapshot != nil {
		officers, objects := int32(snapshot.Officers), int32(snapshot.CatalogObjects())
		status.ProductVersion = strings.TrimSpace(snapshot.Product + " " + snapshot.Version)
		status.Officers, status.CatalogObjects = &officers, &objects
	}
	if connection == nil {
		return status
	}
	if remembered := connection.RememberedLog(); remembered != (cmclient.LogHead{}) {
		status.Log = &v1alpha1.LogStatus{Length: &remembered.Length, Head: remembered.Head}
	}
	if contact := connection.LastContact(); !contact.IsZero() &&
		(status.LastContactTime == nil || contact.Sub(status.LastContactTime.Time).Abs() >= contactAge) {
		at := second(contact)
		status.LastContactTime = &at
	}
	return status
}

// decideHost says whether a host can be used. Reasons of Ready: Connected; SecretNotFound, SecretInvalid,
// AudienceMismatch (Stalled), Unreachable, TLSRefused, NotPermitted, HistoryRewound. It is Stalled only where nothing but
// another CMHost helps; everything else is tried again. One that is being deleted says what it waits for.
func decideHost(failure *cmclient.Failure, neededBy []string) []namedFinding {
	ready := holds(v1alpha1.ReasonConnected, "the CM host answers, and its changes are followed")
	if failure != nil {
		ready = fails(failure.Reason, failure.Message)
	}
	findings := []namedFinding{{v1alpha1.ConditionReady, ready}}
	switch {
	case len(neededBy) > 0:
		return append(findings, namedFinding{v1alpha1.ConditionReconciling, holds(v1alpha1.ReasonClosing, "this CMHost goes when no TokenProcedure with the deletion policy Close needs it any more: "+
			list(neededBy, shownRefused)+". Have their closing requests signed, or set their spec.deletionPolicy to Retain")})
	case failure == nil:
		return findings
	case failure.Reason == v1alpha1.ReasonAudienceMismatch:
		return append(findings, namedFinding{v1alpha1.ConditionStalled, holds(failure.Reason, failure.Message)})
	}
	return append(findings, namedFinding{v1alpha1.ConditionReconciling, holds(failure.Reason, failure.Message)})
}

// neededBy are the procedures that keep a CMHost which is being deleted, by name.
func (r *CMHostReconciler) neededBy(ctx context.Context, host *v1alpha1.CMHost) []string {
	var names []string
	if host.DeletionTimestamp == nil {
		return nil
	}
	for _, procedure := range r.Waker.proceduresOf(ctx, host) {
		if needsHost(procedure) {
			names = append(names, procedure.Name)
		}
	}
	slices.Sort(names)
	return names
}

// announce makes an event when the host can be used no more, or again.
func (r *CMHostReconciler) announce(host *v1alpha1.CMHost, after v1alpha1.CMHostStatus) {
	was, is := meta.FindStatusCondition(host.Status.Conditions, v1alpha1.ConditionReady), meta.FindStatusCondition(after.Conditions, v1alpha1.ConditionReady)
	switch {
	case was != nil && was.Reason == is.Reason, was == nil && is.Status == metav1.ConditionTrue:
	case is.Status == metav1.ConditionTrue:
		r.Recorder.Eventf(host, nil, corev1.EventTypeNormal, is.Reason, "Connect", "%s", note(is.Message))
	default:
		r.Recorder.Eventf(host, nil, corev1.EventTypeWarning, is.Reason, "Connect", "%s", note(is.Message))
	}
}

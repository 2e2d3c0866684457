package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	applyv1alpha1 "github.com/tokenprocedures/token-procedure-operator/api/v1alpha1/applyconfiguration/api/v1alpha1"
)

// Reasons of events beside those of conditions.
const (
	eventReleased  = "Released"
	eventAdopted   = "Adopted"
	eventTakenOver = "TakenOver"
)

// report writes the status of a procedure, unless it is what is there already.
func (r *TokenProcedureReconciler) report(ctx context.Context, f *facts, p plan) error {
	if p.keep {
		return nil
	}
	before := f.object.Status
	status := v1alpha1.TokenProcedureStatus{
		ObservedGeneration: f.object.Generation,
		Conditions:         conditionsOf(p.findings, before.Conditions, f.object.Generation, r.now()),
		Signatures:         p.signed,
		CountedSignatures:  new(int32(len(p.signed))),
		Host:               p.host,
		Warnings:           p.warnings,
	}
	if p.wanted != nil {
		status.Request = &v1alpha1.SignableRequest{Revision: p.wanted.Revision, Digest: p.digest}
	}
	if reported(f.object) && equality.Semantic.DeepEqual(before, status) {
		return nil
	}
	replaced := f.object.DeepCopy()
	replaced.Status = status
	configuration := applyv1alpha1.TokenProcedure(replaced.Name, replaced.Namespace).WithUID(replaced.UID)
	if err := applyStatus(ctx, r.Client, configuration, replaced, status); err != nil {
		return client.IgnoreNotFound(err)
	}
	if before.ObservedGeneration == f.object.Generation && (before.Request != nil) != (p.wanted != nil || f.submitted) {
		r.Waker.wakeSignaturesOf(ctx, client.ObjectKeyFromObject(f.object)) // what counts is another thing now
	}
	r.metrics.reported(f, &before, &status, r.now())
	logReport(f.log(ctx), before.Conditions, status.Conditions)
	r.announce(f, before.Conditions, status.Conditions)
	r.announceWarnings(f, before.Warnings, status.Warnings)
	return nil
}

// log is the log of one procedure: all lines have the same keys, so that it can be followed through.
func (f *facts) log(ctx context.Context) logr.Logger { return f.logOf(ctx, f.revision(), f.digest) }

// logOf is the log about one request of it.
func (f *facts) logOf(ctx context.Context, revision int64, digest string) logr.Logger {
	return ctrl.LoggerFrom(ctx).WithValues("procedure", f.object.Name, "generation", f.object.Generation, "revision", revision, "digest", digest,
		"host", f.object.Spec.CMHostRef.Name)
}

// logReport notes what a report says of Ready, unless the last one of this generation said so too.
func logReport(log logr.Logger, before, after []metav1.Condition) {
	was, is := meta.FindStatusCondition(before, v1alpha1.ConditionReady), meta.FindStatusCondition(after, v1alpha1.ConditionReady)
	if was == nil || was.Reason != is.Reason || was.Status != is.Status || was.ObservedGeneration != is.ObservedGeneration {
		log.Info("status reported", "ready", is.Status, "reason", is.Reason)
	}
}

// troubles are the reasons of Ready that a person should hear of when they come and go.
var troubles = map[string]bool{
	v1alpha1.ReasonInvalid: true, v1alpha1.ReasonUnknownReference: true, v1alpha1.ReasonClosedReference: true,
	v1alpha1.ReasonNotVisibleInDomain: true, v1alpha1.ReasonCertificateProcedureRequired: true,
	v1alpha1.ReasonStorageProfileNotOffered: true, v1alpha1.ReasonNameConflict: true, v1alpha1.ReasonStaleRevision: true,
	v1alpha1.ReasonDrifted: true, v1alpha1.ReasonRefusedByHost: true, v1alpha1.ReasonCMHostNotFound: true,
}

// announce makes events of transitions: into and out of trouble, and for what the host had before us. A request that is
// signed and accepted as it should be makes none.
func (r *TokenProcedureReconciler) announce(f *facts, before, after []metav1.Condition) {
	was, is := meta.FindStatusCondition(before, v1alpha1.ConditionReady), meta.FindStatusCondition(after, v1alpha1.ConditionReady)
	if was != nil && was.Reason == is.Reason && was.ObservedGeneration == is.ObservedGeneration {
		return
	}
	switch {
	case troubles[is.Reason]:
		r.Recorder.Eventf(f.object, nil, corev1.EventTypeWarning, is.Reason, "Reconcile", "%s", note(is.Message))
	case f.tookOver != "":
		r.Recorder.Eventf(f.object, nil, corev1.EventTypeNormal, eventTakenOver, "Submit", "%s",
			note(fmt.Sprintf("revision %d took over the procedure %q, which was made elsewhere; changed: %s", f.revision(), f.name(), f.tookOver)))
	case is.Reason != v1alpha1.ReasonUpToDate:
	case was != nil && troubles[was.Reason]:
		r.Recorder.Eventf(f.object, nil, corev1.EventTypeNormal, is.Reason, "Reconcile", "%s", note(is.Message))
	case f.adopted(was):
		r.Recorder.Eventf(f.object, nil, corev1.EventTypeNormal, eventAdopted, "Adopt", "%s", note("the CM host had exactly this already: "+is.Message))
	}
}

// announceWarnings makes an event of each warning that is new.
func (r *TokenProcedureReconciler) announceWarnings(f *facts, before, after []v1alpha1.Warning) {
	for _, warning := range after {
		if !slices.Contains(before, warning) {
			r.Recorder.Eventf(f.object, nil, corev1.EventTypeWarning, warning.Reason, "Reconcile", "%s", note(warning.Message))
		}
	}
}

// note is a text as the API server takes it as the note of an event.
func note(text string) string {
	const limit = 1024 // bytes
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len("…")], "") + "…"
}

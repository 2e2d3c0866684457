package controllers

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	applyv1alpha1 "github.com/tokenprocedures/token-procedure-operator/api/v1alpha1/applyconfiguration/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// ProcedureSignatureReconciler reports what each signature is worth, by the same facts and the same evaluation as the
// procedure that it signs.
type ProcedureSignatureReconciler struct {
	Client client.Client
	Waker  *Waker

	gatherer *gatherer
	now      func() time.Time
}

// +kubebuilder:rbac:groups=cm.tokenprocedures.dev,resources=proceduresignatures,verbs=get;list;watch
// +kubebuilder:rbac:groups=cm.tokenprocedures.dev,resources=proceduresignatures/status,verbs=get;update;patch

// Reconcile gathers the facts of the signature's procedure, decides and reports.
func (r *ProcedureSignatureReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	object := &v1alpha1.ProcedureSignature{}
	if err := r.Client.Get(ctx, req.NamespacedName, object); err != nil {
		if isNotFound(err) {
			r.forget(ctx, req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	plan, failed, err := r.plan(ctx, object)
	if errors.Is(err, errNotTried) {
		return ctrl.Result{}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.report(ctx, object, plan); err != nil {
		return ctrl.Result{}, err
	}
	if failed {
		return ctrl.Result{RequeueAfter: longestBackOff}, nil
	}
	if plan.review.IsZero() {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{RequeueAfter: max(plan.review.Sub(r.now()), 0) + time.Millisecond}, nil
}

// plan decides upon a signature. failed tells that the host did not answer when it had to be asked.
func (r *ProcedureSignatureReconciler) plan(ctx context.Context, object *v1alpha1.ProcedureSignature) (p signaturePlan, failed bool, err error) {
	key := types.NamespacedName{Namespace: object.Namespace, Name: object.Spec.ProcedureRef.Name}
	facts, err := r.gatherer.gather(ctx, key)
	if isNotFound(err) {
		return decideOrphan(object, judgeText(object.Spec.Signature, signing.Terms{Now: r.now()})), false, nil
	}
	if err != nil {
		return signaturePlan{}, false, err
	}
	at := slices.IndexFunc(facts.signatures, func(s signatureFacts) bool { return s.object.UID == object.UID })
	if at < 0 { // it is being deleted, or the index lags behind: then it comes again
		return signaturePlan{keep: true}, false, nil
	}
	r.wakeSameOfficer(facts, at)
	return decideSignature(facts, at, r.now()), facts.host.failed != nil, nil
}

// wakeSameOfficer wakes the signatures that this one keeps from counting as of now, or no more: later ones of the same
// officer.
func (r *ProcedureSignatureReconciler) wakeSameOfficer(f *facts, at int) {
	own := f.signatures[at]
	if own.verdict.Officer == nil || own.verdict.Verified() == meta.IsStatusConditionTrue(own.object.Status.Conditions, v1alpha1.ConditionVerified) {
		return
	}
	for _, later := range f.signatures[at+1:] {
		if later.verdict.Verified() && later.verdict.Officer.ID == own.verdict.Officer.ID && later.object.Status.ObservedGeneration == later.object.Generation {
			r.Waker.signatures.wake(client.ObjectKeyFromObject(later.object))
		}
	}
}

// forget drops what is known of a signature that is gone, and wakes those that may count now instead.
func (r *ProcedureSignatureReconciler) forget(ctx context.Context, key types.NamespacedName) {
	if procedure, verified := r.gatherer.judge.forget(key); verified {
		r.Waker.wakeSignaturesOf(ctx, procedure)
	}
}

// report writes the status of a signature, unless it is what is there already.
func (r *ProcedureSignatureReconciler) report(ctx context.Context, object *v1alpha1.ProcedureSignature, p signaturePlan) error {
	if p.keep {
		return nil
	}
	status := v1alpha1.ProcedureSignatureStatus{
		ObservedGeneration: object.Generation,
		Conditions:         conditionsOf(p.findings, object.Status.Conditions, object.Generation, r.now()),
	}
	if officer := p.verdict.Officer; officer != nil {
		status.Officer = &v1alpha1.OfficerStatus{ID: officer.ID, Subject: shorten(officer.Subject, 1024)}
	}
	if signed := p.verdict.Request; signed != nil {
		status.Request = &v1alpha1.SignedRequestStatus{Revision: signed.Revision, Digest: p.verdict.Digest, Audience: shorten(signed.Audience, 253)}
	}
	if !p.verdict.SignedAt.IsZero() {
		at := second(p.verdict.SignedAt)
		status.SignedAt = &at
	}
	if reported(object) && equality.Semantic.DeepEqual(object.Status, status) {
		return nil
	}
	replaced := object.DeepCopy()
	replaced.Status = status
	configuration := applyv1alpha1.ProcedureSignature(object.Name, object.Namespace).WithUID(object.UID)
	if err := applyStatus(ctx, r.Client, configuration, replaced, status); err != nil {
		return client.IgnoreNotFound(err)
	}
	logReport(signatureLog(ctx, object, p), object.Status.Conditions, status.Conditions)
	return nil
}

// signatureLog has the keys of its procedure's log, so that a signature is part of that story.
func signatureLog(ctx context.Context, object *v1alpha1.ProcedureSignature, p signaturePlan) logr.Logger {
	log := ctrl.LoggerFrom(ctx).WithValues("procedure", object.Spec.ProcedureRef.Name, "generation", object.Generation)
	if signed := p.verdict.Request; signed != nil {
		log = log.WithValues("revision", signed.Revision, "digest", p.verdict.Digest)
	}
	if officer := p.verdict.Officer; officer != nil {
		log = log.WithValues("officer", officer.ID)
	}
	return log
}

// SetupWithManager registers the controller and what wakes it.
func (r *ProcedureSignatureReconciler) SetupWithManager(mgr ctrl.Manager, options Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("proceduresignature").
		For(&v1alpha1.ProcedureSignature{}).
		Watches(&v1alpha1.TokenProcedure{}, r.Waker.signaturesOfProcedure()).
		Watches(&v1alpha1.CMHost{}, r.Waker.signaturesOfHost()).
		WatchesRawSource(r.Waker.signatures).
		WatchesRawSource(r.Waker.hostsFirst).
		WithOptions(options.controller(options.SignatureWorkers)).
		Complete(traced("ProcedureSignature", r))
}

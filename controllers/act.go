package controllers

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmclient"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

// maxSteps bounds the effects of one reconcile: secure, submit, release, and what is left of a conflict is for the next.
const maxSteps = 3

// act carries a plan's action out, decides again upon what that changed, and so on until nothing is left to do. It
// returns the last plan. released tells that the object may be gone.
func (r *TokenProcedureReconciler) act(ctx context.Context, f *facts, p plan) (last plan, released bool, err error) {
	for step := 0; p.action != actionNone; step++ {
		if step == maxSteps {
			return p, false, fmt.Errorf("more than %d steps for %s/%s", maxSteps, f.object.Namespace, f.object.Name)
		}
		switch p.action {
		case actionSecure:
			err = r.secure(ctx, f)
		case actionRelease:
			released, err = f.deleting(), r.release(ctx, f, p.why)
		case actionSubmit:
			r.submit(ctx, f, p)
		}
		if err != nil || released {
			return p, released, err
		}
		p = decide(f, r.now())
	}
	return p, false, nil
}

// secure sets the finalizers that keep the object, and the CMHost that it needs, until the procedure is closed. They are
// there before anything is submitted.
func (r *TokenProcedureReconciler) secure(ctx context.Context, f *facts) error {
	if err := r.addFinalizer(ctx, f.object); err != nil {
		return err
	}
	f.log(ctx).Info("finalizer set")
	if f.host.object == nil || f.host.object.DeletionTimestamp != nil {
		return nil
	}
	host := f.host.object.DeepCopy()
	if err := r.addFinalizer(ctx, host); err != nil {
		return err
	}
	f.host.object = host
	return nil
}

func (r *TokenProcedureReconciler) addFinalizer(ctx context.Context, object client.Object) error {
	before := object.DeepCopyObject().(client.Object)
	if !controllerutil.AddFinalizer(object, v1alpha1.FinalizerClose) {
		return nil
	}
	return r.Client.Patch(ctx, object, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// release takes the object's finalizer away; why is recorded in an event where the object was held back by it.
func (r *TokenProcedureReconciler) release(ctx context.Context, f *facts, why string) error {
	before := f.object.DeepCopy()
	controllerutil.RemoveFinalizer(f.object, v1alpha1.FinalizerClose)
	if err := r.Client.Patch(ctx, f.object, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return client.IgnoreNotFound(err)
	}
	f.log(ctx).Info("finalizer taken away", "deleting", f.deleting(), "why", why)
	if f.deleting() {
		r.Recorder.Eventf(f.object, nil, corev1.EventTypeNormal, eventReleased, "Release", "the object can go: %s", why)
	}
	return nil
}

// submit sends the wanted request with its two signatures to the host, and adds to the facts how that ended: either what
// the host holds now, or the attempt. A refusal is remembered, so that exactly this is not sent again before something changes,
// unless time alone may change it.
func (r *TokenProcedureReconciler) submit(ctx context.Context, f *facts, p plan) {
	connection, _ := r.gatherer.pool.Get(string(f.host.object.UID))
	if connection == nil {
		f.attempt = &attempt{failure: &cmclient.Failure{Reason: v1alpha1.ReasonUnreachable, Message: "the connection is being made anew"}}
		return
	}
	fingerprint := f.fingerprint(p)
	if refusal := r.refusals.known(f.object, fingerprint); refusal != nil {
		f.attempt = &attempt{refusal: refusal}
		return
	}
	tookOver, err := f.takesOver(ctx, connection, p.wanted)
	if err != nil {
		f.attempt = attemptOf(err)
		return
	}
	entry, err := put(ctx, connection, f.name(), p)
	logSubmission(f.logOf(ctx, p.wanted.Revision, p.digest), p.signers, err)
	if err != nil {
		f.attempt = attemptOf(err)
		if f.attempt.refusal != nil && !f.attempt.passes() {
			r.refusals.remember(f.object, fingerprint, f.attempt.refusal)
		}
		// The host may have moved on: what it has now may explain the refusal better.
		if err := r.gatherer.gatherEntry(ctx, f, connection); err != nil {
			f.hostFailed(err)
		}
		return
	}
	connection.WatchRange(f.name(), rules.SerialRange{})
	f.host.entry, f.host.content, f.tookOver = &entry, nil, tookOver
	f.submitted = true
	r.wakeSuperseded(f)
	r.Waker.wakeOthers(ctx, f)
}

// takesOver says what a submission changes in a procedure that was made elsewhere; empty where the host has none such.
func (f *facts) takesOver(ctx context.Context, connection *cmclient.Connection, wanted *request.Request) (changes string, err error) {
	if f.host.entry == nil || f.host.entry.Revision != 0 {
		return "", nil
	}
	content, err := connection.Content(ctx, f.name())
	if err != nil {
		return "", err
	}
	var texts []string
	for _, difference := range request.Differences(content.Procedure, wanted.Procedure) {
		texts = append(texts, difference.String())
	}
	return cmp.Or(strings.Join(texts, "; "), "nothing"), nil
}

// logSubmission notes how a submission ended, without the host's words.
func logSubmission(log logr.Logger, signers []signatureFacts, err error) {
	var officers []string
	for _, signer := range signers {
		officers = append(officers, signer.verdict.Officer.ID)
	}
	log = log.WithValues("officers", officers)
	if refusal, ok := errors.AsType[*cmclient.Refusal](err); ok {
		log.Info("request refused by the CM host", "problem", refusal.Type, "reason", refusal.Reason)
		return
	}
	if err != nil {
		log.Info("request not taken by the CM host", "reason", cmclient.AsFailure(err).Reason)
		return
	}
	log.Info("request accepted by the CM host")
}

func put(ctx context.Context, connection *cmclient.Connection, name string, p plan) (cmclient.Entry, error) {
	canonical, err := p.wanted.Bytes()
	if err != nil {
		return cmclient.Entry{}, err
	}
	var signatures [][]byte
	for _, signer := range p.signers {
		der, err := base64.StdEncoding.DecodeString(signer.object.Spec.Signature)
		if err != nil {
			return cmclient.Entry{}, err
		}
		signatures = append(signatures, der)
	}
	return connection.Put(ctx, name, p.digest, canonical, signatures)
}

func attemptOf(err error) *attempt {
	if refusal, ok := errors.AsType[*cmclient.Refusal](err); ok {
		return &attempt{refusal: refusal}
	}
	return &attempt{failure: cmclient.AsFailure(err)}
}

// wakeSuperseded wakes the signatures that covered what the host had before.
func (r *TokenProcedureReconciler) wakeSuperseded(f *facts) {
	for _, signature := range f.signatures {
		if signature.verdict.Verified() && signature.verdict.Digest != f.host.entry.Digest {
			r.Waker.signatures.wake(client.ObjectKeyFromObject(signature.object))
		}
	}
}

// fingerprint identifies a submission together with everything that the host's answer to it rests on.
func (f *facts) fingerprint(p plan) string {
	parts := []string{p.digest, fmt.Sprint(f.host.state.Snapshot.Session), fmt.Sprint(f.host.state.Snapshot.Policy)}
	if entry := f.host.entry; entry != nil {
		parts = append(parts, fmt.Sprint(entry.Revision), entry.Digest)
	}
	for _, signer := range p.signers {
		parts = append(parts, string(signer.object.UID))
	}
	return strings.Join(parts, " ")
}

// hasFinalizer tells whether an object waits for its procedure to be closed.
func hasFinalizer(object client.Object) bool {
	return slices.Contains(object.GetFinalizers(), v1alpha1.FinalizerClose)
}

package controllers

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmclient"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

// Waker puts exactly those objects into the controllers' queues that a change concerns.
type Waker struct {
	reader     client.Reader
	judge      *judge
	procedures *wakeable
	signatures *wakeable
	hosts      *wakeable
	// hostsFirst is when to begin with what depends on a host.
	hostsFirst source.Source
}

func newWaker(reader client.Reader, judge *judge, hostsFirst source.Source) *Waker {
	return &Waker{reader: reader, judge: judge, hostsFirst: hostsFirst, procedures: &wakeable{}, signatures: &wakeable{}, hosts: &wakeable{}}
}

type queue = workqueue.TypedRateLimitingInterface[ctrl.Request]

// wakeable is the queue of one controller, as a source of it. What is woken before the controller has started is lost
// without harm: a controller begins with every object.
type wakeable struct {
	mu    sync.RWMutex
	queue queue
}

// Start implements source.Source.
func (w *wakeable) Start(_ context.Context, queue queue) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = queue
	return nil
}

// String implements source.Source.
func (w *wakeable) String() string { return "changes of CM hosts" }

// wake puts objects into the queue.
func (w *wakeable) wake(keys ...types.NamespacedName) { w.add(0, keys) }

// wakeLater puts objects into the queue behind those that somebody waits for.
func (w *wakeable) wakeLater(keys ...types.NamespacedName) { w.add(handler.LowPriority, keys) }

func (w *wakeable) add(priority int, keys []types.NamespacedName) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.queue == nil {
		return
	}
	for _, key := range keys {
		request := ctrl.Request{NamespacedName: key}
		if prioritised, ok := w.queue.(priorityqueue.PriorityQueue[ctrl.Request]); ok {
			prioritised.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, request)
		} else {
			w.queue.Add(request)
		}
	}
}

// hostChanged wakes what a change at a host concerns.
func (w *Waker) hostChanged(ctx context.Context, host *v1alpha1.CMHost, available bool, change cmclient.Change) {
	if change.Host {
		w.hosts.wake(client.ObjectKeyFromObject(host))
	}
	policy := len(change.Officers) > 0 || len(change.Catalog) > 0 || change.StorageProfiles
	if change.Everything || change.Availability || policy {
		w.wakeOfHost(ctx, host, available, change)
	}
	if len(change.Officers) > 0 || change.Domains {
		signatures, procedures := w.judge.concerned(host.UID, change.Officers, change.Domains)
		w.signatures.wake(signatures...)
		w.wakeUndecided(ctx, procedures)
	}
	for _, name := range change.Procedures {
		w.wakeNamed(ctx, host, name)
	}
	for _, name := range change.Ranges {
		w.procedures.wakeLater(w.proceduresNamed(ctx, host, name)...)
	}
}

// wakeOfHost goes through all procedures of a host: all are woken when it can be used (again), those that are not Ready
// when it cannot, and those that refer to what changed in the catalogue or were refused by what was the policy then.
func (w *Waker) wakeOfHost(ctx context.Context, host *v1alpha1.CMHost, available bool, change cmclient.Change) {
	all := change.Everything || change.Availability && available
	for _, procedure := range w.proceduresOf(ctx, host) {
		f := facts{object: procedure}
		key := client.ObjectKeyFromObject(procedure)
		switch {
		case all:
			w.procedures.wakeLater(key)
			w.wakeSignaturesOf(ctx, key)
		case change.Availability:
			if !f.wasReady() {
				w.procedures.wakeLater(key)
			}
			w.wakeUnjudgedOf(ctx, key)
		case policyConcerns(change, procedure):
			w.procedures.wake(key)
		}
	}
}

// wakeUndecided wakes those of some procedures that the host has not accepted: what it has rests on its own evidence,
// whatever becomes of officers.
func (w *Waker) wakeUndecided(ctx context.Context, procedures []types.NamespacedName) {
	for _, key := range procedures {
		f := facts{object: &v1alpha1.TokenProcedure{}}
		if err := w.reader.Get(ctx, key, f.object, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err != nil || !f.wasReady() { // if it is gone nothing happens
			w.procedures.wake(key)
		}
	}
}

// policyConcerns tells whether a change of register or catalogue can change how a procedure stands, signatures apart.
func policyConcerns(change cmclient.Change, procedure *v1alpha1.TokenProcedure) bool {
	switch readyReason(procedure.Status.Conditions) {
	case v1alpha1.ReasonRefusedByHost:
		return true
	case v1alpha1.ReasonStorageProfileNotOffered:
		return change.StorageProfiles
	}
	return change.StorageProfiles && !(&facts{object: procedure}).wasReady() ||
		change.Domains && procedure.Spec.Procedure.Domain != "" ||
		rules.References(requestProcedure(procedure), change.Catalog)
}

// wakeNamed wakes the objects for one procedure of a host, with their signatures.
func (w *Waker) wakeNamed(ctx context.Context, host *v1alpha1.CMHost, name string) {
	for _, key := range w.proceduresNamed(ctx, host, name) {
		w.procedures.wake(key)
		w.wakeSignaturesOf(ctx, key)
	}
}

// wakeOthers wakes the other objects for a procedure that one of them has just submitted: the feed does not tell of it.
func (w *Waker) wakeOthers(ctx context.Context, f *facts) {
	for _, key := range w.proceduresNamed(ctx, f.host.object, f.name()) {
		if key != client.ObjectKeyFromObject(f.object) {
			w.procedures.wake(key)
			w.wakeSignaturesOf(ctx, key)
		}
	}
}

func (w *Waker) proceduresNamed(ctx context.Context, host *v1alpha1.CMHost, name string) []types.NamespacedName {
	var procedures v1alpha1.TokenProcedureList
	w.list(ctx, &procedures, client.InNamespace(host.Namespace), client.MatchingFields{indexHostAndName: host.Name + "\x00" + name})
	keys := make([]types.NamespacedName, len(procedures.Items))
	for i := range procedures.Items {
		keys[i] = client.ObjectKeyFromObject(&procedures.Items[i])
	}
	return keys
}

// wakeSignaturesOf wakes the signatures of a procedure.
func (w *Waker) wakeSignaturesOf(ctx context.Context, procedure types.NamespacedName) {
	for _, signature := range w.signaturesOf(ctx, procedure) {
		w.signatures.wakeLater(client.ObjectKeyFromObject(signature))
	}
}

// wakeUnjudgedOf wakes the signatures of a procedure that wait for something.
func (w *Waker) wakeUnjudgedOf(ctx context.Context, procedure types.NamespacedName) {
	for _, signature := range w.signaturesOf(ctx, procedure) {
		if !wasJudged(signature) {
			w.signatures.wakeLater(client.ObjectKeyFromObject(signature))
		}
	}
}

func (w *Waker) proceduresOf(ctx context.Context, host client.Object) []*v1alpha1.TokenProcedure {
	var procedures v1alpha1.TokenProcedureList
	w.list(ctx, &procedures, client.InNamespace(host.GetNamespace()), client.MatchingFields{indexHostRef: host.GetName()})
	pointers := make([]*v1alpha1.TokenProcedure, len(procedures.Items))
	for i := range procedures.Items {
		pointers[i] = &procedures.Items[i]
	}
	return pointers
}

func (w *Waker) signaturesOf(ctx context.Context, procedure types.NamespacedName) []*v1alpha1.ProcedureSignature {
	var signatures v1alpha1.ProcedureSignatureList
	w.list(ctx, &signatures, client.InNamespace(procedure.Namespace), client.MatchingFields{indexProcedureRef: procedure.Name})
	pointers := make([]*v1alpha1.ProcedureSignature, len(signatures.Items))
	for i := range signatures.Items {
		pointers[i] = &signatures.Items[i]
	}
	return pointers
}

// list reads from the cache, which only fails while the manager stops.
func (w *Waker) list(ctx context.Context, into client.ObjectList, options ...client.ListOption) bool {
	options = append(options, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if err := w.reader.List(ctx, into, options...); err != nil {
		ctrl.LoggerFrom(ctx).Info("the cache could not be read: a change wakes nothing", "error", err.Error())
		return false
	}
	return true
}

// onChange calls then for every object that is new, gone, or has another spec or is being deleted now. A controller
// begins with every object, so those that are there at the start wake nobody else.
func onChange(then func(ctx context.Context, object client.Object, queue queue)) handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			if !e.IsInInitialList {
				then(ctx, e.Object, q)
			}
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			another := e.ObjectOld.GetUID() != e.ObjectNew.GetUID() // one that went and one that came, in a gap of the watch
			if another {
				then(ctx, e.ObjectOld, q)
			}
			if another || e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() {
				then(ctx, e.ObjectNew, q)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { then(ctx, e.Object, q) },
	}
}

// onDelete calls then for every object that is gone.
func onDelete(then func(ctx context.Context, object client.Object, queue queue)) handler.EventHandler {
	return handler.Funcs{DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { then(ctx, e.Object, q) }}
}

func add(queue queue, object client.Object) {
	queue.Add(ctrl.Request{NamespacedName: client.ObjectKeyFromObject(object)})
}

// rivals wakes the objects that want the same procedure.
func (w *Waker) rivals() handler.EventHandler {
	return onChange(func(ctx context.Context, object client.Object, queue queue) {
		var procedures v1alpha1.TokenProcedureList
		field := client.MatchingFields{indexHostAndName: hostAndName(object.(*v1alpha1.TokenProcedure))}
		if !w.list(ctx, &procedures, client.InNamespace(object.GetNamespace()), field) {
			return
		}
		for i := range procedures.Items {
			if rival := &procedures.Items[i]; rival.UID != object.GetUID() {
				add(queue, rival)
				w.wakeSignaturesOf(ctx, client.ObjectKeyFromObject(rival))
			}
		}
	})
}

// procedureOfSignature wakes the procedure that a signature is for.
func (w *Waker) procedureOfSignature() handler.EventHandler {
	return onChange(func(_ context.Context, object client.Object, queue queue) {
		signature := object.(*v1alpha1.ProcedureSignature)
		queue.Add(ctrl.Request{NamespacedName: types.NamespacedName{Namespace: signature.Namespace, Name: signature.Spec.ProcedureRef.Name}})
	})
}

// signaturesOfProcedure wakes the signatures of a procedure.
func (w *Waker) signaturesOfProcedure() handler.EventHandler {
	return onChange(func(ctx context.Context, object client.Object, queue queue) {
		for _, signature := range w.signaturesOf(ctx, client.ObjectKeyFromObject(object)) {
			add(queue, signature)
		}
	})
}

// proceduresOfHost wakes the procedures of a CMHost that is gone. One that is new wakes them once it has been asked.
func (w *Waker) proceduresOfHost() handler.EventHandler {
	return onDelete(func(ctx context.Context, object client.Object, queue queue) {
		for _, procedure := range w.proceduresOf(ctx, object) {
			add(queue, procedure)
		}
	})
}

// signaturesOfHost wakes the signatures for a CMHost that is gone.
func (w *Waker) signaturesOfHost() handler.EventHandler {
	return onDelete(func(ctx context.Context, object client.Object, queue queue) {
		for _, procedure := range w.proceduresOf(ctx, object) {
			for _, signature := range w.signaturesOf(ctx, client.ObjectKeyFromObject(procedure)) {
				add(queue, signature)
			}
		}
	})
}

// hostOfProcedure wakes the CMHost whose finalizer may have to come or go with a procedure.
func (w *Waker) hostOfProcedure() handler.EventHandler {
	wake := func(procedure *v1alpha1.TokenProcedure, queue queue) {
		queue.Add(ctrl.Request{NamespacedName: types.NamespacedName{Namespace: procedure.Namespace, Name: procedure.Spec.CMHostRef.Name}})
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) {
			if procedure := e.Object.(*v1alpha1.TokenProcedure); needsHost(procedure) && !e.IsInInitialList {
				wake(procedure, q)
			}
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			before, after := e.ObjectOld.(*v1alpha1.TokenProcedure), e.ObjectNew.(*v1alpha1.TokenProcedure)
			if needsHost(before) != needsHost(after) {
				wake(after, q)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			wake(e.Object.(*v1alpha1.TokenProcedure), q)
		},
	}
}

// needsHost tells whether a procedure needs its CMHost to be closed: with the deletion policy Close until it is released.
func needsHost(procedure *v1alpha1.TokenProcedure) bool {
	f := facts{object: procedure}
	return hasFinalizer(procedure) || f.closes() && !f.draft() && !f.deleting()
}

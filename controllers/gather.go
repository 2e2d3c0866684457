package controllers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmclient"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

// Field indexes.
const (
	indexProcedureRef = "spec.procedureRef.name"
	indexHostRef      = "spec.cmHostRef.name"
	indexHostAndName  = "host+name"
)

// gatherer collects facts. It only reads: the cache, the connection's memory, and the host where a decision cannot do
// without; and it tells the connection of which overlaps it wants to hear.
type gatherer struct {
	client client.Client
	pool   *cmclient.Pool
	judge  *judge
	checks *staticChecks
	now    func() time.Time
}

// errNotTried says that the host has not been asked yet: everything that waits for it is woken when it has.
var errNotTried = fmt.Errorf("the CM host has not been asked yet")

// gather collects the facts about a procedure. The error is NotFound where there is no such object, errNotTried where
// nothing can be said yet.
func (g *gatherer) gather(ctx context.Context, key types.NamespacedName) (*facts, error) {
	f := &facts{object: &v1alpha1.TokenProcedure{}}
	if err := g.client.Get(ctx, key, f.object); err != nil {
		return nil, err
	}
	connection, err := g.gatherHost(ctx, f)
	if err != nil {
		return nil, err
	}
	if err := f.makeRequest(); err != nil {
		return nil, err
	}
	if err := g.gatherRivals(ctx, f); err != nil {
		return nil, err
	}
	if f.host.available() {
		if err := g.gatherEntry(ctx, f, connection); err != nil {
			f.hostFailed(err)
		}
	}
	if err := g.gatherSignatures(ctx, f, connection); err != nil {
		return nil, err
	}
	return f, g.gatherChecks(f)
}

// hostFailed lets the host count as down for this pass, because it did not answer when it had to be asked.
func (f *facts) hostFailed(err error) {
	f.host.failed = cmclient.AsFailure(err)
	f.host.state.Failure = f.host.failed
	f.host.entry, f.host.content, f.host.historyHasOwn = nil, nil, false
}

// gatherHost finds the CMHost and its connection.
func (g *gatherer) gatherHost(ctx context.Context, f *facts) (*cmclient.Connection, error) {
	host := &v1alpha1.CMHost{}
	key := types.NamespacedName{Namespace: f.object.Namespace, Name: f.object.Spec.CMHostRef.Name}
	if err := g.client.Get(ctx, key, host); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	connection, state := g.pool.Get(string(host.UID))
	if !state.Tried {
		return nil, errNotTried
	}
	f.host.object, f.host.state = host, state
	return connection, nil
}

// makeRequest makes the request that the object stands for.
func (f *facts) makeRequest() error {
	audience := ""
	if f.host.object != nil {
		audience = f.host.object.Spec.Audience
	}
	f.own = request.New(audience, f.revision(), request.FromV1alpha1(&f.object.Spec.Procedure))
	if f.draft() {
		return nil
	}
	digest, err := f.own.Digest()
	f.digest = digest
	return err
}

// gatherRivals finds the other objects that want the same name on the same CMHost.
func (g *gatherer) gatherRivals(ctx context.Context, f *facts) error {
	var procedures v1alpha1.TokenProcedureList
	if err := g.client.List(ctx, &procedures, client.InNamespace(f.object.Namespace), client.MatchingFields{indexHostAndName: hostAndName(f.object)},
		client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err != nil {
		return err
	}
	for i := range procedures.Items {
		other := &procedures.Items[i]
		if other.UID == f.object.UID || other.Spec.Draft != nil && *other.Spec.Draft || other.Spec.Revision == nil {
			continue
		}
		digest, err := request.New(f.own.Audience, *other.Spec.Revision, request.FromV1alpha1(&other.Spec.Procedure)).Digest()
		if err != nil {
			return err
		}
		f.rivals = append(f.rivals, rival{name: other.Name, uid: string(other.UID), created: other.CreationTimestamp.Time, digest: digest})
	}
	return nil
}

func hostAndName(procedure *v1alpha1.TokenProcedure) string {
	return procedure.Spec.CMHostRef.Name + "\x00" + string(procedure.Spec.Procedure.Name)
}

// gatherEntry finds what the host has under the name, and reads content and history only where a decision needs them.
func (g *gatherer) gatherEntry(ctx context.Context, f *facts, connection *cmclient.Connection) error {
	entry, found := connection.Entry(f.name())
	span, _ := rules.SerialRangeOf(f.own.Procedure)
	if f.draft() || found && entry.Digest == f.digest { // the host's own ranges have it
		span = rules.SerialRange{}
	}
	connection.WatchRange(f.name(), span) // before the ranges are looked at, so that none is missed
	f.host.ranges = connection.SerialRanges()
	if !found {
		return nil
	}
	f.host.entry = &entry
	if f.contentNeeded() || f.deleting() && f.closes() && entry.State != request.Closed {
		content, err := connection.Content(ctx, f.name())
		if err != nil {
			return err
		}
		f.host.content = &content
	}
	if f.historyNeeded() {
		history, err := connection.History(ctx, f.name())
		if err != nil {
			return err
		}
		f.host.historyHasOwn = slices.ContainsFunc(history, func(r cmclient.Revision) bool { return r.Digest == f.digest })
	}
	return nil
}

// gatherSignatures finds the signatures of the procedure, in the order in which they count, and judges them.
func (g *gatherer) gatherSignatures(ctx context.Context, f *facts, connection *cmclient.Connection) error {
	var signatures v1alpha1.ProcedureSignatureList
	if err := g.client.List(ctx, &signatures, client.InNamespace(f.object.Namespace), client.MatchingFields{indexProcedureRef: f.object.Name},
		client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err != nil {
		return err
	}
	now := g.now()
	f.signatures = make([]signatureFacts, 0, len(signatures.Items))
	for i := range signatures.Items {
		object := &signatures.Items[i]
		if object.DeletionTimestamp != nil && len(object.Finalizers) == 0 {
			continue
		}
		verdict := g.judge.verdict(f, object, now)
		if f.host.available() && connection != nil {
			var err error
			if verdict, err = recorded(ctx, f, connection, object, verdict); err != nil {
				f.hostFailed(err)
			}
		}
		f.signatures = append(f.signatures, signatureFacts{object: object, verdict: verdict})
	}
	slices.SortFunc(f.signatures, func(a, b signatureFacts) int {
		return cmp.Or(a.object.CreationTimestamp.Compare(b.object.CreationTimestamp.Time), cmp.Compare(a.object.Name, b.object.Name))
	})
	return nil
}

// gatherChecks evaluates the static rules, unless the host has accepted exactly this, which is not judged again.
func (g *gatherer) gatherChecks(f *facts) error {
	if f.deleting() || f.standing() == standingHeld {
		return nil
	}
	var err error
	f.broken, f.missing, err = g.checks.of(f.object)
	return err
}

// staticChecks remembers the static rules that an object breaks, by its generation.
type staticChecks struct {
	mu    sync.Mutex
	known map[types.NamespacedName]staticCheck
}

type staticCheck struct {
	uid             types.UID
	generation      int64
	broken, missing []rules.Finding
}

func newStaticChecks() *staticChecks {
	return &staticChecks{known: map[types.NamespacedName]staticCheck{}}
}

func (s *staticChecks) of(object *v1alpha1.TokenProcedure) (broken, missing []rules.Finding, err error) {
	key := client.ObjectKeyFromObject(object)
	s.mu.Lock()
	known, found := s.known[key]
	s.mu.Unlock()
	if found && known.uid == object.UID && known.generation == object.Generation {
		return known.broken, known.missing, nil
	}
	plain, err := plainObject(object)
	if err != nil {
		return nil, nil, err
	}
	known = staticCheck{uid: object.UID, generation: object.Generation, broken: rules.ValidateCreate(plain)}
	if object.Spec.Draft != nil && *object.Spec.Draft {
		known.missing = rules.MissingFromDraft(plain)
	}
	s.mu.Lock()
	s.known[key] = known
	s.mu.Unlock()
	return known.broken, known.missing, nil
}

func (s *staticChecks) forget(key types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, key)
}

// plainObject is what a person applied: the object without what the cluster adds.
func plainObject(object *v1alpha1.TokenProcedure) (map[string]any, error) {
	encoded, err := json.Marshal(object.Spec)
	if err != nil {
		return nil, err
	}
	var spec map[string]any
	if err := json.Unmarshal(encoded, &spec); err != nil {
		return nil, err
	}
	if revision, ok := spec["revision"].(float64); ok {
		spec["revision"] = int64(revision)
	}
	return map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "TokenProcedure",
		"metadata": map[string]any{"name": object.Name, "namespace": object.Namespace},
		"spec":     spec,
	}, nil
}

// isNotFound tells an object that is gone from a read that failed.
func isNotFound(err error) bool { return apierrors.IsNotFound(err) }

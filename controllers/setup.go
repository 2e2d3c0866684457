package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmclient"
)

// Options are how the controllers run.
type Options struct {
	// ProcedureWorkers, SignatureWorkers and HostWorkers are how many objects of a kind are reconciled at once.
	ProcedureWorkers, SignatureWorkers, HostWorkers int
	// Now is the clock; time.Now if nil.
	Now func() time.Time
	// StandBy tells that this is one of several replicas, of which only the elected one does the work.
	StandBy bool
	// RefusedSecretAge is how old the knowledge of a Secret may be whose certificates are refused.
	RefusedSecretAge time.Duration
	// SkipNameValidation allows several managers in one process, for tests.
	SkipNameValidation bool
}

// DefaultOptions fit a busy host: most of a reconcile is waiting for the API server or for the host.
func DefaultOptions() Options {
	return Options{ProcedureWorkers: 16, SignatureWorkers: 16, HostWorkers: 2, Now: time.Now, RefusedSecretAge: 10 * time.Second}
}

// reconcileTimeout bounds a reconcile; each call to a host is bounded far below it.
const reconcileTimeout = time.Minute

func (o Options) controller(workers int) controller.Options {
	return controller.Options{
		MaxConcurrentReconciles: workers,
		ReconciliationTimeout:   reconcileTimeout,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[ctrl.Request](20*time.Millisecond, longestBackOff),
		SkipNameValidation:      &o.SkipNameValidation,
	}
}

// CacheOptions keep in memory only what is used.
func CacheOptions(namespaces []string) cache.Options {
	options := cache.Options{DefaultTransform: newSlimmer().slim, NewInformer: newInformer}
	if len(namespaces) > 0 {
		options.DefaultNamespaces = map[string]cache.Config{}
		for _, namespace := range namespaces {
			options.DefaultNamespaces[namespace] = cache.Config{}
		}
	}
	return options
}

// newInformer makes an informer that begins with one list from the API server's memory. The stream of single objects that
// informers ask for otherwise takes both sides twice as long.
func newInformer(source toolscache.ListerWatcher, example runtime.Object, resync time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
	return toolscache.NewSharedIndexInformer(listed{source, toolscache.ToListerWatcherWithContext(source)}, example, resync, indexers)
}

// listed is a source of objects that are listed.
type listed struct {
	toolscache.ListerWatcher
	toolscache.ListerWatcherWithContext
}

// IsWatchListSemanticsUnSupported is what informers ask.
func (listed) IsWatchListSemanticsUnSupported() bool { return true }

// Mapper knows the kinds that are used here: all are namespaced, and nothing has to be asked for at the start.
func Mapper(*rest.Config, *http.Client) (meta.RESTMapper, error) {
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []string{"CMHost", "ProcedureSignature", "TokenProcedure"} {
		mapper.Add(v1alpha1.GroupVersion.WithKind(kind), meta.RESTScopeNamespace)
		mapper.Add(v1alpha1.GroupVersion.WithKind(kind+"List"), meta.RESTScopeNamespace)
	}
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Secret"), meta.RESTScopeNamespace)
	return mapper, nil
}

// ClientOptions make every read of an object see this program's own writes to it.
func ClientOptions() client.Options {
	consistent := true
	return client.Options{Cache: &client.CacheOptions{EnableReadYourWritesConsistency: &consistent}}
}

// Replicas makes a manager one of several replicas, of which one works at a time. When that one dies, another works within
// the gap: it hears of the last renewal up to a pause late, waits for as long as the lease is good, and looks again after
// another pause. One that ends in good order gives its lease back.
func Replicas(options *ctrl.Options, gap time.Duration) {
	retry := gap / 15
	pause := time.Duration(float64(retry) * (1 + leaderelection.JitterFactor))
	lease := gap - 2*pause
	renew := lease - pause
	options.LeaderElection, options.LeaderElectionReleaseOnCancel = true, true
	options.LeaderElectionID = "token-procedure-operator.cm.tokenprocedures.dev"
	options.LeaseDuration, options.RenewDeadline, options.RetryPeriod = &lease, &renew, &retry
}

// Setup registers the three controllers, their indexes, metrics and readiness check in a manager.
func Setup(ctx context.Context, mgr ctrl.Manager, options Options) error {
	if options.Now == nil {
		options.Now = time.Now
	}
	if err := indexFields(ctx, mgr); err != nil {
		return err
	}
	pool := cmclient.NewPool()
	metrics := newMetrics(mgr.GetClient(), pool, options.Now)
	judge := newJudge(metrics.verified)
	waker := newWaker(mgr.GetClient(), judge, hostsFirst{reader: mgr.GetClient(), pool: pool})
	gatherer := &gatherer{client: mgr.GetClient(), pool: pool, judge: judge, checks: newStaticChecks(), now: options.Now}
	recorder := mgr.GetEventRecorder("token-procedure-operator")
	life, end := context.WithCancel(context.Background())
	hosts := &CMHostReconciler{
		Client: mgr.GetClient(), Secrets: mgr.GetAPIReader(), Recorder: recorder, Waker: waker,
		pool: pool, observe: metrics.called, now: options.Now, life: life, known: map[types.NamespacedName]*knownHost{},
		refusedSecretAge: options.RefusedSecretAge,
	}
	signatures := &ProcedureSignatureReconciler{Client: mgr.GetClient(), Waker: waker, gatherer: gatherer, now: options.Now}
	procedures := &TokenProcedureReconciler{
		Client: mgr.GetClient(), Recorder: recorder, Waker: waker, gatherer: gatherer, refusals: newRefusals(), now: options.Now, metrics: metrics,
		backOff: flowcontrol.NewBackOffWithJitter(500*time.Millisecond, longestBackOff, 0.5),
	}
	ready := &readiness{reader: mgr.GetClient(), cache: mgr.GetCache(), pool: pool, standBy: options.StandBy, elected: mgr.Elected()}
	return errors.Join(
		hosts.SetupWithManager(mgr, options),
		signatures.SetupWithManager(mgr, options),
		procedures.SetupWithManager(mgr, options),
		mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
			<-ctx.Done()
			end()
			pool.Close()
			return nil
		})),
		metrics.register(mgr),
		mgr.AddReadyzCheck("hosts", ready.check),
		mgr.AddHealthzCheck("ping", func(*http.Request) error { return nil }),
	)
}

// indexFields makes the indexes, and by the way the informers of all kinds, so that a standby has full caches too.
func indexFields(ctx context.Context, mgr ctrl.Manager) error {
	indexer := mgr.GetFieldIndexer()
	_, err := mgr.GetCache().GetInformer(ctx, &v1alpha1.CMHost{}, cache.BlockUntilSynced(false))
	return errors.Join(err,
		indexer.IndexField(ctx, &v1alpha1.ProcedureSignature{}, indexProcedureRef, func(object client.Object) []string {
			return []string{object.(*v1alpha1.ProcedureSignature).Spec.ProcedureRef.Name}
		}),
		indexer.IndexField(ctx, &v1alpha1.TokenProcedure{}, indexHostRef, func(object client.Object) []string {
			return []string{object.(*v1alpha1.TokenProcedure).Spec.CMHostRef.Name}
		}),
		indexer.IndexField(ctx, &v1alpha1.TokenProcedure{}, indexHostAndName, func(object client.Object) []string {
			return []string{hostAndName(object.(*v1alpha1.TokenProcedure))}
		}),
	)
}

// readiness is true on a standby when the caches are synced, and on the leader when besides every CMHost was tried once,
// whatever it answered: one tenant's dead host makes nobody unready. Once true it stays true.
type readiness struct {
	reader  client.Reader
	cache   cache.Cache
	pool    *cmclient.Pool
	standBy bool
	elected <-chan struct{}
	reached atomic.Bool
}

func (r *readiness) check(request *http.Request) error {
	if r.reached.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(request.Context(), time.Second)
	defer cancel()
	if !r.cache.WaitForCacheSync(ctx) {
		return errors.New("the caches are not synced yet")
	}
	select {
	case <-r.elected:
	default:
		if r.standBy {
			return nil
		}
		return errors.New("the controllers have not started yet")
	}
	if err := allTried(ctx, r.reader, r.pool); err != nil {
		return err
	}
	r.reached.Store(true)
	return nil
}

// allTried fails unless every CMHost was tried once.
func allTried(ctx context.Context, reader client.Reader, pool *cmclient.Pool) error {
	var hosts v1alpha1.CMHostList
	if err := reader.List(ctx, &hosts, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err != nil {
		return fmt.Errorf("list CMHosts: %w", err)
	}
	for _, host := range hosts.Items {
		if _, state := pool.Get(string(host.UID)); !state.Tried {
			return fmt.Errorf("the CMHost %s/%s has not been tried yet", host.Namespace, host.Name)
		}
	}
	return nil
}

// hostsFirst, as a source, lets a controller begin when every CMHost was tried once, or shortly after: what it looked at
// before that it would have to look at again.
type hostsFirst struct {
	reader client.Reader
	pool   *cmclient.Pool
}

// Start implements source.Source.
func (hostsFirst) Start(context.Context, queue) error { return nil }

// WaitForSync implements source.SyncingSource.
func (h hostsFirst) WaitForSync(ctx context.Context) error {
	const patience, pace = 2 * time.Second, 10 * time.Millisecond
	err := wait.PollUntilContextTimeout(ctx, pace, patience, true, func(ctx context.Context) (bool, error) {
		return allTried(ctx, h.reader, h.pool) == nil, nil
	})
	if wait.Interrupted(err) {
		return nil
	}
	return err
}

// String implements source.Source.
func (hostsFirst) String() string { return "CM hosts that were tried once" }

package controllers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmclient"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// secretAge is how old the knowledge of a Secret may be. Secrets are read one by one, never listed or watched.
const secretAge = time.Minute

// CMHostReconciler keeps one connection for each CMHost and reports how it stands.
type CMHostReconciler struct {
	Client client.Client
	// Secrets reads from the API server, not from a cache.
	Secrets  client.Reader
	Recorder events.EventRecorder
	Waker    *Waker

	pool    *cmclient.Pool
	observe cmclient.Observe
	now     func() time.Time
	// refusedSecretAge is what secretAge is while the certificates in it are refused.
	refusedSecretAge time.Duration
	// life ends with the manager; the connections' notifications read the cache with it.
	life context.Context

	mu    sync.Mutex
	known map[types.NamespacedName]*knownHost
}

// knownHost is what the reconciler remembers of a CMHost between two passes.
type knownHost struct {
	uid        types.UID
	generation int64
	secretRead time.Time
	logWritten time.Time
}

// +kubebuilder:rbac:groups=cm.tokenprocedures.dev,resources=cmhosts,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=cm.tokenprocedures.dev,resources=cmhosts/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=cm.tokenprocedures.dev,resources=cmhosts/finalizers,verbs=update
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get

// Reconcile keeps the connection of a CMHost with the certificates that its Secret has now, its finalizer, and its status.
func (r *CMHostReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	host := &v1alpha1.CMHost{}
	if err := r.Client.Get(ctx, req.NamespacedName, host); err != nil {
		if isNotFound(err) {
			r.forget(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if gone, err := r.finalize(ctx, host); err != nil || gone {
		return afterConflict(client.IgnoreNotFound(err))
	}
	known := r.remember(host)
	if err := r.connect(ctx, host, known); err != nil {
		return ctrl.Result{}, err
	}
	return r.report(ctx, host, known)
}

// remember returns what is known of this very object.
func (r *CMHostReconciler) remember(host *v1alpha1.CMHost) *knownHost {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := client.ObjectKeyFromObject(host)
	known := r.known[key]
	if known != nil && known.uid != host.UID {
		r.pool.Remove(string(known.uid))
		known = nil
	}
	if known == nil {
		known = &knownHost{uid: host.UID}
		r.known[key] = known
	}
	return known
}

func (r *CMHostReconciler) forget(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.known[key]; known != nil {
		r.pool.Remove(string(known.uid))
		delete(r.known, key)
	}
}

// finalize keeps the finalizer while a procedure needs the CMHost to be closed. gone tells that the object may be gone.
func (r *CMHostReconciler) finalize(ctx context.Context, host *v1alpha1.CMHost) (gone bool, err error) {
	needed := false
	for _, procedure := range r.Waker.proceduresOf(ctx, host) {
		needed = needed || needsHost(procedure)
	}
	before := host.DeepCopy()
	switch {
	case needed && host.DeletionTimestamp == nil && controllerutil.AddFinalizer(host, v1alpha1.FinalizerClose),
		!needed && controllerutil.RemoveFinalizer(host, v1alpha1.FinalizerClose):
		err = r.Client.Patch(ctx, host, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	}
	return host.DeletionTimestamp != nil && len(host.Finalizers) == 0, err
}

// connect makes sure that there is a connection with the certificates that the Secret has now. The Secret is read again
// once a minute, more often while the certificates are refused.
func (r *CMHostReconciler) connect(ctx context.Context, host *v1alpha1.CMHost, known *knownHost) error {
	connection, state := r.pool.Get(string(host.UID))
	age := secretAge
	if connection == nil || refused(state) {
		age = 0
	}
	if connection != nil && known.generation == host.Generation && r.now().Sub(known.secretRead) < age {
		connection.AcceptHead(host.Annotations[v1alpha1.AnnotationAcceptLogHead])
		return nil
	}
	if problems := content.IsPathSegmentName(host.Spec.TLSSecretRef.Name); len(problems) > 0 { // the CRD refuses it now; a stored one may be older
		r.fail(host, v1alpha1.ReasonSecretNotFound, fmt.Sprintf("spec.tlsSecretRef.name is %q, which no Secret can be called: correct it", request.Shown(host.Spec.TLSSecretRef.Name)))
		return nil
	}
	secret := &corev1.Secret{}
	err := r.Secrets.Get(ctx, types.NamespacedName{Namespace: host.Namespace, Name: host.Spec.TLSSecretRef.Name}, secret)
	switch {
	case isNotFound(err):
		r.fail(host, v1alpha1.ReasonSecretNotFound, fmt.Sprintf("there is no Secret %q in this namespace: create it, of type kubernetes.io/tls with tls.crt, tls.key and ca.crt", host.Spec.TLSSecretRef.Name))
		return nil
	case apierrors.IsForbidden(err) && (connection == nil || refused(state) || known.generation != host.Generation): // else the API server, which may refuse for a while when it just started, is asked again
		r.fail(host, v1alpha1.ReasonSecretNotFound, fmt.Sprintf("the operator may not get the Secret %q: its role names the Secrets that it may get, add this one or name one of those", host.Spec.TLSSecretRef.Name))
		return nil
	case err != nil:
		return fmt.Errorf("read the Secret %q: %w", host.Spec.TLSSecretRef.Name, err)
	}
	certificates, err := tlsConfigOf(secret)
	if err != nil {
		r.fail(host, v1alpha1.ReasonSecretInvalid, err.Error())
		return nil
	}
	known.generation, known.secretRead = host.Generation, r.now()
	version := fmt.Sprintf("%s %s %s %s", secret.UID, secret.ResourceVersion, host.Spec.URL, host.Spec.Audience)
	return r.pool.Ensure(string(host.UID), version, r.config(host, certificates))
}

// refused tells whether another Secret may help.
func refused(state cmclient.State) bool {
	return state.Failure != nil && (state.Failure.Reason == v1alpha1.ReasonTLSRefused || state.Failure.Reason == v1alpha1.ReasonNotPermitted)
}

func (r *CMHostReconciler) fail(host *v1alpha1.CMHost, reason, message string) {
	if r.pool.Fail(string(host.UID), &cmclient.Failure{Reason: reason, Message: message}) {
		r.Waker.hostChanged(r.life, host, false, cmclient.Change{Availability: true})
	}
}

func (r *CMHostReconciler) config(host *v1alpha1.CMHost, certificates *tls.Config) cmclient.Config {
	identity := &v1alpha1.CMHost{}
	identity.Namespace, identity.Name, identity.UID = host.Namespace, host.Name, host.UID
	log := slog.New(logr.ToSlogHandler(ctrl.Log.WithName("cmclient"))).With("namespace", host.Namespace, "host", host.Name)
	config := cmclient.Config{
		URL: host.Spec.URL, Audience: host.Spec.Audience, TLS: certificates,
		AcceptedHead: host.Annotations[v1alpha1.AnnotationAcceptLogHead],
		Observe:      r.observe,
		Log:          log,
		Notify: func(state cmclient.State, change cmclient.Change) {
			r.Waker.hostChanged(r.life, identity, state.Available(), change)
		},
	}
	if log := host.Status.Log; log != nil && log.Length != nil {
		config.Remembered = cmclient.LogHead{Length: *log.Length, Head: log.Head}
	}
	return config
}

// tlsConfigOf reads the certificates of a Secret. Its errors never repeat what is in it.
func tlsConfigOf(secret *corev1.Secret) (*tls.Config, error) {
	const caKey = "ca.crt"
	for _, key := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey, caKey} {
		if len(secret.Data[key]) == 0 {
			return nil, fmt.Errorf("the Secret %q has no %s: expected tls.crt and tls.key of the operator's client certificate, and ca.crt of the CM host's CA, in PEM", secret.Name, key)
		}
	}
	pair, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return nil, fmt.Errorf("tls.crt and tls.key of the Secret %q are not a certificate and its key in PEM", secret.Name)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(secret.Data[caKey]) {
		return nil, fmt.Errorf("ca.crt of the Secret %q has no certificate in PEM", secret.Name)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}, RootCAs: roots}, nil
}

// SetupWithManager registers the controller and what wakes it.
func (r *CMHostReconciler) SetupWithManager(mgr ctrl.Manager, options Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("cmhost").
		For(&v1alpha1.CMHost{}).
		Watches(&v1alpha1.TokenProcedure{}, r.Waker.hostOfProcedure()).
		WatchesRawSource(r.Waker.hosts).
		WithOptions(options.controller(options.HostWorkers)).
		Complete(traced("CMHost", r))
}

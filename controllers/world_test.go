package controllers_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/controllers"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// world is a namespace of its own with a CM host of its own, two officers, and an operator that looks after it.
type world struct {
	namespace string
	host      *hosttest.Host
	one, two  signingtest.Officer
	three     signingtest.Officer
	operator  *operator
	writes    *writeCounter
	// api is how the operator reaches the API server.
	api *rest.Config
}

var worlds atomic.Int64

// newWorld makes a world. The operator does not run yet.
func newWorld(ctx context.Context, changes ...func(*hosttest.Options)) *world {
	w := &world{namespace: fmt.Sprintf("world-%d", worlds.Add(1)), writes: &writeCounter{}, api: restConfig}
	t := GinkgoTB()
	w.one, w.two, w.three = signingtest.New(t, "officer-1"), signingtest.New(t, "officer-2"), signingtest.New(t, "officer-3")
	options := hosttest.Options{Officers: signingtest.Officers(w.one, w.two, w.three)}
	for _, change := range changes {
		change(&options)
	}
	var err error
	w.host, err = hosttest.Start(t.TempDir(), options)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(w.host.Stop()).To(Succeed()) })
	Expect(k8s.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}})).To(Succeed())
	return w
}

// connect makes the Secret and the CMHost.
func (w *world) connect(ctx context.Context) {
	Expect(k8s.Create(ctx, w.secret(w.host.Submitter))).To(Succeed())
	Expect(k8s.Create(ctx, w.cmHost())).To(Succeed())
}

func (w *world) secret(credentials hosttest.Credentials) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "cm-client"},
		Type:       corev1.SecretTypeTLS,
		Data:       map[string][]byte{"tls.crt": credentials.Certificate, "tls.key": credentials.Key, "ca.crt": w.host.CA},
	}
}

func (w *world) cmHost() *v1alpha1.CMHost {
	return &v1alpha1.CMHost{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "host"},
		Spec:       v1alpha1.CMHostSpec{URL: w.host.URL, Audience: w.host.Audience, TLSSecretRef: v1alpha1.SecretReference{Name: "cm-client"}},
	}
}

// procedure is an object for a procedure of this name that keeps every rule, at a revision. It takes no card serial
// numbers, which would overlap those of the others.
func (w *world) procedure(name string, revision int64, changes ...func(*v1alpha1.TokenProcedure)) *v1alpha1.TokenProcedure {
	object := &v1alpha1.TokenProcedure{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec: v1alpha1.TokenProcedureSpec{
			CMHostRef: v1alpha1.CMHostReference{Name: "host"},
			Revision:  &revision,
			Procedure: request.ToV1alpha1(signingtest.Procedure(name)),
		},
	}
	object.Spec.Procedure.CardSerialNumber = &v1alpha1.CardSerialNumber{Enabled: new(bool)}
	for _, change := range changes {
		change(object)
	}
	return object
}

func (w *world) requestOf(object *v1alpha1.TokenProcedure) request.Request {
	return request.New(w.host.Audience, *object.Spec.Revision, request.FromV1alpha1(&object.Spec.Procedure))
}

// signature is an officer's signature of what an object stands for.
func (w *world) signature(object *v1alpha1.TokenProcedure, officer signingtest.Officer) *v1alpha1.ProcedureSignature {
	return w.signatureOf(object, w.requestOf(object), officer, time.Now())
}

func (w *world) signatureOf(object *v1alpha1.TokenProcedure, signed request.Request, officer signingtest.Officer, at time.Time) *v1alpha1.ProcedureSignature {
	return &v1alpha1.ProcedureSignature{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: fmt.Sprintf("%s-r%d-%s", object.Name, signed.Revision, officer.ID)},
		Spec: v1alpha1.ProcedureSignatureSpec{
			ProcedureRef: v1alpha1.TokenProcedureReference{Name: object.Name},
			Signature:    base64.StdEncoding.EncodeToString(officer.Sign(GinkgoTB(), signed, at)),
		},
	}
}

// create creates objects.
func create(ctx context.Context, objects ...client.Object) {
	GinkgoHelper()
	for _, object := range objects {
		Expect(k8s.Create(ctx, object)).To(Succeed())
	}
}

// operator is the manager in this process.
type operator struct {
	stop   context.CancelFunc
	ended  chan error
	probes string
}

// ready asks the operator as the kubelet does.
func (o *operator) ready() error {
	response, err := http.Get("http://" + o.probes + "/readyz")
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("readyz says %s", response.Status)
	}
	return nil
}

// freeAddress is an address on loopback that nobody listens on.
func freeAddress() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	Expect(err).NotTo(HaveOccurred())
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// start starts the operator for the world's namespace; it stops with the test.
func (w *world) start() {
	GinkgoHelper()
	w.operator = startReplica(w.writes.wrap(w.api), w.namespace)
	DeferCleanup(w.stop)
}

// stop stops the operator if it runs.
func (w *world) stop() {
	if w.operator != nil {
		w.operator.stop()
		Expect(<-w.operator.ended).To(Succeed())
		w.operator = nil
	}
}

// startReplica starts an operator for a namespace, which may be one of several.
func startReplica(config *rest.Config, namespace string, changes ...func(*ctrl.Options)) *operator {
	GinkgoHelper()
	options := controllers.DefaultOptions()
	managed := ctrl.Options{
		Scheme:                 scheme,
		Cache:                  controllers.CacheOptions([]string{namespace}),
		Client:                 controllers.ClientOptions(),
		MapperProvider:         controllers.Mapper,
		Metrics:                metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress: freeAddress(),
	}
	for _, change := range changes {
		change(&managed)
	}
	mgr, err := ctrl.NewManager(config, managed)
	Expect(err).NotTo(HaveOccurred())
	ctx, stop := context.WithCancel(context.Background())
	options.SkipNameValidation, options.StandBy, options.RefusedSecretAge = true, managed.LeaderElection, time.Second
	Expect(controllers.Setup(ctx, mgr, options)).To(Succeed())
	o := &operator{stop: stop, ended: make(chan error, 1), probes: managed.HealthProbeBindAddress}
	go func() { o.ended <- mgr.Start(ctx) }()
	return o
}

// settled waits until the operator serves: what it has to write by then it has begun to write.
func (w *world) settled() {
	GinkgoHelper()
	Eventually(w.operator.ready).WithTimeout(waiting).Should(Succeed())
}

// logHead and logLength are the end of the host's log.
func (w *world) logHead(ctx context.Context) string { return w.hostLog(ctx).Head }

func (w *world) logLength(ctx context.Context) int64 { return w.hostLog(ctx).Length }

func (w *world) hostLog(ctx context.Context) cmhostv1.LogHead {
	GinkgoHelper()
	reader, err := w.host.Client(w.host.Reader)
	Expect(err).NotTo(HaveOccurred())
	answer, err := reader.GetHostWithResponse(ctx)
	Expect(err).NotTo(HaveOccurred())
	Expect(answer.JSON200).NotTo(BeNil())
	return answer.JSON200.Log
}

// restore puts a backup in the place of the stopped host's database.
func (w *world) restore(backup []byte) {
	GinkgoHelper()
	for _, suffix := range []string{"-wal", "-shm"} {
		Expect(os.RemoveAll(w.host.Database() + suffix)).To(Succeed())
	}
	Expect(os.WriteFile(w.host.Database(), backup, 0o600)).To(Succeed())
}

// digest is the digest of what an object stands for.
func (w *world) digest(object *v1alpha1.TokenProcedure) string {
	GinkgoHelper()
	digest, err := w.requestOf(object).Digest()
	Expect(err).NotTo(HaveOccurred())
	return digest
}

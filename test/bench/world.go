package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

const (
	audience = "cm.bench"
	hostName = "host"
)

// world is a control plane of its own with a host of its own. The operator runs in it from time to time.
type world struct {
	*bench
	folder      string
	environment *envtest.Environment
	api         client.WithWatch
	floor       *floor
	kubeconfig  string
	host        *program
	hostURL     string
	operations  string       // where the host serves metrics
	writes      tally        // of the operator to the API server
	calls       tally        // to the host
	ranges      atomic.Int64 // the first card serial number of the procedure made last
	// empty is the operator's heap with one procedure.
	empty float64
}

// inWorld makes a world, lets something happen in it, and ends it.
func (b *bench) inWorld(ctx context.Context, happens func(*world) error) (err error) {
	folder, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.keepLog(folder), os.RemoveAll(folder)) }()
	w := &world{bench: b, folder: folder}
	if err := w.people.write(folder); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	if err := w.startControlPlane(); err != nil {
		return err
	}
	if err := w.startHost(ctx); err != nil {
		return err
	}
	w.writes = tally{file: growingFile{path: w.at("audit.log")}, read: readAudit}
	w.calls = tally{file: growingFile{path: w.host.log}, read: readAccess}
	if err := w.warmUp(ctx); err != nil {
		return fmt.Errorf("warm up: %w", err)
	}
	return happens(w)
}

// keepLog keeps the operator's log of a world beside the profiles, where they are wanted.
func (b *bench) keepLog(folder string) error {
	if b.profiles == "" {
		return nil
	}
	content, err := os.ReadFile(filepath.Join(folder, "manager.log"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(b.profiles, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.profiles, "manager.log"), content, 0o600)
}

func (w *world) at(name string) string { return filepath.Join(w.folder, name) }

func (w *world) startControlPlane() error {
	if err := os.WriteFile(w.at("audit.yaml"), []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	w.environment = &envtest.Environment{
		CRDDirectoryPaths: []string{filepath.Join("config", "crd", "bases")}, ErrorIfCRDPathMissing: true,
		BinaryAssetsDirectory: w.assets,
	}
	w.environment.ControlPlane.GetAPIServer().Configure().
		Set("audit-policy-file", w.at("audit.yaml")).Set("audit-log-path", w.at("audit.log")).
		Set("audit-log-mode", "blocking")
	config, err := w.environment.Start()
	if err != nil {
		return fmt.Errorf("start the control plane of %s: %w", w.assets, err)
	}
	config.QPS = -1
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	if w.api, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	operator, err := w.environment.AddUser(envtest.User{Name: operatorUser, Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return err
	}
	kubeconfig, err := operator.KubeConfig()
	if err != nil {
		return err
	}
	w.kubeconfig = w.at("kubeconfig")
	if err := os.WriteFile(w.kubeconfig, kubeconfig, 0o600); err != nil {
		return err
	}
	bare, err := w.environment.AddUser(envtest.User{Name: "bench-floor", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return err
	}
	return w.newFloor(bare.Config(), scheme)
}

func (w *world) newFloor(config *rest.Config, scheme *runtime.Scheme) error {
	config.QPS = -1
	doer, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	kind := v1alpha1.GroupVersion.WithKind("TokenProcedure")
	w.floor = &floor{}
	w.floor.api, err = apiutil.RESTClientForGVK(kind, false, false, config, clientCodecs(scheme), doer)
	return err
}

// startHost loads and serves the reference host. Its limit on one client's rate is lifted, for the floor and the operator
// come as the same client.
func (w *world) startHost(ctx context.Context) error {
	program := filepath.Join(w.programs, "cmhost")
	load := exec.CommandContext(ctx, program, "load", "--database", w.at("host.db"),
		"--officers", w.at("officers.yaml"), "--catalog", filepath.Join("config", "samples", "host", "catalog.yaml"))
	if output, err := load.CombinedOutput(); err != nil {
		return fmt.Errorf("load the host: %w\n%s", err, output)
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	if w.operations, err = freeAddress(); err != nil {
		return err
	}
	w.hostURL = "https://" + address
	w.host, err = startProgram("cmhost", program, w.at("cmhost.log"), nil, "serve", "--audience", audience, "--listen", address,
		"--database", w.at("host.db"), "--tls-cert", w.at("host.crt"), "--tls-key", w.at("host.key"), "--client-ca", w.at("client.crt"),
		"--submitter", "dns:submitter", "--client-rate", "-1", "--metrics-listen", w.operations)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(w.people.host.certificate)
	w.floor.host, err = cmhostv1.NewClient(w.hostURL, cmhostv1.WithHTTPClient(&http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: []tls.Certificate{w.people.submitter.pair}},
		MaxIdleConnsPerHost: 2 * floorWorkers,
	}}))
	if err != nil {
		return err
	}
	return until(ctx, "the host", 20*time.Second, 20*time.Millisecond, func() (bool, error) {
		if err := w.host.check(); err != nil {
			return false, err
		}
		status, _, err := fetch(ctx, "http://"+w.operations+"/readyz")
		return err == nil && status == http.StatusOK, nil
	})
}

// stop ends what was started.
func (w *world) stop() (err error) {
	if w.host != nil {
		err = w.host.stop()
	}
	return errors.Join(err, w.environment.Stop())
}

// namespace makes a namespace with a CMHost for the host.
func (w *world) namespace(ctx context.Context, name string) error {
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}},
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "cm-client"}, Type: corev1.SecretTypeTLS,
			Data: map[string][]byte{"tls.crt": w.people.submitter.crt, "tls.key": w.people.submitter.pk, "ca.crt": w.people.host.crt},
		},
		&v1alpha1.CMHost{
			ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: hostName},
			Spec:       v1alpha1.CMHostSpec{URL: w.hostURL, Audience: audience, TLSSecretRef: v1alpha1.SecretReference{Name: "cm-client"}},
		},
	} {
		if err := w.api.Create(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// warmUp brings one procedure to the host by the operator, so that neither side of a comparison pays for what servers do
// once. What the operator writes is the pattern of what the floor writes.
func (w *world) warmUp(ctx context.Context) error {
	const name = "warm"
	made, err := w.make(name, 1)
	if err != nil {
		return err
	}
	if err := w.namespace(ctx, name); err != nil {
		return err
	}
	if err := w.create(ctx, made, both); err != nil {
		return err
	}
	return w.withOperator([]string{name}, func(o *operator) error {
		if err := o.written(ctx, 1, 2); err != nil {
			return err
		}
		if err := o.quiet(ctx); err != nil {
			return err
		}
		if w.empty, err = o.heap(ctx); err != nil {
			return err
		}
		return w.floor.learn(ctx, w.api, made[0])
	})
}

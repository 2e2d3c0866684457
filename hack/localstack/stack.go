package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// namespace is where the local stack has its CMHost.
const namespace = "pki"

// stack is everything that `up` runs.
type stack struct {
	root, assets string
	folder       folder
	release      func() error

	controlPlane *controlPlane
	host         *host
	operator     *operator
	control      *control
	api          client.Client
	started      []*process // in the order of starting
}

func newStack(root, assets string) (*stack, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	s := &stack{root: root, assets: assets, folder: folder{filepath.Join(root, ".local")}}
	s.release, err = s.folder.renew()
	return s, err
}

func (s *stack) start(ctx context.Context) error {
	for _, step := range []struct {
		says string
		do   func(context.Context) error
	}{
		{"making officers' keys and certificates", func(context.Context) error { return writeOfficers(s.folder) }},
		{"starting etcd and kube-apiserver", s.startControlPlane},
		{"starting the CM host", s.startHost},
		{"installing config/default", s.install},
		{"starting the operator", s.startOperator},
		{"connecting the operator to the CM host", s.connect},
		{"listening for make up-cmhost and make up-manager", s.listen},
	} {
		fmt.Printf("%s …\n", step.says)
		limited, cancel := context.WithTimeout(ctx, 2*time.Minute)
		err := step.do(limited)
		cancel()
		if err != nil {
			return fmt.Errorf("%s: %w", step.says, err)
		}
	}
	return nil
}

// run starts a part and remembers to end it.
func (s *stack) run(ctx context.Context, p *process) error {
	s.started = append(s.started, p)
	return p.ensure(ctx)
}

func (s *stack) startControlPlane(ctx context.Context) (err error) {
	if s.controlPlane, err = newControlPlane(s.folder, s.assets); err != nil {
		return err
	}
	if err := s.run(ctx, s.controlPlane.etcd); err != nil {
		return err
	}
	if err := s.run(ctx, s.controlPlane.apiserver); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", s.folder.path("kubeconfig"))
	if err != nil {
		return err
	}
	config.QPS = -1
	if err := cmv1.AddToScheme(clientgoscheme.Scheme); err != nil {
		return err
	}
	s.api, err = client.New(config, client.Options{Scheme: clientgoscheme.Scheme})
	return err
}

func (s *stack) startHost(ctx context.Context) (err error) {
	s.host, err = newHost(s.folder, s.program("cmhost"), filepath.Join(s.root, "config/samples/host"))
	if err != nil {
		return err
	}
	s.started = append(s.started, s.host.process)
	return s.host.start(ctx)
}

func (s *stack) program(name string) string { return filepath.Join(s.root, "bin", name) }

func (s *stack) install(ctx context.Context) (err error) {
	s.operator, err = installed(ctx, s.api, filepath.Join(s.root, "config/default"))
	return err
}

func (s *stack) startOperator(ctx context.Context) error {
	kubeconfig := s.folder.path("controlplane", "manager.kubeconfig")
	if err := s.operator.writeKubeconfig(ctx, s.api, s.controlPlane, kubeconfig); err != nil {
		return err
	}
	if err := s.operator.prepare(s.folder, s.program("manager"), kubeconfig); err != nil {
		return err
	}
	return s.run(ctx, s.operator.process)
}

// connect creates the CMHost with its Secret and returns once the operator reports that it is connected.
func (s *stack) connect(ctx context.Context) error {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "cm-client", Namespace: namespace},
		Type:       corev1.SecretTypeTLS,
		Data: map[string][]byte{
			corev1.TLSCertKey: s.host.operator.certPEM, corev1.TLSPrivateKeyKey: s.host.operator.pkPEM, "ca.crt": s.host.ca.pem(),
		},
	}
	cmHost := &cmv1.CMHost{
		ObjectMeta: metav1.ObjectMeta{Name: "local", Namespace: namespace},
		Spec: cmv1.CMHostSpec{
			URL: s.host.url, Audience: audience, TLSSecretRef: cmv1.SecretReference{Name: secret.Name},
		},
	}
	objects := []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, secret, cmHost}
	for _, object := range objects {
		if err := s.createOnceServed(ctx, object); err != nil {
			return err
		}
	}
	for {
		if err := s.api.Get(ctx, client.ObjectKeyFromObject(cmHost), cmHost); err != nil {
			return err
		}
		ready := meta.FindStatusCondition(cmHost.Status.Conditions, cmv1.ConditionReady)
		if ready != nil && ready.Status == metav1.ConditionTrue {
			return nil
		}
		if !pause(ctx, 100*time.Millisecond) {
			return fmt.Errorf("the CMHost local is not Ready (%+v); look into %s", ready, s.folder.path("log", "manager.log"))
		}
	}
}

// createOnceServed creates an object; a kind that was installed a moment ago may take another moment to be served.
func (s *stack) createOnceServed(ctx context.Context, object client.Object) error {
	for {
		err := s.api.Create(ctx, object)
		if !meta.IsNoMatchError(err) || !pause(ctx, 100*time.Millisecond) {
			return err
		}
	}
}

// pause waits, and says whether the context is still there.
func pause(ctx context.Context, duration time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(duration):
		return true
	}
}

func (s *stack) listen(context.Context) (err error) {
	s.control, err = listen(s.folder, map[string]*process{"cmhost": s.host.process, "manager": s.operator.process})
	return err
}

// stop ends the parts in the reverse order, so that none logs the end of another one as an error.
func (s *stack) stop() error {
	fmt.Println("ending …")
	var failures []error
	if s.control != nil {
		failures = append(failures, s.control.close())
	}
	for _, part := range slices.Backward(s.started) {
		failures = append(failures, part.stop(10*time.Second))
	}
	err := errors.Join(append(failures, s.release())...)
	if err == nil {
		fmt.Println("everything has ended")
	}
	return err
}

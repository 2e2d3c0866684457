package tokenproctest

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// Host is the reference CM host in this process: on a loopback port, by TLS with client certificates, on SQLite. Its
// catalogue is config/samples/host/catalog.yaml.
type Host struct {
	t       testing.TB
	running *hosttest.Host
}

// StartHost starts a host whose register has these officers. It stops with the test.
func StartHost(t testing.TB, officers ...*Officer) *Host {
	t.Helper()
	register := make([]signing.Officer, 0, len(officers))
	for _, officer := range officers {
		register = append(register, officer.entry())
	}
	running, err := hosttest.Start(t.TempDir(), hosttest.Options{Officers: register})
	if err != nil {
		t.Fatalf("starting the CM host: %v", err)
	}
	h := &Host{t: t, running: running}
	t.Cleanup(h.Stop)
	return h
}

// URL is where the host serves, also after it was stopped and started.
func (h *Host) URL() string { return h.running.URL }

// Audience is what the host calls itself, and what requests to it are signed for.
func (h *Host) Audience() string { return h.running.Audience }

// Secret has the client certificate of the operator, which may submit, and the CA of the host.
func (h *Host) Secret(namespace, name string) *corev1.Secret {
	return h.secret(namespace, name, h.running.Submitter)
}

// UnlistedSecret has a certificate that the host does not permit anything, to see how that is reported.
func (h *Host) UnlistedSecret(namespace, name string) *corev1.Secret {
	return h.secret(namespace, name, h.running.Unlisted)
}

func (h *Host) secret(namespace, name string, credentials hosttest.Credentials) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Type:       corev1.SecretTypeTLS,
		Data:       map[string][]byte{corev1.TLSCertKey: credentials.Certificate, corev1.TLSPrivateKeyKey: credentials.Key, "ca.crt": h.running.CA},
	}
}

// Objects are a CMHost of this name that leads to the host, and the Secret that it names.
func (h *Host) Objects(namespace, name string) []client.Object {
	secret := h.Secret(namespace, name+"-client")
	return []client.Object{secret, &v1alpha1.CMHost{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.CMHostSpec{URL: h.URL(), Audience: h.Audience(), TLSSecretRef: v1alpha1.SecretReference{Name: secret.Name}},
	}}
}

// Client reads from the host as an auditor does, past the operator.
func (h *Host) Client() *cmhostv1.ClientWithResponses {
	h.t.Helper()
	reader, err := h.running.Client(h.running.Reader)
	if err != nil {
		h.t.Fatalf("connecting to the CM host: %v", err)
	}
	return reader
}

// Stop is an outage: it returns once the host has ended. What it had accepted it has again after Start.
func (h *Host) Stop() {
	h.t.Helper()
	if err := h.running.Stop(); err != nil {
		h.t.Errorf("stopping the CM host: %v", err)
	}
}

// Start ends an outage, at the same address.
func (h *Host) Start() {
	h.t.Helper()
	if err := h.running.Restart(); err != nil {
		h.t.Fatalf("starting the CM host again: %v", err)
	}
}

// Officer is an administration officer with a certificate and its key. State, Roles and Domain are those of the host's
// register: change them before StartHost.
type Officer struct {
	ID     string
	State  string
	Roles  []string
	Domain string
	made   signingtest.Officer
}

// NewOfficer makes an officer in good standing, who may sign for every domain.
func NewOfficer(t testing.TB, id string) *Officer {
	t.Helper()
	made := signingtest.New(t, id)
	return &Officer{ID: id, State: made.State, Roles: made.Roles, Domain: made.Domain, made: made}
}

func (o *Officer) entry() signing.Officer {
	entry := o.made.Officer
	entry.State, entry.Roles, entry.Domain = o.State, o.Roles, o.Domain
	return entry
}

package controllers

import (
	"context"
	"crypto/tls"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmclient"
)

// An API server that has just started may refuse what it allows: a connection that there is outlives that.
func TestConnectionOutlivesARefusalToReadItsSecretAgain(t *testing.T) {
	refusing := interceptor.Funcs{Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
		return apierrors.NewForbidden(corev1.Resource("secrets"), "cm-client", nil)
	}}
	r := &CMHostReconciler{Secrets: fake.NewClientBuilder().WithInterceptorFuncs(refusing).Build(), pool: cmclient.NewPool(), now: func() time.Time { return decisionTime }}
	defer r.pool.Close()
	host := &v1alpha1.CMHost{ObjectMeta: metav1.ObjectMeta{UID: "1", Generation: 2}, Spec: v1alpha1.CMHostSpec{URL: "https://127.0.0.1:1", Audience: "cm.test"}}
	if err := r.pool.Ensure("1", "version", cmclient.Config{URL: host.Spec.URL, Audience: host.Spec.Audience, TLS: &tls.Config{MinVersion: tls.VersionTLS13}, Notify: func(cmclient.State, cmclient.Change) {}}); err != nil {
		t.Fatal(err)
	}
	err := r.connect(t.Context(), host, &knownHost{uid: "1", generation: 2, secretRead: decisionTime.Add(-2 * secretAge)})
	if connection, _ := r.pool.Get("1"); !apierrors.IsForbidden(err) || connection == nil {
		t.Errorf("the error is %v, the connection %v; want to be asked again, with the connection that there is", err, connection)
	}
}

// However often something else wakes a CMHost, its Secret is read again within a minute of the last time.
func TestSecretIsDueAMinuteAfterItWasRead(t *testing.T) {
	for _, c := range []struct {
		why     string
		age     time.Duration
		refused bool
		want    time.Duration
	}{
		{"just read", 0, false, time.Minute},
		{"a pass in between does not prolong it", 50 * time.Second, false, 10 * time.Second},
		{"due by now", 61 * time.Second, false, time.Second},
		{"its certificates are refused", 0, true, 10 * time.Second},
	} {
		t.Run(c.why, func(t *testing.T) {
			if got := (&CMHostReconciler{refusedSecretAge: DefaultOptions().RefusedSecretAge}).secretDue(decisionTime, decisionTime.Add(c.age), c.refused); got != c.want {
				t.Errorf("expected to look again after %s, found %s", c.want, got)
			}
		})
	}
}

// A name that no request can be made of is like a Secret that is not there, whatever the API server took it for.
func TestImpossibleSecretNameIsSaidToBeNotFound(t *testing.T) {
	r := &CMHostReconciler{pool: cmclient.NewPool(), Waker: newWaker(fake.NewClientBuilder().Build(), newJudge(nil), hostsFirst{}), now: func() time.Time { return decisionTime }, life: t.Context()}
	defer r.pool.Close()
	for _, name := range []string{"a/b", "..", "a%2fb"} {
		host := &v1alpha1.CMHost{ObjectMeta: metav1.ObjectMeta{UID: "1"}, Spec: v1alpha1.CMHostSpec{TLSSecretRef: v1alpha1.SecretReference{Name: name}}}
		err := r.connect(t.Context(), host, &knownHost{uid: "1"})
		if _, state := r.pool.Get("1"); err != nil || !state.Tried || state.Failure.Reason != v1alpha1.ReasonSecretNotFound {
			t.Errorf("%q: %v, %+v; want SecretNotFound", name, err, state)
		}
	}
}

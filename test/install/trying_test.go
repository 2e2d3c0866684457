package install

import (
	"context"
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmv1 "github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/test/tokenproctest"
)

// What the roles for people say is tried by doing it: each does what it should to each kind, and is refused the rest, status
// and Secrets always.
func TestRolesByTrying(t *testing.T) {
	for _, c := range []struct {
		name  string
		roles []string
		// reads, writes and connects say what succeeds: reading all kinds, writing procedures and signatures, writing CMHosts.
		reads, writes, connects bool
		// gets and signs are what the role for signing has of them.
		gets, signs bool
	}{
		{name: "somebody"},
		{name: "try-viewer", roles: []string{"token-procedure-view"}, reads: true, gets: true},
		{name: "try-editor", roles: []string{"token-procedure-view", "token-procedure-edit"}, reads: true, gets: true, writes: true, signs: true},
		{name: "try-admin", roles: []string{"token-procedure-view", "token-procedure-edit", "token-procedure-admin"}, reads: true, gets: true, writes: true, signs: true, connects: true},
		{name: "try-signer", roles: []string{"procedure-signer"}, gets: true, signs: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, ctx, namespace := NewWithT(t), context.Background(), newNamespace(t)
			one := tokenproctest.NewOfficer(t, "officer-1")
			host := tokenproctest.StartHost(t, one)
			procedure := tokenproctest.Procedure(namespace, "there", "production")
			signature := one.Sign(t, host, procedure)
			objects := append(host.Objects(namespace, "production"), procedure, signature)
			shared.create(t, objects...)
			secret, cmHost := objects[0], objects[1]
			for _, role := range c.roles {
				bind(t, namespace, c.name, role)
			}
			person := shared.as(t, c.name)
			if c.gets { // the authoriser learns of a binding a moment after it was created
				g.Eventually(func() error { return person.Get(ctx, client.ObjectKeyFromObject(procedure), procedure) }).Should(Succeed())
			}
			tries := func(what string, should bool, err error) {
				t.Helper()
				if should && err != nil || !should && !apierrors.IsForbidden(err) {
					t.Errorf("%s: expected it to be allowed: %t; found %v", what, should, err)
				}
			}
			in := client.InNamespace(namespace)
			tries("getting a procedure", c.gets, person.Get(ctx, client.ObjectKeyFromObject(procedure), procedure.DeepCopy()))
			tries("listing procedures", c.reads, person.List(ctx, &cmv1.TokenProcedureList{}, in))
			tries("listing signatures", c.reads, person.List(ctx, &cmv1.ProcedureSignatureList{}, in))
			tries("listing CMHosts", c.reads, person.List(ctx, &cmv1.CMHostList{}, in))
			tries("reading the client key", false, person.Get(ctx, client.ObjectKeyFromObject(secret), secret.DeepCopyObject().(client.Object)))

			mine := tokenproctest.Procedure(namespace, "mine", "production")
			again := one.Sign(t, host, procedure)
			again.Name = "mine"
			elsewhere := cmHost.DeepCopyObject().(*cmv1.CMHost)
			elsewhere.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: "elsewhere"}
			tries("creating a procedure", c.writes, person.Create(ctx, mine))
			tries("creating a signature", c.signs, person.Create(ctx, again))
			tries("creating a CMHost", c.connects, person.Create(ctx, elsewhere))
			for object, should := range map[client.Object]bool{procedure: c.writes, signature: c.writes, cmHost: c.connects} {
				changed := object.DeepCopyObject().(client.Object)
				changed.SetLabels(map[string]string{"tried": c.name})
				tries(fmt.Sprintf("changing a %T", object), should, person.Patch(ctx, changed, client.MergeFrom(object)))
				raw := client.RawPatch("application/merge-patch+json", []byte(`{"status":{"observedGeneration":1}}`))
				tries(fmt.Sprintf("writing the status of a %T", object), false, person.Status().Patch(ctx, changed, raw))
				tries(fmt.Sprintf("deleting a %T", object), should, person.Delete(ctx, object))
			}
		})
	}
}

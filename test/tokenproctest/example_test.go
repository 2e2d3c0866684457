package tokenproctest_test

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/test/tokenproctest"
)

// activeProcedures is code of yours that you want to test: it tells which procedures can be used.
func activeProcedures(ctx context.Context, c client.Client, namespace string) (names []string, err error) {
	var list v1alpha1.TokenProcedureList
	err = c.List(ctx, &list, client.InNamespace(namespace))
	for _, procedure := range list.Items {
		if meta.IsStatusConditionTrue(procedure.Status.Conditions, v1alpha1.ConditionActive) {
			names = append(names, procedure.Name)
		}
	}
	return names, err
}

func TestActiveProcedures(t *testing.T) {
	g, ctx := NewWithT(t), t.Context()

	// An API server that knows the kinds. KUBEBUILDER_ASSETS names the folder of its programs.
	environment := &envtest.Environment{CRDs: tokenproctest.CRDs()}
	config, err := environment.Start()
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { NewWithT(t).Expect(environment.Stop()).To(Succeed()) })
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	c, err := client.New(config, client.Options{Scheme: scheme})
	g.Expect(err).NotTo(HaveOccurred())

	// A CM host with two officers, an operator, and a namespace that leads to the host.
	one, two := tokenproctest.NewOfficer(t, "officer-1"), tokenproctest.NewOfficer(t, "officer-2")
	host := tokenproctest.StartHost(t, one, two)
	tokenproctest.StartOperator(t, config, "pki")
	procedure := tokenproctest.Procedure("pki", "employee-card", "production")
	create(ctx, g, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "pki"}})
	create(ctx, g, c, host.Objects("pki", "production")...)
	create(ctx, g, c, procedure)

	// One officer is not enough. With two the procedure becomes Active.
	create(ctx, g, c, one.Sign(t, host, procedure))
	g.Eventually(func() []v1alpha1.SignatureStatus {
		g.Expect(c.Get(ctx, client.ObjectKeyFromObject(procedure), procedure)).To(Succeed())
		return procedure.Status.Signatures
	}).WithTimeout(20 * time.Second).Should(HaveLen(1))
	g.Expect(activeProcedures(ctx, c, "pki")).To(BeEmpty())
	create(ctx, g, c, two.Sign(t, host, procedure))
	g.Eventually(func() ([]string, error) { return activeProcedures(ctx, c, "pki") }).WithTimeout(20 * time.Second).
		Should(Equal([]string{"employee-card"}))
	stored, err := host.Client().GetTokenProcedureWithResponse(ctx, "employee-card")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(stored.JSON200.Revision).To(BeEquivalentTo(1))
}

func create(ctx context.Context, g *WithT, c client.Client, objects ...client.Object) {
	for _, object := range objects {
		g.Expect(c.Create(ctx, object)).To(Succeed())
	}
}

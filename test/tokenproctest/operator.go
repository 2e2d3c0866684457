package tokenproctest

import (
	"context"
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/controllers"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// Sign is the officer's signature, now, of the request that a TokenProcedure stands for at a host. To sign a closing
// request, pass a copy with state Closed and the revision in status.request.
func (o *Officer) Sign(t testing.TB, host *Host, procedure *v1alpha1.TokenProcedure) *v1alpha1.ProcedureSignature {
	t.Helper()
	if procedure.Spec.Revision == nil {
		t.Fatalf("expected %s to have a revision: a draft is not signed", procedure.Name)
	}
	signed := request.New(host.Audience(), *procedure.Spec.Revision, request.FromV1alpha1(&procedure.Spec.Procedure))
	return &v1alpha1.ProcedureSignature{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: procedure.Namespace,
			Name:      fmt.Sprintf("%s-r%d-%s", procedure.Name, signed.Revision, o.ID),
		},
		Spec: v1alpha1.ProcedureSignatureSpec{
			ProcedureRef: v1alpha1.TokenProcedureReference{Name: procedure.Name},
			Signature:    base64.StdEncoding.EncodeToString(o.made.Sign(t, signed, time.Now())),
		},
	}
}

// StartOperator runs the operator in this process, for some namespaces or for all. It stops with the test.
func StartOperator(t testing.TB, config *rest.Config, namespaces ...string) {
	t.Helper()
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:  scheme,
		Cache:   controllers.CacheOptions(namespaces),
		Client:  controllers.ClientOptions(),
		Metrics: metricsserver.Options{BindAddress: "0"},

		MapperProvider: controllers.Mapper,
	})
	if err != nil {
		t.Fatalf("making the operator: %v", err)
	}
	options := controllers.DefaultOptions()
	options.SkipNameValidation = true // tests start several operators in one process
	ctx, stop := context.WithCancel(context.Background())
	if err := controllers.Setup(ctx, mgr, options); err != nil {
		stop()
		t.Fatalf("setting up the operator: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the operator ended with %v", err)
		}
	})
}

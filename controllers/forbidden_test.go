package controllers_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// forbidding refuses to hand out Secrets while it is on, as an API server does whose roles are not known to it yet.
type forbidding struct {
	on      atomic.Bool
	refused atomic.Int64
}

func (f *forbidding) wrap(config *rest.Config) *rest.Config {
	wrapped := rest.CopyConfig(config)
	wrapped.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			if !f.on.Load() || !strings.Contains(request.URL.Path, "/secrets/") {
				return next.RoundTrip(request)
			}
			f.refused.Add(1)
			const status = `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"not yet","reason":"Forbidden","code":403}`
			return &http.Response{
				Status: "403 Forbidden", StatusCode: http.StatusForbidden, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
				Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(status)), Request: request,
			}, nil
		})
	})
	return wrapped
}

var _ = Describe("a Secret that may not be read", func() {
	It("is said to be the trouble where the CMHost names it anew or the operator has just started", func(ctx SpecContext) {
		w := newWorld(ctx)
		door := &forbidding{}
		w.api = door.wrap(w.api)
		w.connect(ctx)
		other := w.secret(w.host.Submitter)
		other.Name = "cm-client-renewed"
		create(ctx, other)
		w.start()
		w.accepted(ctx, w.procedure("first", 1))
		isTheTrouble := func() {
			GinkgoHelper()
			found := w.eventuallyHost(ctx, v1alpha1.ReasonSecretNotFound)
			Expect(describe(found.Status.Conditions)).To(ContainSubstring("may not get the Secret"))
			Expect(door.refused.Load()).To(BeNumerically(">", 0))
		}

		door.on.Store(true)
		host := w.cmHost()
		Expect(k8s.Get(ctx, client.ObjectKeyFromObject(host), host)).To(Succeed())
		host.Spec.TLSSecretRef.Name = other.Name
		Expect(k8s.Update(ctx, host)).To(Succeed())
		isTheTrouble()
		door.on.Store(false)
		w.eventuallyHost(ctx, "Connected")
		w.accepted(ctx, w.procedure("second", 1))

		w.stop()
		door.on.Store(true)
		w.start()
		isTheTrouble()
		door.on.Store(false)
		w.eventuallyHost(ctx, "Connected")
		w.accepted(ctx, w.procedure("third", 1))
	})
})

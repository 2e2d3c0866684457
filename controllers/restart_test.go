package controllers_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// restartControlPlane stops the API server and its etcd, and starts both again with what they had.
func restartControlPlane() {
	GinkgoHelper()
	plane := &environment.ControlPlane
	Expect(stopped(plane.APIServer.Stop())).To(Succeed())
	Expect(stopped(plane.Etcd.Stop())).To(Succeed())
	Expect(plane.Etcd.Start()).To(Succeed())
	Expect(plane.APIServer.Start()).To(Succeed())
	serves()
}

// serves waits until the API server serves our kinds.
func serves() {
	GinkgoHelper()
	Eventually(func(ctx context.Context) error { return k8s.List(ctx, &v1alpha1.TokenProcedureList{}) }).
		WithContext(context.Background()).WithTimeout(time.Minute).WithPolling(polling).Should(Succeed())
}

// cachesReturn is how long a cache may need to hear of changes after the API server has come back: client-go pauses for up
// to a minute before each of two attempts, when the API server was away several times within two minutes.
const cachesReturn = 3 * time.Minute

// createSurely creates objects although the API server may be away for a while.
func createSurely(ctx context.Context, objects ...client.Object) {
	GinkgoHelper()
	for _, object := range objects {
		Eventually(func() error { return client.IgnoreAlreadyExists(k8s.Create(ctx, object)) }).
			WithTimeout(time.Minute).WithPolling(polling).Should(Succeed())
	}
}

var _ = Describe("an API server that is restarted with its etcd", Label("slow"), func() {
	It("while procedures are made and changed loses nothing and doubles nothing", func(ctx SpecContext) {
		const procedures = 24
		restarts, chance := environmentNumber("RESTARTS", 1), newDice(faultSeed())
		w := newWorld(ctx)
		submitted := make(chan struct{}, 1000)
		road := newProxy(w, func(r *http.Request) fault {
			if r.Method == http.MethodPut {
				submitted <- struct{}{}
			}
			return faultNone
		})
		host := w.cmHost()
		host.Spec.URL = road.URL
		create(ctx, w.secret(w.host.Submitter), host)
		w.start()
		w.eventuallyHost(ctx, "Connected")
		expected := map[string][]string{}
		revisions, away := 0, []time.Duration(nil)
		revise := func(name string) {
			revision := int64(len(expected[name])) + 1
			object := w.procedure(name, revision, func(o *v1alpha1.TokenProcedure) {
				o.Spec.Procedure.PINProcedure = v1alpha1.Name([]string{"PIN letter", "User PIN"}[revision%2])
			})
			if revision == 1 {
				createSurely(ctx, object)
			} else {
				w.eventuallyWithin(ctx, name, synced, cachesReturn) // or the revision between would be none
				w.change(ctx, name, func(o *v1alpha1.TokenProcedure) { o.Spec = object.Spec })
			}
			createSurely(ctx, w.signature(object, w.one), w.signature(object, w.two))
			expected[name] = append(expected[name], w.digest(object))
			revisions++
		}
		for i := range procedures / 2 {
			revise(fmt.Sprintf("p%02d", i))
		}
		for range restarts {
			changed := make(chan struct{})
			go func() {
				defer GinkgoRecover()
				defer close(changed)
				for i := range procedures {
					revise(fmt.Sprintf("p%02d", i))
				}
			}()
			for range 1 + chance.pick(procedures/2) {
				Eventually(submitted).WithTimeout(cachesReturn).Should(Receive())
			}
			began := now()
			restartControlPlane()
			away = append(away, now().Sub(began).Round(time.Millisecond))
			Eventually(changed).WithTimeout(2 * cachesReturn).Should(BeClosed())
			for range len(submitted) {
				<-submitted
			}
		}
		for name := range expected {
			w.eventuallyWithin(ctx, name, synced, cachesReturn)
		}
		fmt.Printf("\n%d procedures with %d revisions, the API server was away for %v\n", procedures, revisions, away)
		w.agrees(ctx, expected)
		Expect(road.count("PUT token-procedures/{name}")).To(Equal(revisions), "what the host has accepted is not sent again")
	}, SpecTimeout(crashTime))

	It("does not hold up an operator that is told to end while etcd is away", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.connect(ctx)
		leader := w.run(program(), nil, "-leader-elect", "-leader-election-namespace="+w.namespace)
		w.accepted(ctx, w.procedure("card", 1))
		Expect(stopped(environment.ControlPlane.Etcd.Stop())).To(Succeed())
		DeferCleanup(func() {
			Expect(environment.ControlPlane.Etcd.Start()).To(Succeed())
			serves()
		})
		took := leader.terminate()
		fmt.Printf("\nwithout etcd it took %v\n", took)
		_, _ = fmt.Fprintln(GinkgoWriter, leader.log)
		Expect(took).To(BeNumerically("<", endsWithin))
	}, SpecTimeout(3*time.Minute))
})

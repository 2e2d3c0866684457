package controllers_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/controllers"
)

// elected makes an operator one of several replicas.
func elected(options *ctrl.Options, namespace string, gap time.Duration) {
	controllers.Replicas(options, gap)
	options.LeaderElectionID, options.LeaderElectionNamespace = "operator", namespace
}

var _ = Describe("two replicas", func() {
	const gap = 5 * time.Second

	It("do the work once, and the second takes over when the first ends or dies", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.connect(ctx)
		replica := func(reaper *reaper) *operator {
			config := restConfig
			if reaper != nil {
				config = reaper.wrap(w.writes.wrap(config))
			}
			o := startReplica(config, w.namespace, func(options *ctrl.Options) { elected(options, w.namespace, gap) })
			DeferCleanup(func() {
				o.stop()
				if err := <-o.ended; err != nil { // as it should be where the lease was lost
					_, _ = fmt.Fprintln(GinkgoWriter, "ended:", err)
				}
			})
			return o
		}
		reapers := []*reaper{newReaper(), newReaper()}
		first := replica(reapers[0])
		Eventually(first.ready).WithTimeout(waiting).Should(Succeed())
		holder := func(g Gomega) string {
			held := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "operator"}}
			g.Expect(k8s.Get(ctx, client.ObjectKeyFromObject(held), held)).To(Succeed())
			if held.Spec.HolderIdentity == nil {
				return ""
			}
			return *held.Spec.HolderIdentity
		}
		var leader string
		Eventually(func(g Gomega) { leader = holder(g); g.Expect(leader).NotTo(BeEmpty()) }).WithTimeout(waiting).Should(Succeed())
		second := replica(reapers[1])
		Eventually(second.ready).WithTimeout(waiting).Should(Succeed(), "a standby with full caches is ready")

		object := w.procedure("first", 1)
		w.accepted(ctx, object)

		By("the first loses its connection to the API server and so its lease")
		reapers[0].mu.Lock()
		reapers[0].dead = true
		reapers[0].mu.Unlock()
		died := time.Now()
		object = w.procedure("second", 1)
		create(ctx, object, w.signature(object, w.one), w.signature(object, w.two))
		w.eventually(ctx, "second", synced)
		Expect(time.Since(died)).To(BeNumerically("<", 3*gap), "a busy machine needs longer than a quiet one")
		Eventually(func(g Gomega) { g.Expect(holder(g)).NotTo(Equal(leader)) }).WithTimeout(waiting).Should(Succeed())

		By("the second ends cleanly: its lease is free at once")
		third := replica(nil)
		Eventually(third.ready).WithTimeout(waiting).Should(Succeed())
		second.stop()
		ended := time.Now()
		object = w.procedure("third", 1)
		create(ctx, object, w.signature(object, w.one), w.signature(object, w.two))
		w.eventually(ctx, "third", synced)
		Expect(time.Since(ended)).To(BeNumerically("<", gap+2*time.Second))
		w.agrees(ctx, map[string][]string{
			"first": {w.digest(w.procedure("first", 1))}, "second": {w.digest(w.procedure("second", 1))}, "third": {w.digest(w.procedure("third", 1))},
		})
		_, _ = fmt.Fprintf(GinkgoWriter, "writes of the elected: %v\n", w.writes.snapshot())
	}, SpecTimeout(3*time.Minute))
})

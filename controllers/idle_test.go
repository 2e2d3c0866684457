package controllers_test

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// environmentNumber is a number from the environment, for longer runs than a test's.
func environmentNumber(name string, otherwise int) int {
	given := os.Getenv(name)
	if given == "" {
		return otherwise
	}
	parsed, err := strconv.Atoi(given)
	Expect(err).NotTo(HaveOccurred(), name+" must be a number")
	return parsed
}

// cpu is the processor time that this process, operator and host together, has used.
func cpu() time.Duration {
	var usage syscall.Rusage
	Expect(syscall.Getrusage(syscall.RUSAGE_SELF, &usage)).To(Succeed())
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

var _ = Describe("an idle operator", Label("slow"), func() {
	It("keeps one long poll open and asks for no procedure", func(ctx SpecContext) {
		procedures := environmentNumber("IDLE_PROCEDURES", 200)
		idle := time.Duration(environmentNumber("IDLE_SECONDS", 5)) * time.Second
		w := newWorld(ctx)
		road := newProxy(w, func(*http.Request) fault { return faultNone })
		host := w.cmHost()
		host.Spec.URL = road.URL
		create(ctx, w.secret(w.host.Submitter), host)
		var makers sync.WaitGroup
		for part := range 8 {
			makers.Go(func() {
				defer GinkgoRecover()
				for i := part; i < procedures; i += 8 {
					object := w.procedure(fmt.Sprintf("p%05d", i), 1)
					create(ctx, object, w.signature(object, w.one), w.signature(object, w.two))
				}
			})
		}
		makers.Wait()
		w.start()
		began := time.Now()
		Eventually(func(g Gomega) {
			var list v1alpha1.TokenProcedureList
			g.Expect(k8s.List(ctx, &list, client.InNamespace(w.namespace))).To(Succeed())
			for i := range list.Items {
				g.Expect(reasonsOf(list.Items[i].Status.Conditions, 1)).To(HaveKeyWithValue("Ready", "True UpToDate"), list.Items[i].Name)
			}
		}).WithTimeout(20 * time.Minute).WithPolling(time.Second).Should(Succeed())
		took := time.Since(began)
		late := road.late("PUT token-procedures/{name}")
		Expect(road.count("PUT token-procedures/{name}")).To(And(BeNumerically(">=", procedures), BeNumerically("<=", procedures+late)), "one PUT for each procedure")
		Expect(road.count("GET token-procedures/{name}")).To(BeNumerically("<=", late), "no procedure is read after its own submission, unless its answer came too late")
		Eventually(func() int { return w.writes.snapshot()["PATCH proceduresignatures/status"] }).WithTimeout(5 * time.Minute).Should(BeNumerically(">=", 2*procedures))
		Expect(w.writes.snapshot()).To(And(HaveKeyWithValue("PATCH tokenprocedures/status", procedures), HaveKeyWithValue("PATCH proceduresignatures/status", 2*procedures)))

		By("the change feed comes to rest")
		last := -1
		Eventually(func() (more int) {
			calls, _ := road.total()
			more, last = calls-last, calls
			return more
		}).WithTimeout(time.Minute).WithPolling(3 * time.Second).Should(BeZero())
		callsBefore, _ := road.total()
		writesBefore, cpuBefore := w.writes.snapshot(), cpu()
		Consistently(func() int { calls, _ := road.total(); return calls - callsBefore }).WithTimeout(idle).WithPolling(time.Second).
			Should(BeNumerically("<=", 2+int(idle/(50*time.Second))))
		used := cpu() - cpuBefore
		calls, _ := road.total()
		fmt.Printf("\n%d procedures: Synced after %v; idle for %v: %d calls to the host, %v of CPU (%.2f %% of a core), writes before %v and after %v\n",
			procedures, took.Round(time.Millisecond), idle, calls-callsBefore, used.Round(time.Millisecond), 100*used.Seconds()/idle.Seconds(), writesBefore, w.writes.snapshot())
		delete(writesBefore, "PATCH cmhosts/status")
		after := w.writes.snapshot()
		delete(after, "PATCH cmhosts/status")
		Expect(after).To(Equal(writesBefore), "nothing is written while nothing changes")
	}, SpecTimeout(45*time.Minute))
})

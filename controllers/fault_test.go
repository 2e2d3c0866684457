package controllers_test

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

const (
	crashTime = 10 * time.Minute
	faultTime = 30 * time.Minute
)

// faultSeed is FAULT_SEED, or a new one; it is printed, so that a run can be repeated.
func faultSeed() uint64 {
	seed := rand.Uint64N(1 << 32)
	if given := os.Getenv("FAULT_SEED"); given != "" {
		parsed, err := strconv.ParseUint(given, 10, 64)
		Expect(err).NotTo(HaveOccurred(), "FAULT_SEED must be a number")
		seed = parsed
	}
	fmt.Printf("\nFAULT_SEED=%d\n", seed)
	return seed
}

// faultRounds is FAULT_ROUNDS: how long the storm lasts; `make soak` sets it.
func faultRounds() int { return environmentNumber("FAULT_ROUNDS", 30) }

func afterLong() <-chan time.Time { return time.After(2 * time.Minute) }

func keysOf[K comparable, V any](m map[K]V) iter.Seq[K] { return maps.Keys(m) }

var _ = Describe("a storm of faults", Label("slow"), func() {
	It("loses nothing, doubles nothing, and ends with a true status", func(ctx SpecContext) {
		seed := faultSeed()
		chance := newDice(seed)
		w := newWorld(ctx)
		road := newProxy(w, chance.choose)
		host := w.cmHost()
		host.Spec.URL = road.URL
		create(ctx, w.secret(w.host.Submitter), host)
		w.start()
		chance.chance.Store(25)

		const procedures = 40
		objects := make([]*v1alpha1.TokenProcedure, 0, procedures)
		expected := map[string][]string{}
		approve := func(object *v1alpha1.TokenProcedure) {
			digest, err := w.requestOf(object).Digest()
			Expect(err).NotTo(HaveOccurred())
			expected[object.Name] = append(expected[object.Name], digest)
			create(ctx, w.signature(object, w.one), w.signature(object, w.two))
		}
		for i := range procedures {
			object := w.procedure(fmt.Sprintf("s%03d", i), 1)
			create(ctx, object)
			approve(object)
			objects = append(objects, object)
		}
		kinds := map[string]int{}
		for range faultRounds() {
			switch event := chance.pick(10); event {
			case 0:
				kinds["host restarted"]++
				Expect(w.host.Restart()).To(Succeed())
			case 1:
				kinds["operator restarted"]++
				w.stop()
				w.start()
			case 2:
				kinds["conflict storm"]++
				for _, object := range objects {
					patched := &v1alpha1.TokenProcedure{ObjectMeta: object.ObjectMeta}
					patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"metadata":{"annotations":{"storm":"%d"}}}`, chance.pick(1<<30)))
					Expect(k8s.Patch(ctx, patched, patch)).To(Succeed())
				}
			default:
				kinds["revision signed"]++
				at := chance.pick(procedures)
				w.eventuallyWithin(ctx, objects[at].Name, synced, 2*time.Minute)
				objects[at] = w.change(ctx, objects[at].Name, func(o *v1alpha1.TokenProcedure) {
					next := *o.Spec.Revision + 1
					o.Spec.Revision = &next
					o.Spec.Procedure.PINProcedure = v1alpha1.Name([]string{"PIN letter", "User PIN"}[next%2])
				})
				approve(objects[at])
			}
		}
		for _, object := range objects {
			w.eventuallyWithin(ctx, object.Name, synced, 2*time.Minute)
		}
		calls, faults := road.total()
		chance.chance.Store(0)
		fmt.Printf("\nseed %d: %d procedures, %d calls to the host, %d faults, events %v\n", seed, procedures, calls, faults, kinds)
		Expect(faults).To(BeNumerically(">", 20))
		w.agrees(ctx, expected)
		Eventually(func() string {
			return reasonOf(w.currentHost(ctx))
		}).WithTimeout(time.Minute).WithPolling(polling).Should(Equal("Connected"), "a pause is at most 30 s")
		for _, object := range objects {
			for _, officer := range []string{"officer-1", "officer-2"} {
				w.eventuallySignature(ctx, fmt.Sprintf("%s-r%d-%s", object.Name, *object.Spec.Revision, officer), map[string]string{"Ready": "True Counted"})
			}
		}
		Eventually(func() int64 { return *w.eventuallyHost(ctx, "Connected").Status.Log.Length }).WithTimeout(waiting).Should(Equal(w.logLength(ctx)))
	}, SpecTimeout(faultTime))
})

package controllers_test

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// shuffled is the same in an order by chance.
func shuffled[T any](chance *dice, items ...T) []T {
	for i := range items {
		j := i + chance.pick(len(items)-i)
		items[i], items[j] = items[j], items[i]
	}
	return items
}

// kindOf names an object in a message.
func kindOf(object client.Object) string { return fmt.Sprintf("%T %s", object, object.GetName()) }

// goneOrTold waits until a procedure is gone, or says what lets it go.
func (w *world) goneOrTold(ctx context.Context, object *v1alpha1.TokenProcedure) (gone bool) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		found := &v1alpha1.TokenProcedure{}
		err := k8s.Get(ctx, client.ObjectKeyFromObject(object), found)
		if gone = client.IgnoreNotFound(err) == nil && err != nil; gone {
			return
		}
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(reasonsOf(found.Status.Conditions, found.Generation)).To(HaveKeyWithValue("Reconciling", "True Closing"), describe(found.Status.Conditions))
		g.Expect(describe(found.Status.Conditions)).To(ContainSubstring("set spec.deletionPolicy to Retain"))
	}).WithTimeout(waiting).WithPolling(polling).Should(Succeed())
	return gone
}

var _ = Describe("deleting everything at once", func() {
	It("leaves nothing behind in any order, or says what does", func(ctx SpecContext) {
		chance := newDice(faultSeed())
		outcomes := map[string]int{}
		for round := range environmentNumber("ORDERS", 6) {
			w := newWorld(ctx)
			w.connect(ctx)
			w.start()
			object, presigned, restarts := w.procedure("card", 1, closes), round%3 > 0, chance.pick(2) == 0
			w.accepted(ctx, object)
			parts := []client.Object{object, w.signature(object, w.one), w.signature(object, w.two), w.cmHost(), w.secret(w.host.Submitter)}
			if presigned {
				one, two := w.signatureOf(object, w.closing(object), w.one, now()), w.signatureOf(object, w.closing(object), w.two, now())
				create(ctx, one, two)
				parts = append(parts, one, two)
			}
			parts = shuffled(chance, parts...)
			var order []string
			for _, part := range parts {
				order = append(order, kindOf(part))
				Expect(k8s.Delete(ctx, part)).To(Succeed())
			}
			if restarts { // the Secret is gone: nothing can be closed any more
				w.stop()
				w.start()
			}
			By(fmt.Sprintf("signed before: %v, operator restarted: %v, in the order %v", presigned, restarts, order))
			if !w.goneOrTold(ctx, object) {
				outcomes["released by Retain"]++
				Expect(k8s.Get(ctx, client.ObjectKeyFromObject(w.cmHost()), w.cmHost())).To(Succeed(), "what is needed to close stays")
				w.change(ctx, "card", func(o *v1alpha1.TokenProcedure) { o.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain })
				w.eventuallyGone(ctx, object)
				Expect(w.eventuallyEvent(ctx, "card", "Released")).To(ContainSubstring("deletionPolicy is not Close"))
			} else {
				outcomes["closed"]++
				state, revision := w.atHost(ctx, "card")
				Expect(state).To(Equal("Closed"))
				Expect(revision).To(BeEquivalentTo(2))
			}
			w.eventuallyGone(ctx, w.cmHost())
			w.stop()
		}
		fmt.Printf("\norders of deletion: %v\n", outcomes)
	})
})

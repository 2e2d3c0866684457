package controllers_test

import (
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/load"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

// soon is when something changes by time alone, after everything else has settled.
const soon = 4 * time.Second

var _ = Describe("no status stays as it was when it is not true any more", func() {
	It("of signatures, when a reference is opened or closed", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.connect(ctx)
		pinProcedures := func(state string) {
			GinkgoHelper()
			catalog, err := hosttest.SampleCatalog()
			Expect(err).NotTo(HaveOccurred())
			catalog.PINProcedures = append(catalog.PINProcedures, rules.CatalogObject{Name: "PIN by SMS", State: state})
			Expect(w.host.Load(load.Input{Catalog: catalog, AllowBreaking: true})).To(Succeed())
		}
		bySMS := func(o *v1alpha1.TokenProcedure) { o.Spec.Procedure.PINProcedure = "PIN by SMS" }
		pinProcedures("Closed")
		both, one := w.procedure("both", 1, bySMS), w.procedure("one", 1, bySMS)
		create(ctx, both, w.signature(both, w.one), w.signature(both, w.two), one, w.signature(one, w.one))
		w.start()
		ahead, counts := map[string]string{"Counted": "False RevisionAhead"}, map[string]string{"Counted": "True Counted"}
		w.eventually(ctx, "both", map[string]string{"Ready": "False ClosedReference"})
		w.eventuallySignature(ctx, "both-r1-officer-1", ahead)
		w.eventuallySignature(ctx, "both-r1-officer-2", ahead)
		w.eventuallySignature(ctx, "one-r1-officer-1", ahead)

		pinProcedures("Active")
		w.eventually(ctx, "both", synced)
		w.eventuallySignature(ctx, "both-r1-officer-1", counts)
		w.eventuallySignature(ctx, "both-r1-officer-2", counts)
		w.eventuallySignature(ctx, "one-r1-officer-1", counts)

		pinProcedures("Closed")
		w.eventually(ctx, "one", map[string]string{"Ready": "False ClosedReference"})
		w.eventuallySignature(ctx, "one-r1-officer-1", ahead)
		w.eventuallySignature(ctx, "both-r1-officer-1", counts)
	})

	It("of another object for the same procedure, when this one is submitted", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.connect(ctx)
		older := w.procedure("older", 1)
		younger := w.procedure("younger", 1, func(o *v1alpha1.TokenProcedure) {
			o.Spec.Procedure.Name, o.Spec.Procedure.InputView = older.Spec.Procedure.Name, "Visitor"
		})
		draft := w.procedure("draft", 1, func(o *v1alpha1.TokenProcedure) {
			o.Spec.Procedure.Name, o.Spec.Draft = older.Spec.Procedure.Name, new(true)
		})
		create(ctx, older)
		w.start()
		w.eventually(ctx, "older", map[string]string{"Ready": "False AwaitingSignatures"})
		create(ctx, younger, w.signature(younger, w.one), draft)
		w.eventually(ctx, "younger", map[string]string{"Ready": "False NameConflict", "Active": "Unknown NotAtHost"})
		w.eventually(ctx, "draft", map[string]string{"Ready": "False Draft", "Active": "Unknown NotAtHost"})
		w.eventuallySignature(ctx, "younger-r1-officer-1", map[string]string{"Counted": "False RevisionAhead"})

		create(ctx, w.signature(older, w.one), w.signature(older, w.two))
		w.eventually(ctx, "older", synced)
		w.eventually(ctx, "younger", map[string]string{"Ready": "False NameConflict", "Active": "True ActiveAtHost"})
		w.eventually(ctx, "draft", map[string]string{"Ready": "False Draft", "Active": "True ActiveAtHost"})
		w.eventuallySignature(ctx, "younger-r1-officer-1", map[string]string{"Counted": "False ContentDiffers"})
	})

	It("of a closing request, when a signature of it becomes good with time", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.connect(ctx)
		w.start()
		object := w.procedure("closes", 1, closes)
		w.accepted(ctx, object)
		Expect(k8s.Delete(ctx, object)).To(Succeed())
		w.eventually(ctx, "closes", awaitsClosing)
		early := w.signatureOf(object, w.closing(object), w.one, now().Add(5*time.Minute+soon))
		create(ctx, early, w.signatureOf(object, w.closing(object), w.two, now()))
		w.eventuallySignature(ctx, early.Name, map[string]string{"Verified": "False SigningTimeInFuture"})
		w.eventuallyGone(ctx, object)
		state, _ := w.atHost(ctx, "closes")
		Expect(state).To(Equal("Closed"))
	})

	It("of an officer's second signature, when the first becomes too old", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.connect(ctx)
		w.start()
		object := w.procedure("card", 1)
		old := w.signatureOf(object, w.requestOf(object), w.one, now().Add(soon-30*24*time.Hour))
		old.Name = "a-old"
		create(ctx, object, old)
		w.eventuallySignature(ctx, "a-old", map[string]string{"Counted": "True Counted"})
		fresh := w.signature(object, w.one)
		fresh.Name = "b-fresh"
		create(ctx, fresh)
		w.eventuallySignature(ctx, "b-fresh", map[string]string{"Counted": "False SameOfficer"})
		w.eventuallySignature(ctx, "a-old", map[string]string{"Verified": "False SignatureExpired", "Counted": "False NotVerified"})
		w.eventuallySignature(ctx, "b-fresh", map[string]string{"Counted": "True Counted"})
	})

	It("of a refused request, when the host that refused it comes back with another clock", func(ctx SpecContext) {
		var ahead atomic.Int64
		ahead.Store(int64(40 * 24 * time.Hour))
		w := newWorld(ctx, func(o *hosttest.Options) {
			o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		})
		w.connect(ctx)
		w.start()
		object := w.procedure("card", 1)
		create(ctx, object, w.signature(object, w.one), w.signature(object, w.two))
		w.eventually(ctx, "card", map[string]string{"Ready": "False RefusedByHost"})
		ahead.Store(0)
		Expect(w.host.Stop()).To(Succeed())
		w.eventuallyHost(ctx, v1alpha1.ReasonUnreachable)
		Expect(w.host.Restart()).To(Succeed())
		w.eventuallyWithin(ctx, "card", synced, time.Minute)
	})

	It("of a CMHost that is being deleted and needed", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.connect(ctx)
		w.start()
		object := w.procedure("closes", 1, closes)
		w.accepted(ctx, object)
		host := w.cmHost()
		Expect(k8s.Delete(ctx, host)).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(k8s.Get(ctx, client.ObjectKeyFromObject(host), host)).To(Succeed())
			g.Expect(describe(host.Status.Conditions)).To(And(ContainSubstring("True Closing"), ContainSubstring("closes"), ContainSubstring("spec.deletionPolicy to Retain")))
		}).WithTimeout(waiting).WithPolling(polling).Should(Succeed())
		w.change(ctx, "closes", func(o *v1alpha1.TokenProcedure) { o.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain })
		w.eventuallyGone(ctx, host)
	})
})

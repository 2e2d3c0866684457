package controllers_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// submit puts a request, signed by both officers, on the host behind the operator's back.
func (w *world) submit(ctx context.Context, signed request.Request) {
	GinkgoHelper()
	submitter, err := w.host.Client(w.host.Submitter)
	Expect(err).NotTo(HaveOccurred())
	now := time.Now()
	status, problem, err := hosttest.Put(ctx, submitter, signed, w.one.Sign(GinkgoTB(), signed, now), w.two.Sign(GinkgoTB(), signed, now))
	Expect(err).NotTo(HaveOccurred())
	Expect(problem).To(BeNil())
	Expect(status).To(Or(Equal(200), Equal(201)))
}

// accepted brings an object with both signatures to the host by the operator.
func (w *world) accepted(ctx context.Context, object *v1alpha1.TokenProcedure) {
	GinkgoHelper()
	create(ctx, object, w.signature(object, w.one), w.signature(object, w.two))
	w.eventually(ctx, object.Name, synced)
}

// change applies a change to the object as it is now, once the API server takes it.
func (w *world) change(ctx context.Context, name string, change func(*v1alpha1.TokenProcedure)) *v1alpha1.TokenProcedure {
	GinkgoHelper()
	object := &v1alpha1.TokenProcedure{}
	Eventually(ctx, func(g Gomega) {
		g.Expect(k8s.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: name}, object)).To(Succeed())
		change(object)
		g.Expect(k8s.Update(ctx, object)).To(Succeed())
	}).WithTimeout(time.Minute).WithPolling(polling).Should(Succeed())
	return object
}

// eventuallyEvent waits for an event with a reason about an object, and returns what it says.
func (w *world) eventuallyEvent(ctx context.Context, name, reason string) (note string) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		events := w.eventsOf(ctx, name)
		g.Expect(events).To(HaveKey(reason))
		note = events[reason]
	}).WithTimeout(waiting).WithPolling(polling).Should(Succeed())
	return note
}

// eventsOf are the events about an object: what they say, by reason.
func (w *world) eventsOf(ctx context.Context, name string) map[string]string {
	GinkgoHelper()
	var events eventsv1.EventList
	Expect(k8s.List(ctx, &events, client.InNamespace(w.namespace))).To(Succeed())
	notes := map[string]string{}
	for _, event := range events.Items {
		if event.Regarding.Name == name {
			notes[event.Reason] = event.Note
		}
	}
	return notes
}

// sent is an officer's signature as the cluster has it.
func (w *world) sent(ctx context.Context, object *v1alpha1.TokenProcedure, officer string) []byte {
	GinkgoHelper()
	signature := &v1alpha1.ProcedureSignature{}
	key := client.ObjectKey{Namespace: w.namespace, Name: fmt.Sprintf("%s-r%d-%s", object.Name, *object.Spec.Revision, officer)}
	Expect(k8s.Get(ctx, key, signature)).To(Succeed())
	der, err := base64.StdEncoding.DecodeString(signature.Spec.Signature)
	Expect(err).NotTo(HaveOccurred())
	return der
}

var _ = Describe("what the host has", func() {
	var w *world
	BeforeEach(func(ctx SpecContext) {
		w = newWorld(ctx, func(o *hosttest.Options) {
			elsewhere := signingtest.Procedure("elsewhere")
			elsewhere.PINProcedure = "User PIN"
			o.Procedures = []request.Procedure{elsewhere}
		})
		w.connect(ctx)
		w.start()
	})

	It("is adopted without a write when it is the same", func(ctx SpecContext) {
		object := w.procedure("adopted", 1)
		w.submit(ctx, w.requestOf(object))
		create(ctx, object)
		adopted := w.eventually(ctx, "adopted", synced)
		Expect(adopted.Status.Signatures).To(HaveLen(2))
		Expect(adopted.Status.Signatures[0].SignatureName).To(BeEmpty())
		w.eventuallyEvent(ctx, "adopted", "Adopted")
	})

	It("is not said to be adopted when it was submitted from here, by whichever operator", func(ctx SpecContext) {
		object := w.procedure("own", 1)
		w.accepted(ctx, object)
		w.change(ctx, "own", closes)
		w.eventually(ctx, "own", synced)

		By("an operator ends between its submission and its report")
		w.stop()
		lost := w.procedure("unheard", 1)
		create(ctx, lost, w.signature(lost, w.one), w.signature(lost, w.two))
		sent := [][]byte{w.sent(ctx, lost, "officer-1"), w.sent(ctx, lost, "officer-2")}
		submitter, err := w.host.Client(w.host.Submitter)
		Expect(err).NotTo(HaveOccurred())
		status, problem, err := hosttest.Put(ctx, submitter, w.requestOf(lost), sent...)
		Expect(err).NotTo(HaveOccurred())
		Expect(problem).To(BeNil())
		Expect(status).To(Equal(http.StatusCreated))
		w.start()
		w.eventually(ctx, "unheard", synced)
		other := w.procedure("other", 1)
		w.submit(ctx, w.requestOf(other))
		create(ctx, other)
		w.eventually(ctx, "other", synced)
		w.eventuallyEvent(ctx, "other", "Adopted")
		Expect(w.eventsOf(ctx, "own")).To(BeEmpty())
		Expect(w.eventsOf(ctx, "unheard")).To(BeEmpty())
	})

	It("is told truly although somebody else writes the status, which leads to nothing", func(ctx SpecContext) {
		object := w.procedure("written", 1)
		create(ctx, object)
		w.eventually(ctx, "written", map[string]string{"Ready": "False AwaitingSignatures"})
		foreign := fmt.Sprintf(`{"status":{"conditions":[],"countedSignatures":9,"host":null,"request":{"revision":9,"digest":%q}}}`, w.digest(w.procedure("other", 9)))
		write := func() {
			patched := &v1alpha1.TokenProcedure{ObjectMeta: object.ObjectMeta}
			Expect(k8s.Status().Patch(ctx, patched, client.RawPatch(types.MergePatchType, []byte(foreign)))).To(Succeed())
		}
		for range 2 {
			write()
			Eventually(func() string {
				return w.eventually(ctx, "written", map[string]string{"Ready": "False AwaitingSignatures"}).Status.Request.Digest
			}).WithTimeout(waiting).Should(Equal(w.digest(object)))
		}
		w.stop()
		write()
		create(ctx, w.signature(object, w.one), w.signature(object, w.two))
		w.start()
		Eventually(func(g Gomega) {
			told := w.eventually(ctx, "written", synced)
			g.Expect(told.Status.Request).To(BeNil())
			g.Expect(told.Status.Host.Digest).To(Equal(w.digest(object)))
			g.Expect(*told.Status.CountedSignatures).To(BeEquivalentTo(2))
		}).WithTimeout(waiting).Should(Succeed())
		w.agrees(ctx, map[string][]string{"written": {w.digest(object)}})
	})

	It("is Drifted when it changes behind our back, until a higher revision is signed", func(ctx SpecContext) {
		object := w.procedure("drifts", 1)
		w.accepted(ctx, object)
		other := w.requestOf(object)
		other.Revision, other.Procedure.PINProcedure = 2, "User PIN"
		w.submit(ctx, other)
		drifted := w.eventually(ctx, "drifts", map[string]string{
			"Ready": "False Drifted", "Validated": "True RulesSatisfied", "Signed": "Unknown NotSubmittable", "Synced": "False Drifted", "Stalled": "True Drifted", "Active": "True ActiveAtHost",
		})
		Expect(drifted.Status.Request).To(BeNil())
		Expect(describe(drifted.Status.Conditions)).To(And(ContainSubstring("PIN procedure: PIN letter -> User PIN"), ContainSubstring("had revision 1 and has revision 2"), ContainSubstring("Apply a revision above 2")))
		w.eventuallySignature(ctx, "drifts-r1-officer-1", map[string]string{"Ready": "True Superseded", "Verified": "True OfficerSignature", "Counted": "False Superseded"})
		Expect(w.eventuallyEvent(ctx, "drifts", "Drifted")).To(ContainSubstring("PIN procedure: PIN letter -> User PIN"))

		three := int64(3)
		object = w.change(ctx, "drifts", func(o *v1alpha1.TokenProcedure) { o.Spec.Revision = &three })
		create(ctx, w.signature(object, w.one), w.signature(object, w.three))
		w.eventually(ctx, "drifts", synced)
	})

	It("is a StaleRevision when it is higher and never was ours", func(ctx SpecContext) {
		other := w.requestOf(w.procedure("stale", 5))
		other.Procedure.State = request.Active
		w.submit(ctx, other)
		object := w.procedure("stale", 4)
		create(ctx, object, w.signature(object, w.one), w.signature(object, w.two))
		stale := w.eventually(ctx, "stale", map[string]string{"Ready": "False StaleRevision", "Signed": "Unknown NotSubmittable", "Synced": "False StaleRevision", "Stalled": "True StaleRevision"},
			ContainSubstring("the host never had it"), ContainSubstring("Apply a revision above 5"), ContainSubstring("apply revision 5 with exactly what the host has"))
		Expect(*stale.Status.Host.Revision).To(BeEquivalentTo(5))
		w.eventuallyEvent(ctx, "stale", "StaleRevision")

		By("the way out that accepts what the host has")
		length := w.logLength(ctx)
		w.change(ctx, "stale", func(o *v1alpha1.TokenProcedure) {
			five := int64(5)
			o.Spec.Revision, o.Spec.Procedure = &five, request.ToV1alpha1(other.Procedure)
		})
		w.eventually(ctx, "stale", synced)
		Expect(w.logLength(ctx)).To(Equal(length), "nothing was written")
	})

	It("can be accepted where it drifted, and named with the fields that differ", func(ctx SpecContext) {
		object := w.procedure("accepts", 1)
		w.accepted(ctx, object)
		other := w.requestOf(object)
		other.Revision, other.Procedure.PINProcedure, other.Procedure.InputView = 2, "User PIN", "Visitor"
		w.submit(ctx, other)
		w.eventually(ctx, "accepts", map[string]string{"Ready": "False Drifted"},
			ContainSubstring("PIN procedure: PIN letter -> User PIN"), ContainSubstring("-> Visitor"), ContainSubstring("apply revision 2 with exactly what the host has"))
		w.change(ctx, "accepts", func(o *v1alpha1.TokenProcedure) {
			two := int64(2)
			o.Spec.Revision, o.Spec.Procedure = &two, request.ToV1alpha1(other.Procedure)
		})
		w.eventually(ctx, "accepts", synced)
		w.eventuallyEvent(ctx, "accepts", "UpToDate")
	})

	It("is a StaleRevision when it is our revision with other content", func(ctx SpecContext) {
		other := w.requestOf(w.procedure("equal", 1))
		other.Procedure.PINProcedure = "User PIN"
		w.submit(ctx, other)
		object := w.procedure("equal", 1)
		create(ctx, object, w.signature(object, w.one), w.signature(object, w.two))
		equal := w.eventually(ctx, "equal", map[string]string{"Ready": "False StaleRevision", "Stalled": "True StaleRevision"})
		Expect(describe(equal.Status.Conditions)).NotTo(ContainSubstring("exactly what the host has"), "a revision must rise when its content changes")
		w.eventuallySignature(ctx, "equal-r1-officer-1", map[string]string{"Ready": "False ContentDiffers", "Counted": "False ContentDiffers"})
	})

	It("is taken over when it was made elsewhere, with two signatures", func(ctx SpecContext) {
		object := w.procedure("elsewhere", 1)
		create(ctx, object)
		waits := w.eventually(ctx, "elsewhere", map[string]string{"Ready": "False AwaitingSignatures", "Active": "True ActiveAtHost"})
		Expect(*waits.Status.Host.Revision).To(BeEquivalentTo(0))
		create(ctx, w.signature(object, w.one), w.signature(object, w.two))
		w.eventually(ctx, "elsewhere", synced)
		Expect(w.eventuallyEvent(ctx, "elsewhere", "TakenOver")).To(And(ContainSubstring("made elsewhere"), ContainSubstring("PIN procedure: User PIN -> PIN letter")))
	})

	It("is refused without a call when the revision is too far above", func(ctx SpecContext) {
		object := w.procedure("far", 10_001)
		create(ctx, object)
		Expect(describe(w.eventually(ctx, "far", map[string]string{"Ready": "False AwaitingSignatures"}).Status.Conditions)).To(ContainSubstring("set spec.deletionPolicy to Retain"))
		create(ctx, w.signature(object, w.one), w.signature(object, w.two))
		w.eventually(ctx, "far", map[string]string{"Ready": "False RefusedByHost", "Signed": "True TwoOfficersSigned", "Synced": "False RefusedByHost", "Stalled": "True RefusedByHost"},
			ContainSubstring("apply it again with a revision of at most 10000"))

		By("the way out")
		w.change(ctx, "far", func(o *v1alpha1.TokenProcedure) { o.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain })
		Expect(k8s.Delete(ctx, object)).To(Succeed())
		w.eventuallyGone(ctx, object)
		w.accepted(ctx, w.procedure("far", 10_000))
	})

	It("decides which of two objects keeps a name", func(ctx SpecContext) {
		older := w.procedure("shared", 1)
		older.Name = "a-older" // the same second is decided by name
		newer := w.procedure("shared", 2)
		newer.Name = "b-newer"
		create(ctx, older)
		w.eventually(ctx, "a-older", map[string]string{"Ready": "False AwaitingSignatures"})
		create(ctx, newer)
		w.eventually(ctx, "b-newer", map[string]string{"Ready": "False NameConflict", "Stalled": "True NameConflict", "Signed": "Unknown NotSubmittable"},
			ContainSubstring(`the TokenProcedure "a-older" keeps the name "shared"`))
		w.eventuallyEvent(ctx, "b-newer", "NameConflict")
		w.submit(ctx, w.requestOf(newer))
		w.eventually(ctx, "b-newer", synced)
		w.eventually(ctx, "a-older", map[string]string{"Ready": "False NameConflict"})
		Expect(k8s.Delete(ctx, newer)).To(Succeed())
		w.eventually(ctx, "a-older", map[string]string{"Ready": "False StaleRevision"})
	})
})

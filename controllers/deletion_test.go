package controllers_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// closes is the deletion policy Close.
func closes(object *v1alpha1.TokenProcedure) {
	object.Spec.DeletionPolicy = v1alpha1.DeletionPolicyClose
}

// closing is the request that closes what an object stands for.
func (w *world) closing(object *v1alpha1.TokenProcedure) request.Request {
	closing := w.requestOf(object)
	closing.Revision++
	closing.Procedure.State = request.Closed
	return closing
}

// now is the time at which officers sign in tests.
func now() time.Time { return time.Now() }

// atHost tells what the host has under a name: the state and the revision.
func (w *world) atHost(ctx context.Context, name string) (state string, revision int64) {
	GinkgoHelper()
	reader, err := w.host.Client(w.host.Reader)
	Expect(err).NotTo(HaveOccurred())
	answer, err := reader.GetTokenProcedureWithResponse(ctx, name)
	Expect(err).NotTo(HaveOccurred())
	if answer.JSON200 == nil {
		return "", 0
	}
	return answer.JSON200.Procedure.State, answer.JSON200.Revision
}

func (w *world) eventuallyGone(ctx context.Context, object client.Object) {
	GinkgoHelper()
	Eventually(ctx, func() bool {
		return apierrors.IsNotFound(k8s.Get(ctx, client.ObjectKeyFromObject(object), object))
	}).WithTimeout(waiting).WithPolling(polling).Should(BeTrue(), "the object is still there")
}

var awaitsClosing = map[string]string{
	"Ready": "False AwaitingSignatures", "Validated": "True RulesSatisfied", "Signed": "False AwaitingSignatures", "Reconciling": "True Closing", "Stalled": "", "Active": "True ActiveAtHost",
}

var _ = Describe("deleting a procedure", func() {
	var w *world
	BeforeEach(func(ctx SpecContext) {
		elsewhere := signingtest.Procedure("elsewhere")
		elsewhere.CardSerialNumber = &request.CardSerialNumber{Enabled: new(bool)}
		w = newWorld(ctx, func(o *hosttest.Options) { o.Procedures = []request.Procedure{elsewhere} })
		w.connect(ctx)
		w.start()
	})

	It("leaves the host alone without a policy", func(ctx SpecContext) {
		object := w.procedure("retained", 1)
		w.accepted(ctx, object)
		Expect(k8s.Delete(ctx, object)).To(Succeed())
		w.eventuallyGone(ctx, object)
		state, revision := w.atHost(ctx, "retained")
		Expect(state).To(Equal("Active"))
		Expect(revision).To(BeEquivalentTo(1))
		w.eventuallySignature(ctx, "retained-r1-officer-1", map[string]string{"Verified": "Unknown ProcedureNotFound"})
	})

	It("waits with Close until two officers have signed the closing request", func(ctx SpecContext) {
		object := w.procedure("closes", 1, closes)
		w.accepted(ctx, object)
		host := w.eventuallyHost(ctx, "Connected")
		Expect(host.Finalizers).To(ConsistOf(v1alpha1.FinalizerClose))
		Expect(k8s.Delete(ctx, object)).To(Succeed())
		waits := w.eventually(ctx, "closes", awaitsClosing)
		digest, err := w.closing(object).Digest()
		Expect(err).NotTo(HaveOccurred())
		Expect(waits.Status.Request).To(Equal(&v1alpha1.SignableRequest{Revision: 2, Digest: digest}))
		Expect(describe(waits.Status.Conditions)).To(ContainSubstring("set spec.deletionPolicy to Retain"))
		create(ctx, w.signatureOf(object, w.closing(object), w.one, now()), w.signatureOf(object, w.closing(object), w.two, now()))
		w.eventuallyGone(ctx, object)
		state, revision := w.atHost(ctx, "closes")
		Expect(state).To(Equal("Closed"))
		Expect(revision).To(BeEquivalentTo(2))
		Eventually(func() []string { return w.eventuallyHost(ctx, "Connected").Finalizers }).WithTimeout(waiting).Should(BeEmpty())
	})

	It("goes at once when the closing request was signed before, whatever else is deleted with it", func(ctx SpecContext) {
		object := w.procedure("presigned", 1, closes)
		w.accepted(ctx, object)
		create(ctx, w.signatureOf(object, w.closing(object), w.one, now()), w.signatureOf(object, w.closing(object), w.two, now()))
		w.eventuallySignature(ctx, "presigned-r2-officer-2", map[string]string{"Verified": "True OfficerSignature", "Counted": "False RevisionAhead"})
		host := w.cmHost()
		Expect(k8s.Delete(ctx, host)).To(Succeed())
		Expect(k8s.Delete(ctx, object)).To(Succeed())
		Expect(k8s.Delete(ctx, w.signature(object, w.one))).To(Succeed())
		w.eventuallyGone(ctx, object)
		w.eventuallyGone(ctx, host)
		state, _ := w.atHost(ctx, "presigned")
		Expect(state).To(Equal("Closed"))
	})

	It("is released by Retain at any time, recorded in an event", func(ctx SpecContext) {
		object := w.procedure("released", 1, closes)
		w.accepted(ctx, object)
		Expect(k8s.Delete(ctx, object)).To(Succeed())
		w.eventually(ctx, "released", awaitsClosing)
		w.change(ctx, "released", func(o *v1alpha1.TokenProcedure) { o.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain })
		w.eventuallyGone(ctx, object)
		w.eventuallyEvent(ctx, "released", "Released")
		state, _ := w.atHost(ctx, "released")
		Expect(state).To(Equal("Active"))
	})

	It("says the way out when Secret and host are gone, and takes it in a terminating namespace", func(ctx SpecContext) {
		object := w.procedure("stuck", 1, closes)
		w.accepted(ctx, object)
		Expect(k8s.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}})).To(Succeed())
		for _, each := range []client.Object{object, w.cmHost(), w.secret(w.host.Submitter)} {
			Expect(k8s.Delete(ctx, each)).To(Succeed())
		}
		Expect(w.host.Stop()).To(Succeed())
		w.eventually(ctx, "stuck", map[string]string{"Ready": "False HostUnavailable", "Reconciling": "True Closing", "Validated": "Unknown HostUnavailable"},
			ContainSubstring("set spec.deletionPolicy to Retain"), ContainSubstring("namespace that is being deleted"))
		w.change(ctx, "stuck", func(o *v1alpha1.TokenProcedure) { o.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain })
		w.eventuallyGone(ctx, object)
		w.eventuallyGone(ctx, w.cmHost())
	})

	It("goes at once as a draft, and when it is not on the host", func(ctx SpecContext) {
		draft := true
		drafted := w.procedure("drafted", 1, closes, func(o *v1alpha1.TokenProcedure) { o.Spec.Draft = &draft })
		unsigned := w.procedure("unsigned", 1, closes)
		create(ctx, drafted, unsigned)
		w.eventually(ctx, "drafted", map[string]string{"Ready": "False Draft"})
		Expect(w.eventually(ctx, "unsigned", map[string]string{"Ready": "False AwaitingSignatures"}).Finalizers).To(ConsistOf(v1alpha1.FinalizerClose))
		for _, object := range []client.Object{drafted, unsigned} {
			Expect(k8s.Delete(ctx, object)).To(Succeed())
			w.eventuallyGone(ctx, object)
		}
		w.eventuallyEvent(ctx, "unsigned", "Released")
	})

	It("closes what was made elsewhere, too", func(ctx SpecContext) {
		object := w.procedure("elsewhere", 7, closes)
		create(ctx, object)
		w.eventually(ctx, "elsewhere", map[string]string{"Ready": "False AwaitingSignatures"})
		Expect(k8s.Delete(ctx, object)).To(Succeed())
		w.eventually(ctx, "elsewhere", awaitsClosing)
		create(ctx, w.signatureOf(object, w.closing(object), w.one, now()), w.signatureOf(object, w.closing(object), w.two, now()))
		w.eventuallyGone(ctx, object)
		state, revision := w.atHost(ctx, "elsewhere")
		Expect(state).To(Equal("Closed"))
		Expect(revision).To(BeEquivalentTo(8))
	})

	It("sets the finalizer only while the policy is Close", func(ctx SpecContext) {
		object := w.procedure("switches", 1)
		w.accepted(ctx, object)
		w.change(ctx, "switches", closes)
		Eventually(func() []string { return w.eventually(ctx, "switches", nil).Finalizers }).WithTimeout(waiting).Should(ConsistOf(v1alpha1.FinalizerClose))
		w.eventually(ctx, "switches", synced)
		w.change(ctx, "switches", func(o *v1alpha1.TokenProcedure) { o.Spec.DeletionPolicy = "" })
		Eventually(func() []string { return w.eventually(ctx, "switches", nil).Finalizers }).WithTimeout(waiting).Should(BeEmpty())
		Eventually(func() []string { return w.eventuallyHost(ctx, "Connected").Finalizers }).WithTimeout(waiting).Should(BeEmpty())
	})
})

package controllers_test

import (
	"context"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/load"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// withUserPIN changes the PIN procedure.
func withUserPIN(o *v1alpha1.TokenProcedure) { o.Spec.Procedure.PINProcedure = "User PIN" }

// changeTo signs and applies the next revision of an object.
func (w *world) changeTo(ctx context.Context, object *v1alpha1.TokenProcedure) {
	GinkgoHelper()
	create(ctx, w.signature(object, w.one), w.signature(object, w.two))
	w.change(ctx, object.Name, func(o *v1alpha1.TokenProcedure) { o.Spec = object.Spec })
	w.eventually(ctx, object.Name, synced)
}

// deleted deletes an object, but not its signatures.
func (w *world) deleted(ctx context.Context, object *v1alpha1.TokenProcedure) {
	GinkgoHelper()
	Expect(k8s.Delete(ctx, object)).To(Succeed())
	w.eventuallyGone(ctx, object)
}

// putRefused submits a request to the host behind the operator's back, and returns why the host refuses it.
func (w *world) putRefused(ctx context.Context, object *v1alpha1.TokenProcedure, at time.Time) (problemType, reason, detail string) {
	GinkgoHelper()
	submitter, err := w.host.Client(w.host.Submitter)
	Expect(err).NotTo(HaveOccurred())
	signed := w.requestOf(object)
	_, problem, err := hosttest.Put(ctx, submitter, signed, w.one.Sign(GinkgoTB(), signed, at), w.two.Sign(GinkgoTB(), signed, at))
	Expect(err).NotTo(HaveOccurred())
	Expect(problem).NotTo(BeNil(), "the host took it")
	return problem.Type, problem.Reason, problem.Detail
}

var _ = Describe("an approval from before", func() {
	var w *world
	BeforeEach(func(ctx SpecContext) {
		w = newWorld(ctx)
		w.connect(ctx)
		w.start()
	})
	superseded := map[string]string{"Verified": "True OfficerSignature", "Counted": "False Superseded"}

	It("brings nothing back for an object that was deleted and made again", func(ctx SpecContext) {
		first := w.procedure("card", 1)
		w.accepted(ctx, first)
		second := w.procedure("card", 2, withUserPIN)
		w.changeTo(ctx, second)
		length := w.logLength(ctx)

		By("made again at the old revision, whose signatures are all there")
		w.deleted(ctx, second)
		again := w.procedure("card", 1)
		create(ctx, again)
		w.eventually(ctx, "card", map[string]string{"Ready": "False Drifted", "Signed": "Unknown NotSubmittable", "Stalled": "True Drifted"},
			ContainSubstring("PIN procedure: PIN letter -> User PIN"), ContainSubstring("had revision 1 and has revision 2 now"))
		w.eventuallySignature(ctx, "card-r1-officer-1", superseded, ContainSubstring("signed for revision 1; the CM host has revision 2"), ContainSubstring("PIN procedure: User PIN -> PIN letter"))

		By("made again at the host's revision with other content")
		w.deleted(ctx, again)
		again = w.procedure("card", 2, withUserPIN, func(o *v1alpha1.TokenProcedure) { o.Spec.Procedure.InputView = "Visitor" })
		create(ctx, again)
		w.eventually(ctx, "card", map[string]string{"Ready": "False StaleRevision", "Signed": "Unknown NotSubmittable"},
			ContainSubstring("Input view: Visitor -> (none)"))

		By("made again at a higher revision")
		w.deleted(ctx, again)
		again = w.procedure("card", 3)
		create(ctx, again)
		w.eventually(ctx, "card", map[string]string{"Ready": "False AwaitingSignatures"})
		w.eventuallySignature(ctx, "card-r2-officer-2", map[string]string{"Counted": "True Counted"}, ContainSubstring("covers revision 2")) // what the host took last
		w.eventuallySignature(ctx, "card-r1-officer-2", superseded, ContainSubstring("Revision: expected 3, signed 1"))

		By("made again exactly as the host has it: adopted without a write")
		w.deleted(ctx, again)
		create(ctx, w.procedure("card", 2, withUserPIN))
		w.eventually(ctx, "card", synced)
		Expect(w.logLength(ctx)).To(Equal(length))
		w.eventuallySignature(ctx, "card-r1-officer-1", superseded, ContainSubstring("signed for revision 1; the CM host has revision 2; PIN procedure: User PIN -> PIN letter"))
	})

	It("does not open what was closed with its object", func(ctx SpecContext) {
		object := w.procedure("card", 1, closes)
		w.accepted(ctx, object)
		create(ctx, w.signatureOf(object, w.closing(object), w.one, now()), w.signatureOf(object, w.closing(object), w.two, now()))
		w.deleted(ctx, object)
		again := w.procedure("card", 1, closes)
		create(ctx, again)
		w.eventually(ctx, "card", map[string]string{"Ready": "False Drifted", "Closed": "True ClosedAtHost"},
			ContainSubstring("State: Active -> Closed"))
		w.eventuallySignature(ctx, "card-r1-officer-2", superseded, ContainSubstring("the CM host has revision 2"), ContainSubstring("State: Closed -> Active"))
		problemType, reason, _ := w.putRefused(ctx, object, now())
		Expect([]string{problemType, reason}).To(Equal([]string{"https://tokenprocedures.dev/problems/stale-revision", v1alpha1.ReasonStaleRevision}))
		w.deleted(ctx, again)
		state, revision := w.atHost(ctx, "card")
		Expect(state).To(Equal("Closed"))
		Expect(revision).To(BeEquivalentTo(2))
	})

	It("is worth nothing to a host that was restored from an old backup", func(ctx SpecContext) {
		first := w.procedure("card", 1)
		w.accepted(ctx, first)
		Expect(w.host.Stop()).To(Succeed())
		backup, err := os.ReadFile(w.host.Database())
		Expect(err).NotTo(HaveOccurred())
		Expect(w.host.Restart()).To(Succeed())
		lost := w.procedure("card", 2, withUserPIN)
		w.changeTo(ctx, lost)
		head := w.logHead(ctx)
		Eventually(func() string { return w.eventuallyHost(ctx, "Connected").Status.Log.Head }).WithTimeout(waiting).Should(Equal(head))
		wanted := w.procedure("card", 3, func(o *v1alpha1.TokenProcedure) { o.Spec.Procedure.InputView = "Visitor" })
		w.change(ctx, "card", func(o *v1alpha1.TokenProcedure) { o.Spec = wanted.Spec })
		w.eventually(ctx, "card", map[string]string{"Ready": "False AwaitingSignatures"})
		Expect(w.host.Stop()).To(Succeed())
		w.restore(backup)
		Expect(w.host.Restart()).To(Succeed())

		rewound := w.eventuallyHost(ctx, "HistoryRewound")
		Expect(describe(rewound.Status.Conditions)).To(And(ContainSubstring("expected entry"), ContainSubstring(head), ContainSubstring("with head "+w.logHead(ctx))))
		w.eventually(ctx, "card", hostDown)
		before := rewound.DeepCopy()
		rewound.Annotations = map[string]string{v1alpha1.AnnotationAcceptLogHead: w.logHead(ctx)}
		Expect(k8s.Patch(ctx, rewound, client.MergeFrom(before))).To(Succeed())
		w.eventuallyHost(ctx, "Connected")

		w.eventually(ctx, "card", map[string]string{"Ready": "False AwaitingSignatures"})
		w.eventuallySignature(ctx, "card-r2-officer-1", superseded, ContainSubstring(
			"Revision: expected 3, signed 2; PIN procedure: expected PIN letter, signed User PIN; Input view: expected Visitor, signed (none)"))
		_, revision := w.atHost(ctx, "card")
		Expect(revision).To(BeEquivalentTo(1))
		problemType, reason, detail := w.putRefused(ctx, lost, now().AddDate(0, 0, -31))
		Expect([]string{problemType, reason}).To(Equal([]string{"https://tokenprocedures.dev/problems/signature", v1alpha1.ReasonSignatureExpired}))
		Expect(detail).To(ContainSubstring("a signature can be used for 30 days"))
		create(ctx, w.signature(wanted, w.one), w.signature(wanted, w.two))
		w.eventually(ctx, "card", synced)
	})

	It("does not count once its officer has lost a role, before the host took it", func(ctx SpecContext) {
		object := w.procedure("card", 1)
		create(ctx, object, w.signature(object, w.one))
		w.eventuallySignature(ctx, "card-r1-officer-1", map[string]string{"Counted": "True Counted"})
		demoted := w.one
		demoted.Roles = []string{v1alpha1.RoleUseAWB}
		Expect(w.host.Load(load.Input{Officers: signingtest.Officers(demoted, w.two, w.three)})).To(Succeed())
		w.eventuallySignature(ctx, "card-r1-officer-1", map[string]string{"Verified": "False MissingRole", "Counted": "False NotVerified"},
			ContainSubstring("officer officer-1 does not have the role `Policy tasks`"))
		create(ctx, w.signature(object, w.two))
		w.eventuallySignature(ctx, "card-r1-officer-2", map[string]string{"Counted": "True Counted"})
		w.eventually(ctx, "card", map[string]string{"Ready": "False AwaitingSignatures"}, ContainSubstring("card-r1-officer-1 (MissingRole)"))
		problemType, reason, detail := w.putRefused(ctx, object, now())
		Expect([]string{problemType, reason}).To(Equal([]string{"https://tokenprocedures.dev/problems/officer", v1alpha1.ReasonMissingRole}))
		Expect(detail).To(ContainSubstring("`Policy tasks`"))
		create(ctx, w.signature(object, w.three))
		w.eventually(ctx, "card", synced)
	})
})

var _ = Describe("a register that cannot be read", func() {
	It("makes everybody wait, whatever was known of its officers before", func(ctx SpecContext) {
		w := newWorld(ctx)
		var closed atomic.Bool
		closed.Store(true)
		road := newProxy(w, func(r *http.Request) fault {
			if closed.Load() && operationOf(r) == "GET officers" {
				return faultDown
			}
			return faultNone
		})
		host := w.cmHost()
		host.Spec.URL = road.URL
		first, second := w.procedure("first", 1), w.procedure("second", 1)
		create(ctx, w.secret(w.host.Submitter), host, first, w.signature(first, w.one), w.signature(first, w.two))
		w.start()
		w.eventually(ctx, "first", hostDown)
		w.eventuallySignature(ctx, "first-r1-officer-1", map[string]string{"Verified": "Unknown HostUnavailable", "Counted": "False NotVerified", "Reconciling": "True HostUnavailable"})
		closed.Store(false)
		w.eventually(ctx, "first", synced)

		By("it changes, and its new form cannot be read: the old one is not good enough")
		submissions := road.count("PUT token-procedures/{name}")
		closed.Store(true)
		demoted := w.one
		demoted.State = "Closed"
		Expect(w.host.Load(load.Input{Officers: signingtest.Officers(demoted, w.two, w.three)})).To(Succeed())
		w.eventuallyHost(ctx, "Unreachable")
		create(ctx, second, w.signature(second, w.one), w.signature(second, w.two))
		w.eventually(ctx, "second", hostDown)
		w.eventuallySignature(ctx, "second-r1-officer-1", map[string]string{"Verified": "Unknown HostUnavailable"})
		Expect(road.count("PUT token-procedures/{name}")).To(Equal(submissions))
		closed.Store(false)
		w.eventuallySignature(ctx, "second-r1-officer-1", map[string]string{"Verified": "False OfficerClosed", "Counted": "False NotVerified"})
		w.eventually(ctx, "second", map[string]string{"Ready": "False AwaitingSignatures"})
	})
})

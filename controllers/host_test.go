package controllers_test

import (
	"fmt"
	"os"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/load"
)

var hostDown = map[string]string{"Ready": "Unknown HostUnavailable", "Validated": "Unknown HostUnavailable", "Signed": "Unknown NotValidated", "Synced": "False NotValidated", "Reconciling": "True HostUnavailable", "Stalled": ""}

var _ = Describe("a CM host", func() {
	var w *world
	BeforeEach(func(ctx SpecContext) {
		w = newWorld(ctx)
	})

	It("says what its Secret lacks, and connects once it is right", func(ctx SpecContext) {
		object := w.procedure("card", 1)
		create(ctx, w.cmHost(), object, w.signature(object, w.one), w.signature(object, w.two))
		w.start()
		w.eventuallyHost(ctx, "SecretNotFound")
		w.eventually(ctx, "card", hostDown)
		w.eventuallySignature(ctx, "card-r1-officer-1", map[string]string{"Verified": "Unknown HostUnavailable", "Counted": "False NotVerified", "Reconciling": "True HostUnavailable"})
		secret := w.secret(w.host.Submitter)
		delete(secret.Data, "ca.crt")
		secret.Type = corev1.SecretTypeOpaque
		create(ctx, secret)
		Expect(describe(w.eventuallyHost(ctx, "SecretInvalid").Status.Conditions)).To(ContainSubstring("has no ca.crt"))
		secret.Data["ca.crt"] = w.host.CA
		Expect(k8s.Update(ctx, secret)).To(Succeed())
		w.eventually(ctx, "card", synced)
		w.eventuallyHost(ctx, "Connected")
	})

	It("of another audience is Stalled", func(ctx SpecContext) {
		host := w.cmHost()
		host.Spec.Audience = "cm.production"
		create(ctx, w.secret(w.host.Submitter), host, w.procedure("card", 1))
		w.start()
		refused := w.eventuallyHost(ctx, "AudienceMismatch")
		Expect(reasonsOf(refused.Status.Conditions, refused.Generation)).To(HaveKeyWithValue("Stalled", "True AudienceMismatch"))
		w.eventually(ctx, "card", hostDown)
	})

	It("that does not permit the client says so, and a rotated Secret is picked up without a restart", func(ctx SpecContext) {
		object := w.procedure("card", 1)
		create(ctx, w.secret(w.host.Unlisted), w.cmHost(), object)
		w.start()
		w.eventuallyHost(ctx, "NotPermitted")
		rotated := w.secret(w.host.Submitter)
		Expect(k8s.Update(ctx, rotated)).To(Succeed())
		w.eventuallyHost(ctx, "Connected")
		w.eventually(ctx, "card", map[string]string{"Ready": "False AwaitingSignatures"})
	})

	It("that lets the client only read is NotPermitted once something is submitted", func(ctx SpecContext) {
		object := w.procedure("card", 1)
		create(ctx, w.secret(w.host.Reader), w.cmHost(), object, w.signature(object, w.one), w.signature(object, w.two))
		w.start()
		w.eventuallyHost(ctx, "NotPermitted")
		w.eventually(ctx, "card", map[string]string{"Ready": "Unknown HostUnavailable", "Reconciling": "True HostUnavailable"})
		Expect(k8s.Update(ctx, w.secret(w.host.Submitter))).To(Succeed())
		w.eventually(ctx, "card", synced)
	})

	It("that goes down leaves what was Ready alone, also across a restart of the operator", func(ctx SpecContext) {
		w.connect(ctx)
		w.start()
		object := w.procedure("ready", 1)
		w.accepted(ctx, object)
		create(ctx, w.procedure("waits", 1))
		w.eventually(ctx, "waits", map[string]string{"Ready": "False AwaitingSignatures"})
		before := w.eventually(ctx, "ready", synced)
		Expect(w.host.Stop()).To(Succeed())
		w.eventuallyHost(ctx, "Unreachable")
		w.eventually(ctx, "waits", hostDown)
		w.stop()
		w.start()
		w.settled()
		Consistently(func() string { return w.eventually(ctx, "ready", synced).ResourceVersion }).WithTimeout(quiet).Should(Equal(before.ResourceVersion))
		two := int64(2)
		w.change(ctx, "ready", func(o *v1alpha1.TokenProcedure) { o.Spec.Revision = &two })
		down := w.eventually(ctx, "ready", hostDown)
		Expect(down.Status.Host).NotTo(BeNil())
		w.eventually(ctx, "ready", map[string]string{"Active": "True ActiveAtHost"})
		Expect(w.host.Restart()).To(Succeed())
		w.eventually(ctx, "waits", map[string]string{"Ready": "False AwaitingSignatures"})
		w.eventually(ctx, "ready", map[string]string{"Ready": "False AwaitingSignatures", "Active": "True ActiveAtHost"})
	})

	It("that is down makes nothing true that somebody else writes into a status", func(ctx SpecContext) {
		w.connect(ctx)
		w.start()
		w.accepted(ctx, w.procedure("ready", 1))
		waits := w.procedure("waits", 1)
		signature := w.signature(waits, w.one)
		create(ctx, waits, signature)
		w.eventually(ctx, "waits", map[string]string{"Ready": "False AwaitingSignatures"})
		Expect(w.host.Stop()).To(Succeed())
		w.eventuallyHost(ctx, "Unreachable")
		w.eventually(ctx, "waits", hostDown)
		forge := func(object client.Object, patch client.Patch) {
			Expect(k8s.Status().Patch(ctx, object, patch)).To(Succeed())
			forged := object.GetResourceVersion()
			Eventually(func() string {
				Expect(k8s.Get(ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
				return object.GetResourceVersion()
			}).WithTimeout(waiting).ShouldNot(Equal(forged))
		}
		status := func(text string) client.Patch {
			return client.RawPatch(types.MergePatchType, []byte(`{"status":`+text+`}`))
		}
		condition := func(kind, status, reason string) string {
			return fmt.Sprintf(`{"type":%q,"status":%q,"reason":%q,"message":"forged","observedGeneration":1,"lastTransitionTime":"2026-01-01T00:00:00Z"}`, kind, status, reason)
		}
		forge(waits, status(`{"host":{"revision":99,"state":"Closed"},"conditions":[`+condition("Ready", "True", "UpToDate")+`]}`))
		Eventually(func() *v1alpha1.HostProcedureStatus {
			return w.eventually(ctx, "waits", map[string]string{"Ready": "Unknown HostUnavailable", "Reconciling": "True HostUnavailable", "Closed": "Unknown NotAtHost"}).Status.Host
		}).WithTimeout(waiting).Should(BeNil())
		ready := w.eventually(ctx, "ready", synced)
		forge(ready, status(`{"host":{"revision":99,"state":"Closed"}}`))
		w.eventually(ctx, "ready", map[string]string{"Ready": "Unknown HostUnavailable", "Active": "Unknown NotAtHost"})
		forge(signature, status(`{"conditions":[`+condition("Verified", "True", "OfficerSignature")+`]}`))
		w.eventuallySignature(ctx, signature.Name, map[string]string{"Verified": "Unknown HostUnavailable"})
		Expect(w.host.Restart()).To(Succeed())
		w.eventually(ctx, "waits", map[string]string{"Ready": "False AwaitingSignatures"})
		w.eventuallySignature(ctx, signature.Name, map[string]string{"Verified": "True OfficerSignature"})
		restored := w.eventually(ctx, "ready", synced)
		Expect(*restored.Status.Host.Revision).To(Equal(int64(1)))

		By("another outage, after the times of the conditions were changed, which nothing brings back")
		changed := restored.DeepCopy()
		for i := range changed.Status.Conditions {
			changed.Status.Conditions[i].LastTransitionTime = metav1.NewTime(time.Now().Add(-2 * time.Hour))
		}
		forge(changed, client.MergeFrom(restored))
		w.settled()
		restored = w.eventually(ctx, "ready", synced)
		Expect(w.host.Stop()).To(Succeed())
		w.eventuallyHost(ctx, "Unreachable")
		w.settled()
		Consistently(func() string { return w.eventually(ctx, "ready", synced).ResourceVersion }).WithTimeout(quiet).Should(Equal(restored.ResourceVersion))
	})

	It("that was restored from a backup is not written to before a person accepts its log", func(ctx SpecContext) {
		w.connect(ctx)
		w.start()
		w.accepted(ctx, w.procedure("kept", 1))
		Expect(w.host.Stop()).To(Succeed())
		backup, err := os.ReadFile(w.host.Database())
		Expect(err).NotTo(HaveOccurred())
		Expect(w.host.Restart()).To(Succeed())
		w.accepted(ctx, w.procedure("lost", 1))
		Eventually(func() int64 { return *w.eventuallyHost(ctx, "Connected").Status.Log.Length }).WithTimeout(waiting).Should(Equal(w.logLength(ctx)))
		Expect(w.host.Stop()).To(Succeed())
		w.restore(backup)
		Expect(w.host.Restart()).To(Succeed())
		w.eventuallyHost(ctx, "HistoryRewound")
		w.eventually(ctx, "lost", synced)
		object := w.procedure("new", 1)
		create(ctx, object, w.signature(object, w.one), w.signature(object, w.two))
		w.eventually(ctx, "new", hostDown)
		_, revision := w.atHost(ctx, "lost")
		Expect(revision).To(BeZero())

		By("the operator starts anew and still remembers")
		w.stop()
		w.start()
		w.settled()
		rewound := w.eventuallyHost(ctx, "HistoryRewound")
		head := w.logHead(ctx)
		Expect(describe(rewound.Status.Conditions)).To(ContainSubstring("cm.tokenprocedures.dev/accept-log-head: " + head))
		before := rewound.DeepCopy()
		rewound.Annotations = map[string]string{v1alpha1.AnnotationAcceptLogHead: head}
		Expect(k8s.Patch(ctx, rewound, client.MergeFrom(before))).To(Succeed())
		w.eventuallyHost(ctx, "Connected")
		w.eventually(ctx, "new", synced)
		w.eventually(ctx, "lost", synced)
		_, revision = w.atHost(ctx, "lost")
		Expect(revision).To(BeEquivalentTo(1))
	})

	It("wakes the procedures that refer to what changes in its catalogue", func(ctx SpecContext) {
		w.connect(ctx)
		w.start()
		object := w.procedure("card", 1)
		object.Spec.Procedure.PINProcedure = "Fingerprint"
		create(ctx, object)
		w.eventually(ctx, "card", map[string]string{"Ready": "False UnknownReference", "Validated": "False UnknownReference", "Stalled": "True UnknownReference"})
		catalog, err := hosttest.SampleCatalog()
		Expect(err).NotTo(HaveOccurred())
		added := catalog.PINProcedures[0]
		added.Name = "Fingerprint"
		catalog.PINProcedures = append(catalog.PINProcedures, added)
		Expect(w.host.Load(load.Input{Catalog: catalog})).To(Succeed())
		w.eventually(ctx, "card", map[string]string{"Ready": "False AwaitingSignatures", "Validated": "True RulesSatisfied"})
		create(ctx, w.signature(object, w.one), w.signature(object, w.two))
		w.eventually(ctx, "card", synced)
		catalog.PINProcedures[len(catalog.PINProcedures)-1].State = "Closed"
		Expect(w.host.Load(load.Input{Catalog: catalog, AllowBreaking: true})).To(Succeed())
		Eventually(func() []v1alpha1.Warning { return w.eventually(ctx, "card", synced).Status.Warnings }).WithTimeout(waiting).
			Should(ContainElement(HaveField("Reason", v1alpha1.ReasonReferenceClosed)))
	})
})

package controllers_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

var synced = map[string]string{
	"Ready": "True UpToDate", "Validated": "True RulesSatisfied", "Signed": "True TwoOfficersSigned", "Synced": "True UpToDate",
	"Active": "True ActiveAtHost", "Closed": "False ActiveAtHost", "Reconciling": "", "Stalled": "",
}

var _ = Describe("the straight path", func() {
	It("waits for two officers, submits once, and becomes Active", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.connect(ctx)
		w.start()
		object := w.procedure("Card", 1)
		object.Name = "card"
		create(ctx, object)
		waits := w.eventually(ctx, "card", map[string]string{
			"Ready": "False AwaitingSignatures", "Validated": "True RulesSatisfied", "Signed": "False AwaitingSignatures",
			"Synced": "False AwaitingSignatures", "Active": "Unknown NotAtHost", "Closed": "Unknown NotAtHost", "Reconciling": "", "Stalled": "",
		})
		digest, err := w.requestOf(object).Digest()
		Expect(err).NotTo(HaveOccurred())
		Expect(waits.Status.Request).To(Equal(&v1alpha1.SignableRequest{Revision: 1, Digest: digest}))
		Expect(describe(waits.Status.Conditions)).To(ContainSubstring("2 officers must sign revision 1 with the digest " + digest))

		create(ctx, w.signature(object, w.one))
		w.eventuallySignature(ctx, "card-r1-officer-1", map[string]string{"Ready": "True Counted", "Verified": "True OfficerSignature", "Counted": "True Counted"})
		Eventually(func() string { return describe(w.eventually(ctx, "card", nil).Status.Conditions) }).
			Should(ContainSubstring("signed by officer officer-1; 1 more officer must sign revision 1 with the digest " + digest))

		create(ctx, w.signature(object, w.two))
		done := w.eventually(ctx, "card", synced)
		Expect(done.Status.Request).To(BeNil())
		Expect(done.Status.Host.Digest).To(Equal(digest))
		Expect(*done.Status.Host.Revision).To(BeEquivalentTo(1))
		Expect(done.Status.Signatures).To(HaveLen(2))
		Expect(done.Status.Signatures[0].SignatureName).To(Equal("card-r1-officer-1"))
		w.eventuallySignature(ctx, "card-r1-officer-2", map[string]string{"Ready": "True Counted", "Counted": "True Counted"})
		w.eventuallyHost(ctx, "Connected")
	})

	It("costs one status write per object when everything is there at the start, and nothing on a restart", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.connect(ctx)
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			object := w.procedure(name, 1)
			create(ctx, object, w.signature(object, w.one), w.signature(object, w.two))
		}
		w.start()
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			w.eventually(ctx, name, synced)
			w.eventuallySignature(ctx, name+"-r1-officer-1", map[string]string{"Ready": "True Counted"})
			w.eventuallySignature(ctx, name+"-r1-officer-2", map[string]string{"Ready": "True Counted"})
		}
		Consistently(w.writes.snapshot).WithTimeout(quiet).Should(And(
			HaveKeyWithValue("PATCH tokenprocedures/status", 5),
			HaveKeyWithValue("PATCH proceduresignatures/status", 10),
			Not(HaveKey("POST events")), Not(HaveKey("PUT tokenprocedures/status")),
		))
		w.stop()
		w.writes = &writeCounter{}
		w.start()
		w.settled()
		Consistently(w.writes.snapshot).WithTimeout(quiet).Should(And(
			Not(HaveKey("PATCH tokenprocedures/status")), Not(HaveKey("PATCH proceduresignatures/status")), Not(HaveKey("POST events")),
		))
	})
})

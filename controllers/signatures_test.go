package controllers_test

import (
	"encoding/base64"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/load"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

var _ = Describe("a signature", func() {
	var (
		w                        *world
		closed, roleless, beyond signingtest.Officer
		stranger                 signingtest.Officer
		object                   *v1alpha1.TokenProcedure
	)
	BeforeEach(func(ctx SpecContext) {
		t := GinkgoTB()
		closed, roleless, beyond, stranger = signingtest.New(t, "closed"), signingtest.New(t, "roleless"), signingtest.New(t, "beyond"), signingtest.New(t, "stranger")
		closed.State, roleless.Roles, beyond.Domain = "Closed", []string{"Use AWB"}, "Emea"
		w = newWorld(ctx, func(o *hosttest.Options) {
			o.Officers = append(o.Officers, closed.Officer, roleless.Officer, beyond.Officer)
		})
		w.connect(ctx)
		w.start()
		object = w.procedure("card", 1)
		create(ctx, object)
	})

	It("that is not good is never counted, and says why", func(ctx SpecContext) {
		now := time.Now()
		good := w.requestOf(object)
		other := good
		other.Procedure.PINProcedure = "User PIN"
		ahead, wrongName, wrongHost := good, good, good
		ahead.Revision, wrongName.Procedure.Name, wrongHost.Audience = 2, "other", "cm.other"
		forged := w.signatureOf(object, good, w.one, now)
		der, err := base64.StdEncoding.DecodeString(forged.Spec.Signature)
		Expect(err).NotTo(HaveOccurred())
		der[len(der)-1] ^= 1
		forged.Spec.Signature = base64.StdEncoding.EncodeToString(der)
		malformed := w.signatureOf(object, good, w.one, now)
		malformed.Spec.Signature = "AAAA"
		cases := []struct {
			signature         *v1alpha1.ProcedureSignature
			verified, counted string
			stalled           bool
		}{
			{forged, "False BadSignature", "False NotVerified", true},
			{malformed, "False Malformed", "False NotVerified", true},
			{w.signatureOf(object, good, stranger, now), "False UnknownSigner", "False NotVerified", false},
			{w.signatureOf(object, good, closed, now), "False OfficerClosed", "False NotVerified", false},
			{w.signatureOf(object, good, roleless, now), "False MissingRole", "False NotVerified", false},
			{w.signatureOf(object, good, beyond, now), "False OutsideDomain", "False NotVerified", false},
			{w.signatureOf(object, good, w.two, now.Add(-31*24*time.Hour)), "False SignatureExpired", "False NotVerified", false},
			{w.signatureOf(object, good, w.two, now.Add(time.Hour)), "False SigningTimeInFuture", "False NotVerified", false},
			{w.signatureOf(object, wrongName, w.two, now), "False OtherProcedure", "False NotVerified", true},
			{w.signatureOf(object, wrongHost, w.two, now), "False OtherHost", "False NotVerified", true},
			{w.signatureOf(object, other, w.two, now), "True OfficerSignature", "False ContentDiffers", false},
			{w.signatureOf(object, ahead, w.two, now), "True OfficerSignature", "False RevisionAhead", false},
			{w.signatureOf(object, good, w.one, now), "True OfficerSignature", "True Counted", false},
		}
		for i, c := range cases {
			c.signature.Name = fmt.Sprintf("s%02d", i)
			create(ctx, c.signature)
		}
		for i, c := range cases {
			stalled := ""
			if c.stalled {
				stalled = "True" + c.verified[len("False"):]
			}
			w.eventuallySignature(ctx, fmt.Sprintf("s%02d", i), map[string]string{"Verified": c.verified, "Counted": c.counted, "Stalled": stalled})
		}
		again := w.signatureOf(object, good, w.one, now.Add(time.Second))
		again.Name = "same-officer-again"
		create(ctx, again)
		w.eventuallySignature(ctx, again.Name, map[string]string{"Verified": "True OfficerSignature", "Counted": "False SameOfficer"})
		waits := w.eventually(ctx, "card", map[string]string{"Signed": "False AwaitingSignatures"},
			ContainSubstring("s00 (BadSignature)"), ContainSubstring("s01 (Malformed)"), ContainSubstring("more"))
		Expect(waits.Status.Signatures).To(HaveLen(1))
	})

	It("counts instead of an earlier one of the same officer that is deleted", func(ctx SpecContext) {
		first := w.signature(object, w.one)
		create(ctx, first)
		w.eventuallySignature(ctx, first.Name, map[string]string{"Counted": "True Counted"})
		second := w.signatureOf(object, w.requestOf(object), w.one, time.Now())
		second.Name = "later"
		create(ctx, second)
		w.eventuallySignature(ctx, "later", map[string]string{"Counted": "False SameOfficer"})
		Expect(k8s.Delete(ctx, first)).To(Succeed())
		w.eventuallySignature(ctx, "later", map[string]string{"Counted": "True Counted"})
	})

	It("rests on the host's evidence once its request was accepted, whatever becomes of the officer", func(ctx SpecContext) {
		create(ctx, w.signature(object, w.one), w.signature(object, w.two))
		w.eventually(ctx, "card", synced)
		gone := w.one
		gone.State = "Closed"
		Expect(w.host.Load(load.Input{Officers: signingtest.Officers(gone, w.three)})).To(Succeed())
		w.eventuallySignature(ctx, "card-r1-officer-1", map[string]string{"Verified": "True RecordedByHost", "Counted": "True Counted", "Ready": "True Counted"})
		w.eventuallySignature(ctx, "card-r1-officer-2", map[string]string{"Verified": "True RecordedByHost", "Counted": "True Counted"})
		w.eventually(ctx, "card", synced)
	})

	It("becomes good when its officer is registered", func(ctx SpecContext) {
		create(ctx, w.signature(object, stranger), w.signature(object, w.two))
		w.eventuallySignature(ctx, "card-r1-stranger", map[string]string{"Verified": "False UnknownSigner"})
		Expect(w.host.Load(load.Input{Officers: append([]signing.Officer{stranger.Officer}, signingtest.Officers(w.one, w.two)...)})).To(Succeed())
		w.eventually(ctx, "card", synced)
		w.eventuallySignature(ctx, "card-r1-stranger", map[string]string{"Verified": "True OfficerSignature", "Counted": "True Counted"})
	})

	It("waits for its procedure", func(ctx SpecContext) {
		later := w.procedure("later", 1)
		create(ctx, w.signature(later, w.one))
		w.eventuallySignature(ctx, "later-r1-officer-1", map[string]string{"Ready": "Unknown ProcedureNotFound", "Verified": "Unknown ProcedureNotFound", "Counted": "False NotVerified"})
		create(ctx, later)
		w.eventuallySignature(ctx, "later-r1-officer-1", map[string]string{"Ready": "True Counted"})
	})

	It("keeps its status right when somebody else writes it", func(ctx SpecContext) {
		signature := w.signature(object, w.one)
		create(ctx, signature)
		judged := w.eventuallySignature(ctx, signature.Name, map[string]string{"Ready": "True Counted"})
		judged.Status.Officer.ID = "somebody"
		judged.Status.Conditions = append(judged.Status.Conditions, metav1.Condition{Type: "Approved", Status: "True", Reason: "BySomebody", LastTransitionTime: metav1.Now()})
		Expect(k8s.Status().Update(ctx, judged, client.FieldOwner("somebody"))).To(Succeed())
		Eventually(func(g Gomega) {
			again := w.eventuallySignature(ctx, signature.Name, map[string]string{"Ready": "True Counted"})
			g.Expect(again.Status.Officer.ID).To(Equal("officer-1"))
			g.Expect(again.Status.Conditions).To(HaveLen(3))
		}).WithTimeout(waiting).Should(Succeed())
	})
})

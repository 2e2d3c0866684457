package controllers_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

var _ = Describe("overlapping card serial numbers", func() {
	overlap := func(names string) OmegaMatcher {
		return ContainElement(And(HaveField("Reason", v1alpha1.ReasonOverlappingSerialRange), HaveField("Message", ContainSubstring(names))))
	}

	ranged := func(w *world, name, from, to string) *v1alpha1.TokenProcedure {
		return w.procedure(name, 1, func(o *v1alpha1.TokenProcedure) {
			o.Spec.Procedure.CardSerialNumber = &v1alpha1.CardSerialNumber{
				Enabled: new(true), Range: &v1alpha1.SerialNumberRange{From: v1alpha1.SerialNumber(from), To: v1alpha1.SerialNumber(to)},
			}
		})
	}

	It("are warned of before anyone signs, whatever becomes Active meanwhile", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.connect(ctx)
		w.start()
		waits := map[string]string{"Ready": "False AwaitingSignatures"}
		create(ctx, ranged(w, "waits", "100", "199"))
		Expect(w.eventually(ctx, "waits", waits).Status.Warnings).To(BeEmpty())
		w.accepted(ctx, ranged(w, "faster", "150", "249"))
		w.accepted(ctx, ranged(w, "elsewhere", "250", "349"))
		found := func() []v1alpha1.Warning { return w.eventually(ctx, "waits", waits).Status.Warnings }
		Eventually(found).WithTimeout(waiting).Should(overlap(`"faster", 150 to 249`))
		Expect(found()).To(HaveLen(1))
	}, SpecTimeout(2*time.Minute))

	It("are warned of on both sides while both are Active, in status and events", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.connect(ctx)
		w.start()
		warnings := func(ctx context.Context, name string) []v1alpha1.Warning {
			return w.eventually(ctx, name, synced).Status.Warnings
		}
		first := ranged(w, "first", "100", "199")
		w.accepted(ctx, first)
		Expect(warnings(ctx, "first")).To(BeEmpty())

		w.accepted(ctx, ranged(w, "second", "150", "249"))
		Expect(warnings(ctx, "second")).To(overlap(`"first", 100 to 199: both can give the numbers 150 to 199`))
		Eventually(func() []v1alpha1.Warning { return warnings(ctx, "first") }).WithTimeout(waiting).Should(overlap(`"second", 150 to 249`))
		w.eventuallyEvent(ctx, "first", v1alpha1.ReasonOverlappingSerialRange)

		two := int64(2)
		closed := w.change(ctx, "second", func(o *v1alpha1.TokenProcedure) {
			o.Spec.Revision, o.Spec.Procedure.State = &two, v1alpha1.StateClosed
		})
		create(ctx, w.signature(closed, w.one), w.signature(closed, w.two))
		w.eventually(ctx, "second", map[string]string{"Ready": "True UpToDate", "Closed": "True ClosedAtHost"})
		Eventually(func() []v1alpha1.Warning { return warnings(ctx, "first") }).WithTimeout(waiting).Should(BeEmpty())
	}, SpecTimeout(2*time.Minute))
})

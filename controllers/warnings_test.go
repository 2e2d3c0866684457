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

	It("are warned of on both sides while both are Active, in status and events", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.connect(ctx)
		w.start()
		enabled := true
		ranged := func(name, from, to string) *v1alpha1.TokenProcedure {
			return w.procedure(name, 1, func(o *v1alpha1.TokenProcedure) {
				o.Spec.Procedure.CardSerialNumber = &v1alpha1.CardSerialNumber{
					Enabled: &enabled, Range: &v1alpha1.SerialNumberRange{From: v1alpha1.SerialNumber(from), To: v1alpha1.SerialNumber(to)},
				}
			})
		}
		warnings := func(ctx context.Context, name string) []v1alpha1.Warning {
			return w.eventually(ctx, name, synced).Status.Warnings
		}
		first := ranged("first", "100", "199")
		w.accepted(ctx, first)
		Expect(warnings(ctx, "first")).To(BeEmpty())

		w.accepted(ctx, ranged("second", "150", "249"))
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

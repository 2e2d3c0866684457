package controllers_test

import (
	"net/http"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
)

var _ = Describe("clocks that differ", func() {
	It("delay a submission that the host takes for one of the future, and nothing else", func(ctx SpecContext) {
		var ahead atomic.Int64
		ahead.Store(int64(-10 * time.Minute))
		w := newWorld(ctx, func(o *hosttest.Options) {
			o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		})
		road := newProxy(w, func(*http.Request) fault { return faultNone })
		host := w.cmHost()
		host.Spec.URL = road.URL
		object := w.procedure("card", 1)
		create(ctx, w.secret(w.host.Submitter), host, object, w.signature(object, w.one), w.signature(object, w.two))
		w.start()
		w.eventually(ctx, "card", map[string]string{"Ready": "False RefusedByHost", "Signed": "True TwoOfficersSigned", "Stalled": "True RefusedByHost"},
			ContainSubstring("SigningTimeInFuture"), ContainSubstring("asked again, since that passes with time"))
		Consistently(func() int { return road.count("PUT token-procedures/{name}") }).WithTimeout(2*quiet).Should(BeNumerically("<=", 8), "it is asked less and less often")
		ahead.Store(0)
		w.eventuallyWithin(ctx, "card", synced, time.Minute)

		By("the host's clock is ahead: what it took counts, whatever the operator's clock says")
		ahead.Store(int64(10 * time.Minute))
		later := w.procedure("later", 1)
		w.accepted(ctx, later)
		w.stop()
		w.start()
		w.settled()
		w.eventually(ctx, "later", synced)
		w.agrees(ctx, map[string][]string{"card": {w.digest(object)}, "later": {w.digest(later)}})
	}, SpecTimeout(2*time.Minute))

	It("keep a signature of the future waiting until its time has come", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.connect(ctx)
		w.start()
		object := w.procedure("card", 1)
		soon := now().Add(5*time.Minute + 4*time.Second)
		create(ctx, object, w.signature(object, w.one), w.signatureOf(object, w.requestOf(object), w.two, soon))
		w.eventuallySignature(ctx, "card-r1-officer-2", map[string]string{"Verified": "False SigningTimeInFuture", "Counted": "False NotVerified"})
		w.eventually(ctx, "card", synced)
		w.eventuallySignature(ctx, "card-r1-officer-2", map[string]string{"Counted": "True Counted"})
	})
})

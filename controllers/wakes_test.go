package controllers_test

import (
	"fmt"
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/load"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// passes is how often a controller has reconciled anything, whatever came of it.
func passes(controller string) (count float64) {
	GinkgoHelper()
	families, err := ctrlmetrics.Registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	for _, family := range families {
		if family.GetName() != "controller_runtime_reconcile_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "controller" && label.GetValue() == controller {
					count += metric.GetCounter().GetValue()
				}
			}
		}
	}
	return count
}

// woken is what some change has woken: passes over procedures and over signatures.
type woken struct{ procedures, signatures float64 }

func passesNow() woken { return woken{passes("tokenprocedure"), passes("proceduresignature")} }

func (before woken) since() woken {
	now := passesNow()
	return woken{now.procedures - before.procedures, now.signatures - before.signatures}
}

var _ = Describe("a change at the host", func() {
	It("wakes exactly what it concerns, and reads only that", func(ctx SpecContext) {
		const procedures = 30
		w := newWorld(ctx)
		road := newProxy(w, func(*http.Request) fault { return faultNone })
		host := w.cmHost()
		host.Spec.URL = road.URL
		create(ctx, w.secret(w.host.Submitter), host)
		for i := range procedures {
			object := w.procedure(fmt.Sprintf("p%03d", i), 1)
			if i < 2 {
				object.Spec.Procedure.PINProcedure = "User PIN"
			}
			create(ctx, object, w.signature(object, w.one), w.signature(object, w.two))
		}
		waits := w.procedure("waits", 1)
		create(ctx, waits, w.signature(waits, w.three))
		w.start()
		for i := range procedures {
			w.eventually(ctx, fmt.Sprintf("p%03d", i), synced)
		}
		w.eventuallySignature(ctx, "waits-r1-officer-3", map[string]string{"Counted": "True Counted"})
		rests := func() {
			last := woken{}
			Eventually(func() (more woken) {
				more, last = last.since(), passesNow()
				return more
			}).WithTimeout(waiting).WithPolling(quiet).Should(BeZero())
		}
		rests()

		By("a PIN procedure that two of them refer to")
		catalog, err := hosttest.SampleCatalog()
		Expect(err).NotTo(HaveOccurred())
		for i := range catalog.PINProcedures {
			if catalog.PINProcedures[i].Name == "User PIN" {
				catalog.PINProcedures[i].Domain, catalog.PINProcedures[i].VisibleInSubdomain = "Corp", true
			}
		}
		before, read := passesNow(), road.count("GET catalog")
		Expect(w.host.Load(load.Input{Catalog: catalog, AllowBreaking: true})).To(Succeed())
		Eventually(func() woken { return before.since() }).WithTimeout(waiting).Should(Equal(woken{procedures: 2}))
		Consistently(func() woken { return before.since() }).WithTimeout(quiet).Should(Equal(woken{procedures: 2}))
		Expect(road.count("GET catalog") - read).To(Equal(1))

		By("the officer who signed one of them")
		richer := w.three
		richer.Roles = append(richer.Roles, "Something else")
		before = passesNow()
		Expect(w.host.Load(load.Input{Officers: signingtest.Officers(w.one, w.two, richer)})).To(Succeed())
		Eventually(func() woken { return before.since() }).WithTimeout(waiting).Should(Equal(woken{procedures: 1, signatures: 1}))
		Consistently(func() woken { return before.since() }).WithTimeout(quiet).Should(Equal(woken{procedures: 1, signatures: 1}))

		By("an officer who signed what the host has accepted, which stays so")
		first := w.one
		first.Roles = append(first.Roles, "Something else")
		before = passesNow()
		Expect(w.host.Load(load.Input{Officers: signingtest.Officers(first, w.two, richer)})).To(Succeed())
		Eventually(func() woken { return before.since() }).WithTimeout(waiting).Should(Equal(woken{signatures: procedures}))
		Consistently(func() woken { return before.since() }).WithTimeout(quiet).Should(Equal(woken{signatures: procedures}))

		By("one of them itself, read once with its history")
		other := w.requestOf(w.procedure("p007", 2, func(o *v1alpha1.TokenProcedure) { o.Spec.Procedure.InputView = "Visitor" }))
		before = passesNow()
		w.submit(ctx, other)
		w.eventually(ctx, "p007", map[string]string{"Ready": "False Drifted"})
		w.eventuallySignature(ctx, "p007-r1-officer-1", map[string]string{"Counted": "False Superseded"})
		rests()
		Expect(before.since().procedures).To(BeNumerically("<=", 3), "its change, its own report, and the report of nothing else")
		Expect(before.since().signatures).To(BeNumerically("<=", 6))
		Expect(road.count("GET token-procedures/{name}")).To(BeNumerically("<=", 2), "once for the list, once for its content")
		Expect(road.count("GET token-procedures/{name}/history")).To(Equal(1))
	})
})

package controllers_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmclient"
)

// logLines is a log in memory.
type logLines struct {
	mu    sync.Mutex
	bytes bytes.Buffer
}

func (l *logLines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes.Write(line)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes.String()
}

// of are the lines about one procedure, each with its message and the values of some keys.
func (l *logLines) of(procedure string, keys ...string) (story []string) {
	for line := range strings.Lines(l.String()) {
		var fields map[string]any
		Expect(json.Unmarshal([]byte(line), &fields)).To(Succeed(), line)
		if fields["procedure"] != procedure {
			continue
		}
		Expect(strings.Count(line, `"digest":`)).To(BeNumerically("<=", 1), "a line has each key once: %s", line)
		text := fields["msg"].(string)
		for _, key := range keys {
			if value, found := fields[key].(string); found {
				text += " " + value
			}
		}
		story = append(story, text)
	}
	return story
}

var _ = Describe("observing", func() {
	It("follows one procedure through the log, makes events of transitions only, and counts each call", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.connect(ctx)
		log := &logLines{}
		w.operator = startReplica(w.writes.wrap(restConfig), w.namespace, func(o *ctrl.Options) {
			o.Logger = logr.FromSlogHandler(slog.NewJSONHandler(log, nil))
		})
		DeferCleanup(w.stop)
		object, broken := w.procedure("card", 1), w.procedure("broken", 1)
		broken.Spec.Procedure.PINProcedure = "no such"
		create(ctx, object, broken, w.signature(object, w.one))
		w.eventuallySignature(ctx, "card-r1-officer-1", map[string]string{"Counted": "True Counted"})
		w.eventually(ctx, "card", map[string]string{"Ready": "False AwaitingSignatures"})
		create(ctx, w.signature(object, w.two))
		w.eventually(ctx, "card", synced)
		w.eventuallySignature(ctx, "card-r1-officer-2", map[string]string{"Counted": "True Counted"})
		w.eventually(ctx, "broken", map[string]string{"Ready": "False UnknownReference"})
		Eventually(w.writes.snapshot).WithTimeout(waiting).Should(HaveKeyWithValue("POST events", 1), "the unknown reference")

		By("the log tells the story, once")
		Eventually(func() []string { return log.of("card", "ready", "reason") }).WithTimeout(waiting).Should(ContainElements(
			"status reported False AwaitingSignatures", "request accepted by the CM host", "status reported True UpToDate", "status reported True Counted"))
		Expect(slices.DeleteFunc(log.of("card"), func(text string) bool { return text != "request accepted by the CM host" })).To(HaveLen(1))
		Expect(log.of("card", "digest")).To(ContainElement("request accepted by the CM host " + w.digest(object)))
		Expect(log.String()).NotTo(Or(ContainSubstring("PRIVATE KEY"), ContainSubstring(w.signature(object, w.one).Spec.Signature[:64]), ContainSubstring("PIN letter")))

		By("what is reconciled again makes no event, no write and no line")
		events, lines := w.writes.snapshot(), len(log.of("broken"))+len(log.of("card"))
		for range 5 {
			for _, name := range []string{"card", "broken"} {
				current := &v1alpha1.TokenProcedure{}
				Expect(k8s.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: name}, current)).To(Succeed())
				before := current.DeepCopy()
				current.Labels = map[string]string{"touched": current.ResourceVersion}
				Expect(k8s.Patch(ctx, current, client.MergeFrom(before))).To(Succeed())
			}
		}
		w.stop()
		w.start()
		w.settled()
		notHosts := func() map[string]int {
			counts := w.writes.snapshot()
			delete(counts, "PATCH cmhosts/status")
			return counts
		}
		delete(events, "PATCH cmhosts/status")
		Consistently(notHosts).WithTimeout(quiet).Should(Equal(events))
		Expect(len(log.of("broken")) + len(log.of("card"))).To(Equal(lines))

		By("every call that was counted was foreseen")
		foreseen := map[string]bool{}
		for operation, result := range cmclient.Outcomes() {
			foreseen[operation+" "+result] = true
		}
		families, err := ctrlmetrics.Registry.Gather()
		Expect(err).NotTo(HaveOccurred())
		counted := 0
		for _, family := range families {
			if family.GetName() != "tokenprocedure_cmhost_calls_total" {
				continue
			}
			for _, metric := range family.GetMetric() {
				Expect(slices.Collect(maps.Keys(foreseen))).To(ContainElement(metric.GetLabel()[0].GetValue() + " " + metric.GetLabel()[1].GetValue()))
				counted++
			}
		}
		Expect(counted).To(Equal(len(foreseen)))
	})

	It("makes spans of reconciles and of calls to the host, which gets the trace's name, and tells nothing of what they hold", func(ctx SpecContext) {
		exporter := tracetest.NewInMemoryExporter()
		provider, before, propagator := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter)), otel.GetTracerProvider(), otel.GetTextMapPropagator()
		otel.SetTracerProvider(provider)
		otel.SetTextMapPropagator(propagation.TraceContext{})
		DeferCleanup(func() {
			otel.SetTracerProvider(before)
			otel.SetTextMapPropagator(propagator)
		})
		w := newWorld(ctx)
		var mu sync.Mutex
		var parents []string
		road := newProxy(w, func(r *http.Request) fault {
			mu.Lock()
			defer mu.Unlock()
			if r.Method == http.MethodPut {
				parents = append(parents, r.Header.Get("traceparent"))
			}
			return faultNone
		})
		host := w.cmHost()
		host.Spec.URL = road.URL
		object := w.procedure("card", 1)
		create(ctx, w.secret(w.host.Submitter), host, object, w.signature(object, w.one), w.signature(object, w.two))
		w.start()
		w.eventually(ctx, "card", synced)
		w.stop()

		spans := exporter.GetSpans()
		at := slices.IndexFunc(spans, func(s tracetest.SpanStub) bool { return s.Name == "cmhost putTokenProcedure" })
		Expect(at).To(BeNumerically(">=", 0))
		submission := spans[at]
		parent := slices.IndexFunc(spans, func(s tracetest.SpanStub) bool {
			return s.Name == "reconcile TokenProcedure" && s.SpanContext.SpanID() == submission.Parent.SpanID()
		})
		Expect(parent).To(BeNumerically(">=", 0), "the submission is part of a reconcile")
		Expect(parents).To(ContainElement(ContainSubstring(submission.SpanContext.TraceID().String() + "-" + submission.SpanContext.SpanID().String())))
		for _, span := range spans {
			for _, attribute := range span.Attributes {
				Expect(string(attribute.Key)).To(BeElementOf("cmhost.operation", "cmhost.result", "k8s.namespace.name",
					"k8s.tokenprocedure.name", "k8s.proceduresignature.name", "k8s.cmhost.name"))
			}
		}
	})
})

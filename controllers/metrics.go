package controllers

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmclient"
)

// metrics are what is counted. No label names an object, and every series that an alert looks at is there from the start,
// as a rate needs a value before the first event.
type metrics struct {
	calls         *prometheus.CounterVec
	durations     *prometheus.HistogramVec
	verifications *prometheus.CounterVec
	drifts        prometheus.Counter
	changeLag     prometheus.Histogram
	timeToSigned  prometheus.Histogram
	timeToSynced  prometheus.Histogram
	states        *stateCollector
}

// waitingBuckets are for what waits for people: seconds to a month.
var waitingBuckets = []float64{1, 10, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 86400, 2 * 86400, 4 * 86400, 7 * 86400, 30 * 86400}

func newMetrics(reader client.Reader, pool *cmclient.Pool, now func() time.Time) *metrics {
	m := &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenprocedure_cmhost_calls_total",
			Help: "Calls to CM hosts by operation and result: ok, the type of the host's problem, or the reason for which the host cannot be used.",
		}, []string{"operation", "result"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tokenprocedure_cmhost_call_duration_seconds",
			Help:    "How long calls to CM hosts took, by operation. watchChanges waits up to 50 seconds for a change.",
			Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}, []string{"operation"}),
		verifications: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenprocedure_signature_verifications_total",
			Help: "Signatures that were verified, by the reason of the verdict.",
		}, []string{"reason"}),
		drifts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tokenprocedure_drifts_total",
			Help: "How often a procedure was found changed at the CM host: it became Drifted or StaleRevision.",
		}),
		changeLag: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tokenprocedure_cmhost_change_lag_seconds",
			Help:    "From a CM host's acceptance of a change that this operator did not submit to the report of it. Compares the clocks of both.",
			Buckets: []float64{.1, .25, .5, 1, 2, 5, 10, 30, 60, 300, 1800, 3600, 86400},
		}),
		timeToSigned: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tokenprocedure_time_to_signed_seconds",
			Help:    "From when a request could be signed to two counting signatures.",
			Buckets: waitingBuckets,
		}),
		timeToSynced: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tokenprocedure_time_to_synced_seconds",
			Help:    "From when a request could be signed to its acceptance by the CM host.",
			Buckets: waitingBuckets,
		}),
		states: &stateCollector{reader: reader, pool: pool, now: now},
	}
	for operation, result := range cmclient.Outcomes() {
		m.calls.WithLabelValues(operation, result)
		m.durations.WithLabelValues(operation)
	}
	for _, reason := range verdictReasons {
		m.verifications.WithLabelValues(reason)
	}
	return m
}

// verdictReasons are the reasons of a verdict.
var verdictReasons = []string{
	v1alpha1.ReasonOfficerSignature, v1alpha1.ReasonMalformed, v1alpha1.ReasonWeakAlgorithm, v1alpha1.ReasonUnknownSigner, v1alpha1.ReasonBadSignature,
	v1alpha1.ReasonOfficerClosed, v1alpha1.ReasonCertificateExpired, v1alpha1.ReasonCertificateNotYetValid, v1alpha1.ReasonMissingRole,
	v1alpha1.ReasonOutsideDomain, v1alpha1.ReasonSignatureExpired, v1alpha1.ReasonSigningTimeInFuture, v1alpha1.ReasonOtherProcedure,
	v1alpha1.ReasonOtherHost, v1alpha1.ReasonHostUnavailable,
}

// called is cmclient.Observe.
func (m *metrics) called(operation, result string, took time.Duration) {
	m.calls.WithLabelValues(operation, result).Inc()
	m.durations.WithLabelValues(operation).Observe(took.Seconds())
}

// verified counts a verification that was really made.
func (m *metrics) verified(reason string) { m.verifications.WithLabelValues(reason).Inc() }

// changedAtHost are the reasons of Ready with which the host has something else than git says.
var changedAtHost = map[string]bool{v1alpha1.ReasonDrifted: true, v1alpha1.ReasonStaleRevision: true}

// reported measures what a report of a procedure's status says for the first time.
func (m *metrics) reported(f *facts, before, after *v1alpha1.TokenProcedureStatus, now time.Time) {
	ready := readyReason(after.Conditions)
	if changedAtHost[ready] && !changedAtHost[readyReason(before.Conditions)] {
		m.drifts.Inc()
	}
	if accepted := changeSeen(f, before, after); !accepted.IsZero() {
		m.changeLag.Observe(max(now.Sub(accepted), 0).Seconds())
	}
	generation, waited := f.object.Generation, now.Sub(waitingSince(f.object, before, now)).Seconds()
	signedBefore, synced := holdsFor(before, generation, v1alpha1.ConditionSigned), holdsFor(after, generation, v1alpha1.ConditionSynced)
	if adopted := synced && !f.submitted; holdsFor(after, generation, v1alpha1.ConditionSigned) && !signedBefore && !adopted {
		m.timeToSigned.Observe(waited)
	}
	if synced && !holdsFor(before, generation, v1alpha1.ConditionSynced) && (f.submitted || signedBefore) {
		m.timeToSynced.Observe(waited)
	}
}

// holdsFor tells whether a condition is True for a generation.
func holdsFor(status *v1alpha1.TokenProcedureStatus, generation int64, conditionType string) bool {
	condition := meta.FindStatusCondition(status.Conditions, conditionType)
	return condition != nil && condition.Status == metav1.ConditionTrue && condition.ObservedGeneration == generation
}

// waitingSince is when a request that is not at the host could first be signed: since then it keeps the rules and the
// host has something else. It rests on what the last report said, so that it outlives a restart; what no report has
// seen waiting begins with the object's creation, or now.
func waitingSince(object *v1alpha1.TokenProcedure, before *v1alpha1.TokenProcedureStatus, now time.Time) time.Time {
	validated, synced := meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionValidated), meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionSynced)
	switch {
	case validated == nil || synced == nil:
		return object.CreationTimestamp.Time
	case synced.Status == metav1.ConditionTrue || validated.Reason == v1alpha1.ReasonDraft:
		return now
	case validated.Status == metav1.ConditionTrue && validated.LastTransitionTime.After(synced.LastTransitionTime.Time):
		return validated.LastTransitionTime.Time
	}
	return synced.LastTransitionTime.Time
}

// changeSeen is when the host accepted what a report shows for the first time; zero if that is nothing, or ours.
func changeSeen(f *facts, before, after *v1alpha1.TokenProcedureStatus) time.Time {
	if f.submitted || f.host.entry == nil || before.Host == nil || after.Host == nil || before.Host.Digest == after.Host.Digest {
		return time.Time{}
	}
	return f.host.entry.AcceptedAt
}

// register registers the metrics for as long as the manager runs and leads.
func (m *metrics) register(mgr ctrl.Manager) error {
	return mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		for _, collector := range m.collectors() {
			if err := ctrlmetrics.Registry.Register(collector); err != nil {
				return err
			}
			defer ctrlmetrics.Registry.Unregister(collector)
		}
		<-ctx.Done()
		return nil
	}))
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.calls, m.durations, m.verifications, m.drifts, m.changeLag, m.timeToSigned, m.timeToSynced, m.states}
}

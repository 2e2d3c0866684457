package controllers

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// metrics are what is counted. No label names an object.
type metrics struct {
	calls         *prometheus.HistogramVec
	verifications *prometheus.CounterVec
	states        *stateCollector
}

func newMetrics(reader client.Reader) *metrics {
	return &metrics{
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tokenprocedure_cmhost_call_duration_seconds",
			Help:    "Calls to CM hosts by operation and result: ok, a problem type, or the reason for which the host cannot be used.",
			Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}, []string{"operation", "result"}),
		verifications: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenprocedure_signature_verifications_total",
			Help: "Signatures that were verified, by the reason of the verdict.",
		}, []string{"reason"}),
		states: &stateCollector{reader: reader},
	}
}

// called is cmclient.Observe.
func (m *metrics) called(operation, result string, took time.Duration) {
	m.calls.WithLabelValues(operation, result).Observe(took.Seconds())
}

// verified counts a verification that was really made.
func (m *metrics) verified(reason string) { m.verifications.WithLabelValues(reason).Inc() }

// register registers the metrics for as long as the manager runs.
func (m *metrics) register(mgr ctrl.Manager) error {
	collectors := []prometheus.Collector{m.calls, m.verifications, m.states}
	return mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		for _, collector := range collectors {
			if err := ctrlmetrics.Registry.Register(collector); err != nil {
				return err
			}
			defer ctrlmetrics.Registry.Unregister(collector)
		}
		<-ctx.Done()
		return nil
	}))
}

// stateCollector counts procedures and CMHosts by state and reason when somebody asks.
type stateCollector struct{ reader client.Reader }

var (
	proceduresDescription = prometheus.NewDesc("tokenprocedure_procedures", "TokenProcedures by the state at the CM host and the reason of Ready.", []string{"state", "reason"}, nil)
	hostsDescription      = prometheus.NewDesc("tokenprocedure_cmhosts", "CMHosts by the reason of Ready.", []string{"reason"}, nil)
)

// Describe implements prometheus.Collector.
func (c *stateCollector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- proceduresDescription
	descriptions <- hostsDescription
}

// Collect implements prometheus.Collector.
func (c *stateCollector) Collect(values chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var procedures v1alpha1.TokenProcedureList
	var hosts v1alpha1.CMHostList
	for _, into := range []client.ObjectList{&procedures, &hosts} {
		if err := c.reader.List(ctx, into, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err != nil {
			values <- prometheus.NewInvalidMetric(proceduresDescription, err)
			return
		}
	}
	counts := map[[2]string]float64{}
	for i := range procedures.Items {
		status := &procedures.Items[i].Status
		state := "NotAtHost"
		if status.Host != nil {
			state = string(status.Host.State)
		}
		counts[[2]string{state, reasonOf(status.Conditions, v1alpha1.ConditionReady)}]++
	}
	for labels, count := range counts {
		values <- prometheus.MustNewConstMetric(proceduresDescription, prometheus.GaugeValue, count, labels[:]...)
	}
	reasons := map[string]float64{}
	for i := range hosts.Items {
		reasons[reasonOf(hosts.Items[i].Status.Conditions, v1alpha1.ConditionReady)]++
	}
	for reason, count := range reasons {
		values <- prometheus.MustNewConstMetric(hostsDescription, prometheus.GaugeValue, count, reason)
	}
}

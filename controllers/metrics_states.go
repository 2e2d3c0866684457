package controllers

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmclient"
)

// stateCollector counts procedures and CMHosts by state and reason when somebody asks.
type stateCollector struct {
	reader client.Reader
	pool   *cmclient.Pool
	now    func() time.Time
}

var (
	proceduresDescription = prometheus.NewDesc("tokenprocedure_procedures", "TokenProcedures by the state at the CM host and the reason of Ready.", []string{"state", "reason"}, nil)
	hostsDescription      = prometheus.NewDesc("tokenprocedure_cmhosts", "CMHosts by the reason of Ready.", []string{"reason"}, nil)
	silenceDescription    = prometheus.NewDesc("tokenprocedure_cmhost_silence_seconds",
		"How long ago the CM host that has been silent for longest answered last. The change feed answers at least once a minute.", nil, nil)
)

const (
	// stateNotAtHost is the state of what the host does not have.
	stateNotAtHost = "NotAtHost"
	// reasonNotReported is the reason of what has no report yet.
	reasonNotReported = "NotReported"
)

// readyReasons and hostReasons are the reasons that Ready has, each with a value from the first scrape on.
var (
	readyReasons = []string{
		reasonNotReported, v1alpha1.ReasonUpToDate, v1alpha1.ReasonDraft, v1alpha1.ReasonAwaitingSignatures, v1alpha1.ReasonInvalid,
		v1alpha1.ReasonUnknownReference, v1alpha1.ReasonClosedReference, v1alpha1.ReasonNotVisibleInDomain,
		v1alpha1.ReasonCertificateProcedureRequired, v1alpha1.ReasonStorageProfileNotOffered, v1alpha1.ReasonCMHostNotFound,
		v1alpha1.ReasonHostUnavailable, v1alpha1.ReasonNameConflict, v1alpha1.ReasonStaleRevision, v1alpha1.ReasonDrifted, v1alpha1.ReasonRefusedByHost,
	}
	hostReasons = []string{
		reasonNotReported, v1alpha1.ReasonConnected, v1alpha1.ReasonSecretNotFound, v1alpha1.ReasonSecretInvalid, v1alpha1.ReasonAudienceMismatch,
		v1alpha1.ReasonUnreachable, v1alpha1.ReasonTLSRefused, v1alpha1.ReasonNotPermitted, v1alpha1.ReasonHistoryRewound,
	}
	hostStates = []string{stateNotAtHost, string(v1alpha1.StateActive), string(v1alpha1.StateClosed)}
)

// Describe implements prometheus.Collector.
func (c *stateCollector) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- proceduresDescription
	descriptions <- hostsDescription
	descriptions <- silenceDescription
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
	for labels, count := range countProcedures(procedures.Items) {
		values <- prometheus.MustNewConstMetric(proceduresDescription, prometheus.GaugeValue, count, labels[:]...)
	}
	for reason, count := range countHosts(hosts.Items) {
		values <- prometheus.MustNewConstMetric(hostsDescription, prometheus.GaugeValue, count, reason)
	}
	values <- prometheus.MustNewConstMetric(silenceDescription, prometheus.GaugeValue, c.silence(hosts.Items).Seconds())
}

// countProcedures counts procedures by state and reason; every pair has a count.
func countProcedures(procedures []v1alpha1.TokenProcedure) map[[2]string]float64 {
	counts := map[[2]string]float64{}
	for _, state := range hostStates {
		for _, reason := range readyReasons {
			counts[[2]string{state, reason}] = 0
		}
	}
	for i := range procedures {
		status := &procedures[i].Status
		state := stateNotAtHost
		if status.Host != nil {
			state = string(status.Host.State)
		}
		counts[[2]string{state, reportedReason(status.Conditions)}]++
	}
	return counts
}

func countHosts(hosts []v1alpha1.CMHost) map[string]float64 {
	counts := map[string]float64{}
	for _, reason := range hostReasons {
		counts[reason] = 0
	}
	for i := range hosts {
		counts[reportedReason(hosts[i].Status.Conditions)]++
	}
	return counts
}

func reportedReason(conditions []metav1.Condition) string {
	if reason := readyReason(conditions); reason != "" {
		return reason
	}
	return reasonNotReported
}

// silence is how long ago the CM host that has been silent for longest answered last, among those that ever answered.
func (c *stateCollector) silence(hosts []v1alpha1.CMHost) (longest time.Duration) {
	for i := range hosts {
		connection, _ := c.pool.Get(string(hosts[i].UID))
		if connection == nil || connection.LastContact().IsZero() {
			continue
		}
		longest = max(longest, c.now().Sub(connection.LastContact()))
	}
	return longest
}

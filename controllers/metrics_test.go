package controllers

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmclient"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// registered are the metrics of an operator whose cluster has these objects.
func registered(t *testing.T, objects ...client.Object) (*metrics, *prometheus.Registry) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	reader := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
	m := newMetrics(reader, cmclient.NewPool(), func() time.Time { return decisionTime })
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.collectors()...)
	return m, registry
}

func gathered(t *testing.T, registry *prometheus.Registry) []*dto.MetricFamily {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}

func TestMetricsKeepTheConventionsOfPrometheus(t *testing.T) {
	_, registry := registered(t)
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
}

// A name of an object in a label would make a series for each object.
func TestNoMetricIsLabelledByAnObject(t *testing.T) {
	_, registry := registered(t)
	for _, family := range gathered(t, registry) {
		for _, label := range labelsOf(family) {
			if !slices.Contains([]string{"operation", "result", "reason", "state"}, label) {
				t.Errorf("%s has the label %q; expected one with few values", family.GetName(), label)
			}
		}
	}
}

// The page has a row for each metric: its name, type, labels and what it says, as the operator serves it.
func TestEveryMetricIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/observing.md")
	if err != nil {
		t.Fatal(err)
	}
	_, registry := registered(t)
	var rows []string
	for _, family := range gathered(t, registry) {
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |\n", family.GetName(), strings.ToLower(family.GetType().String()), strings.Join(labelsOf(family), ", "), family.GetHelp()))
	}
	for _, row := range rows {
		if !strings.Contains(string(page), row) {
			t.Errorf("expected docs/observing.md to have the row\n%s", row)
		}
	}
	if documented := strings.Count(string(page), "\n| `tokenprocedure_"); documented != len(rows) {
		t.Errorf("docs/observing.md has %d metrics; expected the %d that there are", documented, len(rows))
	}
}

func labelsOf(family *dto.MetricFamily) []string {
	var labels []string
	for _, pair := range family.GetMetric()[0].GetLabel() {
		labels = append(labels, pair.GetName())
	}
	return labels
}

func TestSeriesAreThereFromTheFirstScrape(t *testing.T) {
	_, registry := registered(t)
	for name, expected := range map[string]int{
		"tokenprocedure_procedures":                    len(hostStates) * len(readyReasons),
		"tokenprocedure_cmhosts":                       len(hostReasons),
		"tokenprocedure_signature_verifications_total": len(verdictReasons),
		"tokenprocedure_drifts_total":                  1,
		"tokenprocedure_cmhost_call_duration_seconds":  9,
	} {
		found, err := testutil.GatherAndCount(registry, name)
		if err != nil || found != expected {
			t.Errorf("%s has %d series (%v); expected %d", name, found, err, expected)
		}
	}
}

func TestObjectsAreCountedByStateAndReason(t *testing.T) {
	procedure := func(name, reason string, host *v1alpha1.HostProcedureStatus) *v1alpha1.TokenProcedure {
		object := &v1alpha1.TokenProcedure{ObjectMeta: metav1.ObjectMeta{Namespace: "pki", Name: name}}
		object.Status.Host = host
		if reason != "" {
			object.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: reason}}
		}
		return object
	}
	active := &v1alpha1.HostProcedureStatus{State: v1alpha1.StateActive}
	_, registry := registered(t, procedure("a", "UpToDate", active), procedure("b", "UpToDate", active), procedure("c", "Drifted", active),
		procedure("d", "AwaitingSignatures", nil), procedure("e", "", nil),
		&v1alpha1.CMHost{ObjectMeta: metav1.ObjectMeta{Namespace: "pki", Name: "host"}})
	found := map[string]float64{}
	for _, family := range gathered(t, registry) {
		for _, metric := range family.GetMetric() {
			if value := metric.GetGauge().GetValue(); value != 0 {
				key := family.GetName()
				for _, pair := range metric.GetLabel() {
					key += " " + pair.GetValue()
				}
				found[key] = value
			}
		}
	}
	expected := map[string]float64{
		"tokenprocedure_procedures UpToDate Active": 2, "tokenprocedure_procedures Drifted Active": 1,
		"tokenprocedure_procedures AwaitingSignatures NotAtHost": 1, "tokenprocedure_procedures NotReported NotAtHost": 1,
		"tokenprocedure_cmhosts NotReported": 1,
	}
	if fmt.Sprint(found) != fmt.Sprint(expected) {
		t.Errorf("found %v; expected %v", found, expected)
	}
}

// statusOf is a status with conditions of a generation written as "Type Status Reason minutes-before-now".
func statusOf(generation int64, conditions ...string) v1alpha1.TokenProcedureStatus {
	var status v1alpha1.TokenProcedureStatus
	for _, text := range conditions {
		var c metav1.Condition
		var minutes int
		if _, err := fmt.Sscan(text, &c.Type, &c.Status, &c.Reason, &minutes); err != nil {
			panic(err)
		}
		c.ObservedGeneration = generation
		c.LastTransitionTime = metav1.NewTime(decisionTime.Add(-time.Duration(minutes) * time.Minute))
		status.Conditions = append(status.Conditions, c)
	}
	return status
}

func TestWhatAReportMeasures(t *testing.T) {
	done := []string{"Ready True UpToDate 0", "Validated True RulesSatisfied 0", "Signed True TwoOfficersSigned 0", "Synced True UpToDate 0"}
	waits := []string{"Ready False AwaitingSignatures 90", "Validated True RulesSatisfied 600", "Signed False AwaitingSignatures 90", "Synced False AwaitingSignatures 90"}
	notTaken := []string{"Ready Unknown HostUnavailable 30", "Validated True RulesSatisfied 600", "Signed True TwoOfficersSigned 30", "Synced False HostUnavailable 90"}
	submitted := func(f *facts) { f.submitted = true }
	hour := func(hours float64) string { return fmt.Sprint(hours * 3600) }
	for sentence, c := range map[string]struct {
		facts         []func(*facts)
		before, after v1alpha1.TokenProcedureStatus
		expected      string // time to signed, time to synced, drifts, lag
	}{
		"signed and accepted in one pass":       {[]func(*facts){submitted}, statusOf(3, waits...), statusOf(3, done...), hour(1.5) + " " + hour(1.5) + " 0 -"},
		"signed, and the host does not take it": {nil, statusOf(3, waits...), statusOf(3, notTaken...), hour(1.5) + " - 0 -"},
		"accepted later":                        {[]func(*facts){submitted}, statusOf(3, notTaken...), statusOf(3, done...), "- " + hour(1.5) + " 0 -"},
		"accepted, and the answer was lost":     {nil, statusOf(3, notTaken...), statusOf(3, done...), "- " + hour(1.5) + " 0 -"},
		"complete when it was first seen": {[]func(*facts){submitted, func(f *facts) { f.object.CreationTimestamp = metav1.NewTime(decisionTime.Add(-time.Minute)) }},
			statusOf(0), statusOf(3, done...), "60 60 0 -"},
		"a new generation that arrives signed": {[]func(*facts){submitted}, statusOf(2, done...), statusOf(3, done...), "0 0 0 -"},
		"a draft that is submitted signed":     {[]func(*facts){submitted}, statusOf(2, "Validated False Draft 900", "Synced False NotValidated 900"), statusOf(3, done...), "0 0 0 -"},
		"the time as a draft does not count":   {[]func(*facts){submitted}, statusOf(3, "Validated True RulesSatisfied 30", "Signed False AwaitingSignatures 30", "Synced False AwaitingSignatures 900"), statusOf(3, done...), "1800 1800 0 -"},
		"what the host has already is adopted": {nil, statusOf(0), statusOf(3, done...), "- - 0 -"},
		"nothing new":                          {nil, statusOf(3, done...), statusOf(3, done...), "- - 0 -"},
		"changed at the host":                  {[]func(*facts){held(3, otherPIN)}, atRevision(statusOf(3, done...), "ours"), atRevision(statusOf(3, "Ready False Drifted 0"), "theirs"), "- - 1 0"},
		"still changed at the host":            {nil, statusOf(3, "Ready False Drifted 9"), statusOf(3, "Ready False StaleRevision 0"), "- - 0 -"},
	} {
		t.Run(sentence, func(t *testing.T) {
			m, registry := registered(t)
			m.reported(factsOf(t, c.facts...), &c.before, &c.after, decisionTime)
			sums := map[string]string{}
			for _, family := range gathered(t, registry) {
				metric := family.GetMetric()[0]
				if h := metric.GetHistogram(); h != nil {
					sums[family.GetName()] = "-"
					if h.GetSampleCount() > 0 {
						sums[family.GetName()] = fmt.Sprint(h.GetSampleSum())
					}
				} else {
					sums[family.GetName()] = fmt.Sprint(metric.GetCounter().GetValue())
				}
			}
			found := strings.Join([]string{sums["tokenprocedure_time_to_signed_seconds"], sums["tokenprocedure_time_to_synced_seconds"],
				sums["tokenprocedure_drifts_total"], sums["tokenprocedure_cmhost_change_lag_seconds"]}, " ")
			if found != c.expected {
				t.Errorf("measured %q; expected %q", found, c.expected)
			}
		})
	}
}

func atRevision(status v1alpha1.TokenProcedureStatus, digest string) v1alpha1.TokenProcedureStatus {
	status.Host = &v1alpha1.HostProcedureStatus{Digest: digest, State: v1alpha1.ProcedureState(request.Active)}
	return status
}

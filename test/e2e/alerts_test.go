package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/tokenprocedures/token-procedure-operator/test/observe"
)

// What alerts and dashboard ask for is what operator and host really serve: each metric that an alert names is there, and
// each query of the dashboard brings numbers, evaluated by Prometheus' own engine over what was scraped before and after a story.
func TestAlertsAndDashboardUseRealMetrics(t *testing.T) {
	s := up(t)
	s.hostRefuses()
	before := s.scrape()
	s.driftedProcedure()
	s.hostRefuses()
	var after map[string]string
	s.Eventually(func() map[string]string { after = s.scrape(); return after }).Should(HaveKeyWithValue("tokenprocedure_cmhost_change_lag_seconds_count", "1"))

	alerts, err := observe.ReadAlerts("../..")
	s.Expect(err).NotTo(HaveOccurred())
	served := map[string]bool{}
	for series := range after {
		name, _, _ := strings.Cut(series, "{")
		served[name] = true
	}
	for _, alert := range alerts {
		names := metricName.FindAllString(alert.Expr, -1)
		s.Expect(names).NotTo(BeEmpty(), alert.Alert)
		for _, name := range names {
			s.Expect(served).To(HaveKey(name), alert.Alert)
		}
	}
	document := observe.Document{Tests: []observe.Test{{Name: "the dashboard", Interval: "1m", Queries: dashboardQueries(s)}}}
	for series, value := range after {
		values := strings.Repeat(value+" ", 6)
		if earlier, known := before[series]; known {
			values = strings.Repeat(earlier+" ", 3) + strings.Repeat(value+" ", 3)
		}
		document.Tests[0].Series = append(document.Tests[0].Series, observe.Serie{Series: series, Values: values})
	}
	s.Expect(observe.Run("../..", document)).To(Succeed())
}

var metricName = regexp.MustCompile(`\b(tokenprocedure|cmhost|controller_runtime|workqueue|process)_[a-z_]+`)

// dashboardQueries are the queries of the dashboard, with what Grafana puts in the place of its variables.
func dashboardQueries(s *stack) (queries []observe.Query) {
	content, err := os.ReadFile("../../config/grafana/token-procedures.json")
	s.Expect(err).NotTo(HaveOccurred())
	var dashboard struct {
		Panels []struct {
			Type    string
			Targets []struct{ Expr string }
		}
	}
	s.Expect(json.Unmarshal(content, &dashboard)).To(Succeed())
	variables := strings.NewReplacer("$__rate_interval", "4m", "$__range", "4m")
	for _, panel := range dashboard.Panels {
		s.Expect(panel.Type == "row" || len(panel.Targets) > 0).To(BeTrue(), "a panel has queries")
		for _, target := range panel.Targets {
			queries = append(queries, observe.Query{Expr: variables.Replace(target.Expr), At: "5m"})
		}
	}
	s.Expect(len(queries)).To(BeNumerically(">", 20))
	return queries
}

// scrape reads what operator and host serve, as values by series; what has no value yet is left out.
func (s *stack) scrape() map[string]string {
	s.t.Helper()
	values := map[string]string{}
	for line := range strings.Lines(s.do(`curl -sf "$(cat .local/manager-metrics-url)" "$(cat .local/cmhost-metrics-url)"`)) {
		at := strings.LastIndex(line, " ")
		if strings.HasPrefix(line, "#") || at < 0 || !metricName.MatchString(line[:at]) || strings.Contains(line[at:], "NaN") {
			continue
		}
		values[line[:at]] = strings.TrimSpace(line[at:])
	}
	return values
}

// hostRefuses makes the host refuse a call.
func (s *stack) hostRefuses() {
	s.t.Helper()
	s.do(`curl -s -o /dev/null --cacert .local/host/ca.crt --cert .local/host/reader.crt --key .local/host/reader.key "$(cat .local/host/url)/v1/token-procedures/nobody"`)
}

// driftedProcedure brings a signed procedure to the host, and then lets two officers put another revision there, past the cluster.
func (s *stack) driftedProcedure() {
	s.t.Helper()
	s.apply(procedure)
	s.Eventually(s.condition("tp/visitor-card", "Signed")).Should(Equal("False AwaitingSignatures"))
	s.do(sign("officer-1"))
	s.do(sign("officer-2"))
	s.Eventually(s.condition("tp/visitor-card", "Ready")).Should(Equal("True UpToDate"))
	changed := strings.NewReplacer("revision: 1", "revision: 2", "inputView: Visitor", "inputView: Employee").Replace(procedure)
	s.Expect(os.WriteFile(filepath.Join(s.root, "changed.yaml"), []byte(changed), 0o600)).To(Succeed())
	for _, officer := range []string{"officer-1", "officer-2"} {
		s.do("mkdir -p signed && kubectl tokenproc sign -f changed.yaml --audience cm.local --yes --out signed/" + officer + ".yaml --key file:.local/officers/" +
			officer + ".key --cert .local/officers/" + officer + ".crt")
	}
	s.do(`kubectl tokenproc submit -f signed --yes --host "$(cat .local/host/url)" --host-ca .local/host/ca.crt --host-cert .local/host/client.crt --host-key .local/host/client.key`)
	s.Eventually(s.condition("tp/visitor-card", "Ready")).Should(Equal("False Drifted"))
}

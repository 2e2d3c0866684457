package e2e

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// Alerts on metrics that do not exist never fire: each that the rules name has to be among those of the running operator.
func TestAlertsUseRealMetrics(t *testing.T) {
	rules, err := os.ReadFile("../../config/prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`tokenprocedure_[a-z_]+`).FindAllString(string(rules), -1)
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) < 4 {
		t.Fatalf("expected the rules to use at least four metrics, found %v", names)
	}
	s := up(t)
	s.apply(procedure)
	s.Eventually(s.condition("tp/visitor-card", "Signed")).Should(Equal("False AwaitingSignatures"))
	s.do(sign("officer-1"))
	for _, name := range names {
		s.Eventually(func() string { return s.do(`curl -sf "$(cat .local/manager-metrics-url)"`) }).Should(
			MatchRegexp(`(?m)^`+name+`\{`), name)
	}
}

// Every alert has an entry in the runbooks, where its annotation points to.
func TestEveryAlertHasARunbook(t *testing.T) {
	rules, err := os.ReadFile("../../config/prometheus/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	runbooks, err := os.ReadFile("../../docs/runbooks.md")
	if err != nil {
		t.Fatal(err)
	}
	alerts := regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(string(rules), -1)
	if len(alerts) == 0 {
		t.Fatal("expected the rules to have alerts")
	}
	for _, alert := range alerts {
		if !strings.Contains(string(runbooks), "\n## "+alert[1]+"\n") {
			t.Errorf("expected docs/runbooks.md to have an entry for %s", alert[1])
		}
		if !strings.Contains(string(rules), "docs/runbooks.md#"+strings.ToLower(alert[1])+"\n") {
			t.Errorf("expected the annotation of %s to point to its entry", alert[1])
		}
	}
}

package observe

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const root = "../.."

func alerts(t *testing.T) []Rule {
	t.Helper()
	alerts, err := ReadAlerts(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(alerts) == 0 {
		t.Fatal("expected the rules to have alerts")
	}
	return alerts
}

// Each alert fires, with the labels that people see, and does not where nothing is wrong.
func TestAlertsFireAndKeepQuiet(t *testing.T) {
	content, err := os.ReadFile("testdata/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var document Document
	if err := yaml.UnmarshalStrict(content, &document); err != nil {
		t.Fatal(err)
	}
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, test := range document.Tests {
		for _, expected := range test.Alerts {
			fires[expected.Alert] = fires[expected.Alert] || len(expected.Fires) > 0
			quiet[expected.Alert] = quiet[expected.Alert] || len(expected.Fires) == 0
		}
	}
	for _, rule := range alerts(t) {
		if !fires[rule.Alert] || !quiet[rule.Alert] {
			t.Errorf("expected testdata/alerts.yaml to have cases in which %s fires and in which it does not", rule.Alert)
		}
		rule.Annotations = nil
		document.Rules = append(document.Rules, rule)
	}
	if err := Run(root, document); err != nil {
		t.Error(err)
	}
}

// Every alert has an entry in the runbooks, where its annotation points to.
func TestEveryAlertHasARunbook(t *testing.T) {
	runbooks, err := os.ReadFile(filepath.Join(root, "docs/runbooks.md"))
	if err != nil {
		t.Fatal(err)
	}
	rules := alerts(t)
	for _, alert := range rules {
		if !strings.Contains(string(runbooks), "\n## "+alert.Alert+"\n") {
			t.Errorf("expected docs/runbooks.md to have an entry for %s", alert.Alert)
		}
		if found, expected := alert.Annotations["runbook_url"], "docs/runbooks.md#"+strings.ToLower(alert.Alert); found != expected {
			t.Errorf("the annotation of %s points to %s; expected %s", alert.Alert, found, expected)
		}
	}
	if entries := strings.Count(string(runbooks), "\n## "); entries != len(rules) {
		t.Errorf("docs/runbooks.md has %d entries; expected one for each of the %d alerts", entries, len(rules))
	}
}

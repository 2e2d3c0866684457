// Package observe checks alerts and the dashboard with Prometheus' own parser and engine.
package observe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

// Document is what hack/promql reads.
type Document struct {
	Rules []Rule `json:"rules,omitempty"`
	Tests []Test `json:"tests"`
}

// Rule is one alert of the PrometheusRule.
type Rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Test is what alerts and queries have to make of series.
type Test struct {
	Name     string  `json:"name"`
	Interval string  `json:"interval"`
	Series   []Serie `json:"input_series,omitempty"`
	Alerts   []Alert `json:"alert_rule_test,omitempty"`
	Queries  []Query `json:"queries,omitempty"`
}

// Serie is one series, its values one interval apart.
type Serie struct {
	Series string `json:"series"`
	Values string `json:"values"`
}

// Alert is an alert with what it fires for at a time.
type Alert struct {
	Alert string  `json:"alertname"`
	At    string  `json:"eval_time"`
	Fires []Fired `json:"exp_alerts"`
}

// Fired are the labels of an alert that fires.
type Fired struct {
	Labels map[string]string `json:"exp_labels"`
}

// Query is a query that has to bring a number at a time.
type Query struct {
	Expr string `json:"expr"`
	At   string `json:"eval_time"`
}

// Run evaluates a document. root is the top of the checkout.
func Run(root string, document Document) error {
	encoded, err := json.Marshal(document)
	if err != nil {
		return err
	}
	command := exec.Command("go", "-C", filepath.Join(root, "hack/promql"), "run", ".")
	command.Stdin = bytes.NewReader(encoded)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("promql: %w\n%s", err, output)
	}
	return nil
}

// ReadAlerts reads config/prometheus/rules.yaml.
func ReadAlerts(root string) ([]Rule, error) {
	content, err := os.ReadFile(filepath.Join(root, "config/prometheus/rules.yaml"))
	if err != nil {
		return nil, err
	}
	var object struct {
		APIVersion string         `json:"apiVersion"`
		Kind       string         `json:"kind"`
		Metadata   map[string]any `json:"metadata"`
		Spec       struct {
			Groups []struct {
				Name  string `json:"name"`
				Rules []Rule `json:"rules"`
			} `json:"groups"`
		} `json:"spec"`
	}
	if err := yaml.UnmarshalStrict(content, &object); err != nil {
		return nil, err
	}
	var alerts []Rule
	for _, group := range object.Spec.Groups {
		alerts = append(alerts, group.Rules...)
	}
	return alerts, nil
}

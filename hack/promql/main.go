// Command promql tests alerts and queries with Prometheus' own parser and engine, in memory. It is a module of its own, so that
// the product does not depend on Prometheus; promtool would bring the clients of every cloud with it.
//
// It reads a document of rules and of tests, in the words of `promtool test rules`, and fails if an alert or a query does not
// do what a test expects.
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"sort"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
	"sigs.k8s.io/yaml"
)

type document struct {
	Rules []rule `json:"rules"`
	Tests []test `json:"tests"`
}

type rule struct {
	Alert  string            `json:"alert"`
	Expr   string            `json:"expr"`
	For    string            `json:"for"`
	Labels map[string]string `json:"labels"`
}

type test struct {
	Name     string `json:"name"`
	Interval string `json:"interval"`
	Series   []struct {
		Series string `json:"series"`
		Values string `json:"values"`
	} `json:"input_series"`
	Alerts []struct {
		Alert string `json:"alertname"`
		At    string `json:"eval_time"`
		Fires []struct {
			Labels map[string]string `json:"exp_labels"`
		} `json:"exp_alerts"`
	} `json:"alert_rule_test"`
	// Queries have to bring at least one number.
	Queries []struct {
		Expr string `json:"expr"`
		At   string `json:"eval_time"`
	} `json:"queries"`
}

// step is the time between two evaluations.
const step = time.Minute

func main() {
	problems, err := run(os.Stdin)
	if err != nil {
		problems = append(problems, err.Error())
	}
	for _, problem := range problems {
		fmt.Fprintln(os.Stderr, problem)
	}
	if len(problems) > 0 {
		os.Exit(1)
	}
}

func run(input io.Reader) (problems []string, err error) {
	content, err := io.ReadAll(input)
	if err != nil {
		return nil, err
	}
	var d document
	if err := yaml.UnmarshalStrict(content, &d); err != nil {
		return nil, err
	}
	rules := map[string]rule{}
	for _, r := range d.Rules {
		rules[r.Alert] = r
	}
	engine := promql.NewEngine(promql.EngineOpts{Logger: slog.Default(), MaxSamples: 50_000_000, Timeout: time.Minute, Parser: parsing})
	for _, t := range d.Tests {
		found, err := t.run(engine, rules)
		if err != nil {
			return problems, fmt.Errorf("%s: %w", t.Name, err)
		}
		problems = append(problems, found...)
	}
	return problems, nil
}

func (t test) run(engine *promql.Engine, rules map[string]rule) (problems []string, err error) {
	held, err := t.load()
	if err != nil {
		return nil, err
	}
	for _, expected := range t.Alerts {
		r, known := rules[expected.Alert]
		if !known {
			return problems, fmt.Errorf("there is no alert %s", expected.Alert)
		}
		firing, err := held.firing(engine, r, expected.At)
		if err != nil {
			return problems, fmt.Errorf("%s: %w", r.Alert, err)
		}
		var wanted []string
		for _, alert := range expected.Fires {
			wanted = append(wanted, labels.FromMap(alert.Labels).String())
		}
		sort.Strings(wanted)
		if fmt.Sprint(firing) != fmt.Sprint(wanted) {
			problems = append(problems, fmt.Sprintf("%s: %s fires for %v at %s; expected %v", t.Name, r.Alert, firing, expected.At, wanted))
		}
	}
	for _, query := range t.Queries {
		found, err := held.evaluate(engine, query.Expr, query.At, 0)
		if err != nil {
			return problems, fmt.Errorf("%s: %w", query.Expr, err)
		}
		if !hasNumber(found) {
			problems = append(problems, fmt.Sprintf("%s: expected data at %s, found none for\n\t%s", t.Name, query.At, query.Expr))
		}
	}
	return problems, nil
}

func hasNumber(series promql.Matrix) bool {
	for _, each := range series {
		for _, point := range each.Floats {
			if !math.IsNaN(point.F) {
				return true
			}
		}
	}
	return false
}

// held are series in memory.
type held []promql.Series

var parsing = parser.NewParser(parser.Options{})

// load makes the series of a test, one sample in each interval.
func (t test) load() (series held, err error) {
	interval, err := model.ParseDuration(t.Interval)
	if err != nil {
		return nil, err
	}
	for _, given := range t.Series {
		metric, values, err := parsing.ParseSeriesDesc(given.Series + " " + given.Values)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", given.Series, err)
		}
		each := promql.Series{Metric: metric}
		for i, value := range values {
			if !value.Omitted {
				each.Floats = append(each.Floats, promql.FPoint{T: int64(i) * time.Duration(interval).Milliseconds(), F: value.Value})
			}
		}
		series = append(series, each)
	}
	return series, nil
}

// firing are the labels with which an alert fires: those for which its expression holds for as long as it has to.
func (h held) firing(engine *promql.Engine, r rule, at string) (firing []string, err error) {
	pending, err := model.ParseDuration(cmp.Or(r.For, "0s"))
	if err != nil {
		return nil, err
	}
	found, err := h.evaluate(engine, r.Expr, at, time.Duration(pending))
	if err != nil {
		return nil, err
	}
	for _, each := range found {
		if len(each.Floats) <= int(time.Duration(pending)/step) {
			continue
		}
		builder := labels.NewBuilder(each.Metric).Del(labels.MetricName)
		for name, value := range r.Labels {
			builder.Set(name, value)
		}
		firing = append(firing, builder.Labels().String())
	}
	sort.Strings(firing)
	return firing, nil
}

// evaluate evaluates an expression at a time and, in steps, for as long before it as is asked for.
func (h held) evaluate(engine *promql.Engine, expression, at string, before time.Duration) (promql.Matrix, error) {
	offset, err := model.ParseDuration(at)
	if err != nil {
		return nil, err
	}
	end := time.UnixMilli(time.Duration(offset).Milliseconds())
	query, err := engine.NewRangeQuery(context.Background(), h, nil, expression, end.Add(-before), end, step)
	if err != nil {
		return nil, err
	}
	defer query.Close()
	return query.Exec(context.Background()).Matrix()
}

// Querier implements storage.Queryable.
func (h held) Querier(int64, int64) (storage.Querier, error) {
	return &storage.MockQuerier{SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		found := &set{at: -1}
		for _, each := range h {
			if matches(each.Metric, matchers) {
				found.series = append(found.series, each)
			}
		}
		return found
	}}, nil
}

func matches(metric labels.Labels, matchers []*labels.Matcher) bool {
	for _, matcher := range matchers {
		if !matcher.Matches(metric.Get(matcher.Name)) {
			return false
		}
	}
	return true
}

// set is a storage.SeriesSet.
type set struct {
	series []promql.Series
	at     int
}

func (s *set) Next() bool                        { s.at++; return s.at < len(s.series) }
func (s *set) At() storage.Series                { return promql.NewStorageSeries(s.series[s.at]) }
func (s *set) Err() error                        { return nil }
func (s *set) Warnings() annotations.Annotations { return nil }

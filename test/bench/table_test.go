package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Whether a target is met, and whether missing it fails the run, rests on these numbers alone.
func TestTargets(t *testing.T) {
	three := func(value float64) []float64 { return []float64{value, value, value} }
	for name, c := range map[string]struct {
		part        part
		met, failed bool
	}{
		"a ratio below its limit is met":                   {timed("x", "s", three(1.9), three(1), 2), true, false},
		"a ratio at its limit is met":                      {timed("x", "s", three(2), three(1), 2), true, false},
		"a ratio above its limit without noise fails":      {timed("x", "s", three(2.1), three(1), 2), false, true},
		"a miss that is less than the noise does not fail": {timed("x", "s", []float64{1.5, 2.1, 2.7}, three(1), 2), false, false},
		"a miss beyond the noise fails":                    {timed("x", "s", []float64{3.9, 4, 4.1}, three(1), 2), false, true},
		"the median decides, not one bad round":            {timed("x", "s", []float64{1, 1, 9}, three(1), 2), true, false},
		"each round is compared with its own floor":        {timed("x", "s", []float64{1, 2, 9}, []float64{1, 2, 9}, 1.5), true, false},
		"one round above a bound fails":                    {bounded("x", "MiB", []float64{1, 1, 11}, 10), false, true},
		"no round above a bound is met":                    {bounded("x", "MiB", []float64{1, 1, 10}, 10), true, false},
		"one thing where there must be none fails":         {bounded("x", "writes", []float64{0, 1, 0}, 0), false, true},
		"fewer than exactly so many fail":                  {exactly("x", "calls", []float64{1, 1, 0}, 1), false, true},
		"more than exactly so many fail":                   {exactly("x", "calls", []float64{1, 2, 1}, 1), false, true},
		"exactly so many in each round are met":            {exactly("x", "calls", three(1), 1), true, false},
	} {
		t.Run(name, func(t *testing.T) {
			var all table
			all.add(targetStart, "good", "", bounded("y", "s", three(0), 1))
			all.add(targetIdle, "judged", "", bounded("y", "s", three(0), 1), c.part)
			if got := all.Rows[1].Met; got != c.met {
				t.Errorf("met is %v, expected %v: %s", got, c.met, c.part)
			}
			if got := all.verdict() != nil; got != c.failed {
				t.Errorf("failed is %v, expected %v: %s", got, c.failed, c.part)
			}
		})
	}
}

func TestRowShowsThePartFurthestBeyondItsLimit(t *testing.T) {
	var all table
	all.add(targetLatency, "late", "", timed("median", "ms", []float64{19}, []float64{10}, 2), timed("last", "ms", []float64{60}, []float64{10}, 5))
	all.add(targetStart, "first", "", bounded("x", "s", []float64{1}, 2))
	all.sort()
	path := filepath.Join(t.TempDir(), "folder", "bench.json")
	if err := all.write(path); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Rows []struct {
			Target                        string
			Measured, Floor, Ratio, Limit *float64
			Met                           *bool
		}
	}
	if err := json.Unmarshal(content, &read); err != nil {
		t.Fatal(err)
	}
	if len(read.Rows) != 2 || read.Rows[0].Target != "first" {
		t.Fatalf("expected two rows in the order of the targets, found %s", content)
	}
	late := read.Rows[1]
	if *late.Measured != 60 || *late.Floor != 10 || *late.Ratio != 6 || *late.Limit != 5 || *late.Met {
		t.Errorf("expected 60 ms, 6 times the floor, limit 5, not met; found %s", content)
	}
}

func TestQuantile(t *testing.T) {
	var values []float64
	for i := range 200 {
		values = append(values, float64(200-i))
	}
	for q, want := range map[float64]float64{0: 1, 0.5: 100, 0.99: 198, 1: 200} {
		if got := quantile(values, q); got != want {
			t.Errorf("quantile %v of 1 to 200 is %v, expected %v", q, got, want)
		}
	}
	if got := median([]float64{3, 1, 2}); got != 2 {
		t.Errorf("the median of 1, 2 and 3 is %v", got)
	}
	if got := median([]float64{1, 2}); got != 1.5 {
		t.Errorf("the median of 1 and 2 is %v", got)
	}
}

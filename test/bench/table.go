package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// part is one number that a target is about. Where there is a floor the limit is for the ratio, else for the number.
type part struct {
	What     string  `json:"what"`
	Measured float64 `json:"measured"`
	Floor    float64 `json:"floor,omitempty"`
	Ratio    float64 `json:"ratio"`
	Limit    float64 `json:"limit"`
	Unit     string  `json:"unit"`
	// Noise is by which part of itself the ratio differs from round to round.
	Noise float64 `json:"noise"`
	Met   bool    `json:"met"`
}

// row is one target, with the numbers of the part of it that is nearest to its limit, or furthest beyond.
type row struct {
	Target   string  `json:"target"`
	Measured float64 `json:"measured"`
	Floor    float64 `json:"floor"`
	Ratio    float64 `json:"ratio"`
	Limit    float64 `json:"limit"`
	Met      bool    `json:"met"`
	// Within tells that a target that is not met is missed by no more than the noise.
	Within bool   `json:"withinNoise"`
	Parts  []part `json:"parts"`
	Notes  string `json:"notes,omitempty"`

	order int
}

type table struct {
	Rows []row `json:"rows"`
}

// Targets, in the order of the table.
const (
	targetStart = iota
	targetLatency
	targetCounts
	targetRestart
	targetMemory
	targetGrowth
	targetIdle
	targetBogus
)

// timed is a part that has a floor: both measured once in each round.
func timed(what, unit string, measured, floor []float64, limit float64) part {
	ratios := make([]float64, len(measured))
	for i := range measured {
		ratios[i] = measured[i] / floor[i]
	}
	p := part{What: what, Unit: unit, Measured: median(measured), Floor: median(floor), Ratio: median(ratios), Limit: limit, Noise: noise(ratios)}
	p.Met = p.Ratio <= limit
	return p
}

// bounded is a part that must not be above a limit in any round.
func bounded(what, unit string, measured []float64, limit float64) part {
	worst := slices.Max(measured)
	ratio := 0.0
	if limit > 0 {
		ratio = worst / limit
	} else if worst > 0 {
		ratio = worst
	}
	return part{What: what, Unit: unit, Measured: worst, Ratio: ratio, Limit: limit, Met: worst <= limit}
}

// exactly is a part that must be one number in every round.
func exactly(what, unit string, measured []float64, want float64) part {
	p := bounded(what, unit, measured, want)
	p.Floor = want
	p.Met = slices.Max(measured) == want && slices.Min(measured) == want
	return p
}

// add adds a target with its parts.
func (t *table) add(order int, target, notes string, parts ...part) {
	near := slices.MaxFunc(parts, func(a, b part) int {
		if a.Met != b.Met {
			return map[bool]int{true: -1, false: 1}[a.Met]
		}
		return cmp.Compare(a.closeness(), b.closeness())
	})
	r := row{Target: target, Measured: near.Measured, Floor: near.Floor, Ratio: near.Ratio, Limit: near.Limit, Met: true, Within: true, Parts: parts, Notes: notes, order: order}
	for _, p := range parts {
		r.Met = r.Met && p.Met
		r.Within = r.Within && (p.Met || p.Noise > 0 && p.Ratio <= p.Limit*(1+p.Noise))
	}
	t.Rows = append(t.Rows, r)
	for _, p := range parts {
		progress("  %s: %s", target, p)
	}
}

func (p part) closeness() float64 {
	if p.Noise == 0 && p.Floor == 0 || p.Limit == 0 {
		return p.Ratio
	}
	return p.Ratio / p.Limit
}

func (p part) String() string {
	text := fmt.Sprintf("%s: %.4g %s", p.What, p.Measured, p.Unit)
	if p.Floor > 0 {
		text += fmt.Sprintf(", floor %.4g, ratio %.2f ± %.0f %%", p.Floor, p.Ratio, 100*p.Noise)
	}
	return text + fmt.Sprintf(", limit %.4g, met %v", p.Limit, p.Met)
}

func (t *table) sort() {
	slices.SortFunc(t.Rows, func(a, b row) int { return cmp.Compare(a.order, b.order) })
}

// text is the table for people.
func (t *table) text() string {
	var out strings.Builder
	columns := tabwriter.NewWriter(&out, 2, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(columns, "\nTARGET\tMEASURED\tFLOOR\tRATIO\tNOISE\tLIMIT\tMET")
	for _, r := range t.Rows {
		_, _ = fmt.Fprintf(columns, "%s\t\t\t\t\t\t%s\n", r.Target, map[bool]string{true: "yes", false: "NO"}[r.Met])
		for _, p := range r.Parts {
			floor := "–"
			if p.Floor > 0 {
				floor = fmt.Sprintf("%.4g", p.Floor)
			}
			_, _ = fmt.Fprintf(columns, "    %s\t%.4g %s\t%s\t%.2f\t%.0f %%\t%.4g\t%v\n", p.What, p.Measured, p.Unit, floor, p.Ratio, 100*p.Noise, p.Limit, p.Met)
		}
	}
	_ = columns.Flush() // a strings.Builder takes everything
	for _, r := range t.Rows {
		if r.Notes != "" {
			out.WriteString("\n" + r.Target + ": " + r.Notes)
		}
	}
	return out.String() + "\n"
}

func (t *table) write(path string) error {
	encoded, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(encoded, '\n'), 0o644)
}

// verdict fails where a target is missed by more than the noise.
func (t *table) verdict() error {
	var missed []error
	for _, r := range t.Rows {
		if !r.Met && !r.Within {
			missed = append(missed, fmt.Errorf("missed: %s", r.Target))
		}
	}
	return errors.Join(missed...)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// quantile is the smallest of some values that at least the part q of them do not exceed.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

// noise is half of the range of some values, as a part of their median.
func noise(values []float64) float64 {
	if middle := median(values); middle > 0 {
		return (slices.Max(values) - slices.Min(values)) / 2 / middle
	}
	return 0
}

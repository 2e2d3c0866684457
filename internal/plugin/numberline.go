package plugin

import (
	"cmp"
	"math/big"
	"slices"
)

// numberRange is a range of card serial numbers in use.
type numberRange struct {
	procedure string
	from, to  *big.Int
}

var (
	bigOne = big.NewInt(1)
	// highestSerial is the largest number of 20 digits.
	highestSerial = new(big.Int).Sub(new(big.Int).Exp(big.NewInt(10), big.NewInt(20), nil), bigOne)
)

// newNumberRange reads a range; what is no number, which a host does not send, is 0.
func newNumberRange(procedure, from, to string) numberRange {
	r := numberRange{procedure: procedure, from: new(big.Int), to: new(big.Int)}
	r.from.SetString(from, 10)
	r.to.SetString(to, 10)
	return r
}

// numberLine is all ranges in use, in the order of their first numbers.
type numberLine struct {
	used    []numberRange
	highest *big.Int // last number in use
}

func newNumberLine(used []numberRange) *numberLine {
	slices.SortFunc(used, func(a, b numberRange) int {
		return cmp.Or(a.from.Cmp(b.from), a.to.Cmp(b.to), cmp.Compare(a.procedure, b.procedure))
	})
	line := &numberLine{used: used, highest: big.NewInt(-1)}
	for _, r := range used {
		line.highest = larger(line.highest, r.to)
	}
	return line
}

// maxOverlaps bounds how many overlaps are listed: a thousand equal ranges would have half a million.
const maxOverlaps = 10_000

// report lists ranges, overlaps, and gaps of at least a size.
func (l *numberLine) report(size *big.Int) RangesReport {
	report := RangesReport{Used: []UsedRange{}, Overlaps: []RangeOverlap{}, Free: []FreeRange{}}
	var open []numberRange // may still overlap what follows
	next := new(big.Int)   // first number behind all ranges so far
	for _, r := range l.used {
		report.Used = append(report.Used, UsedRange{Procedure: r.procedure, FreeRange: spanOf(r.from, r.to)})
		report.addGap(next, new(big.Int).Sub(r.from, bigOne), size)
		next = larger(next, new(big.Int).Add(r.to, bigOne))
		open = slices.DeleteFunc(open, func(earlier numberRange) bool { return earlier.to.Cmp(r.from) < 0 })
		for _, earlier := range open {
			if len(report.Overlaps) == maxOverlaps {
				break
			}
			report.Overlaps = append(report.Overlaps, RangeOverlap{Procedures: []string{earlier.procedure, r.procedure}, FreeRange: spanOf(r.from, smaller(earlier.to, r.to))})
		}
		open = append(open, r)
	}
	report.addGap(next, highestSerial, size)
	return report
}

func (r *RangesReport) addGap(from, to, size *big.Int) {
	if numbers := count(from, to); numbers.Cmp(size) >= 0 {
		r.Free = append(r.Free, spanOf(from, to))
	}
}

func spanOf(from, to *big.Int) FreeRange {
	return FreeRange{From: from.String(), To: to.String(), Numbers: count(from, to).String()}
}

func count(from, to *big.Int) *big.Int {
	numbers := new(big.Int).Sub(to, from)
	return numbers.Add(numbers, bigOne)
}

func smaller(a, b *big.Int) *big.Int {
	if a.Cmp(b) <= 0 {
		return a
	}
	return b
}

func larger(a, b *big.Int) *big.Int {
	if a.Cmp(b) >= 0 {
		return a
	}
	return b
}

package rules

import (
	"cmp"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

func TestSerialRangeOf(t *testing.T) {
	for name, c := range map[string]struct {
		p    request.Procedure
		want bool
	}{
		"a range":                 {smartCard(serials("9", "10")), true},
		"one number":              {smartCard(serials("9", "9")), true},
		"backwards":               {smartCard(serials("10", "9")), false},
		"half of a range":         {smartCard(serials("10", "")), false},
		"no range":                {smartCard(func(p *request.Procedure) { p.CardSerialNumber.Range = nil }), false},
		"not enabled":             {smartCard(func(p *request.Procedure) { p.CardSerialNumber.Enabled = new(bool) }), false},
		"not said":                {smartCard(func(p *request.Procedure) { p.CardSerialNumber = nil }), false},
		"another token":           {smartCard(func(p *request.Procedure) { p.StorageProfile = "PKCS12" }), false},
		"a procedure of the past": {smartCard(func(p *request.Procedure) { p.State = request.Closed }), false},
	} {
		if r, got := SerialRangeOf(c.p); got != c.want || got && (r.From == "" || r.To == "") {
			t.Errorf("%s: got %v, %v", name, r, got)
		}
	}
}

// TestOverlapsAreThoseOfBruteForce changes a set of ranges at random, in numbers of up to 20 digits, and compares each
// answer with that of comparing all pairs as big integers.
func TestOverlapsAreThoseOfBruteForce(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var ranges SerialRanges
	all := map[string]SerialRange{}
	for range 5000 {
		name := fmt.Sprintf("P%d", random.IntN(60))
		if random.IntN(3) == 0 {
			delete(all, name)
			ranges.Remove(name)
		} else {
			all[name] = randomRange(random)
			ranges.Set(name, all[name])
		}
		asked := randomRange(random)
		got, want := ranges.Overlaps(name, asked, 1000), pairwise(all, name, asked)
		if !slices.Equal(got, want) {
			t.Fatalf("%v in %v:\ngot  %v\nwant %v", asked, all, got, want)
		}
		if first := ranges.Overlaps(name, asked, 2); !slices.Equal(first, want[:min(2, len(want))]) {
			t.Fatalf("the first two of %v are %v", want, first)
		}
	}
}

func randomRange(random *rand.Rand) SerialRange {
	digits := 1 + random.IntN(20)
	number := func() *big.Int {
		text := ""
		for range digits {
			text += string(rune('0' + random.IntN(10)))
		}
		n, _ := new(big.Int).SetString(text, 10)
		return n
	}
	a, b := number(), number()
	if a.Cmp(b) > 0 {
		a, b = b, a
	}
	return SerialRange{From: a.String(), To: b.String()}
}

func pairwise(all map[string]SerialRange, name string, asked SerialRange) []Overlap {
	number := func(text string) *big.Int {
		n, _ := new(big.Int).SetString(text, 10)
		return n
	}
	var found []Overlap
	for other, r := range all {
		from, to := number(r.From), number(r.To)
		if number(asked.From).Cmp(from) > 0 {
			from = number(asked.From)
		}
		if number(asked.To).Cmp(to) < 0 {
			to = number(asked.To)
		}
		if other != name && from.Cmp(to) <= 0 {
			found = append(found, Overlap{Name: other, Range: r, Common: SerialRange{from.String(), to.String()}})
		}
	}
	slices.SortFunc(found, func(a, b Overlap) int {
		return cmp.Or(number(a.Range.From).Cmp(number(b.Range.From)), strings.Compare(a.Name, b.Name))
	})
	return found
}

func TestWhatIsNoRangeIsNotKept(t *testing.T) {
	for _, r := range []SerialRange{{"2", "1"}, {"", "1"}, {"1", ""}, {"01", "2"}, {"-1", "2"}, {"1", "\x1b[2J"}, {"1", "100000000000000000000"}} {
		var ranges SerialRanges
		ranges.Set("P", SerialRange{"0", "9"})
		ranges.Set("P", r)
		if found := ranges.Overlaps("", SerialRange{"0", "99999999999999999999"}, 10); len(found) > 0 {
			t.Errorf("%q is kept as %v", r, found)
		}
	}
}

func TestSerialRangesMayBeShared(t *testing.T) {
	var ranges SerialRanges
	var workers sync.WaitGroup
	for worker := range 4 {
		workers.Go(func() {
			name := fmt.Sprintf("P%d", worker)
			for range 200 {
				ranges.Set(name, SerialRange{"1", "9"})
				ranges.Overlaps(name, SerialRange{"5", "5"}, 10)
				ranges.Remove(name)
			}
		})
	}
	workers.Wait()
	if left := ranges.Overlaps("", SerialRange{"0", "99"}, 10); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// BenchmarkOverlapsOfTenThousand builds the ranges of ten thousand procedures and makes the warnings of all of them,
// where none overlap, where each overlaps its neighbours, and where each overlaps all others.
func BenchmarkOverlapsOfTenThousand(b *testing.B) {
	const count = 10_000
	for name, width := range map[string]int64{"none": 9, "neighbours": 35, "all": 10 * count} {
		procedures := make([]request.Procedure, count)
		for i := range procedures {
			from := new(big.Int).Add(big.NewInt(9_000_000_000_000_000_000), big.NewInt(int64(i)*10))
			to := new(big.Int).Add(from, big.NewInt(width))
			procedures[i] = smartCard(called(fmt.Sprintf("Card %05d", i)), serials(from.String(), to.String()))
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var ranges SerialRanges
				for _, p := range procedures {
					if r, has := SerialRangeOf(p); has {
						ranges.Set(p.Name, r)
					}
				}
				warnings := 0
				for _, p := range procedures {
					warnings += len(Warnings(p, nil, &ranges))
				}
				b.ReportMetric(float64(warnings), "warnings")
			}
		})
	}
}

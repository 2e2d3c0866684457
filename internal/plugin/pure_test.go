package plugin

import (
	"math/big"
	"reflect"
	"testing"
)

func TestNumberLine(t *testing.T) {
	for name, c := range map[string]struct {
		used     [][3]string
		size     int64
		overlaps []string
		free     []string
	}{
		"nothing in use":             {nil, 1, nil, []string{"0-99999999999999999999"}},
		"one at the start":           {[][3]string{{"A", "0", "9"}}, 1, nil, []string{"10-99999999999999999999"}},
		"neighbours leave no gap":    {[][3]string{{"B", "10", "19"}, {"A", "0", "9"}}, 1, nil, []string{"20-99999999999999999999"}},
		"one number in common":       {[][3]string{{"A", "0", "10"}, {"B", "10", "19"}}, 1, []string{"A,B:10-10"}, []string{"20-99999999999999999999"}},
		"one inside another":         {[][3]string{{"A", "0", "100"}, {"B", "10", "19"}, {"C", "50", "60"}}, 1, []string{"A,B:10-19", "A,C:50-60"}, []string{"101-99999999999999999999"}},
		"three on one spot":          {[][3]string{{"A", "5", "5"}, {"B", "5", "5"}, {"C", "5", "5"}}, 1, []string{"A,B:5-5", "A,C:5-5", "B,C:5-5"}, []string{"0-4", "6-99999999999999999999"}},
		"small gaps are left out":    {[][3]string{{"A", "5", "9"}, {"B", "20", "99999999999999999999"}}, 10, nil, []string{"10-19"}},
		"more digits than a machine": {[][3]string{{"A", "0", "99999999999999999998"}}, 1, nil, []string{"99999999999999999999-99999999999999999999"}},
	} {
		t.Run(name, func(t *testing.T) {
			var used []numberRange
			for _, u := range c.used {
				used = append(used, newNumberRange(u[0], u[1], u[2]))
			}
			report := newNumberLine(used).report(big.NewInt(c.size))
			var overlaps, free []string
			for _, o := range report.Overlaps {
				overlaps = append(overlaps, o.Procedures[0]+","+o.Procedures[1]+":"+o.From+"-"+o.To)
			}
			for _, f := range report.Free {
				free = append(free, f.From+"-"+f.To)
			}
			if !reflect.DeepEqual(overlaps, c.overlaps) || !reflect.DeepEqual(free, c.free) {
				t.Errorf("overlaps %v, free %v; want %v, %v", overlaps, free, c.overlaps, c.free)
			}
		})
	}
}

func TestObjectNames(t *testing.T) {
	taken := map[string]bool{}
	for _, c := range []struct{ procedure, want string }{
		{"Employee card", "employee-card"},
		{"Employee  Card", "employee-card-2"},
		{"Dienstausweis Zürich (groß)", "dienstausweis-zurich-gross"},
		{"カード", "procedure"},
		{"A.+B", "a-b"},
	} {
		if got := objectName(c.procedure, taken); got != c.want {
			t.Errorf("%s: %s, want %s", c.procedure, got, c.want)
		}
	}
}

func TestSignatureNames(t *testing.T) {
	long := make([]byte, 253)
	for i := range long {
		long[i] = 'a'
	}
	name := signatureName(string(long), 9007199254740991, []byte("certificate"))
	if len(name) != 253 || name == signatureName(string(long), 9007199254740990, []byte("certificate")) {
		t.Errorf("%s has %d characters", name, len(name))
	}
	if signatureName("a", 1, []byte("one")) == signatureName("a", 1, []byte("two")) {
		t.Error("two officers have one name")
	}
}

func TestSpreadsheetsGetNoFormulas(t *testing.T) {
	for text, want := range map[string]string{"=1+1": "'=1+1", "@x": "'@x", "Employee": "Employee", "": "", "\x1b[1m": `\u001b[1m`} {
		if got := cell(text); got != want {
			t.Errorf("cell(%q) = %q, want %q", text, got, want)
		}
	}
}

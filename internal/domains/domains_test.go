package domains

import "testing"

func TestCovers(t *testing.T) {
	tree := NewTree([]Domain{
		{Name: "Corp"}, {Name: "Emea", Parent: "Corp"}, {Name: "Sales", Parent: Root},
		{Name: "Ring", Parent: "Loop"}, {Name: "Loop", Parent: "Ring"},
	})
	for _, c := range []struct {
		upper, lower string
		want         bool
	}{
		{"", "Emea", true},
		{Root, "", true},
		{"Corp", "Corp", true},
		{"Corp", "Emea", true},
		{"Emea", "Corp", false},
		{"Corp", "", false},
		{"Corp", "Sales", false},
		{"Unknown", "Unknown", true},
		{"Corp", "Unknown", false},
		{"", "Unknown", true},
		{"Ring", "Loop", true},
		{"Corp", "Loop", false},
	} {
		if got := tree.Covers(c.upper, c.lower); got != c.want {
			t.Errorf("Covers(%q, %q) = %v, want %v", c.upper, c.lower, got, c.want)
		}
	}
}

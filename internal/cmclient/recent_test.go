package cmclient

import "testing"

// TestRecentKeepsNoMoreThanItMay adds values of some sizes to a cache of 10 and looks at what is kept.
func TestRecentKeepsNoMoreThanItMay(t *testing.T) {
	type added struct {
		key  string
		size int
	}
	for sentence, c := range map[string]struct {
		added []added
		kept  string
		size  int
	}{
		"everything, where there is room":         {[]added{{"a", 5}, {"b", 5}}, "ab", 10},
		"what was used last":                      {[]added{{"a", 5}, {"b", 5}, {"c", 1}}, "bc", 6},
		"nothing that has no room":                {[]added{{"a", 5}, {"b", 11}}, "", 0},
		"one of a key, however often it is added": {[]added{{"a", 5}, {"b", 1}, {"a", 6}, {"a", 7}}, "ab", 8},
	} {
		t.Run(sentence, func(t *testing.T) {
			r := newRecent(10)
			for _, a := range c.added {
				r.add(a.key, a.size, a.size)
			}
			kept := ""
			for _, key := range []string{"a", "b", "c"} {
				if _, hit := r.get(key); hit {
					kept += key
				}
			}
			if kept != c.kept || r.size != c.size {
				t.Errorf("kept %q, size %d; expected %q, %d", kept, r.size, c.kept, c.size)
			}
		})
	}
	r := newRecent(10)
	r.add("a", 1, 5)
	r.add("b", 2, 5)
	if value, _ := r.get("a"); value != 1 {
		t.Errorf("found %v; expected 1", value)
	}
	r.add("c", 3, 5)
	if _, hit := r.get("b"); hit {
		t.Error("what was not used for longest is kept; expected what was used last")
	}
}

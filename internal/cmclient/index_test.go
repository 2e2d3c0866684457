package cmclient

import (
	"testing"
	"time"
)

func entryAt(revision int64, letter string) Entry {
	digest := "sha256:"
	for range 64 {
		digest += letter
	}
	return Entry{Revision: revision, Digest: digest, State: "Active", AcceptedAt: time.Unix(revision, 0)}
}

// TestOwnSubmissionsAreNotReadAgain plays the orders in which an answer and the change from the feed can come.
func TestOwnSubmissionsAreNotReadAgain(t *testing.T) {
	for sentence, order := range map[string]struct {
		steps []string // begin, ok (newly accepted), same (accepted before), fail, change
		reads int      // how many reads of the procedure they cause
	}{
		"the answer comes before the change":                               {[]string{"begin", "ok", "change"}, 0},
		"the change comes before the answer":                               {[]string{"begin", "change", "ok"}, 0},
		"somebody else's change comes after ours":                          {[]string{"begin", "ok", "change", "change"}, 1},
		"somebody else's change comes while ours is under way":             {[]string{"begin", "change", "change", "ok"}, 1},
		"a submission that fails leaves a change that came meanwhile":      {[]string{"begin", "change", "fail"}, 1},
		"a submission whose answer was lost is read when its change comes": {[]string{"begin", "fail", "change"}, 1},
		"the current revision again makes no change":                       {[]string{"begin", "same", "change"}, 1},
		"two submissions, both answered first":                             {[]string{"begin", "ok", "begin", "ok", "change", "change"}, 0},
		"a change of a procedure that we never submitted":                  {[]string{"change"}, 1},
	} {
		t.Run(sentence, func(t *testing.T) {
			x, reads := newIndex(), 0
			entry := entryAt(1, "a")
			for _, step := range order.steps {
				again := false
				switch step {
				case "begin":
					x.begin("p")
				case "ok":
					again = x.end("p", &entry, true)
				case "same":
					again = x.end("p", &entry, false)
				case "fail":
					again = x.end("p", nil, false)
				case "change":
					again = !x.echo("p")
				}
				if again {
					reads++
				}
			}
			if reads != order.reads {
				t.Errorf("%v caused %d reads; expected %d", order.steps, reads, order.reads)
			}
			if len(x.own) != 0 {
				t.Errorf("%v left %d submissions to wait for", order.steps, len(x.own))
			}
		})
	}
}

func TestAReadNeverReplacesSomethingNewer(t *testing.T) {
	x := newIndex()
	since := x.now()
	x.begin("p")
	newer, older := entryAt(6, "b"), entryAt(5, "a")
	x.end("p", &newer, true)
	if _, fresh := x.store("p", &older, since); fresh {
		t.Error("an answer that was under way while a submission was accepted counted as fresh")
	}
	x.replace(map[string]Entry{"p": older, "q": older}, since)
	if kept, _ := x.get("p"); kept.Revision != 6 {
		t.Errorf("a listing that began before the submission left revision %d; expected 6", kept.Revision)
	}
	if _, found := x.get("q"); !found {
		t.Error("the listing was not taken over")
	}
}

func TestReplaceNamesWhatChanged(t *testing.T) {
	x := newIndex()
	one, two := entryAt(1, "a"), entryAt(2, "b")
	for _, name := range []string{"same", "other", "gone"} {
		x.store(name, &one, x.now())
	}
	changed := map[string]bool{}
	for _, name := range x.replace(map[string]Entry{"same": one, "other": two, "new": one}, x.now()) {
		changed[name] = true
	}
	if changed["same"] || !changed["other"] || !changed["gone"] || !changed["new"] || len(changed) != 3 {
		t.Errorf("changed: %v; expected other, gone and new", changed)
	}
}

func TestAnEntryThatNoStatusCanHaveIsNotValid(t *testing.T) {
	late := time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("west", -12*60*60)) // the year 10000 in UTC
	for sentence, c := range map[string]struct {
		change func(*Entry)
		want   bool
	}{
		"as it should be":                 {func(*Entry) {}, true},
		"accepted beyond what UTC writes": {func(e *Entry) { e.AcceptedAt = late }, false},
		"signed beyond what UTC writes":   {func(e *Entry) { e.Signers = []Signer{{OfficerID: "one", SignedAt: late}} }, false},
	} {
		entry := entryAt(1, "a")
		c.change(&entry)
		if entry.valid() != c.want {
			t.Errorf("%s: valid %t", sentence, !c.want)
		}
	}
}

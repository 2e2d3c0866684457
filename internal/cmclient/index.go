package cmclient

import (
	"maps"
	"slices"
	"sync"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

// Signer is who signed a revision that the host holds, and when.
type Signer struct {
	OfficerID string
	Subject   string
	SignedAt  time.Time
}

// Entry is what the host holds under a procedure's name. It is immutable.
type Entry struct {
	// Revision on the host; 0 for a procedure that was made elsewhere, without evidence.
	Revision int64
	// Digest of the request that the host accepted; empty with revision 0.
	Digest string
	// AcceptedAt is when the host accepted it; zero with revision 0.
	AcceptedAt time.Time
	// State is Active or Closed.
	State string
	// Domain of the procedure; empty means Root.
	Domain string
	// SerialRange is the range of card serial numbers; zero where there is none.
	SerialRange request.SerialNumberRange
	// Signers are the two officers who signed it; none with revision 0.
	Signers []Signer
}

func (e Entry) equal(other Entry) bool {
	return e.Revision == other.Revision && e.Digest == other.Digest && e.AcceptedAt.Equal(other.AcceptedAt) && e.State == other.State &&
		e.Domain == other.Domain && e.SerialRange == other.SerialRange &&
		slices.EqualFunc(e.Signers, other.Signers, func(a, b Signer) bool {
			return a.OfficerID == b.OfficerID && a.Subject == b.Subject && a.SignedAt.Equal(b.SignedAt)
		})
}

func entryOfSummary(summary cmhostv1.TokenProcedureSummary) Entry {
	entry := Entry{
		Revision: summary.Revision, Digest: summary.Digest, AcceptedAt: summary.AcceptedAt, State: summary.State,
		Domain: summary.Domain, SerialRange: summary.SerialRange,
	}
	for _, signer := range summary.Signers {
		entry.Signers = append(entry.Signers, Signer{OfficerID: signer.Officer.Id, Subject: signer.Officer.Subject, SignedAt: signer.SignedAt})
	}
	return entry
}

func entryOfProcedure(procedure cmhostv1.TokenProcedure) Entry {
	entry := Entry{
		Revision: procedure.Revision, Digest: procedure.Digest, AcceptedAt: procedure.AcceptedAt, State: procedure.Procedure.State,
		Domain: procedure.Procedure.Domain,
	}
	if serial := procedure.Procedure.CardSerialNumber; serial != nil && serial.Range != nil {
		entry.SerialRange = *serial.Range
	}
	for _, signature := range procedure.Signatures {
		entry.Signers = append(entry.Signers, Signer{OfficerID: signature.Officer.Id, Subject: signature.Officer.Subject, SignedAt: signature.SignedAt})
	}
	return entry
}

// valid tells whether an entry can be one of a CM host; what is not would spoil a status.
func (e Entry) valid() bool {
	stateKnown := e.State == request.Active || e.State == request.Closed
	evidence := e.Revision == 0 && e.Digest == "" || e.Revision > 0 && e.Revision <= request.MaxRevision && isDigest(e.Digest)
	for _, signer := range e.Signers {
		if signer.OfficerID == "" || len(signer.OfficerID) > 256 || len(signer.Subject) > 1024 || !writable(signer.SignedAt) {
			return false
		}
	}
	return stateKnown && evidence && writable(e.AcceptedAt) && len(e.Signers) <= 2 && len(e.Domain) <= 512 && len(e.SerialRange.From) <= 20 && len(e.SerialRange.To) <= 20
}

// size is about how much memory an entry takes with its name, in bytes.
func (e Entry) size(name string) int {
	const entry, signer = 300, 64 // with their part of maps
	size := entry + len(name) + len(e.Digest) + len(e.Domain) + len(e.SerialRange.From) + len(e.SerialRange.To)
	for _, s := range e.Signers {
		size += signer + len(s.OfficerID) + len(s.Subject)
	}
	return size
}

// writable tells whether the API server can have a time, whatever its zone.
func writable(t time.Time) bool { return t.UTC().Year() >= 0 && t.UTC().Year() <= 9999 }

func isDigest(text string) bool {
	const prefix = "sha256:"
	if len(text) != len(prefix)+64 || text[:len(prefix)] != prefix {
		return false
	}
	for _, r := range text[len(prefix):] {
		if (r < '0' || r > '9') && (r < 'a' || r > 'f') {
			return false
		}
	}
	return true
}

// index is the list of the host's procedures in memory. Writes are stamped, so that an answer that was under way while
// something newer came in does not replace it.
type index struct {
	mu      sync.RWMutex
	entries map[string]Entry
	size    int // of the entries, in bytes
	stamps  map[string]uint64
	clock   uint64
	own     map[string]*submissions
	ranges  *rules.SerialRanges // of the Active procedures
	watched *rules.SerialRanges // that somebody wants for procedures, and the host does not have
	// overlapping are procedures whose range, at the host or watched, overlaps or overlapped one that changed.
	overlapping map[string]bool
}

// maxOverlapping bounds how many overlapping procedures one change is reported for. Warnings name fewer.
const maxOverlapping = 128

// submissions are our own ones of one procedure, as far as their changes have not come back through the feed.
type submissions struct {
	underWay int // without an answer yet
	answered int // accepted, the change not seen yet
	early    int // changes that were seen while a submission was under way: its own, or somebody else's
}

// maxName is the longest name of a procedure, in bytes.
const maxName = 512

func newIndex() *index {
	return &index{entries: map[string]Entry{}, stamps: map[string]uint64{}, own: map[string]*submissions{}, ranges: &rules.SerialRanges{}, watched: &rules.SerialRanges{}, overlapping: map[string]bool{}}
}

// set keeps an entry, nil for none, and the range of card serial numbers that it uses.
func (x *index) set(name string, entry *Entry) {
	before, found := x.entries[name]
	if found {
		x.size -= before.size(name)
	}
	if entry == nil {
		delete(x.entries, name)
	} else {
		x.entries[name] = *entry
		x.size += entry.size(name)
	}
	switch {
	case entry != nil && entry.usesRange():
		if !found || !before.usesRange() || before.SerialRange != entry.SerialRange {
			x.ranges.Set(name, rules.SerialRange(entry.SerialRange))
			x.noteOverlaps(name, before, *entry)
		}
	case found && before.usesRange():
		x.ranges.Remove(name)
		x.noteOverlaps(name, before)
	}
}

// noteOverlaps remembers which procedures have something else to be warned of when a range has changed.
func (x *index) noteOverlaps(name string, entries ...Entry) {
	for _, entry := range entries {
		if !entry.usesRange() {
			continue
		}
		for _, ranges := range []*rules.SerialRanges{x.ranges, x.watched} {
			for _, overlap := range ranges.Overlaps(name, rules.SerialRange(entry.SerialRange), maxOverlapping) {
				x.overlapping[overlap.Name] = true
			}
		}
	}
}

// takeOverlapping returns the procedures whose overlaps have changed since it was last called.
func (x *index) takeOverlapping() []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	names := slices.Sorted(maps.Keys(x.overlapping))
	clear(x.overlapping)
	return names
}

func (e Entry) usesRange() bool {
	return e.State == request.Active && e.SerialRange != (request.SerialNumberRange{})
}

func (x *index) get(name string) (Entry, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	entry, found := x.entries[name]
	return entry, found
}

func (x *index) length() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.entries)
}

// memory is about how much memory the entries take, in bytes.
func (x *index) memory() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.size
}

// now is a stamp; what is stored with it loses against everything stored after it was taken.
func (x *index) now() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.clock++
	return x.clock
}

// begin notes that a submission is under way.
func (x *index) begin(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.own[name] == nil {
		x.own[name] = &submissions{}
	}
	x.own[name].underWay++
}

// end notes the answer to a submission: the entry if there is one, and whether the host newly accepted it, so that the
// feed brings it as a change. again tells that the feed has brought a change meanwhile that is not known to be this one.
func (x *index) end(name string, entry *Entry, accepted bool) (again bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if entry != nil {
		x.clock++
		x.stamps[name] = x.clock
		if current, found := x.entries[name]; !found || current.Revision <= entry.Revision {
			x.set(name, entry)
		}
	}
	own := x.own[name]
	if own == nil { // a whole listing was read meanwhile
		return false
	}
	own.underWay--
	if accepted && own.early > 0 {
		own.early--
	} else if accepted {
		own.answered++
	}
	if own.underWay == 0 {
		again, own.early = own.early > 0, 0
		if own.answered == 0 {
			delete(x.own, name)
		}
	}
	return again
}

// echo tells whether a change from the feed is taken for our own submission.
func (x *index) echo(name string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	own := x.own[name]
	switch {
	case own == nil:
		return false
	case own.answered > 0:
		own.answered--
	default:
		own.early++
	}
	if *own == (submissions{}) {
		delete(x.own, name)
	}
	return true
}

// unseen are the procedures of which the host accepted a submission before the stamp, but has said no change since. No
// change appears late, so a feed that says after the stamp that nothing changed shows that the host has lost them.
func (x *index) unseen(since uint64) (names []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for name, own := range x.own {
		if own.underWay == 0 && x.stamps[name] < since {
			names = append(names, name)
			delete(x.own, name)
		}
	}
	slices.Sort(names)
	return names
}

// store keeps what was read from the host since the stamp; nil means that the host has nothing. fresh is false where
// something newer came in meanwhile: then the caller reads again. changed tells whether the entry is another one now.
func (x *index) store(name string, entry *Entry, since uint64) (changed, fresh bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.stamps[name] > since {
		return false, false
	}
	current, found := x.entries[name]
	switch {
	case entry == nil:
		x.set(name, nil)
		return found, true
	case found && current.equal(*entry):
		return false, true
	}
	x.set(name, entry)
	return true, true
}

// replace makes a listing, read since the stamp, the whole index, and returns the names whose entry changed.
func (x *index) replace(listing map[string]Entry, since uint64) (changed []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for name, current := range x.entries {
		if x.stamps[name] > since {
			listing[name] = current
			continue
		}
		if _, found := listing[name]; !found {
			changed = append(changed, name)
		}
	}
	for name, entry := range listing {
		if current, found := x.entries[name]; !found || !current.equal(entry) {
			changed = append(changed, name)
		}
	}
	for _, name := range changed {
		if entry, found := listing[name]; found {
			x.set(name, &entry)
		} else {
			x.set(name, nil)
		}
	}
	for name, stamp := range x.stamps {
		if stamp <= since {
			delete(x.stamps, name)
		}
	}
	x.own = map[string]*submissions{}
	return changed
}

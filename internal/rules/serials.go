package rules

import (
	"cmp"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"

	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// SerialRange is a range of card serial numbers, decimal without leading zeros, both ends included.
type SerialRange struct {
	From, To string
}

// SerialRangeOf is the range that a procedure takes card serial numbers from; false where it takes none: it is not for
// smart cards, not Active, or has no complete range.
func SerialRangeOf(p request.Procedure) (SerialRange, bool) {
	c := p.CardSerialNumber
	if p.State != request.Active || p.StorageProfile != "SmartCard" || c == nil || c.Enabled == nil || !*c.Enabled || c.Range == nil {
		return SerialRange{}, false
	}
	found := SerialRange{From: c.Range.From, To: c.Range.To}
	return found, found.valid()
}

// serialNumber is what compareSerials can compare.
var serialNumber = regexp.MustCompile(`^(0|[1-9][0-9]{0,19})$`)

func (r SerialRange) valid() bool {
	return serialNumber.MatchString(r.From) && serialNumber.MatchString(r.To) && compareSerials(r.From, r.To) <= 0
}

// compareSerials compares decimal numbers without leading zeros, of any length.
func compareSerials(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// Overlap is a procedure whose range shares numbers with another.
type Overlap struct {
	// Name of the other procedure, and its range.
	Name  string
	Range SerialRange
	// Common is the range that both have.
	Common SerialRange
}

// SerialRanges are the ranges of the Active procedures of one CM host, kept up as they change. The zero value is empty;
// it may be used by several goroutines. Setting, removing and finding an overlap each take logarithmic time.
type SerialRanges struct {
	mutex  sync.RWMutex
	byName map[string]SerialRange
	root   *rangeNode
}

// Set puts the range of a procedure in place of the one that it had. What is no range, for a CM host may say anything,
// takes it away.
func (s *SerialRanges) Set(name string, r SerialRange) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.remove(name)
	if !r.valid() {
		return
	}
	if s.byName == nil {
		s.byName = map[string]SerialRange{}
	}
	s.byName[name] = r
	before, after := s.root.split(r.From, name)
	s.root = merge(merge(before, newRangeNode(name, r)), after)
}

// Remove takes the range of a procedure away: it has none any more, or is not Active.
func (s *SerialRanges) Remove(name string) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.remove(name)
}

func (s *SerialRanges) remove(name string) {
	if old, found := s.byName[name]; found {
		delete(s.byName, name)
		s.root = s.root.without(old.From, name)
	}
}

// Overlaps lists the first procedures, at most limit, whose range shares numbers with r, without the procedure called
// name itself: in the order of their ranges, then of their names.
func (s *SerialRanges) Overlaps(name string, r SerialRange, limit int) []Overlap {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	var found []Overlap
	s.root.visit(r, func(other *rangeNode) bool {
		if len(found) < limit && other.name != name {
			found = append(found, Overlap{Name: other.name, Range: other.span, Common: intersection(r, other.span)})
		}
		return len(found) < limit
	})
	return found
}

// intersection is the range that two overlapping ranges share.
func intersection(a, b SerialRange) SerialRange {
	shared := a
	if compareSerials(b.From, a.From) > 0 {
		shared.From = b.From
	}
	if compareSerials(b.To, a.To) < 0 {
		shared.To = b.To
	}
	return shared
}

// rangeNode is a node of a treap: a search tree by the start of the range and the name, a heap by a random priority,
// which keeps it balanced. Each node knows how far the ranges below it reach, so that a search skips what ends too early.
type rangeNode struct {
	name        string
	span        SerialRange
	reach       string // the highest number in this node's ranges and those below
	priority    uint64
	left, right *rangeNode
}

func newRangeNode(name string, span SerialRange) *rangeNode {
	return &rangeNode{name: name, span: span, reach: span.To, priority: rand.Uint64()}
}

func (n *rangeNode) compare(from, name string) int {
	return cmp.Or(compareSerials(n.span.From, from), strings.Compare(n.name, name))
}

// updated is the node itself after its children changed.
func (n *rangeNode) updated() *rangeNode {
	n.reach = n.span.To
	for _, child := range []*rangeNode{n.left, n.right} {
		if child != nil && compareSerials(child.reach, n.reach) > 0 {
			n.reach = child.reach
		}
	}
	return n
}

// split parts a tree into what is before a key and the rest.
func (n *rangeNode) split(from, name string) (before, rest *rangeNode) {
	switch {
	case n == nil:
		return nil, nil
	case n.compare(from, name) < 0:
		n.right, rest = n.right.split(from, name)
		return n.updated(), rest
	default:
		before, n.left = n.left.split(from, name)
		return before, n.updated()
	}
}

// merge joins two trees, all of the first being before all of the second.
func merge(a, b *rangeNode) *rangeNode {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.priority > b.priority:
		a.right = merge(a.right, b)
		return a.updated()
	default:
		b.left = merge(a, b.left)
		return b.updated()
	}
}

// without is the tree after the node with this key was taken out.
func (n *rangeNode) without(from, name string) *rangeNode {
	switch order := n.compare(from, name); {
	case order == 0:
		return merge(n.left, n.right)
	case order < 0:
		n.right = n.right.without(from, name)
	default:
		n.left = n.left.without(from, name)
	}
	return n.updated()
}

// visit calls yield for each node whose range shares numbers with r, in order, until it returns false.
func (n *rangeNode) visit(r SerialRange, yield func(*rangeNode) bool) bool {
	if n == nil || compareSerials(n.reach, r.From) < 0 {
		return true
	}
	if !n.left.visit(r, yield) {
		return false
	}
	if compareSerials(n.span.From, r.To) > 0 {
		return true
	}
	if compareSerials(n.span.To, r.From) >= 0 && !yield(n) {
		return false
	}
	return n.right.visit(r, yield)
}

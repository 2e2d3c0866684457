// Package domains knows the tree of domains of a CM host: which domain is the same as or above another.
//
// It is plain data without any dependency, shared by the rules (what may be referred to from where) and by the
// judgement of officers (who may sign for which domain).
package domains

// Root is the domain at the top of the tree. An object without a domain belongs to it.
const Root = "Root"

// Domain is one node of the tree. The JSON form is that of the CM host's catalogue.
type Domain struct {
	// Name identifies the domain.
	Name string `json:"name"`
	// Parent is the name of the domain above; empty means Root.
	Parent string `json:"parent,omitempty"`
	// State is Active or Closed.
	State string `json:"state"`
}

// Tree is a set of domains, indexed by name. The zero value knows Root alone.
type Tree map[string]Domain

// NewTree indexes domains by name.
func NewTree(all []Domain) Tree {
	tree := make(Tree, len(all))
	for _, domain := range all {
		tree[domain.Name] = domain
	}
	return tree
}

// Canonical returns the name that stands for a domain field: Root where there is none.
func Canonical(name string) string {
	if name == "" {
		return Root
	}
	return name
}

// Covers tells whether domain upper is the same as domain lower or above it. Empty names stand for Root. A domain that
// the tree does not have is covered by itself and by Root only; a cycle in the tree covers nothing beyond itself.
func (t Tree) Covers(upper, lower string) bool {
	upper, lower = Canonical(upper), Canonical(lower)
	if upper == Root {
		return true
	}
	for range len(t) + 1 {
		if lower == upper {
			return true
		}
		domain, found := t[lower]
		if !found || lower == Root {
			return false
		}
		lower = Canonical(domain.Parent)
	}
	return false
}

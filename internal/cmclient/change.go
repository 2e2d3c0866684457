package cmclient

import "maps"

// Change says what is different at the host, or in how it can be reached.
type Change struct {
	// Everything is set when nothing that depends on the host is known to be true any more: a connection answers for the
	// first time, or the host takes signatures of another age.
	Everything bool
	// Availability is set when the host has become available, or unavailable for a reason that was another one before.
	Availability bool
	// Procedures whose entry is another one now, by name.
	Procedures []string
	// Ranges are procedures whose card serial numbers, at the host or watched, overlap, or overlapped, those of one that is
	// another one now.
	Ranges []string
	// Officers whose entry in the register is another one now, by id.
	Officers map[string]bool
	// Catalog holds the names of catalogue objects and domains that are other ones now.
	Catalog map[string]bool
	// Domains is set when the tree of domains changed: it decides which officer may sign for what.
	Domains bool
	// StorageProfiles is set when the host offers others.
	StorageProfiles bool
	// Host is set when something that only the CMHost itself shows is different.
	Host bool
}

// add puts another change to this one.
func (c *Change) add(other Change) {
	c.Everything = c.Everything || other.Everything
	c.Availability = c.Availability || other.Availability
	c.Domains = c.Domains || other.Domains
	c.StorageProfiles = c.StorageProfiles || other.StorageProfiles
	c.Host = c.Host || other.Host
	c.Procedures = append(c.Procedures, other.Procedures...)
	c.Ranges = append(c.Ranges, other.Ranges...)
	c.Officers = union(c.Officers, other.Officers)
	c.Catalog = union(c.Catalog, other.Catalog)
}

func union(a, b map[string]bool) map[string]bool {
	if len(a) == 0 {
		return b
	}
	maps.Copy(a, b)
	return a
}

func (c Change) concernsAnything() bool {
	return c.Everything || c.Availability || c.Host || len(c.Procedures) > 0 || len(c.Ranges) > 0 || len(c.Officers) > 0 || len(c.Catalog) > 0 || c.StorageProfiles
}

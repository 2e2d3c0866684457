package cmclient

import (
	"fmt"
	"reflect"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/domains"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// LogHead is the end of a host's log: the number of entries and the hash of the last one.
type LogHead struct {
	Length int64
	Head   string
}

// Snapshot is what a host says that is not about one procedure. It is immutable.
type Snapshot struct {
	// Product and Version of the host, cleaned.
	Product, Version string
	// Audience is what the host says of itself; it is the expected one.
	Audience string
	// MaxSignatureAge is how old a signature may be when its request is accepted.
	MaxSignatureAge time.Duration
	// Log is the head of the host's log as it was seen last.
	Log LogHead
	// Officers is the number of officers, Register all of them, indexed.
	Officers int
	Register *signing.Register
	// Catalog is what the host offers.
	Catalog *rules.Catalog
	// Session numbers, for all connections of this program, the unbroken time in which the host's changes were followed.
	Session int64
	// Policy numbers the register and the catalogue together: it rises when either changes.
	Policy int64

	officers                []signing.Officer
	officersTag, catalogTag string
}

// CatalogObjects is the number of objects in the catalogue.
func (s *Snapshot) CatalogObjects() int {
	c := s.Catalog
	return len(c.Domains) + len(c.PINProcedures) + len(c.KeyProcedures) + len(c.CertificateProcedures) + len(c.AttributeCertificateProcedures) + len(c.InputViews)
}

// withHost is the snapshot with what the host says of itself now.
func (s Snapshot) withHost(host cmhostv1.Host) (Snapshot, error) {
	age, err := time.ParseDuration(host.MaxSignatureAge)
	if err != nil || age <= 0 {
		return s, wrongContent("getHost", "maxSignatureAge %q", host.MaxSignatureAge)
	}
	if host.Log.Length < 0 || (host.Log.Length == 0) != (host.Log.Head == "") || host.Log.Head != "" && !isDigest(host.Log.Head) {
		return s, wrongContent("getHost", "log %d %q", host.Log.Length, host.Log.Head)
	}
	s.Product, s.Version, s.Audience, s.MaxSignatureAge = bound(Clean(host.Product), 120), bound(Clean(host.Version), 120), host.Audience, age
	s.Log = LogHead{Length: host.Log.Length, Head: host.Log.Head}
	return s, nil
}

// bound cuts a text, which has one-line printable characters, to a number of characters.
func bound(text string, limit int) string {
	runes := []rune(text)
	return string(runes[:min(len(runes), limit)])
}

// withPolicy is the snapshot with another register or catalogue.
func (s Snapshot) withPolicy(officers []signing.Officer, catalog *rules.Catalog) Snapshot {
	s.officers, s.Officers, s.Catalog = officers, len(officers), catalog
	s.Register = signing.NewRegister(officers, domains.NewTree(catalog.Domains))
	s.Policy++
	return s
}

// without is the snapshot without the ETags of what some changes name: a host that has changed it must not be asked
// whether it is still the same.
func (s *Snapshot) without(changes []cmhostv1.Change) Snapshot {
	without := *s
	for _, change := range changes {
		switch change.Kind {
		case cmhostv1.ChangeKindOfficer:
			without.officersTag = ""
		case cmhostv1.ChangeKindTokenProcedure:
		default:
			without.catalogTag = ""
		}
	}
	return without
}

// validOfficers refuses a register whose values would spoil a status.
func validOfficers(officers []signing.Officer) error {
	for _, officer := range officers {
		if officer.ID == "" || len(officer.ID) > 256 || len(officer.Subject) > 1024 {
			return wrongContent("listOfficers", "officer id %q", officer.ID)
		}
	}
	return nil
}

// changedOfficers are the ids of officers that two registers say different things of.
func changedOfficers(before, after []signing.Officer) map[string]bool {
	return changedBy(before, after, func(o signing.Officer) string { return o.ID })
}

// changedCatalog are the names of objects, of any kind, that two catalogues say different things of. domainsChanged tells
// whether a domain is among them, storageProfiles whether the host offers others.
func changedCatalog(before, after *rules.Catalog) (names map[string]bool, domainsChanged, storageProfiles bool) {
	if before == nil {
		before = &rules.Catalog{}
	}
	inDomains := changedBy(before.Domains, after.Domains, func(d domains.Domain) string { return d.Name })
	names = map[string]bool{}
	for _, changed := range []map[string]bool{
		inDomains,
		changedBy(before.PINProcedures, after.PINProcedures, objectName),
		changedBy(before.KeyProcedures, after.KeyProcedures, func(k rules.KeyProcedure) string { return k.Name }),
		changedBy(before.CertificateProcedures, after.CertificateProcedures, func(c rules.CertificateProcedure) string { return c.Name }),
		changedBy(before.AttributeCertificateProcedures, after.AttributeCertificateProcedures, objectName),
		changedBy(before.InputViews, after.InputViews, objectName),
	} {
		for name := range changed {
			names[name] = true
		}
	}
	profiles := fmt.Sprintf("%q", before.StorageProfiles) != fmt.Sprintf("%q", after.StorageProfiles)
	return names, len(inDomains) > 0, profiles
}

func objectName(o rules.CatalogObject) string { return o.Name }

// changedBy compares two lists by key.
func changedBy[T any](before, after []T, key func(T) string) map[string]bool {
	old := make(map[string]T, len(before))
	for _, item := range before {
		old[key(item)] = item
	}
	changed := map[string]bool{}
	for _, item := range after {
		name := key(item)
		if previous, found := old[name]; !found || !reflect.DeepEqual(previous, item) {
			changed[name] = true
		}
		delete(old, name)
	}
	for name := range old {
		changed[name] = true
	}
	return changed
}

package load

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"unicode"

	"github.com/tokenprocedures/token-procedure-operator/internal/domains"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// Bounds of the contract.
const (
	maxID             = 256
	maxSubject        = 1024
	maxPerOfficer     = 64
	maxObjectsPerList = 10_000
)

// storageProfiles are all there are.
var storageProfiles = []string{"SmartCard", "PKCS12", "PKCS10", "AttributeCertificateFile", "Data"}

// checker collects everything that is wrong, so that one run reports it all.
type checker struct{ problems []error }

func (c *checker) expect(good bool, format string, arguments ...any) {
	if !good {
		c.problems = append(c.problems, fmt.Errorf(format, arguments...))
	}
}

func (c *checker) name(what, name string) {
	if err := rules.CheckName(name); err != nil {
		c.problems = append(c.problems, fmt.Errorf("%s: %w", what, err))
	}
}

func (c *checker) state(what, state string) {
	c.expect(state == request.Active || state == request.Closed, "%s: state is %q; expected Active or Closed", what, state)
}

// CheckCatalog refuses a catalogue that does not fit together.
func CheckCatalog(catalog rules.Catalog) error {
	c := &checker{}
	c.unique("storage profile", catalog.StorageProfiles)
	for _, profile := range catalog.StorageProfiles {
		c.expect(slices.Contains(storageProfiles, profile), "storage profile %q: expected one of %v", profile, storageProfiles)
	}
	c.domains(catalog.Domains)
	for _, list := range listsOf(catalog) {
		names := make([]string, 0, len(list.objects))
		for _, object := range list.objects {
			names = append(names, object.Name)
			c.object(list.label, object, catalog.Domains)
		}
		c.unique(list.label, names)
	}
	for _, key := range catalog.KeyProcedures {
		c.expect(key.Kind == rules.KeyArchive || key.Kind == rules.KeyRecovery, "key procedure %q: kind is %q; expected Archive or Recovery", key.Name, key.Kind)
		c.expect(!key.ReusesCertificate || key.Kind == rules.KeyRecovery, "key procedure %q: only a recovery can reuse the certificate", key.Name)
	}
	for _, procedure := range catalog.CertificateProcedures {
		c.unique("key usage of "+procedure.Name, procedure.KeyUsages)
		if err := rules.ParseKeyUsages(procedure.KeyUsages); err != nil {
			c.problems = append(c.problems, fmt.Errorf("certificate procedure %q: %w", procedure.Name, err))
		}
	}
	return errors.Join(c.problems...)
}

func (c *checker) object(label string, object rules.CatalogObject, all []domains.Domain) {
	what := fmt.Sprintf("%s %q", label, object.Name)
	c.name(label, object.Name)
	c.state(what, object.State)
	c.expect(knownDomain(object.Domain, all), "%s: the domain %q is not in the catalogue", what, object.Domain)
	c.expect(!object.VisibleInSubdomain || object.Domain != "", "%s: visibleInSubdomain needs a domain", what)
}

func (c *checker) unique(what string, names []string) {
	c.expect(len(names) <= maxObjectsPerList, "%s: %d entries; at most %d are allowed", what, len(names), maxObjectsPerList)
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		c.expect(!seen[name], "%s %q is listed twice", what, name)
		seen[name] = true
	}
}

func (c *checker) domains(all []domains.Domain) {
	tree := domains.NewTree(all)
	names := make([]string, 0, len(all))
	for _, domain := range all {
		names = append(names, domain.Name)
		c.name("domain", domain.Name)
		c.state(fmt.Sprintf("domain %q", domain.Name), domain.State)
		c.expect(domain.Name != domains.Root, "domain %s is at the top of every tree and is not listed", domains.Root)
		c.expect(knownDomain(domain.Parent, all), "domain %q: the parent %q is not in the catalogue", domain.Name, domain.Parent)
		c.expect(!cyclic(tree, domain.Name), "domain %q is above itself", domain.Name)
	}
	c.unique("domain", names)
}

func knownDomain(name string, all []domains.Domain) bool {
	return domains.Canonical(name) == domains.Root || slices.ContainsFunc(all, func(d domains.Domain) bool { return d.Name == name })
}

// cyclic tells whether the way up from a domain never reaches the top.
func cyclic(tree domains.Tree, name string) bool {
	for range len(tree) + 1 {
		domain, found := tree[name]
		if !found {
			return false
		}
		name = domains.Canonical(domain.Parent)
	}
	return true
}

// CheckOfficers refuses a register that does not fit together: no two officers share a certificate, a key or a subject,
// and all certificates of an officer have the officer's subject.
func CheckOfficers(officers []signing.Officer, all []domains.Domain) error {
	c := &checker{}
	ids := make([]string, 0, len(officers))
	subjects, keys := map[string]string{}, map[string]string{}
	for _, officer := range officers {
		ids = append(ids, officer.ID)
		what := fmt.Sprintf("officer %q", officer.ID)
		c.expect(printable(officer.ID, maxID) && officer.ID != "", "%s: the id must have 1 to %d printable characters", what, maxID)
		c.expect(printable(officer.Subject, maxSubject), "%s: the subject must have at most %d printable characters", what, maxSubject)
		c.state(what, officer.State)
		c.expect(knownDomain(officer.Domain, all), "%s: the domain %q is not in the catalogue", what, officer.Domain)
		c.expect(len(officer.Certificates) > 0 && len(officer.Certificates) <= maxPerOfficer, "%s: %d certificates; expected 1 to %d", what, len(officer.Certificates), maxPerOfficer)
		c.expect(len(officer.Roles) <= maxPerOfficer, "%s: %d roles; at most %d are allowed", what, len(officer.Roles), maxPerOfficer)
		c.unique(what+": role", officer.Roles)
		for _, role := range officer.Roles {
			c.expect(printable(role, maxID) && role != "", "%s: a role must have 1 to %d printable characters", what, maxID)
		}
		c.certificates(officer, subjects, keys)
	}
	c.unique("officer", ids)
	return errors.Join(c.problems...)
}

// owner notes to which officer something belongs, and refuses a second one.
func (c *checker) owner(owners map[string]string, key, id, what string) {
	other, taken := owners[key]
	c.expect(!taken || other == id, "officers %q and %q share %s: one person is one officer, list all certificates under one id", other, id, what)
	owners[key] = id
}

func (c *checker) certificates(officer signing.Officer, subjects, keys map[string]string) {
	first := ""
	for i, der := range officer.Certificates {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			c.problems = append(c.problems, fmt.Errorf("officer %q: certificate %d: %w", officer.ID, i+1, err))
			continue
		}
		subject, err := canonicalSubject(certificate.RawSubject)
		if err != nil {
			c.problems = append(c.problems, fmt.Errorf("officer %q: certificate %d: %w", officer.ID, i+1, err))
			continue
		}
		if i == 0 {
			first = subject
			c.expect(certificate.Subject.String() == officer.Subject, "officer %q: certificate 1 has the subject %q; expected %q, since an officer is known by the subject", officer.ID, certificate.Subject, officer.Subject)
			c.owner(subjects, subject, officer.ID, "the subject "+officer.Subject)
		}
		c.expect(subject == first, "officer %q: certificate %d has the subject %q; expected %q as in the first, since an officer is known by the subject", officer.ID, i+1, certificate.Subject, officer.Subject)
		key := signing.EncodeKey(certificate.PublicKey) // the same for another encoding of the same key
		if key == nil {
			key = certificate.RawSubjectPublicKeyInfo
		}
		c.owner(keys, string(key), officer.ID, "a public key")
		for _, other := range officer.Certificates[:i] {
			c.expect(!bytes.Equal(other, der), "officer %q: certificate %d is listed twice", officer.ID, i+1)
		}
	}
}

func printable(text string, limit int) bool {
	count := 0
	for _, r := range text {
		if !unicode.IsPrint(r) {
			return false
		}
		count++
	}
	return count <= limit
}

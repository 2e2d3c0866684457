package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/domains"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// referenceReasons is the order of the Validated condition: the first that applies is the condition's reason.
var referenceReasons = []string{
	v1alpha1.ReasonUnknownReference,
	v1alpha1.ReasonClosedReference,
	v1alpha1.ReasonNotVisibleInDomain,
	v1alpha1.ReasonCertificateProcedureRequired,
	v1alpha1.ReasonStorageProfileNotOffered,
}

// CheckReferences evaluates the rules that need the catalogue, for a procedure whose static rules hold; all findings at
// once, the reasons in the order of the Validated condition. What a draft leaves out is not looked for. A procedure with
// state Closed has no findings, so that a procedure can always be closed.
func CheckReferences(p request.Procedure, c *Catalog) []Finding {
	if p.State == request.Closed {
		return nil
	}
	tree := domains.NewTree(c.Domains)
	findings := checkDomain(p, tree)
	for _, reference := range references(p, c) {
		findings = append(findings, reference.check(p, tree)...)
	}
	findings = append(findings, checkCertificateProcedureRequired(p, c)...)
	findings = append(findings, checkStorageProfile(p, c)...)
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Compare(slices.Index(referenceReasons, a.Reason), slices.Index(referenceReasons, b.Reason))
	})
	return findings
}

// References tells whether a procedure depends on an object of the catalogue by one of these names (any kind), on a
// domain by one of them, or on a storage profile by one of them. Domains above the procedure's own count only if named
// by it: where the tree itself changes, every procedure with a domain may be concerned.
func References(p request.Procedure, names map[string]bool) bool {
	if names[p.Domain] && p.Domain != "" || names[p.StorageProfile] && p.StorageProfile != "" {
		return true
	}
	return slices.ContainsFunc(references(p, &Catalog{}), func(r reference) bool { return names[r.name] })
}

// reference is one name in a procedure and what the catalogue has under it.
type reference struct {
	field  string // path below spec.procedure
	kind   string // what is referred to, for people
	name   string
	object *CatalogObject // nil: the catalogue has none
}

func references(p request.Procedure, c *Catalog) []reference {
	var all []reference
	add := func(field, kind, name string, object *CatalogObject) {
		if name != "" {
			all = append(all, reference{field: field, kind: kind, name: name, object: object})
		}
	}
	add("pinProcedure", "PIN procedure", p.PINProcedure, findObject(c.PINProcedures, p.PINProcedure))
	for i, name := range p.KeyProcedures {
		var object *CatalogObject
		if found := c.keyProcedure(name); found != nil {
			object = &found.CatalogObject
		}
		add(indexed("keyProcedures", i), "key procedure", name, object)
	}
	for i, name := range p.AttributeCertificateProcedures {
		add(indexed("attributeCertificateProcedures", i), "attribute certificate procedure", name, findObject(c.AttributeCertificateProcedures, name))
	}
	for i, name := range p.CertificateProcedures {
		var object *CatalogObject
		if found := c.certificateProcedure(name); found != nil {
			object = &found.CatalogObject
		}
		add(indexed("certificateProcedures", i), "certificate procedure", name, object)
	}
	add("inputView", "input view", p.InputView, findObject(c.InputViews, p.InputView))
	return all
}

func (r reference) check(p request.Procedure, tree domains.Tree) []Finding {
	switch {
	case r.object == nil:
		return []Finding{finding(r.field, v1alpha1.ReasonUnknownReference,
			"%s names the %s %q, which the CM host does not have: correct the name, or have it created there", r.field, r.kind, r.name)}
	case r.object.State != Active:
		return []Finding{finding(r.field, v1alpha1.ReasonClosedReference,
			"%s names the %s %q, whose state is %q: name one that is Active", r.field, r.kind, r.name, r.object.State)}
	case !usableFrom(p.Domain, r.object, tree):
		return []Finding{finding(r.field, v1alpha1.ReasonNotVisibleInDomain,
			"%s names the %s %q, which belongs to the domain %q (visible in subdomain: %t) and cannot be used from the domain %q: name one of this domain, or have it made visible",
			r.field, r.kind, r.name, r.object.Domain, r.object.VisibleInSubdomain, domains.Canonical(p.Domain))}
	}
	return nil
}

// usableFrom tells whether an object of the catalogue can be referred to from a domain.
func usableFrom(domain string, object *CatalogObject, tree domains.Tree) bool {
	return object.Domain == "" || object.Domain == domains.Canonical(domain) ||
		object.VisibleInSubdomain && tree.Covers(object.Domain, domain)
}

func checkDomain(p request.Procedure, tree domains.Tree) []Finding {
	if domains.Canonical(p.Domain) == domains.Root {
		return nil
	}
	domain, found := tree[p.Domain]
	switch {
	case !found:
		return []Finding{finding("domain", v1alpha1.ReasonUnknownReference,
			"domain names the domain %q, which the CM host does not have: correct the name, or have it created there", p.Domain)}
	case domain.State != Active:
		return []Finding{finding("domain", v1alpha1.ReasonClosedReference,
			"domain names the domain %q, whose state is %q: name one that is Active", p.Domain, domain.State)}
	}
	return nil
}

// checkCertificateProcedureRequired: a token without certificate procedures needs recovered keys that bring their own
// certificates. Key procedures that the catalogue does not have are a finding of their own and say nothing here.
func checkCertificateProcedureRequired(p request.Procedure, c *Catalog) []Finding {
	if len(p.CertificateProcedures) > 0 {
		return nil
	}
	var others []string
	for _, name := range p.KeyProcedures {
		if key := c.keyProcedure(name); key != nil && !key.reuses() {
			others = append(others, fmt.Sprintf("%q", name))
		}
	}
	if len(others) == 0 {
		return nil
	}
	return []Finding{finding("certificateProcedures", v1alpha1.ReasonCertificateProcedureRequired,
		"certificateProcedures is missing: it is required unless all key procedures are recoveries that reuse the certificate, and keyProcedures names %s, which is not: name a certificate procedure, or remove the others",
		strings.Join(others, ", "))}
}

func checkStorageProfile(p request.Procedure, c *Catalog) []Finding {
	if p.StorageProfile == "" || slices.Contains(c.StorageProfiles, p.StorageProfile) {
		return nil
	}
	return []Finding{finding("storageProfile", v1alpha1.ReasonStorageProfileNotOffered,
		"storageProfile is %s, which the CM host does not offer: choose one of %q", p.StorageProfile, c.StorageProfiles)}
}

func indexed(list string, index int) string { return fmt.Sprintf("%s[%d]", list, index) }

// maxMessage bounds a message in characters, as status.warnings does: what a CM host says may be of any length.
const maxMessage = 1024

// finding is a finding about a field below spec.procedure.
func finding(field, reason, format string, arguments ...any) Finding {
	message := []rune(fmt.Sprintf(format, arguments...))
	if len(message) > maxMessage {
		message = append(message[:maxMessage-1], '…')
	}
	return Finding{Field: "spec.procedure." + field, Reason: reason, Message: string(message)}
}

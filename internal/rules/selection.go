package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// KeyUsages are the names of RFC 5280 section 4.2.1.3, in the order of their bits.
var KeyUsages = []string{
	"digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement",
	"keyCertSign", "cRLSign", "encipherOnly", "decipherOnly",
}

// Errors of SelectCertificateProcedure.
var (
	// ErrUnknownKeyUsage means that a request names a key usage that RFC 5280 does not have.
	ErrUnknownKeyUsage = errors.New("unknown key usage")
	// ErrNoMatch means that the request is refused: no certificate procedure matches it.
	ErrNoMatch = errors.New("no certificate procedure matches")
)

// usageSet is a set of key usages, one bit each.
type usageSet uint16

// allUsages has every key usage set.
const allUsages = usageSet(1<<9 - 1)

// ParseKeyUsages reports the names among usages that RFC 5280 does not have, in an error that is ErrUnknownKeyUsage.
func ParseKeyUsages(usages []string) error {
	_, err := parseUsages(usages)
	return err
}

func parseUsages(usages []string) (usageSet, error) {
	var set usageSet
	for _, usage := range usages {
		bit := slices.Index(KeyUsages, usage)
		if bit < 0 {
			return 0, fmt.Errorf("%w %q: expected one of %s", ErrUnknownKeyUsage, usage, strings.Join(KeyUsages, ", "))
		}
		set |= 1 << bit
	}
	return set, nil
}

// matched is the set of key usages that a certificate procedure matches: a request is matched if it names no other.
// A procedure with no key usage set matches every request, as one with all of them does.
func (p *CertificateProcedure) matched() usageSet {
	if len(p.KeyUsages) == 0 {
		return allUsages
	}
	var set usageSet
	for _, usage := range p.KeyUsages {
		if bit := slices.Index(KeyUsages, usage); bit >= 0 {
			set |= 1 << bit
		}
	}
	return set
}

func (s usageSet) contains(other usageSet) bool { return s&other == other }

// SelectCertificateProcedure tells which certificate procedure a key gets whose request names these key usages: the
// first in the procedure's list where it names none, otherwise the first that matches. The state of a certificate
// procedure plays no part; one that the catalogue does not have matches nothing.
func SelectCertificateProcedure(p request.Procedure, c *Catalog, keyUsages []string) (string, error) {
	requested, err := parseUsages(keyUsages)
	if err != nil {
		return "", err
	}
	for _, name := range p.CertificateProcedures {
		if requested == 0 {
			return name, nil
		}
		if entry := c.certificateProcedure(name); entry != nil && entry.matched().contains(requested) {
			return name, nil
		}
	}
	if len(p.CertificateProcedures) == 0 {
		return "", fmt.Errorf("%w: the procedure %q has none", ErrNoMatch, p.Name)
	}
	return "", fmt.Errorf("%w the key usages %s: the procedure %q has %s", ErrNoMatch,
		strings.Join(keyUsages, ", "), p.Name, strings.Join(p.CertificateProcedures, ", "))
}

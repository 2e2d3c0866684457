package rules

import (
	"fmt"
	"strings"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/domains"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

const (
	// shownOverlaps bounds how many overlaps of one range are told one by one.
	shownOverlaps = 8
	// maxWarnings bounds the warnings of a procedure, as status.warnings does.
	maxWarnings = 32
)

// Warnings lists what is worth knowing about a procedure before anyone signs; it refuses nothing. Without a catalogue
// or ranges (nil) the warnings that need them are left out. A procedure with state Closed issues no tokens and has none.
func Warnings(p request.Procedure, c *Catalog, ranges *SerialRanges) []Finding {
	if p.State == request.Closed {
		return nil
	}
	var warnings []Finding
	if c != nil {
		warnings = append(warnings, shadowed(p, c)...)
		warnings = append(warnings, severalRecoveries(p, c)...)
	}
	if ranges != nil {
		warnings = append(warnings, overlapping(p, ranges)...)
	}
	return warnings
}

// ClosedReferences warns of what was closed after the CM host had accepted the procedure: the procedure stays as it is,
// and a later revision would be refused.
func ClosedReferences(p request.Procedure, c *Catalog) []Finding {
	if p.State == request.Closed {
		return nil
	}
	var warnings []Finding
	if domain, found := domains.NewTree(c.Domains)[p.Domain]; found && domain.State != Active {
		warnings = append(warnings, closedLater("domain", "domain", p.Domain))
	}
	for _, reference := range references(p, c) {
		if reference.object != nil && reference.object.State != Active {
			warnings = append(warnings, closedLater(reference.field, reference.kind, reference.name))
		}
	}
	return warnings
}

func closedLater(field, kind, name string) Finding {
	return finding(field, v1alpha1.ReasonReferenceClosed,
		"%s names the %s %q, which was closed after the CM host had accepted this procedure: the next revision must name one that is Active, or close the procedure",
		field, kind, name)
}

// shadowed finds certificate procedures that can never be chosen: some earlier one matches every request that they
// match. That is so exactly if an earlier one has all their key usages, for the request for just those usages needs a
// single procedure that has them all.
func shadowed(p request.Procedure, c *Catalog) []Finding {
	var warnings []Finding
	for i, name := range p.CertificateProcedures {
		entry := c.certificateProcedure(name)
		if entry == nil {
			continue
		}
		for _, earlier := range p.CertificateProcedures[:i] {
			before := c.certificateProcedure(earlier)
			if before == nil || !before.matched().contains(entry.matched()) {
				continue
			}
			field := indexed("certificateProcedures", i)
			warnings = append(warnings, finding(field, v1alpha1.ReasonShadowedCertificateProcedure,
				"%s names %q, which is never chosen: %q comes before it and matches every request that it matches; change the order, or remove it",
				field, name, earlier))
			break
		}
	}
	return warnings
}

func severalRecoveries(p request.Procedure, c *Catalog) []Finding {
	if p.StorageProfile != "SmartCard" {
		return nil
	}
	var recoveries []string
	for _, name := range p.KeyProcedures {
		if key := c.keyProcedure(name); key != nil && key.Kind == KeyRecovery {
			recoveries = append(recoveries, fmt.Sprintf("%q", name))
		}
	}
	if len(recoveries) < 2 {
		return nil
	}
	return []Finding{finding("keyProcedures", v1alpha1.ReasonSeveralRecoveries,
		"keyProcedures names %d recoveries; on smart cards none of several is carried out unless one is picked at issuing time: name only one, or tell the registration officers (%s)",
		len(recoveries), strings.Join(recoveries, ", "))}
}

func overlapping(p request.Procedure, ranges *SerialRanges) []Finding {
	const field = "cardSerialNumber.range"
	own, has := SerialRangeOf(p)
	if !has {
		return nil
	}
	var warnings []Finding
	for i, overlap := range ranges.Overlaps(p.Name, own, shownOverlaps+1) {
		if i == shownOverlaps {
			warnings = append(warnings, finding(field, v1alpha1.ReasonOverlappingSerialRange,
				"%s, %s to %s, overlaps the ranges of more Active procedures than the %d that are named here", field, own.From, own.To, shownOverlaps))
			break
		}
		warnings = append(warnings, finding(field, v1alpha1.ReasonOverlappingSerialRange,
			"%s, %s to %s, overlaps the range of the Active procedure %q, %s to %s: both can give the numbers %s to %s",
			field, own.From, own.To, overlap.Name, overlap.Range.From, overlap.Range.To, overlap.Common.From, overlap.Common.To))
	}
	return warnings
}

// StatusWarnings are warnings as the status has them: at most as many as fit there, the last one saying how many do not.
func StatusWarnings(warnings []Finding) []v1alpha1.Warning {
	var shown []v1alpha1.Warning
	for i, warning := range warnings {
		if i == maxWarnings-1 && len(warnings) > maxWarnings {
			return append(shown, v1alpha1.Warning{Reason: warning.Reason, Message: fmt.Sprintf(
				"%d more warnings do not fit here: `kubectl tokenproc lint` with the CM host's catalogue shows all", len(warnings)-i)})
		}
		shown = append(shown, v1alpha1.Warning{Reason: warning.Reason, Message: warning.Message})
	}
	return shown
}

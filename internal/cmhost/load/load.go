// Package load brings the host administrator's register, catalogue and procedures made elsewhere into a store.
//
// It is declarative: the files say how everything is from now on, the package finds what changes, refuses what does not
// fit together or would break an Active procedure, and writes the rest in one transaction, each change an entry of the
// log. What a log says, and what is stored beside it, it compares with the same means (Recorded). It knows the store and
// the rules, not HTTP; a running host notices by itself.
package load

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/admission"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/store"
	"github.com/tokenprocedures/token-procedure-operator/internal/domains"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// maxDocument bounds what a client has to read in one answer.
const maxDocument = 4 << 20

// Input is what is loaded. What is nil stays as it is.
type Input struct {
	Officers []signing.Officer
	Catalog  *rules.Catalog
	// Procedures were made elsewhere, without evidence. They are added, or replace others made elsewhere; none is removed.
	Procedures []request.Procedure
	// AllowBreaking loads also what breaks an Active procedure.
	AllowBreaking bool
	// DryRun finds out what changes and changes nothing.
	DryRun bool
	// Now is the time of the entries.
	Now time.Time
}

// BreaksError says which Active procedures a load would break.
type BreaksError struct{ Broken []string }

// Error implements error.
func (e *BreaksError) Error() string {
	return fmt.Sprintf("nothing was loaded: it would break Active procedures:\n  %s\nClose or change them first, or load with --allow-breaking", strings.Join(e.Broken, "\n  "))
}

// Load brings the input into a store and says what changed, and which Active procedures broke where that was allowed.
func Load(ctx context.Context, s *store.Store, input Input) (changes []Change, broken []string, err error) {
	// Who interrupts a load learns whether it was written.
	err = s.Update(context.WithoutCancel(ctx), func(ctx context.Context, tx *store.Tx) error {
		changes, broken, err = plan(ctx, tx, input)
		if err != nil || input.DryRun {
			return err
		}
		return write(ctx, tx, input, changes)
	})
	if err != nil {
		return nil, nil, err
	}
	return changes, broken, nil
}

// target is the policy after the load, ordered so that the same files give the same bytes.
func target(now *store.Policy, input Input) ([]signing.Officer, rules.Catalog) {
	officers, catalog := now.Officers, now.Catalog
	if input.Officers != nil {
		officers = input.Officers
	}
	if input.Catalog != nil {
		catalog = *input.Catalog
	}
	officers = ordered(officers, func(o signing.Officer) string { return o.ID })
	for i := range officers {
		officers[i].Roles = listed(officers[i].Roles)
	}
	catalog.StorageProfiles = listed(catalog.StorageProfiles)
	catalog.Domains = ordered(catalog.Domains, func(d domains.Domain) string { return d.Name })
	catalog.PINProcedures = ordered(catalog.PINProcedures, nameOf)
	catalog.KeyProcedures = ordered(catalog.KeyProcedures, func(k rules.KeyProcedure) string { return k.Name })
	catalog.CertificateProcedures = ordered(catalog.CertificateProcedures, func(c rules.CertificateProcedure) string { return c.Name })
	catalog.AttributeCertificateProcedures = ordered(catalog.AttributeCertificateProcedures, nameOf)
	catalog.InputViews = ordered(catalog.InputViews, nameOf)
	return officers, catalog
}

func nameOf(o rules.CatalogObject) string { return o.Name }

// listed makes JSON of an empty list [], not null.
func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func ordered[T any](list []T, key func(T) string) []T {
	list = slices.Clone(listed(list))
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	return list
}

// plan finds out what changes, and refuses what must not be.
func plan(ctx context.Context, tx *store.Tx, input Input) ([]Change, []string, error) {
	now := tx.Policy()
	officers, catalog := target(now, input)
	if err := check(officers, catalog); err != nil {
		return nil, nil, err
	}
	before, err := objects(now.Officers, now.Catalog)
	if err != nil {
		return nil, nil, err
	}
	after, err := objects(officers, catalog)
	if err != nil {
		return nil, nil, err
	}
	changes := diff(before, after)
	broken, err := breaks(ctx, tx, &now.Catalog, &catalog)
	if err != nil {
		return nil, nil, err
	}
	if len(broken) > 0 && !input.AllowBreaking {
		return nil, nil, &BreaksError{Broken: broken}
	}
	imports, err := planImports(ctx, tx, input.Procedures)
	return append(changes, imports...), broken, err
}

func check(officers []signing.Officer, catalog rules.Catalog) error {
	if err := CheckCatalog(catalog); err != nil {
		return fmt.Errorf("the catalogue does not fit together:\n%w", err)
	}
	if err := CheckOfficers(officers, catalog.Domains); err != nil {
		return fmt.Errorf("the register does not fit together:\n%w", err)
	}
	for what, content := range map[string]any{"register": officers, "catalogue": catalog} {
		plain, err := json.Marshal(content)
		if err != nil {
			return fmt.Errorf("serialise the %s: %w", what, err)
		}
		if len(plain) > maxDocument {
			return fmt.Errorf("the %s has %d bytes as JSON; at most %d are allowed", what, len(plain), maxDocument)
		}
	}
	return nil
}

// breaks lists the Active procedures whose references are good by the old catalogue and not by the new one. Where there
// are too many, it says how many are left out.
func breaks(ctx context.Context, tx *store.Tx, before, after *rules.Catalog) ([]string, error) {
	const enough = 100
	var broken []string
	more := 0
	err := tx.EachProcedure(ctx, func(stored *cmhostv1.TokenProcedure) error {
		if stored.Procedure.State != request.Active {
			return nil
		}
		findings := rules.CheckReferences(stored.Procedure, after)
		switch {
		case len(findings) == 0 || len(rules.CheckReferences(stored.Procedure, before)) > 0:
		case len(broken) < enough:
			broken = append(broken, stored.Name+": "+findings[0].Message)
		default:
			more++
		}
		return nil
	})
	if more > 0 {
		broken = append(broken, fmt.Sprintf("and %d more", more))
	}
	return broken, err
}

// planImports finds out which procedures made elsewhere are new or other than before.
func planImports(ctx context.Context, tx *store.Tx, procedures []request.Procedure) ([]Change, error) {
	var changes []Change
	seen := make(map[string]bool, len(procedures))
	for _, procedure := range procedures {
		procedure = procedure.Normalize()
		if seen[procedure.Name] {
			return nil, fmt.Errorf("procedure %q is listed twice: list it once", procedure.Name)
		}
		seen[procedure.Name] = true
		if findings := rules.ValidateRequest(request.New("import", 1, procedure)); len(findings) > 0 {
			return nil, fmt.Errorf("procedure %q breaks a rule: %s", procedure.Name, findings[0].Message)
		}
		members, err := membersOf(procedure)
		if err != nil {
			return nil, err
		}
		change := Change{Kind: cmhostv1.ChangeKindTokenProcedure, Name: procedure.Name, Action: cmhostv1.LogEntryActionImported, After: members}
		current, err := tx.Procedure(ctx, procedure.Name)
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return nil, err
		case current.Revision > 0:
			return nil, fmt.Errorf("procedure %q has revision %d with evidence on this host; only procedures without can be loaded", procedure.Name, current.Revision)
		case len(request.Differences(current.Procedure, procedure)) == 0:
			continue
		}
		changes = append(changes, change)
	}
	return changes, nil
}

// write appends the changes to the log and stores what they lead to.
func write(ctx context.Context, tx *store.Tx, input Input, changes []Change) error {
	officers, catalog := target(tx.Policy(), input)
	policyChanged := false
	for _, change := range changes {
		entry := change.entry(input.Now)
		if change.Action != cmhostv1.LogEntryActionImported {
			policyChanged = true
			if err := tx.Append(ctx, entry); err != nil {
				return err
			}
			continue
		}
		imported, err := procedureFrom(change.After)
		if err != nil {
			return err
		}
		if err := tx.PutProcedure(ctx, entry, admission.Summarize(imported), ""); err != nil {
			return err
		}
	}
	if !policyChanged {
		return nil
	}
	return tx.SetPolicy(ctx, officers, catalog)
}

func procedureFrom(members map[string]any) (request.Procedure, error) {
	var procedure request.Procedure
	plain, err := json.Marshal(members)
	if err != nil {
		return procedure, err
	}
	return procedure, json.Unmarshal(plain, &procedure)
}

package plugin

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

// lintSurroundings is what a CM host says that a procedure is checked against.
type lintSurroundings struct {
	catalog *rules.Catalog
	ranges  *rules.SerialRanges
}

// lintAgainstHosts checks all complete procedures against the catalogue and the serial ranges in use, as far as the user
// gave a way to know them.
func (o *lintOptions) lintAgainstHosts(ctx context.Context, s *session, known *linted, report *LintReport) error {
	seen := map[client.ObjectKey]*lintSurroundings{}
	for _, one := range known.complete {
		surroundings, err := o.surroundings(ctx, s, one, known.complete, seen)
		if err != nil {
			return err
		}
		if surroundings.catalog != nil {
			for _, finding := range rules.CheckReferences(one.procedure, surroundings.catalog) {
				report.add(placed(one.object, severityError, finding))
			}
		}
		for _, warning := range rules.Warnings(one.procedure, surroundings.catalog, surroundings.ranges) {
			report.add(placed(one.object, severityWarning, warning))
		}
	}
	return nil
}

// surroundings asks once for each CM host, and puts the ranges of the files in place of those that the host has now.
func (o *lintOptions) surroundings(ctx context.Context, s *session, one completeProcedure, all []completeProcedure, seen map[client.ObjectKey]*lintSurroundings) (*lintSurroundings, error) {
	key := one.hostKey()
	if seen[key] != nil {
		return seen[key], nil
	}
	found, err := o.ask(ctx, s, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", one.source.where, err)
	}
	for _, other := range all {
		if other.hostKey() != key {
			continue
		}
		found.ranges.Remove(other.procedure.Name)
		if span, used := rules.SerialRangeOf(other.procedure); used {
			found.ranges.Set(other.procedure.Name, span)
		}
	}
	seen[key] = found
	return found, nil
}

// hostKey is the CMHost of a procedure, as the file names it.
func (p *completeProcedure) hostKey() client.ObjectKey {
	return client.ObjectKey{Namespace: p.source.procedure.Namespace, Name: p.source.procedure.Spec.CMHostRef.Name}
}

func (o *lintOptions) ask(ctx context.Context, s *session, key client.ObjectKey) (*lintSurroundings, error) {
	found := &lintSurroundings{ranges: new(rules.SerialRanges)}
	var err error
	if o.catalog.file != "" {
		if found.catalog, err = readCatalog(o.catalog.file); err != nil {
			return nil, err
		}
	}
	if !o.online && !o.catalog.hosts.given() {
		return found, nil
	}
	var cmHost v1alpha1.CMHost
	if !o.catalog.hosts.given() {
		if key.Namespace == "" {
			if key.Namespace, err = s.namespace(); err != nil {
				return nil, err
			}
		}
		if err := s.get(ctx, key, &cmHost, "CMHost"); err != nil {
			return nil, err
		}
	}
	opened, err := o.catalog.hosts.open(ctx, s, &cmHost)
	if err != nil {
		return nil, err
	}
	if found.catalog == nil {
		if found.catalog, err = opened.catalog(ctx); err != nil {
			return nil, err
		}
	}
	procedures, err := opened.procedures(ctx, s.progress("procedures of the CM host"))
	if err != nil {
		return nil, err
	}
	found.ranges = rangesOf(procedures)
	return found, nil
}

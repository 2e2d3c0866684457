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
		surroundings, err := o.surroundings(ctx, s, one, seen)
		if err != nil {
			return err
		}
		if surroundings.catalog != nil {
			for _, finding := range rules.CheckReferences(one.procedure, surroundings.catalog) {
				report.add(placed(one.object, severityError, finding))
			}
		}
		for _, ranges := range []*rules.SerialRanges{known.ranges, surroundings.ranges} {
			for _, warning := range rules.Warnings(one.procedure, nil, ranges) {
				report.add(placed(one.object, severityWarning, warning))
			}
		}
		for _, warning := range rules.Warnings(one.procedure, surroundings.catalog, nil) {
			report.add(placed(one.object, severityWarning, warning))
		}
	}
	return nil
}

// surroundings asks once for each CM host.
func (o *lintOptions) surroundings(ctx context.Context, s *session, one completeProcedure, seen map[client.ObjectKey]*lintSurroundings) (*lintSurroundings, error) {
	var key client.ObjectKey
	if o.online && !o.catalog.hosts.given() {
		object, err := s.keyOf(one.object)
		if err != nil {
			return nil, err
		}
		key = client.ObjectKey{Namespace: object.Namespace, Name: one.source.procedure.Spec.CMHostRef.Name}
	}
	if seen[key] != nil {
		return seen[key], nil
	}
	found, err := o.ask(ctx, s, key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", one.source.where, err)
	}
	seen[key] = found
	return found, nil
}

func (o *lintOptions) ask(ctx context.Context, s *session, key client.ObjectKey) (*lintSurroundings, error) {
	found := new(lintSurroundings)
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

package plugin

import (
	"context"
	"slices"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/domains"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// officers is what a CM host says of its officers; problem is why it could not be asked.
type officers struct {
	all     []signing.Officer
	tree    domains.Tree
	problem string
}

func readOfficers(ctx context.Context, asked *host) *officers {
	all, err := asked.officers(ctx)
	if err != nil {
		return &officers{problem: firstLine(err)}
	}
	catalog, err := asked.catalog(ctx)
	if err != nil {
		return &officers{problem: firstLine(err)}
	}
	return &officers{all: all, tree: domains.NewTree(catalog.Domains)}
}

// mayApprove tells whether an officer may sign requests for a domain, as far as that does not depend on a certificate.
func mayApprove(officer *signing.Officer, domain string, tree domains.Tree) bool {
	return officer.State == "Active" && slices.Contains(officer.Roles, v1alpha1.RoleUseAWB) &&
		slices.Contains(officer.Roles, v1alpha1.RolePolicyTasks) && tree.Covers(officer.Domain, domain)
}

// whoCould lists the officers who may sign for a domain and have not.
func (o *officers) whoCould(status *ProcedureStatus, domain string) ([]OfficerName, string) {
	if o.problem != "" {
		return nil, o.problem
	}
	could := []OfficerName{}
	for i := range o.all {
		signed := slices.ContainsFunc(status.Signatures, func(s SignatureOf) bool { return s.Officer.ID == o.all[i].ID })
		if !signed && mayApprove(&o.all[i], domain, o.tree) {
			could = append(could, OfficerName{ID: o.all[i].ID, Subject: o.all[i].Subject})
		}
	}
	return could, ""
}

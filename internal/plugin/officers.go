package plugin

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

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

// mayNotApprove is why an officer may not sign requests for a domain at a time; empty if they may.
func mayNotApprove(officer *signing.Officer, domain string, tree domains.Tree, now time.Time) string {
	switch {
	case officer.State != "Active":
		return "is " + officer.State
	case !slices.Contains(officer.Roles, v1alpha1.RoleUseAWB):
		return "lacks the role " + v1alpha1.RoleUseAWB
	case !slices.Contains(officer.Roles, v1alpha1.RolePolicyTasks):
		return "lacks the role " + v1alpha1.RolePolicyTasks
	case !tree.Covers(officer.Domain, domain):
		return fmt.Sprintf("is of the domain %s, which is not above %s", officer.Domain, cmp.Or(domain, "Root"))
	case !slices.ContainsFunc(officer.Certificates, func(der []byte) bool { return validAt(der, now) }):
		return "has no certificate that is valid now"
	}
	return ""
}

func validAt(der []byte, now time.Time) bool {
	certificate, err := x509.ParseCertificate(der)
	return err == nil && !now.Before(certificate.NotBefore) && !now.After(certificate.NotAfter)
}

// whoCould lists the officers who may sign for a domain and have not.
func (o *officers) whoCould(status *ProcedureStatus, domain string) ([]OfficerName, string) {
	if o.problem != "" {
		return nil, o.problem
	}
	could := []OfficerName{}
	for i := range o.all {
		signed := slices.ContainsFunc(status.Signatures, func(s SignatureOf) bool { return s.Officer.ID == o.all[i].ID })
		if !signed && mayNotApprove(&o.all[i], domain, o.tree, time.Now()) == "" {
			could = append(could, OfficerName{ID: o.all[i].ID, Subject: o.all[i].Subject})
		}
	}
	return could, ""
}

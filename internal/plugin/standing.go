package plugin

import (
	"context"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/internal/keys"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// usualSignatureAge is how old a signature may be where the CM host does not say it.
const usualSignatureAge = 30 * 24 * time.Hour

// look adds to the warnings what the CM host's register says of the officer who is about to sign, where the host was
// asked: a signature that will not count should not be made unknowingly.
func (u *unsigned) look(ctx context.Context, s *session, key *keys.Key) {
	if u.replaces.host == nil {
		return
	}
	known := readOfficers(ctx, u.replaces.host)
	if known.problem != "" {
		u.warnings = append(u.warnings, "whether your signature will count was not checked: "+known.problem)
		return
	}
	officer, why := known.mayStillSign(&sought{certificate: key.Certificate}, u.request.Procedure.Domain)
	if why == "" && u.replaces.procedure != nil {
		why = mayNotApprove(officer, u.replaces.procedure.Domain, known.tree, time.Now())
	}
	if why != "" {
		u.warnings = append(u.warnings, "the signature will not count, says the CM host's register: "+why)
	}
	if officer == nil {
		return
	}
	if where := u.source.signedBy(ctx, s, officer, known, u.request); where != "" {
		u.warnings = append(u.warnings, officer.ID+" has signed this already ("+where+"): another officer must")
	}
}

// signedBy is where a good signature of an officer over a request is; empty if none is known.
func (f *source) signedBy(ctx context.Context, s *session, officer *signing.Officer, known *officers, wanted request.Request) string {
	if err := f.loadSignatures(ctx, s); err != nil {
		return "" // who may not read signatures may still sign
	}
	terms := signing.Terms{
		Register: signing.NewRegister(known.all, known.tree), Audience: wanted.Audience, ProcedureName: wanted.Procedure.Name,
		MaxSignatureAge: usualSignatureAge, Now: time.Now(),
	}
	for _, signature := range f.signatures {
		der, err := signing.FromText(signature.Spec.Signature)
		if err != nil {
			continue
		}
		verdict := signing.Judge(der, terms)
		if verdict.Verified() && verdict.Officer.ID == officer.ID && sameRequest(*verdict.Request, wanted) {
			return signature.where
		}
	}
	return ""
}

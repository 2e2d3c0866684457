package admission

import (
	"fmt"
	"slices"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/problem"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// officerReasons are the refusals that are about the officer; all others are about the signature.
var officerReasons = []string{v1alpha1.ReasonOfficerClosed, v1alpha1.ReasonMissingRole, v1alpha1.ReasonOutsideDomain}

// checkSignatures judges both signatures: first each by itself, then the officers, then that they are two.
func checkSignatures(s Submission, facts Facts) ([]signing.Verdict, *problem.Error) {
	verdicts := s.verdicts
	if !s.stillGood(facts) {
		verdicts = s.judge(facts)
	}
	names := make([]string, len(verdicts))
	for i := range verdicts {
		names[i] = fmt.Sprintf("signature %d", i+1)
	}
	for _, aboutOfficer := range []bool{false, true} {
		for i, verdict := range verdicts {
			if !verdict.Verified() && slices.Contains(officerReasons, verdict.Reason) == aboutOfficer {
				return nil, refuseSignature(i, verdict, aboutOfficer)
			}
		}
	}
	for i, count := range signing.Tally(s.Request, verdicts, names) {
		if count.Reason != v1alpha1.ReasonCounted {
			return nil, problem.New(cmhostv1.ProblemSameOfficer, "signature %d: %s", i+1, count.Message).
				Because(count.Reason).At(signaturePointer(i), "%s", count.Message)
		}
	}
	return verdicts, nil
}

// judge judges all signatures by some facts.
func (s Submission) judge(facts Facts) []signing.Verdict {
	terms := signing.Terms{
		Register: facts.Register, Audience: s.Request.Audience, ProcedureName: s.Request.Procedure.Name,
		MaxSignatureAge: facts.MaxSignatureAge, Now: facts.Now, Content: s.content,
	}
	if facts.Current != nil {
		terms.ReplacedDomain = &facts.Current.Domain
	}
	verdicts := make([]signing.Verdict, len(s.Signatures))
	for i, signature := range s.Signatures {
		verdicts[i] = signing.Judge(signature, terms)
	}
	return verdicts
}

// stillGood tells whether judging by these facts gives what was judged ahead: the register is the same, no domain but the
// request's own comes in, and no time has come at which a verdict changes.
func (s Submission) stillGood(facts Facts) bool {
	if s.register == nil || s.register != facts.Register {
		return false
	}
	if facts.Current != nil && facts.Current.Domain != s.Request.Procedure.Domain {
		return false
	}
	return !slices.ContainsFunc(s.verdicts, func(v signing.Verdict) bool { return !v.ReviewAt.IsZero() && !facts.Now.Before(v.ReviewAt) })
}

func verified(verdicts []signing.Verdict) bool {
	return !slices.ContainsFunc(verdicts, func(v signing.Verdict) bool { return !v.Verified() })
}

func refuseSignature(i int, verdict signing.Verdict, aboutOfficer bool) *problem.Error {
	kind := cmhostv1.ProblemSignature
	if aboutOfficer {
		kind = cmhostv1.ProblemOfficer
	}
	return problem.New(kind, "signature %d: %s", i+1, verdict.Message).
		Because(verdict.Reason).At(signaturePointer(i), "%s", verdict.Message)
}

func signaturePointer(i int) string { return fmt.Sprintf("/signatures/%d", i) }

// checkRules evaluates the procedure's own rules, then those that need the catalogue.
func checkRules(s Submission, catalog *rules.Catalog) *problem.Error {
	findings := s.findings
	if !s.checked {
		findings = rules.ValidateRequest(s.Request)
	}
	if len(findings) > 0 {
		return refuseFindings(cmhostv1.ProblemRuleBroken, findings)
	}
	if findings := rules.CheckReferences(s.Request.Procedure, catalog); len(findings) > 0 {
		return refuseFindings(cmhostv1.ProblemUnknownReference, findings)
	}
	return nil
}

func refuseFindings(kind string, findings []rules.Finding) *problem.Error {
	refused := problem.New(kind, "%s", rules.Messages(findings)).Because(findings[0].Reason)
	for _, finding := range findings {
		refused = refused.At(finding.RequestPointer(), "%s", finding.Message)
	}
	return refused
}

package admission

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

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
	terms := signing.Terms{
		Register: facts.Register, Audience: s.Request.Audience, ProcedureName: s.Request.Procedure.Name,
		MaxSignatureAge: facts.MaxSignatureAge, Now: facts.Now,
	}
	if facts.Current != nil {
		terms.ReplacedDomain = &facts.Current.Domain
	}
	verdicts := make([]signing.Verdict, len(s.Signatures))
	names := make([]string, len(s.Signatures))
	for i, signature := range s.Signatures {
		verdicts[i], names[i] = signing.Judge(signature, terms), fmt.Sprintf("signature %d", i+1)
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
	if findings := rules.ValidateRequest(s.Request); len(findings) > 0 {
		return refuseFindings(cmhostv1.ProblemRuleBroken, findings)
	}
	if findings := rules.CheckReferences(s.Request.Procedure, catalog); len(findings) > 0 {
		return refuseFindings(cmhostv1.ProblemUnknownReference, findings)
	}
	return nil
}

func refuseFindings(kind string, findings []rules.Finding) *problem.Error {
	messages := make([]string, len(findings))
	for i, finding := range findings {
		messages[i] = finding.Message
	}
	refused := problem.New(kind, "%s", strings.Join(messages, "; ")).Because(findings[0].Reason)
	for _, finding := range findings {
		refused.At(Pointer(finding.Field), "%s", finding.Message)
	}
	return refused
}

var listIndex = regexp.MustCompile(`\[([0-9]+)\]`)

// Pointer is the JSON pointer into the request for the path of a custom resource's field.
func Pointer(field string) string {
	inside := strings.TrimPrefix(field, "spec.")
	return "/" + strings.ReplaceAll(listIndex.ReplaceAllString(inside, ".$1"), ".", "/")
}

// Package admission decides whether the CM host accepts a submitted request: everything that the interface says about a
// PUT from `malformed` on, in its order.
//
// It is pure: facts and the time come in, a decision comes out. It judges with the same packages as everybody else
// (signing, rules) and knows neither the database nor HTTP.
package admission

import (
	"time"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/problem"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// MaxRevisionStep is how far above the stored revision the next one may be.
const MaxRevisionStep = 10_000

// Submission is a submitted request that could be read.
type Submission struct {
	Request    request.Request
	Bytes      []byte
	Digest     string
	Signatures [][]byte

	// What was found out before the facts were sure, so that the transaction has little to do.
	register *signing.Register
	content  *signing.Content
	verdicts []signing.Verdict
	checked  bool // findings are there
	findings []rules.Finding
}

// Facts are what a submission is judged by.
type Facts struct {
	// Current is the stored revision; nil where there is none.
	Current *cmhostv1.TokenProcedureSummary
	// Register of officers, and Catalog of what can be referred to.
	Register *signing.Register
	Catalog  *rules.Catalog
	// MaxSignatureAge is how old a signature may be.
	MaxSignatureAge time.Duration
	// Now is the host's time.
	Now time.Time
}

// Decision is what becomes of a submission that is not refused.
type Decision struct {
	// Already is true for the current revision again: nothing changes.
	Already bool
	// Entry is the entry of the log, still without its place in the chain.
	Entry cmhostv1.LogEntry
	// Summary is how the procedure is listed from now on.
	Summary cmhostv1.TokenProcedureSummary
}

// Host is what a host knows of itself when it reads a submission.
type Host struct {
	Audience        string
	MaxSignatureAge time.Duration
	// Register is the one that was seen last. Decide judges again if it has changed.
	Register *signing.Register
	// Now is the host's time.
	Now time.Time
}

// Read reads a submission for a name and checks all that needs no sure facts: its shape, the request's canonical form,
// the name, that the signatures' content is the request, and the audience. It judges signatures and the procedure's own
// rules ahead, for Decide.
func Read(name string, body cmhostv1.Submission, host Host) (Submission, *problem.Error) {
	if len(body.Signatures) != signing.Quorum {
		return Submission{}, problem.New(cmhostv1.ProblemMalformed, "%d signatures; expected exactly %d", len(body.Signatures), signing.Quorum).
			At("/signatures", "expected exactly %d", signing.Quorum)
	}
	content, err := signing.ReadContent(body.Request)
	if err != nil {
		return Submission{}, problem.New(cmhostv1.ProblemMalformed, "the request cannot be read: %s", err).At("/request", "%s", err)
	}
	parsed := content.Request()
	if parsed.Procedure.Name != name {
		return Submission{}, problem.New(cmhostv1.ProblemMalformed, "the request is for the token procedure %q, the path names %q", parsed.Procedure.Name, name).
			Because(v1alpha1.ReasonOtherProcedure).At("/procedure/name", "expected %q", name)
	}
	s := Submission{Request: parsed, Bytes: body.Request, Digest: request.DigestOf(body.Request), Signatures: body.Signatures}
	s.register, s.content = host.Register, content
	s.verdicts = s.judge(Facts{Register: host.Register, MaxSignatureAge: host.MaxSignatureAge, Now: host.Now})
	if refused := s.sameContent(); refused != nil {
		return Submission{}, refused
	}
	if parsed.Audience != host.Audience {
		return Submission{}, problem.New(cmhostv1.ProblemAudienceMismatch, "the request is for the host %q; this host is %q: sign for this host, or submit to that one", parsed.Audience, host.Audience).
			Because(v1alpha1.ReasonOtherHost).At("/audience", "expected %q", host.Audience)
	}
	if verified(s.verdicts) { // nobody else makes the host evaluate rules
		s.checked, s.findings = true, rules.ValidateRequest(parsed)
	}
	return s, nil
}

// sameContent refuses signatures whose content is not the request, or cannot be read.
func (s Submission) sameContent() *problem.Error {
	for i, verdict := range s.verdicts {
		switch {
		case verdict.Digest == "":
			return problem.New(cmhostv1.ProblemMalformed, "signature %d: %s", i+1, verdict.Message).
				Because(v1alpha1.ReasonMalformed).At(signaturePointer(i), "%s", verdict.Message)
		case verdict.Digest != s.Digest:
			return problem.New(cmhostv1.ProblemMalformed, "signature %d is for other content than the request: expected the digest %s, signed %s", i+1, s.Digest, verdict.Digest).
				Because(v1alpha1.ReasonContentDiffers).At(signaturePointer(i), "the content is not the request")
		}
	}
	return nil
}

// Decide says what becomes of a submission.
func Decide(s Submission, facts Facts) (Decision, *problem.Error) {
	if current := facts.Current; current != nil && current.Revision == s.Request.Revision && current.Digest == s.Digest {
		return Decision{Already: true}, nil
	}
	if refused := checkRevision(s, facts.Current); refused != nil {
		return Decision{}, refused
	}
	verdicts, refused := checkSignatures(s, facts)
	if refused != nil {
		return Decision{}, refused
	}
	if refused := checkRules(s, facts.Catalog); refused != nil {
		return Decision{}, refused
	}
	return accept(s, facts.Now, verdicts), nil
}

func checkRevision(s Submission, current *cmhostv1.TokenProcedureSummary) *problem.Error {
	stored, found := int64(0), s.Request.Revision
	if current != nil {
		stored = current.Revision
	}
	switch {
	case found < stored:
		return problem.New(cmhostv1.ProblemStaleRevision, "the request has revision %d; the host has revision %d: sign a higher one", found, stored).
			Because(v1alpha1.ReasonStaleRevision).At("/revision", "expected more than %d", stored)
	case found == stored:
		return problem.New(cmhostv1.ProblemRevisionConflict, "the host has revision %d with other content (%s): sign a higher revision", stored, current.Digest).
			Because(v1alpha1.ReasonStaleRevision).At("/revision", "expected more than %d", stored)
	case found > stored+MaxRevisionStep:
		return problem.New(cmhostv1.ProblemRuleBroken, "the request has revision %d; the host has %d, and the next may be at most %d above it: sign a lower one", found, stored, MaxRevisionStep).
			Because(v1alpha1.ReasonInvalid).At("/revision", "expected %d to %d", stored+1, stored+MaxRevisionStep)
	}
	return nil
}

// accept makes the log's entry and the listed summary of an accepted request.
func accept(s Submission, now time.Time, verdicts []signing.Verdict) Decision {
	procedure := s.Request.Procedure
	entry := cmhostv1.LogEntry{
		Time: now, Kind: cmhostv1.ChangeKindTokenProcedure, Name: procedure.Name, Action: cmhostv1.LogEntryActionAccepted,
		Revision: s.Request.Revision, Digest: s.Digest, Request: s.Bytes,
	}
	summary := Summarize(procedure)
	summary.Revision, summary.Digest, summary.AcceptedAt = s.Request.Revision, s.Digest, now
	for i, verdict := range verdicts {
		officer := cmhostv1.OfficerReference{Id: verdict.Officer.ID, Subject: verdict.Officer.Subject}
		summary.Signers = append(summary.Signers, cmhostv1.Signer{Officer: officer, SignedAt: verdict.SignedAt})
		entry.Signatures = append(entry.Signatures, cmhostv1.LogSignature{
			Officer: officer, Certificate: verdict.CertificateDER, Roles: verdict.Officer.Roles, Domain: verdict.Officer.Domain,
			SignedAt: verdict.SignedAt, Signature: s.Signatures[i],
		})
	}
	return Decision{Entry: entry, Summary: summary}
}

// Summarize is how a procedure is listed, without what its acceptance adds.
func Summarize(procedure request.Procedure) cmhostv1.TokenProcedureSummary {
	summary := cmhostv1.TokenProcedureSummary{Name: procedure.Name, State: procedure.State, Domain: procedure.Domain, Signers: []cmhostv1.Signer{}}
	if c := procedure.CardSerialNumber; c != nil && c.Range != nil {
		summary.SerialRange = *c.Range
	}
	return summary
}

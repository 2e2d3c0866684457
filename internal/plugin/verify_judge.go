package plugin

import (
	"fmt"
	"slices"
	"strings"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// recorded checks one revision of the host's history: its content against its digest, and two good signatures over it.
func (j *judge) recorded(path string, revision *cmhostv1.TokenProcedure) VerifiedProcedure {
	result := VerifiedProcedure{Where: path, Procedure: revision.Name, Revision: revision.Revision, Digest: revision.Digest, Signatures: []VerifiedSignature{}}
	if revision.Revision == 0 {
		result.Message = "made elsewhere: the CM host has no evidence for it"
		return result
	}
	verdicts := make([]signing.Verdict, len(revision.Signatures))
	names := make([]string, len(revision.Signatures))
	for i, signature := range revision.Signatures {
		verdicts[i] = signing.VerifyEvidence(signature.Signature, j.register, revision.AcceptedAt)
		names[i] = fmt.Sprintf("%s signatures[%d]", path, i)
	}
	result.Audience = audienceOf(verdicts)
	wanted := request.New(result.Audience, revision.Revision, revision.Procedure)
	digest, err := wanted.Digest()
	if err != nil || digest != revision.Digest || revision.Procedure.Name != revision.Name {
		result.Message = fmt.Sprintf("the export contradicts itself: name, content and digest of the revision do not belong together (the content's digest is %s)", digest)
		return result
	}
	result.tally(wanted, j.named(verdicts), names)
	words, agreed := j.logged.acceptance(revision)
	result.AcceptedAt, result.Message, result.Good = revision.AcceptedAt, result.Message+"; "+words, result.Good && agreed
	if result.Good {
		j.accepted[digest] = revision
		of := hostProcedure{result.Audience, revision.Name}
		if newest := j.newest[of]; newest == nil || newest.Revision < revision.Revision {
			j.newest[of] = revision
		}
	}
	return result
}

// audienceOf is the audience that the first readable signature names: an export does not say it otherwise.
func audienceOf(verdicts []signing.Verdict) string {
	for _, verdict := range verdicts {
		if verdict.Request != nil {
			return verdict.Request.Audience
		}
	}
	return ""
}

// manifest checks the signatures beside a manifest.
func (j *judge) manifest(from *source) (VerifiedProcedure, error) {
	wanted, err := from.request()
	if err != nil {
		return VerifiedProcedure{}, err
	}
	digest, err := wanted.Digest()
	if err != nil {
		return VerifiedProcedure{}, err
	}
	result := VerifiedProcedure{Where: from.where, Procedure: wanted.Procedure.Name, Audience: wanted.Audience, Revision: wanted.Revision, Digest: digest, Signatures: []VerifiedSignature{}}
	if accepted := j.accepted[digest]; accepted != nil {
		result.Good, result.Message = true, "accepted by the CM host "+timestamp(accepted.AcceptedAt)+", with good evidence"
		return result, nil
	}
	terms := signing.Terms{Register: j.register, Audience: wanted.Audience, ProcedureName: wanted.Procedure.Name, MaxSignatureAge: j.maxAge, Now: j.now}
	if replaced := j.newest[hostProcedure{wanted.Audience, wanted.Procedure.Name}]; replaced != nil {
		terms.ReplacedDomain = &replaced.Procedure.Domain
	}
	verdicts := make([]signing.Verdict, len(from.signatures))
	names := make([]string, len(from.signatures))
	slices.SortFunc(from.signatures, bySignatureAge)
	for i, signature := range from.signatures {
		names[i] = signature.where
		der, err := signing.FromText(signature.Spec.Signature)
		if err != nil {
			verdicts[i] = signing.Verdict{Reason: v1alpha1.ReasonMalformed, Message: err.Error()}
			continue
		}
		verdicts[i] = signing.Judge(der, terms)
	}
	result.tally(wanted, j.named(verdicts), names)
	return result, nil
}

// named are the verdicts in words for those officers by whom they were judged.
func (j *judge) named(verdicts []signing.Verdict) []signing.Verdict {
	if j.officers == "" {
		return verdicts
	}
	named := slices.Clone(verdicts)
	for i := range named {
		named[i].Message = strings.NewReplacer("the CM host's register of officers", "--officers "+j.officers, "the CM host's register", "--officers "+j.officers).Replace(named[i].Message)
	}
	return named
}

// bySignatureAge is the order in which the operator counts: creation time, then name.
func bySignatureAge(a, b signatureObject) int {
	if order := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); order != 0 {
		return order
	}
	if a.Name < b.Name {
		return -1
	}
	return 1
}

// tally fills in who signed, and whether two officers did.
func (v *VerifiedProcedure) tally(wanted request.Request, verdicts []signing.Verdict, names []string) {
	counted := 0
	for i, count := range signing.Tally(wanted, verdicts, names) {
		verdict := verdicts[i]
		signature := VerifiedSignature{Where: names[i], SignedAt: verdict.SignedAt, Verified: verdict.Verified(),
			Counted: count.Reason == v1alpha1.ReasonCounted, Reason: count.Reason, Message: count.Message}
		if !verdict.Verified() {
			signature.Reason, signature.Message = verdict.Reason, verdict.Message
		}
		if verdict.Officer != nil {
			signature.Officer = OfficerName{ID: verdict.Officer.ID, Subject: verdict.Officer.Subject}
		}
		if signature.Counted {
			counted++
		}
		v.Signatures = append(v.Signatures, signature)
	}
	v.Good = counted >= signing.Quorum
	v.Message = fmt.Sprintf("%d of %d officers have signed it", min(counted, signing.Quorum), signing.Quorum)
	if len(verdicts) == 0 {
		v.Message += "; no signature was found: give the ProcedureSignatures with -f as well, or the CM host's history with --history"
	}
}

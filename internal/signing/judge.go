// The judgement of one signature: authentication, which time does not change, then the checks of the officer, the
// time and the request. The first check that fails names the reason.

package signing

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/domains"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// refusal is why a signature is not good; nil if it is.
type refusal struct{ reason, message string }

func refuse(reason, format string, arguments ...any) *refusal {
	return &refusal{reason: reason, message: fmt.Sprintf(format, arguments...)}
}

// Judge judges one signature, DER. It never fails: what cannot be read is Malformed.
func Judge(der []byte, terms Terms) Verdict {
	verdict, listed, refused := authenticate(der, terms)
	if refused != nil {
		return verdict.refused(refused)
	}
	return verdict.reviewed(judgeChecks, subject{listed: listed, verdict: verdict, terms: terms})
}

// refused is the verdict with a refusal.
func (v Verdict) refused(r *refusal) Verdict {
	v.Reason, v.Message = r.reason, r.message
	return v
}

// authenticate does everything that neither time nor the officer's standing changes: it reads the signature, finds the
// signer's certificate in the register, and checks the signature with its key.
func authenticate(der []byte, terms Terms) (Verdict, *listing, *refusal) {
	var verdict Verdict
	signed, malformed := parseSignedData(der)
	parsed, err := terms.Content.read(signed.content)
	if err == nil {
		verdict.Request, verdict.Digest = &parsed, request.DigestOf(signed.content)
	}
	if malformed != nil {
		return verdict, nil, refuse(v1alpha1.ReasonMalformed, "not a signature as expected: %s", malformed)
	}
	verdict.SignedAt = signed.attributes.signingTime
	if err != nil {
		return verdict, nil, refuse(v1alpha1.ReasonMalformed, "what was signed is not as expected: %s", err)
	}
	listed, certificate, refused := signed.authenticate(terms.Register)
	// Its own bytes or the register's: a part of the signature would keep all of it in memory with the verdict.
	verdict.CertificateDER = bytes.Clone(certificate)
	if listed != nil {
		verdict.PublicKey = listed.publicKey
		if listed.certificate != nil {
			verdict.CertificateDER = listed.certificate.Raw
		}
	}
	if refused == nil {
		verdict.Officer = listed.officer
	}
	return verdict, listed, refused
}

// authenticate finds out who made a signature: algorithms, certificate, register, and then the public-key operation.
// Whether the content is a request is no concern of it. The certificate is that of the signer as sent, where it is found.
func (s *signedData) authenticate(register *Register) (*listing, []byte, *refusal) {
	scheme, err := chooseScheme(s.digest, s.signature)
	if err != nil {
		return nil, nil, refuse(v1alpha1.ReasonWeakAlgorithm, "not an allowed algorithm: %s", err)
	}
	candidates := s.signerCertificates()
	if len(candidates) == 0 {
		return nil, nil, refuse(v1alpha1.ReasonMalformed, "none of the %d certificates in the signature is the signer's: sign with the certificate included (openssl: without -nocerts)", len(s.certificates))
	}
	if register == nil {
		return nil, candidates[0], refuse(v1alpha1.ReasonHostUnavailable, "waiting for the CM host's register of officers")
	}
	listed, certificate := register.choose(candidates)
	if listed == nil {
		return nil, candidates[0], refuseUnregistered(candidates[0])
	}
	if refused := listed.refusal(); refused != nil {
		return listed, certificate, refused
	}
	return listed, certificate, s.verify(scheme, listed.certificate)
}

func refuseUnregistered(certificate []byte) *refusal {
	if _, problem := unreadKey(certificate); problem != "" {
		return refuse(v1alpha1.ReasonWeakAlgorithm, "the signer's certificate is not allowed: %s", problem)
	}
	return refuse(v1alpha1.ReasonUnknownSigner, "the signer's certificate (SHA-256 fingerprint %s) is not in the CM host's register of officers: have it registered, or sign with a registered one", fingerprint(certificate))
}

// refusal is why a listed certificate cannot sign for its officer, whenever that may be.
func (l *listing) refusal() *refusal {
	switch {
	case l.weakness != "":
		return refuse(v1alpha1.ReasonWeakAlgorithm, "the signer's certificate is not allowed: %s", l.weakness)
	case l.problem != "":
		return refuse(v1alpha1.ReasonUnknownSigner, "the signer's certificate counts for nobody: %s", l.problem)
	case !maySign(l.certificate):
		return refuse(v1alpha1.ReasonBadSignature, "the key usage of the signer's certificate includes neither digitalSignature nor nonRepudiation: sign with a certificate that is for signing")
	}
	return nil
}

// verify checks the digest of the content and the signature value; nil if both are good.
func (s *signedData) verify(scheme scheme, certificate *x509.Certificate) *refusal {
	if !bytes.Equal(scheme.sum(s.content), s.attributes.messageDigest) {
		return refuse(v1alpha1.ReasonBadSignature, "the signed message-digest is not the %v digest of the content: the content was changed after signing; sign again", scheme.digest)
	}
	if !publicKeyOperation(scheme, certificate.PublicKey, s.attributes.encoded, s.value) {
		return refuse(v1alpha1.ReasonBadSignature, "the signature value is not an %s signature (%v) of the signed attributes by the key of the certificate of %s: it was changed, or made with another key; sign again", scheme.padding, scheme.digest, request.Shown(certificate.Subject.String()))
	}
	return nil
}

// subject is an authentic signature and what it is judged by.
type subject struct {
	listed  *listing
	verdict Verdict
	terms   Terms
}

// check is one check of an authentic signature; nil if it holds.
type check func(subject) *refusal

// judgeChecks are the checks of an authentic signature, in the order of their reasons.
var judgeChecks = []check{
	officerActive, certificateNotExpired, certificateAlreadyValid, officerHasRoles, officerCoversDomains,
	notTooOld, notInFuture, sameProcedure, sameAudience,
}

// judgedAt is the verdict after the checks at the time of the terms.
func (v Verdict) judgedAt(checks []check, s subject) Verdict {
	for _, check := range checks {
		if refused := check(s); refused != nil {
			return v.refused(refused)
		}
	}
	v.Reason, v.Message = v1alpha1.ReasonOfficerSignature, "signed by officer "+request.Shown(s.listed.officer.ID)
	return v
}

// reviewed is the verdict after the checks, with the time at which they come out differently.
func (v Verdict) reviewed(checks []check, s subject) Verdict {
	verdict := v.judgedAt(checks, s)
	for _, turn := range s.turns() {
		later := s
		later.terms.Now = turn
		if turn.After(s.terms.Now) && v.judgedAt(checks, later).Reason != verdict.Reason {
			verdict.ReviewAt = turn
			break
		}
	}
	return verdict
}

// turns are the times at which a check can begin to answer differently, in order.
func (s subject) turns() []time.Time {
	turns := []time.Time{
		s.listed.certificate.NotBefore,
		s.listed.certificate.NotAfter.Add(1),
		s.verdict.SignedAt.Add(s.terms.MaxSignatureAge + 1),
		s.verdict.SignedAt.Add(-MaxClockSkew),
	}
	slices.SortFunc(turns, time.Time.Compare)
	return turns
}

func officerActive(s subject) *refusal {
	if state := s.listed.officer.State; state != request.Active {
		return refuse(v1alpha1.ReasonOfficerClosed, "the state of officer %s in the CM host's register is %q; expected %q", request.Shown(s.listed.officer.ID), request.Shown(state), request.Active)
	}
	return nil
}

func certificateNotExpired(s subject) *refusal {
	if end := s.listed.certificate.NotAfter; s.terms.Now.After(end) {
		return refuse(v1alpha1.ReasonCertificateExpired, "the certificate of officer %s was valid until %s: sign with a renewed one that the CM host lists", request.Shown(s.listed.officer.ID), instant(end))
	}
	return nil
}

func certificateAlreadyValid(s subject) *refusal {
	if start := s.listed.certificate.NotBefore; s.terms.Now.Before(start) {
		return refuse(v1alpha1.ReasonCertificateNotYetValid, "the certificate of officer %s is valid from %s", request.Shown(s.listed.officer.ID), instant(start))
	}
	return nil
}

func officerHasRoles(s subject) *refusal {
	var missing []string
	for _, role := range []string{v1alpha1.RoleUseAWB, v1alpha1.RolePolicyTasks} {
		if !slices.Contains(s.listed.officer.Roles, role) {
			missing = append(missing, "`"+role+"`")
		}
	}
	if len(missing) > 0 {
		return refuse(v1alpha1.ReasonMissingRole, "officer %s does not have the role %s", request.Shown(s.listed.officer.ID), strings.Join(missing, " and the role "))
	}
	return nil
}

func officerCoversDomains(s subject) *refusal {
	covered := []struct{ what, domain string }{{"the signed procedure", s.verdict.Request.Procedure.Domain}}
	if replaced := s.terms.ReplacedDomain; replaced != nil {
		covered = append(covered, struct{ what, domain string }{"the revision that it replaces", *replaced})
	}
	own := domains.Canonical(s.listed.officer.Domain)
	for _, c := range covered {
		if !s.terms.Register.tree.Covers(own, c.domain) {
			return refuse(v1alpha1.ReasonOutsideDomain, "officer %s belongs to the domain %s, %s to %s; expected an officer of the same domain or one above", request.Shown(s.listed.officer.ID), request.Shown(own), c.what, request.Shown(domains.Canonical(c.domain)))
		}
	}
	return nil
}

func notTooOld(s subject) *refusal {
	if s.terms.Now.After(s.verdict.SignedAt.Add(s.terms.MaxSignatureAge)) {
		return refuse(v1alpha1.ReasonSignatureExpired, "signed at %s; a signature can be used for %s: sign again", instant(s.verdict.SignedAt), days(s.terms.MaxSignatureAge))
	}
	return nil
}

func notInFuture(s subject) *refusal {
	if s.terms.Now.Before(s.verdict.SignedAt.Add(-MaxClockSkew)) {
		return refuse(v1alpha1.ReasonSigningTimeInFuture, "the signing time is %s, more than %v ahead: check the clock of the computer that signed, and sign again", instant(s.verdict.SignedAt), MaxClockSkew)
	}
	return nil
}

func sameProcedure(s subject) *refusal {
	if s.verdict.Request.Procedure.Name == s.terms.ProcedureName {
		return nil
	}
	return refuse(v1alpha1.ReasonOtherProcedure, "signed for another procedure; %s", s.mixedUp())
}

func sameAudience(s subject) *refusal {
	if s.verdict.Request.Audience == s.terms.Audience {
		return nil
	}
	return refuse(v1alpha1.ReasonOtherHost, "signed for another CM host; %s", s.mixedUp())
}

// mixedUp names what the request was expected to be for and what it is for.
func (s subject) mixedUp() string {
	var list differences
	list.add("Procedure name", s.terms.ProcedureName, s.verdict.Request.Procedure.Name)
	list.add("Audience", s.terms.Audience, s.verdict.Request.Audience)
	return list.String()
}

// instant writes a time for people.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// days writes a duration for people, in days where it is that.
func days(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return fmt.Sprintf("%d days", d/day)
	}
	return d.String()
}

// What still holds after the CM host has accepted a request: the host's evidence, whatever has become of officers and
// certificates since.

package signing

import (
	"bytes"
	"crypto/x509"
	"time"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// Evidence is one signature of a request as the CM host recorded it when it accepted the request.
type Evidence struct {
	// OfficerID and Subject are the officer's, as judged then.
	OfficerID, Subject string
	// SignedAt is the signing time inside the signature.
	SignedAt time.Time
	// Signature is the recorded signature, DER.
	Signature []byte
}

// Recorded tells whether a signature, DER, is an approval that the host's evidence for the request of the digest has:
// the same request, the same certificate of the signer and the same signed attributes, and truly signed. Whole
// signatures are never compared, because anybody can change their unsigned parts. The verdict is RecordedByHost.
func Recorded(der []byte, digest string, evidence []Evidence) (Verdict, bool) {
	signed, err := parseSignedData(der)
	if err != nil || request.DigestOf(signed.content) != digest {
		return Verdict{}, false
	}
	parsed, err := request.Parse(signed.content)
	if err != nil {
		return Verdict{}, false
	}
	for _, recorded := range evidence {
		certificate := signed.sameApproval(recorded.Signature)
		if certificate == nil {
			continue
		}
		verdict := Verdict{
			Reason:         v1alpha1.ReasonRecordedByHost,
			Message:        "the CM host has recorded this signature of officer " + request.Shown(recorded.OfficerID) + " with the revision that it accepted",
			Officer:        &Officer{ID: recorded.OfficerID, Subject: recorded.Subject},
			SignedAt:       signed.attributes.signingTime,
			Request:        &parsed,
			Digest:         digest,
			CertificateDER: certificate.Raw,
			PublicKey:      EncodeKey(certificate.PublicKey),
		}
		return verdict, true
	}
	return Verdict{}, false
}

// maxCandidates bounds the public-key operations of one comparison: a signature can hold many certificates that its
// signer's identifier names.
const maxCandidates = 4

// sameApproval returns the signer's certificate if a recorded signature is the same approval, else nil.
func (s *signedData) sameApproval(recorded []byte) *x509.Certificate {
	other, err := parseSignedData(recorded)
	if err != nil || !bytes.Equal(s.content, other.content) || !bytes.Equal(s.attributes.encoded, other.attributes.encoded) {
		return nil
	}
	scheme, err := chooseScheme(s.digest, s.signature)
	if err != nil {
		return nil
	}
	candidates := commonCertificates(s.signerCertificates(), other.signerCertificates())
	for _, candidate := range candidates[:min(len(candidates), maxCandidates)] {
		certificate, err := x509.ParseCertificate(candidate)
		if err == nil && keyProblem(certificate.PublicKey) == "" && s.verify(scheme, certificate) == nil {
			return certificate
		}
	}
	return nil
}

// commonCertificates lists the certificates that two signatures have in common, each once.
func commonCertificates(mine, theirs [][]byte) [][]byte {
	recorded := make(map[string]bool, len(theirs))
	for _, certificate := range theirs {
		recorded[string(certificate)] = true
	}
	var common [][]byte
	for _, certificate := range mine {
		if recorded[string(certificate)] {
			common = append(common, certificate)
			delete(recorded, string(certificate))
		}
	}
	return common
}

// VerifyEvidence checks a signature, DER, offline: one of the officers' certificates made it, was valid at the time at
// which the host accepted the request, and had not signed later than that. Of the register only ids and certificates
// matter: standing, roles and domains of officers were judged by the host and are not judged again, nor is for which
// host and procedure the request is; that is in the verdict. The verdict is OfficerSignature if the signature is good.
func VerifyEvidence(der []byte, register *Register, acceptedAt time.Time) Verdict {
	verdict, listed, refused := authenticate(der, Terms{Register: register})
	if refused != nil {
		return verdict.refused(refused)
	}
	checks := []check{certificateNotExpired, certificateAlreadyValid, notInFuture}
	return verdict.judgedAt(checks, subject{listed: listed, verdict: verdict, terms: Terms{Now: acceptedAt}})
}

package controllers

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

const (
	// shownSignatures bounds status.signatures.
	shownSignatures = 16
	// shownRefused bounds how many signatures a message says something about.
	shownRefused = 5
)

// tally says what each signature contributes to a request; nothing where there is none.
func (f *facts) tally(wanted *request.Request) []signing.Count {
	if wanted == nil {
		return nil
	}
	verdicts := make([]signing.Verdict, len(f.signatures))
	names := make([]string, len(f.signatures))
	for i, signature := range f.signatures {
		verdicts[i], names[i] = signature.verdict, signature.object.Name
	}
	return signing.Tally(*wanted, verdicts, names)
}

// countedSigners are the signatures that count, by creation time and then name, and how the status shows them.
func (f *facts) countedSigners(counts []signing.Count) (counted []signatureFacts, shown []v1alpha1.SignatureStatus) {
	for i, signature := range f.signatures {
		if counts[i].Reason != v1alpha1.ReasonCounted {
			continue
		}
		counted = append(counted, signature)
		if len(shown) < shownSignatures {
			shown = append(shown, v1alpha1.SignatureStatus{
				OfficerID: signature.verdict.Officer.ID, Subject: shorten(signature.verdict.Officer.Subject, 1024),
				SignatureName: signature.object.Name, SignedAt: second(signature.verdict.SignedAt),
			})
		}
	}
	return counted, shown
}

// recordedSigners are those whom the host's evidence names, with the ProcedureSignatures that still hold their signatures.
func (f *facts) recordedSigners() []v1alpha1.SignatureStatus {
	var shown []v1alpha1.SignatureStatus
	for _, signer := range f.host.entry.Signers {
		status := v1alpha1.SignatureStatus{OfficerID: signer.OfficerID, Subject: signer.Subject, SignedAt: second(signer.SignedAt)}
		for _, signature := range f.signatures {
			verdict := signature.verdict
			if verdict.Verified() && verdict.Digest == f.host.entry.Digest && verdict.Officer.ID == signer.OfficerID && verdict.SignedAt.Equal(signer.SignedAt) {
				status.SignatureName = signature.object.Name
				break
			}
		}
		shown = append(shown, status)
	}
	return shown
}

// second is a time as the API server keeps it.
func second(t time.Time) metav1.Time { return metav1.NewTime(t.UTC().Truncate(time.Second)) }

func signersText(signatures []v1alpha1.SignatureStatus) string {
	names := make([]string, len(signatures))
	for i, signature := range signatures {
		names[i] = request.Shown(signature.OfficerID)
	}
	slices.Sort(names)
	return "officer " + list(names, shownRefused)
}

// refusedText names the signatures that do not count for a revision, and why; not those for other revisions, which are no
// mistake, or one of another day.
func (f *facts) refusedText(revision int64, counts []signing.Count) string {
	var texts []string
	for i, signature := range f.signatures {
		if signed := signature.verdict.Request; signed != nil && signed.Revision != revision {
			continue
		}
		reason := counts[i].Reason
		switch reason {
		case v1alpha1.ReasonCounted, v1alpha1.ReasonSuperseded, v1alpha1.ReasonRevisionAhead:
			continue
		case v1alpha1.ReasonNotVerified:
			reason = signature.verdict.Reason
		}
		texts = append(texts, fmt.Sprintf("%s (%s)", signature.object.Name, reason))
	}
	return list(texts, shownRefused)
}

// hostStatus is what the host has under the name; while it cannot be asked, what it had when it was asked last.
func (f *facts) hostStatus() *v1alpha1.HostProcedureStatus {
	if !f.host.available() {
		if !reported(f.object) {
			return nil
		}
		return f.object.Status.Host
	}
	entry := f.host.entry
	if entry == nil {
		return nil
	}
	revision := entry.Revision
	status := &v1alpha1.HostProcedureStatus{Revision: &revision, Digest: entry.Digest, State: v1alpha1.ProcedureState(entry.State)}
	if !entry.AcceptedAt.IsZero() {
		accepted := second(entry.AcceptedAt)
		status.AcceptedAt = &accepted
	}
	return status
}

// review is the earliest time at which a verdict on the wanted request changes by itself.
func (f *facts) review(wanted *request.Request, now time.Time) time.Time {
	var earliest time.Time
	if wanted == nil {
		return earliest
	}
	for _, signature := range f.signatures {
		at := signature.verdict.ReviewAt
		if at.After(now) && (earliest.IsZero() || at.Before(earliest)) {
			earliest = at
		}
	}
	return earliest
}

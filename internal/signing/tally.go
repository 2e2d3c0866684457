// Which of several verified signatures count for one request.

package signing

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// Count is what one signature of several contributes to a request.
type Count struct {
	// Reason is v1alpha1.ReasonCounted, or why it does not count.
	Reason string
	// Message says what was expected and what was found, field by field where other content was signed.
	Message string
	// Earlier is the index of the signature by the same officer that counts instead, for SameOfficer; else -1.
	Earlier int
}

// Tally says which of several verdicts, in their order of precedence, count for a wanted request. names are how messages
// call the signatures, one for each verdict. A request has its officers when at least Quorum of the counts are Counted.
func Tally(wanted request.Request, verdicts []Verdict, names []string) []Count {
	digest, err := wanted.Digest()
	counts := make([]Count, len(verdicts))
	for i, verdict := range verdicts {
		counts[i] = Count{Earlier: -1}
		switch {
		case err != nil:
			counts[i].Reason, counts[i].Message = v1alpha1.ReasonContentDiffers, "the request to be signed cannot be serialised: "+err.Error()
		case !verdict.Verified():
			counts[i].Reason, counts[i].Message = v1alpha1.ReasonNotVerified, "not verified ("+verdict.Reason+"): "+verdict.Message
		case verdict.Digest != digest:
			counts[i].Reason, counts[i].Message = differs(wanted, *verdict.Request)
		default:
			counts[i] = countOnce(verdict, verdicts[:i], counts[:i], names)
		}
	}
	return counts
}

// countOnce counts a signature of the wanted request unless the same officer, by id or by key, already counts.
func countOnce(verdict Verdict, earlier []Verdict, counts []Count, names []string) Count {
	for i, other := range earlier {
		if counts[i].Reason != v1alpha1.ReasonCounted {
			continue
		}
		if other.Officer.ID == verdict.Officer.ID || bytes.Equal(other.PublicKey, verdict.PublicKey) {
			return Count{v1alpha1.ReasonSameOfficer, fmt.Sprintf("officer %s has already signed this request, in %s: another officer must sign", request.Shown(other.Officer.ID), request.Shown(names[i])), i}
		}
	}
	return Count{v1alpha1.ReasonCounted, "signed by officer " + request.Shown(verdict.Officer.ID), -1}
}

// differs says how a signed request is not the wanted one.
func differs(wanted, signed request.Request) (reason, message string) {
	var list differences
	list.add("Audience", wanted.Audience, signed.Audience)
	list.add("Revision", fmt.Sprint(wanted.Revision), fmt.Sprint(signed.Revision))
	for _, d := range request.Differences(wanted.Procedure, signed.Procedure) {
		list.add(d.Label, d.Old, d.New)
	}
	if len(list) == 0 {
		list.add("Digest", digestOf(wanted), digestOf(signed))
	}
	switch {
	case signed.Revision < wanted.Revision:
		return v1alpha1.ReasonSuperseded, "signed for an earlier revision; " + list.String()
	case signed.Revision > wanted.Revision:
		return v1alpha1.ReasonRevisionAhead, "signed for a later revision; " + list.String()
	}
	return v1alpha1.ReasonContentDiffers, "signed with other content; " + list.String() + ": sign the request as it is now"
}

// digestOf is a request's digest, for requests whose fields look alike.
func digestOf(r request.Request) string {
	digest, err := r.Digest()
	if err != nil {
		return err.Error()
	}
	return digest
}

// differences are fields that are not what was expected, for a message.
type differences []string

func (d *differences) add(label, expected, signed string) {
	if expected != signed {
		*d = append(*d, fmt.Sprintf("%s: expected %s, signed %s", label, orNone(expected), orNone(signed)))
	}
}

func (d differences) String() string { return strings.Join(d, "; ") }

func orNone(value string) string {
	if value == "" {
		return "(none)"
	}
	return request.Shown(value)
}

package plugin

import (
	"context"
	"fmt"
	"strings"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// baseline is what a request would replace, as far as that is known here.
type baseline struct {
	// procedure is the content that is replaced; nil where there is none, or none is known.
	procedure *request.Procedure
	revision  int64
	// from says in words where the content comes from.
	from string
	// unknown is why nothing is known; empty where something is.
	unknown string
	// copy is the host's copy, where the host itself was asked.
	copy *cmhostv1.TokenProcedure
	// host is the host that was asked; nil where it was not.
	host *host
}

// findBaseline asks the host, if it can be reached with what the user has. Else the last revision that somebody signed
// stands in. A status never does: whoever can write it could hide a change.
func findBaseline(ctx context.Context, s *session, hosts *hostFlags, from *source) (baseline, error) {
	found, problem := hostBaseline(ctx, s, hosts, from)
	if problem == nil || hosts.given() {
		return found, problem
	}
	if err := from.loadSignatures(ctx, s); err != nil {
		return baseline{unknown: fmt.Sprintf("neither the CM host nor earlier signatures could be read (%v)", err)}, nil
	}
	newest := newestSigned(from)
	if newest == nil {
		return baseline{unknown: fmt.Sprintf("the CM host was not asked (%s) and no signature of an earlier revision was found", firstLine(problem))}, nil
	}
	return baseline{procedure: &newest.Procedure, revision: newest.Revision,
		from: fmt.Sprintf("revision %d as in earlier signatures here (the CM host was not asked, and the signatures not checked)", newest.Revision)}, nil
}

func hostBaseline(ctx context.Context, s *session, hosts *hostFlags, from *source) (baseline, error) {
	opened, err := hosts.open(ctx, s, from.cmHost)
	if err != nil {
		return baseline{}, err
	}
	return opened.baseline(ctx, from)
}

// baseline is what the host has of a procedure.
func (h *host) baseline(ctx context.Context, from *source) (baseline, error) {
	if err := h.mustBe(ctx, from.audience); err != nil {
		return baseline{}, err
	}
	stored, err := h.procedure(ctx, string(from.procedure.Spec.Procedure.Name))
	if err != nil {
		return baseline{}, err
	}
	if stored == nil {
		return baseline{host: h}, nil
	}
	return baseline{procedure: &stored.Procedure, revision: stored.Revision, from: describeCopy(stored), copy: stored, host: h}, nil
}

// mustBe refuses a host that is not the one of the request.
func (h *host) mustBe(ctx context.Context, audience string) error {
	about, err := h.about(ctx)
	if err != nil {
		return err
	}
	if audience != "" && about.Audience != audience {
		return fmt.Errorf("the CM host at %s is %q, the request is for %q: name the host that belongs to the audience", h.url, about.Audience, audience)
	}
	return nil
}

func describeCopy(stored *cmhostv1.TokenProcedure) string {
	if stored.Revision == 0 {
		return "what the CM host has from elsewhere, without evidence"
	}
	return fmt.Sprintf("revision %d, accepted by the CM host %s, signed by %s", stored.Revision, timestamp(stored.AcceptedAt), signerIDs(stored.Signatures))
}

func signerIDs(signatures []cmhostv1.Signature) string {
	ids := make([]string, len(signatures))
	for i, signature := range signatures {
		ids[i] = signature.Officer.Id
	}
	return strings.Join(ids, ", ")
}

func timestamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// newestSigned is the request with the highest revision below the source's own among its signatures.
func newestSigned(from *source) *request.Request {
	var newest *request.Request
	for _, signature := range from.signatures {
		signed := signedRequest(signature.Spec.Signature)
		if signed == nil || signed.Audience != from.audience || signed.Procedure.Name != string(from.procedure.Spec.Procedure.Name) {
			continue
		}
		own := from.procedure.Spec.Revision
		if own != nil && signed.Revision < *own && (newest == nil || signed.Revision > newest.Revision) {
			newest = signed
		}
	}
	return newest
}

// signedRequest reads the request inside a signature, unchecked; nil where there is none.
func signedRequest(encoded string) *request.Request {
	der, err := signing.FromText(encoded)
	if err != nil {
		return nil
	}
	return signing.Judge(der, signing.Terms{}).Request
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

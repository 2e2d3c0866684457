package cmclient

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
	"unicode"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

const (
	// MaxDetail is how many characters of a host's words are kept.
	MaxDetail = 256
	// MaxRetryAfter bounds how long a host can send its clients away: with jitter, nobody waits longer than 30 s.
	MaxRetryAfter = 25 * time.Second
)

// Failure says that the host cannot be used now. Trying again later may help without anybody touching a procedure.
type Failure struct {
	// Reason is the reason of a CMHost's Ready condition.
	Reason string
	// Message says what was expected, what was found and what to do.
	Message string
	// RetryAfter is what the host asked for, at most MaxRetryAfter; zero where it did not.
	RetryAfter time.Duration
}

// Error implements error.
func (f *Failure) Error() string { return f.Reason + ": " + f.Message }

// Refusal is the host's decision about one call. The same call gets the same answer until somebody changes something.
type Refusal struct {
	// Type is the problem type without its prefix, for example stale-revision.
	Type string
	// Reason is the cause in the words of conditions, for example MissingRole; empty where the host does not say.
	Reason string
	// Detail is at most MaxDetail cleaned characters of what the host says.
	Detail string
}

// Error implements error.
func (r *Refusal) Error() string {
	text := r.Type
	if r.Reason != "" {
		text += " (" + r.Reason + ")"
	}
	if r.Detail != "" {
		text += ": " + r.Detail
	}
	return text
}

// Problem types that a client of a CM host tells apart.
const (
	ProblemAudienceMismatch   = "audience-mismatch"
	ProblemClientNotPermitted = "client-not-permitted"
	ProblemNotFound           = "not-found"
	ProblemStaleRevision      = "stale-revision"
	ProblemRevisionConflict   = "revision-conflict"
	ProblemCursorGone         = "cursor-gone"
	ProblemBusy               = "busy"
	ProblemUnavailable        = "unavailable"
)

const problemPrefix = "https://tokenprocedures.dev/problems/"

// refusalTypes are the problems that a Refusal can have; any other answer means that the host cannot be used.
var refusalTypes = map[string]bool{
	"malformed": true, ProblemAudienceMismatch: true, "signature": true, "officer": true, "same-officer": true,
	ProblemClientNotPermitted: true, ProblemNotFound: true, ProblemStaleRevision: true, ProblemRevisionConflict: true,
	ProblemCursorGone: true, "too-large": true, "rule-broken": true, "unknown-reference": true, "no-match": true,
}

// IsRefusal tells whether an error is a Refusal of a certain problem type.
func IsRefusal(err error, problemType string) bool {
	refusal, ok := errors.AsType[*Refusal](err)
	return ok && refusal.Type == problemType
}

// AsFailure is the Failure in an error; any other error becomes one, because what is not understood is tried again.
func AsFailure(err error) *Failure {
	if failure, ok := errors.AsType[*Failure](err); ok {
		return failure
	}
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		if refusal.Type == ProblemClientNotPermitted {
			return &Failure{Reason: v1alpha1.ReasonNotPermitted, Message: notPermittedMessage(refusal)}
		}
		return &Failure{Reason: v1alpha1.ReasonUnreachable, Message: "the CM host refused a call that every host must answer: " + refusal.Error()}
	}
	return transportFailure(err)
}

func notPermittedMessage(refusal *Refusal) string {
	return "the CM host does not permit the client certificate of the Secret: ask the host's administrator to map it to a submitter, " +
		"or put another certificate into the Secret. The host says: " + refusal.Detail
}

// transportFailure tells a handshake that was refused, which needs a certificate, from a host that does not answer.
func transportFailure(err error) *Failure {
	var (
		verification *tls.CertificateVerificationError
		record       tls.RecordHeaderError
		invalid      x509.CertificateInvalidError
		operation    *net.OpError
	)
	switch {
	case errors.As(err, &verification), errors.As(err, &invalid):
		return &Failure{Reason: v1alpha1.ReasonTLSRefused, Message: "the CM host's certificate is not trusted: expected one that ca.crt of the Secret " +
			"has issued for the host in spec.url, valid now; found: " + Clean(err.Error())}
	case errors.As(err, &record):
		return &Failure{Reason: v1alpha1.ReasonTLSRefused, Message: "what answers at spec.url does not speak TLS: correct spec.url"}
	case errors.As(err, &operation) && operation.Op == "remote error":
		return &Failure{Reason: v1alpha1.ReasonTLSRefused, Message: "the CM host refused the TLS handshake: check that tls.crt of the Secret " +
			"is valid now and was issued by a CA that the host trusts; found: " + Clean(err.Error())}
	case strings.Contains(err.Error(), "tls: "):
		return &Failure{Reason: v1alpha1.ReasonTLSRefused, Message: "no TLS 1.3 connection with the CM host; found: " + Clean(err.Error())}
	}
	return &Failure{Reason: v1alpha1.ReasonUnreachable, Message: "the CM host does not answer as expected: check spec.url, the network and the host; found: " + Clean(err.Error())}
}

// wrongContent is an answer that no CM host gives.
func wrongContent(operation, format string, found ...any) *Failure {
	return &Failure{Reason: v1alpha1.ReasonUnreachable, Message: "the answer to " + operation + " is not one of a CM host: check spec.url; found: " + Clean(fmt.Sprintf(format, found...))}
}

// Clean makes a foreign text fit for a status: one line of at most MaxDetail printable characters.
func Clean(text string) string {
	var cleaned strings.Builder
	count := 0
	for _, r := range text {
		if count == MaxDetail {
			break
		}
		switch {
		case r == unicode.ReplacementChar, !unicode.IsPrint(r) && !unicode.IsSpace(r):
			r = '?'
		case unicode.IsSpace(r):
			r = ' '
		}
		cleaned.WriteRune(r)
		count++
	}
	return strings.TrimSpace(cleaned.String())
}

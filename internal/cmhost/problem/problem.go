// Package problem makes the refusals of the CM host: problem documents (RFC 9457) that are Go errors on their way.
//
// It is pure and knows only the interface's types.
package problem

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
)

// Bounds of the contract.
const (
	maxDetail      = 4096
	maxFieldDetail = 1024
	maxPointer     = 512
	maxErrors      = 64
)

// Error is a refusal.
type Error struct {
	cmhostv1.Problem
	// RetryAfter is when to try again, for problems that time solves.
	RetryAfter time.Duration
}

// Error implements error.
func (e *Error) Error() string { return e.Kind() + ": " + e.Detail }

// Kind is the type without its base.
func (e *Error) Kind() string { return strings.TrimPrefix(e.Type, cmhostv1.ProblemBase) }

// kinds are the status and title of each problem.
var kinds = map[string]struct {
	status int
	title  string
}{
	cmhostv1.ProblemMalformed:          {http.StatusBadRequest, "The request is malformed"},
	cmhostv1.ProblemAudienceMismatch:   {http.StatusBadRequest, "The request is for another host"},
	cmhostv1.ProblemSignature:          {http.StatusForbidden, "A signature is not good"},
	cmhostv1.ProblemOfficer:            {http.StatusForbidden, "An officer may not sign this"},
	cmhostv1.ProblemSameOfficer:        {http.StatusForbidden, "Two different officers must sign"},
	cmhostv1.ProblemClientNotPermitted: {http.StatusForbidden, "The client is not permitted"},
	cmhostv1.ProblemNotFound:           {http.StatusNotFound, "There is no such object"},
	cmhostv1.ProblemStaleRevision:      {http.StatusConflict, "The revision is stale"},
	cmhostv1.ProblemRevisionConflict:   {http.StatusConflict, "The revision has other content"},
	cmhostv1.ProblemCursorGone:         {http.StatusGone, "The cursor is gone"},
	cmhostv1.ProblemTooLarge:           {http.StatusRequestEntityTooLarge, "The body is too large"},
	cmhostv1.ProblemRuleBroken:         {http.StatusUnprocessableEntity, "A rule is broken"},
	cmhostv1.ProblemUnknownReference:   {http.StatusUnprocessableEntity, "A reference cannot be used"},
	cmhostv1.ProblemNoMatch:            {http.StatusUnprocessableEntity, "No certificate procedure matches"},
	cmhostv1.ProblemBusy:               {http.StatusTooManyRequests, "The host is busy"},
	cmhostv1.ProblemUnavailable:        {http.StatusServiceUnavailable, "The host is unavailable"},
}

// New is a refusal of a kind, with what was expected, what was found and what to do.
func New(kind, format string, arguments ...any) *Error {
	known := kinds[kind]
	problem := &Error{Problem: cmhostv1.Problem{
		Type: cmhostv1.ProblemBase + kind, Title: known.title, Status: known.status,
		Detail: bounded(fmt.Sprintf(format, arguments...), maxDetail),
	}}
	if known.status == http.StatusTooManyRequests || known.status == http.StatusServiceUnavailable {
		problem.RetryAfter = time.Second
	}
	return problem
}

// Because adds the cause as one word, in the words of conditions.
func (e *Error) Because(reason string) *Error {
	e.Reason = reason
	return e
}

// At adds a field at fault.
func (e *Error) At(pointer, format string, arguments ...any) *Error {
	if len(e.Errors) < maxErrors {
		detail := bounded(fmt.Sprintf(format, arguments...), maxFieldDetail)
		e.Errors = append(e.Errors, cmhostv1.FieldError{Pointer: bounded(pointer, maxPointer), Detail: detail})
	}
	return e
}

// bounded cuts a text to the bounds of the contract, which count characters; it holds valid UTF-8.
func bounded(text string, limit int) string {
	text = strings.ToValidUTF8(text, "�")
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return text
}

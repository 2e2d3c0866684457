package cmhostv1

// ProblemBase is what the types of all problems begin with.
const ProblemBase = "https://tokenprocedures.dev/problems/"

// The types of problems, without ProblemBase.
const (
	ProblemMalformed          = "malformed"
	ProblemAudienceMismatch   = "audience-mismatch"
	ProblemSignature          = "signature"
	ProblemOfficer            = "officer"
	ProblemSameOfficer        = "same-officer"
	ProblemClientNotPermitted = "client-not-permitted"
	ProblemNotFound           = "not-found"
	ProblemStaleRevision      = "stale-revision"
	ProblemRevisionConflict   = "revision-conflict"
	ProblemCursorGone         = "cursor-gone"
	ProblemTooLarge           = "too-large"
	ProblemRuleBroken         = "rule-broken"
	ProblemUnknownReference   = "unknown-reference"
	ProblemNoMatch            = "no-match"
	ProblemBusy               = "busy"
	ProblemUnavailable        = "unavailable"
)

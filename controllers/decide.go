package controllers

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// action is the next effect of a decision. There is at most one; after it the facts are decided upon again.
type action int

const (
	actionNone action = iota
	// actionSecure sets the finalizers of an object with the deletion policy Close, on it and on its CMHost.
	actionSecure
	// actionRelease takes the object's finalizer away.
	actionRelease
	// actionSubmit sends the wanted request with its two signatures to the host.
	actionSubmit
)

// plan is what a decision says: the conditions, what else the status shows, and the next action.
type plan struct {
	action action
	// why is what a person should know about a release.
	why string
	// wanted is the request to be signed or submitted now; nil while there is none. signers are the two signatures to submit.
	wanted  *request.Request
	digest  string
	signers []signatureFacts

	// keep leaves the status as it is: the host is down, and this generation was Ready.
	keep     bool
	findings []namedFinding
	signed   []v1alpha1.SignatureStatus
	host     *v1alpha1.HostProcedureStatus
	warnings []v1alpha1.Warning
	// review is when the facts change by time alone; zero if they do not.
	review time.Time
}

// decide says everything about a procedure. It is pure: the same facts give the same plan.
func decide(f *facts, now time.Time) plan {
	if f.deleting() {
		return decideDeletion(f, now)
	}
	p := plan{host: f.hostStatus()}
	if f.hostDown() && f.wasReady() {
		p.keep = true
		p.action = finalizerAction(f)
		return p
	}
	standing := f.standing()
	validated := decideValidated(f, standing)
	if validated.holds() && standing == standingNew {
		p.want(f.own, f.digest)
	}
	counts := f.tally(p.wanted)
	signed := decideSigned(f, &p, standing, validated, counts)
	synced := decideSynced(f, standing, validated, signed)
	active, closed := decideState(f)
	ready := decideReady(validated, signed, synced)
	p.findings = append([]namedFinding{
		{v1alpha1.ConditionReady, ready},
		{v1alpha1.ConditionValidated, validated},
		{v1alpha1.ConditionSigned, signed},
		{v1alpha1.ConditionSynced, synced},
		{v1alpha1.ConditionActive, active},
		{v1alpha1.ConditionClosed, closed},
	}, progress(ready)...)
	p.warnings = decideWarnings(f, standing)
	p.review = f.review(p.wanted, now)
	p.action = finalizerAction(f)
	if p.action == actionNone && signed.holds() && standing == standingNew && f.attempt == nil && !f.tooFar() {
		p.action = actionSubmit
	}
	return p
}

// hostDown tells whether nothing can be said about the host. A missing CMHost is no outage: only a person brings it back.
func (f *facts) hostDown() bool { return f.host.object != nil && !f.host.state.Available() }

func (p *plan) want(wanted request.Request, digest string) { p.wanted, p.digest = &wanted, digest }

// finalizerAction keeps the finalizer there with Close, and only then.
func finalizerAction(f *facts) action {
	has := slices.Contains(f.object.Finalizers, v1alpha1.FinalizerClose)
	switch {
	case f.closes() && !f.draft() && (!has || f.host.object != nil && !slices.Contains(f.host.object.Finalizers, v1alpha1.FinalizerClose) && f.host.object.DeletionTimestamp == nil):
		return actionSecure
	case has && !f.closes():
		return actionRelease
	}
	return actionNone
}

// decideValidated says whether every rule that needs no signature holds. Reasons: RulesSatisfied; Draft, Invalid,
// UnknownReference, ClosedReference, NotVisibleInDomain, CertificateProcedureRequired, StorageProfileNotOffered;
// CMHostNotFound, HostUnavailable. What the host has or had is not judged again.
func decideValidated(f *facts, standing standing) finding {
	switch {
	case f.draft():
		return fails(v1alpha1.ReasonDraft, draftMessage(f.missing))
	case standing == standingHeld:
		return holds(v1alpha1.ReasonRulesSatisfied, "the CM host has accepted this revision")
	case standing == standingDrifted:
		return holds(v1alpha1.ReasonRulesSatisfied, "the CM host had accepted this revision")
	case len(f.broken) > 0:
		return fails(v1alpha1.ReasonInvalid, rules.Messages(f.broken))
	case f.host.object == nil:
		return unknown(v1alpha1.ReasonCMHostNotFound, fmt.Sprintf("waiting for the CMHost %q in this namespace: create it, or correct spec.cmHostRef in another object", f.object.Spec.CMHostRef.Name))
	case !f.host.available():
		return unknown(v1alpha1.ReasonHostUnavailable, f.hostDownMessage())
	}
	if findings := rules.CheckReferences(f.own.Procedure, f.host.state.Snapshot.Catalog); len(findings) > 0 {
		return fails(findings[0].Reason, rules.Messages(findings))
	}
	return holds(v1alpha1.ReasonRulesSatisfied, "every rule that needs no signature holds")
}

func draftMessage(missing []rules.Finding) string {
	if len(missing) == 0 {
		return "a draft is not signed or submitted: it is complete, take spec.draft away to submit it"
	}
	return "a draft is not signed or submitted; to submit it, it still needs: " + rules.Messages(missing)
}

func (f *facts) hostDownMessage() string {
	message := fmt.Sprintf("waiting for the CMHost %q", f.object.Spec.CMHostRef.Name)
	if failure := f.host.state.Failure; failure != nil {
		message += ", which says " + failure.Reason
	}
	return message
}

// decideSigned says whether two different officers have signed exactly the wanted request. Reasons: TwoOfficersSigned;
// NotValidated, NotSubmittable; AwaitingSignatures. What the host has rests on the host's evidence.
func decideSigned(f *facts, p *plan, standing standing, validated finding, counts []signing.Count) finding {
	switch {
	case !validated.holds():
		return unknown(v1alpha1.ReasonNotValidated, "nobody is asked to sign before Validated is True")
	case standing == standingHeld:
		p.signed = f.recordedSigners()
		return holds(v1alpha1.ReasonTwoOfficersSigned, "the CM host has the signatures of "+signersText(p.signed))
	case standing != standingNew:
		return unknown(v1alpha1.ReasonNotSubmittable, "nobody is asked to sign: "+standingText(standing))
	}
	p.signers, p.signed = f.countedSigners(counts)
	if len(p.signers) >= signing.Quorum {
		p.signers = p.signers[:signing.Quorum]
		return holds(v1alpha1.ReasonTwoOfficersSigned, "signed by "+signersText(p.signed))
	}
	message := awaitingMessage(f, p, counts)
	if f.tooFar() {
		message += "; before anyone signs: " + tooFarMessage(f)
	}
	return fails(v1alpha1.ReasonAwaitingSignatures, message)
}

func standingText(stands standing) string {
	return map[standing]string{
		standingConflict: "another object keeps the name",
		standingStale:    "the revision is not above that of the CM host",
		standingDrifted:  "the CM host has something else now",
	}[stands]
}

// awaitingMessage names who signed, how many are missing, the digest, and what was not counted and why.
func awaitingMessage(f *facts, p *plan, counts []signing.Count) string {
	missing := signing.Quorum - len(p.signers)
	text := fmt.Sprintf("%s must sign revision %d with the digest %s", plural(missing, "officer", "officers"), p.wanted.Revision, p.digest)
	if len(p.signed) > 0 {
		text = "signed by " + signersText(p.signed) + "; " + plural(missing, "more officer", "more officers") + strings.TrimPrefix(text, plural(missing, "officer", "officers"))
	}
	if refused := f.refusedText(p.wanted.Revision, counts); refused != "" {
		text += "; not counted: " + refused
	}
	return text
}

func plural(count int, one, many string) string {
	if count == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", count, many)
}

// decideSynced says whether the host has exactly this request. Reasons: UpToDate; NotValidated, NameConflict,
// HostUnavailable, StaleRevision, Drifted, AwaitingSignatures, RefusedByHost.
func decideSynced(f *facts, standing standing, validated, signed finding) finding {
	switch {
	case !validated.holds():
		return fails(v1alpha1.ReasonNotValidated, "nothing is submitted before Validated is True")
	case standing == standingConflict:
		return fails(v1alpha1.ReasonNameConflict, fmt.Sprintf("the TokenProcedure %q keeps the name %q on this CMHost: delete one of the two", f.winner().name, f.name()))
	case f.attempt != nil && f.attempt.failure != nil:
		return fails(v1alpha1.ReasonHostUnavailable, "the CM host could not take the request and is asked again: "+f.attempt.failure.Message)
	case standing == standingStale:
		return fails(v1alpha1.ReasonStaleRevision, staleMessage(f))
	case standing == standingDrifted:
		return fails(v1alpha1.ReasonDrifted, driftedMessage(f))
	case standing == standingHeld:
		return holds(v1alpha1.ReasonUpToDate, fmt.Sprintf("the CM host has revision %d with the digest %s", f.own.Revision, f.digest))
	case !signed.holds():
		return fails(v1alpha1.ReasonAwaitingSignatures, signed.message)
	case f.attempt != nil && f.attempt.refusal != nil:
		return fails(v1alpha1.ReasonRefusedByHost, f.attempt.refusedText("the request"))
	case f.tooFar():
		return fails(v1alpha1.ReasonRefusedByHost, tooFarMessage(f))
	}
	return fails(v1alpha1.ReasonHostUnavailable, "the request is about to be submitted")
}

func staleMessage(f *facts) string {
	return f.withDifferences(fmt.Sprintf("the CM host has revision %d, this is revision %d, and the host never had it; nothing is written. %s",
		f.host.entry.Revision, f.revision(), f.wayAhead()))
}

func driftedMessage(f *facts) string {
	return f.withDifferences(fmt.Sprintf("the CM host had revision %d and has revision %d now; nothing is written over it. %s",
		f.revision(), f.host.entry.Revision, f.wayAhead()))
}

// wayAhead is what helps where the host has something else: a higher revision sets it right, its own accepts it.
func (f *facts) wayAhead() string {
	held := f.host.entry.Revision
	way := fmt.Sprintf("Apply a revision above %d, and have it signed, to set it right", held)
	if f.revision() < held {
		way += fmt.Sprintf("; or apply revision %d with exactly what the host has, to accept that", held)
	}
	return way
}

func tooFarMessage(f *facts) string {
	held := int64(0)
	if f.host.entry != nil {
		held = f.host.entry.Revision
	}
	return fmt.Sprintf("revision %d is more than %d above the CM host's, which is %d, so the host refuses it. A revision never falls: set spec.deletionPolicy to Retain, "+
		"delete this object and apply it again with a revision of at most %d", f.revision(), maxRevisionStep, held, held+maxRevisionStep)
}

// withDifferences adds the fields in which the host's content is not ours: all of them, if not all that is in them. What
// helps stands before them, so that an event that is shortened has it too.
func (f *facts) withDifferences(message string) string {
	message += ". Found at the host: "
	if f.host.content == nil {
		return message + "other content"
	}
	differences := request.Differences(f.own.Procedure, f.host.content.Procedure)
	if len(differences) == 0 {
		return message + "the same content under another revision"
	}
	const between = "; "
	texts := make([]string, len(differences))
	for i, difference := range differences {
		texts[i] = shorten(difference.String(), (maxMessage-utf8.RuneCountInString(message))/len(differences)-len(between))
	}
	return message + strings.Join(texts, between)
}

// decideState says what the host has, whatever git says. Reasons: ActiveAtHost, ClosedAtHost, NotAtHost. While the host
// is down the last that was known stays.
func decideState(f *facts) (active, closed finding) {
	host := f.hostStatus()
	switch {
	case host == nil && !f.host.available():
		message := "not known: the CM host has not been reached"
		return unknown(v1alpha1.ReasonNotAtHost, message), unknown(v1alpha1.ReasonNotAtHost, message)
	case host == nil:
		message := fmt.Sprintf("the CM host has no procedure %q", f.name())
		return unknown(v1alpha1.ReasonNotAtHost, message), unknown(v1alpha1.ReasonNotAtHost, message)
	case host.State == v1alpha1.StateClosed:
		message := "the procedure is Closed at the CM host"
		return fails(v1alpha1.ReasonClosedAtHost, message), holds(v1alpha1.ReasonClosedAtHost, message)
	}
	message := "the procedure is Active at the CM host"
	return holds(v1alpha1.ReasonActiveAtHost, message), fails(v1alpha1.ReasonActiveAtHost, message)
}

// syncedFirst are Synced's reasons that Ready takes over although Signed is not True either.
var syncedFirst = map[string]bool{v1alpha1.ReasonNameConflict: true, v1alpha1.ReasonStaleRevision: true, v1alpha1.ReasonDrifted: true}

// decideReady is True when Validated, Signed and Synced are. Otherwise it has Synced's reason and message where that is
// NameConflict, StaleRevision or Drifted, else those of the first that is not; Unknown while the host is waited for.
func decideReady(validated, signed, synced finding) finding {
	if validated.holds() && signed.holds() && synced.holds() {
		return holds(v1alpha1.ReasonUpToDate, synced.message)
	}
	first := synced
	if !syncedFirst[synced.reason] {
		for _, condition := range []finding{synced, signed, validated} {
			if !condition.holds() {
				first = condition
			}
		}
	}
	if hostDownReasons[first.reason] {
		return unknown(first.reason, first.message)
	}
	return fails(first.reason, first.message)
}

// waiting are the reasons of Ready with which somebody is waited for and nothing is wrong.
var waiting = map[string]bool{v1alpha1.ReasonDraft: true, v1alpha1.ReasonAwaitingSignatures: true}

// progress is Reconciling while the host is waited for, Stalled when only a change helps, and nothing otherwise.
func progress(ready finding) []namedFinding {
	switch {
	case ready.holds(), waiting[ready.reason]:
		return nil
	case hostDownReasons[ready.reason]:
		return []namedFinding{{v1alpha1.ConditionReconciling, holds(ready.reason, ready.message)}}
	}
	return []namedFinding{{v1alpha1.ConditionStalled, holds(ready.reason, ready.message)}}
}

// decideWarnings lists what is worth knowing before anyone signs, and for what the host has, what was closed since.
// While the host is down the warnings of this generation stay.
func decideWarnings(f *facts, standing standing) []v1alpha1.Warning {
	if f.draft() {
		return nil
	}
	if !f.host.available() {
		if reported(f.object) && f.object.Status.ObservedGeneration == f.object.Generation {
			return f.object.Status.Warnings
		}
		return nil
	}
	catalog := f.host.state.Snapshot.Catalog
	findings := rules.Warnings(f.own.Procedure, catalog, f.host.ranges)
	if standing == standingHeld || standing == standingDrifted {
		findings = append(findings, rules.ClosedReferences(f.own.Procedure, catalog)...)
	}
	warnings := rules.StatusWarnings(findings)
	for i := range warnings {
		warnings[i].Message = shorten(warnings[i].Message, maxWarning)
	}
	return warnings
}

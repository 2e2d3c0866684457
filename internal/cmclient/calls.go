package cmclient

import (
	"context"
	"errors"
	"fmt"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

const (
	// historyTimeout bounds reading all pages of a history. It is below the time that a reconcile has.
	historyTimeout = 30 * time.Second
	// maxHistory bounds all pages of a history, in bytes: more than a thousand revisions with usual signatures.
	maxHistory = 16 << 20
	// maxRecent bounds what is kept of the contents and histories of one host, in bytes of its answers.
	maxRecent = 32 << 20
)

// Revision is one revision that the host holds or held, with its evidence. It is immutable.
type Revision struct {
	Revision   int64
	Digest     string
	AcceptedAt time.Time
	Procedure  request.Procedure
	Evidence   []signing.Evidence
}

func revisionOf(procedure cmhostv1.TokenProcedure) Revision {
	revision := Revision{
		Revision: procedure.Revision, Digest: procedure.Digest, AcceptedAt: procedure.AcceptedAt, Procedure: procedure.Procedure.Normalize(),
	}
	for _, signature := range procedure.Signatures {
		revision.Evidence = append(revision.Evidence, signing.Evidence{
			OfficerID: signature.Officer.Id, Subject: signature.Officer.Subject, SignedAt: signature.SignedAt, Signature: signature.Signature,
		})
	}
	return revision
}

// Put submits a request with its two signatures. It is idempotent: the host answers the current revision again as it did
// the first time. The answer is in Entry before Put returns. The error is a *Failure or a *Refusal.
func (c *Connection) Put(ctx context.Context, name, digest string, canonical []byte, signatures [][]byte) (Entry, error) {
	if failure := c.cannotSubmit(); failure != nil {
		return Entry{}, failure
	}
	c.index.begin(name)
	procedure, created, err := c.client.put(ctx, name, cmhostv1.Submission{Request: canonical, Signatures: signatures})
	entry := entryOfProcedure(procedure)
	if err == nil && (procedure.Name != name || entry.Digest != digest || !entry.valid()) {
		err = wrongContent("putTokenProcedure", "procedure %q with revision %d and digest %q", procedure.Name, entry.Revision, entry.Digest)
	}
	if err != nil {
		if c.index.end(name, nil, false) {
			c.reread(ctx, name)
		}
		return Entry{}, c.submissionFailed(ctx, name, err)
	}
	if c.index.end(name, &entry, created) {
		c.reread(ctx, name)
	}
	if !created {
		return entry, c.confirm(ctx, name, entry)
	}
	return entry, nil
}

// confirm reads what the host says that it has accepted before, of which it has told nothing.
func (c *Connection) confirm(ctx context.Context, name string, entry Entry) error {
	changed, err := c.refreshOne(ctx, name)
	if err != nil {
		return AsFailure(err)
	}
	if changed { // by somebody else meanwhile: when the feed brings that, it is nothing new any more
		c.config.Notify(c.State(), Change{Procedures: []string{name}})
	}
	if held, _ := c.Entry(name); held.Revision < entry.Revision {
		return wrongContent("putTokenProcedure", "revision %d of %q, confirmed by the host, which has revision %d", entry.Revision, name, held.Revision)
	}
	return nil
}

// cannotSubmit says why nothing is sent now.
func (c *Connection) cannotSubmit() *Failure {
	if state := c.State(); !state.Available() {
		if state.Failure != nil {
			return state.Failure
		}
		return &Failure{Reason: v1alpha1.ReasonUnreachable, Message: "the CM host has not been asked yet"}
	}
	if !c.established.Load() {
		return &Failure{Reason: v1alpha1.ReasonUnreachable, Message: "the connection with the CM host is being taken up again", RetryAfter: time.Second}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if wait := time.Until(c.busyUntil); wait > 0 {
		return &Failure{Reason: v1alpha1.ReasonUnreachable, Message: "the CM host asked for a pause", RetryAfter: wait}
	}
	return nil
}

// submissionFailed takes the consequences of a failed submission for the whole connection.
func (c *Connection) submissionFailed(ctx context.Context, name string, err error) error {
	switch {
	case IsRefusal(err, ProblemClientNotPermitted):
		failure := AsFailure(err)
		c.forbid(failure, name)
		return failure
	case IsRefusal(err, ProblemAudienceMismatch):
		c.catchUpAgain()
		return &Failure{Reason: v1alpha1.ReasonAudienceMismatch, Message: "the CM host says that it is another one than when it was asked last: it is asked again. " + Clean(err.Error())}
	case IsRefusal(err, ProblemStaleRevision), IsRefusal(err, ProblemRevisionConflict):
		c.reread(ctx, name)
		return err
	}
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return refusal
	}
	failure := AsFailure(err)
	if failure.RetryAfter > 0 {
		c.mu.Lock()
		c.busyUntil = time.Now().Add(failure.RetryAfter)
		c.mu.Unlock()
	}
	return failure
}

// forbid reports a client that may read but not submit as a host that cannot be used, until the host permits it: it is
// asked, and the connection may be taken up anew, with another Secret or after a restart of the host.
func (c *Connection) forbid(failure *Failure, name string) {
	c.mu.Lock()
	c.forbidden = failure
	availability := c.swap(State{Tried: true, Failure: failure, Snapshot: c.State().Snapshot})
	c.mu.Unlock()
	c.config.Notify(c.State(), Change{Availability: availability, Host: true})
	select {
	case c.forbade <- name:
	default: // it is going to be asked already
	}
}

func (c *Connection) isForbidden() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.forbidden != nil
}

// permits tells whether the host permits this client to submit, and if not, when to ask again at the earliest. It submits
// nothing at all: a host says first whether a client may submit, and only then what is wrong with the submission.
func (c *Connection) permits(ctx context.Context, name string) (permits bool, again time.Duration) {
	_, _, err := c.client.put(ctx, name, cmhostv1.Submission{})
	if refusal, refused := errors.AsType[*Refusal](err); err == nil || refused && refusal.Type != ProblemClientNotPermitted {
		return true, 0
	}
	return false, AsFailure(err).RetryAfter
}

// permit takes back that the client may not submit, unless the host cannot be used for another reason.
func (c *Connection) permit() {
	c.mu.Lock()
	before := c.State()
	was := c.forbidden
	c.forbidden = nil
	available := was != nil && before.Failure == was
	if available {
		c.swap(State{Tried: true, Snapshot: before.Snapshot})
	}
	c.mu.Unlock()
	if available {
		c.config.Notify(c.State(), Change{Availability: true, Host: true})
	}
}

// reread brings the entry of one procedure up to date. If that fails the feed will break as well, and everything is caught up.
func (c *Connection) reread(ctx context.Context, name string) {
	changed, err := c.refreshOne(ctx, name)
	if err != nil {
		c.config.Log.Info("a procedure could not be read again", "name", name, "error", err.Error())
		c.catchUpAgain()
		return
	}
	if changed {
		c.config.Notify(c.State(), Change{Procedures: []string{name}})
	}
}

// catchUpAgain breaks the feed, so that everything is caught up with.
func (c *Connection) catchUpAgain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.breakFeed()
}

// Content is what the host holds under a name now, with its content and evidence. It is asked for once per revision,
// however many ask at the same time.
func (c *Connection) Content(ctx context.Context, name string) (Revision, error) {
	entry, found := c.Entry(name)
	key := keyOf("content", name, entry)
	// Who made it elsewhere may change it without a revision.
	read, err := c.shared(ctx, key, found && entry.Revision != 0, func() (any, error) { return c.readContent(name) })
	if err != nil {
		return Revision{}, err
	}
	return read.(Revision), nil
}

// shared reads, once for all who ask for the same at the same time, what is not kept, if it may be. What is read ends
// with the connection, not with one of them.
func (c *Connection) shared(ctx context.Context, key readKey, kept bool, read func() (any, error)) (any, error) {
	known := func() (any, bool) {
		if !kept {
			return nil, false
		}
		return c.recent.get(key)
	}
	if cached, hit := known(); hit {
		return cached, nil
	}
	select {
	case result := <-c.reads.DoChan(key.String(), func() (any, error) {
		if cached, hit := known(); hit { // by one who has asked a moment earlier
			return cached, nil
		}
		return read()
	}):
		return result.Val, result.Err
	case <-ctx.Done():
		return nil, AsFailure(ctx.Err())
	}
}

func (c *Connection) readContent(name string) (Revision, error) {
	procedure, size, err := c.client.procedure(c.life, name)
	if err != nil {
		return Revision{}, err
	}
	revision := revisionOf(procedure)
	if revision.Procedure.Name != name {
		return Revision{}, wrongContent("getTokenProcedure", "procedure %q", revision.Procedure.Name)
	}
	if revision.Revision != 0 {
		c.recent.add(keyOf("content", name, entryOfProcedure(procedure)), revision, size)
	}
	return revision, nil
}

// readKey identifies what was read of that which the host held under a name at some time.
type readKey struct {
	what, name string
	revision   int64
	digest     string
	acceptedAt int64
}

func keyOf(what, name string, entry Entry) readKey {
	return readKey{what, name, entry.Revision, entry.Digest, entry.AcceptedAt.UnixNano()}
}

// String is different for different keys, whatever is in a name.
func (k readKey) String() string {
	return fmt.Sprintf("%s %q %d %q %d", k.what, k.name, k.revision, k.digest, k.acceptedAt)
}

// History is every revision of a procedure that the host ever accepted, oldest first. It is asked for once per revision.
func (c *Connection) History(ctx context.Context, name string) ([]Revision, error) {
	entry, found := c.Entry(name)
	if !found {
		return nil, nil
	}
	key := keyOf("history", name, entry)
	read, err := c.shared(ctx, key, true, func() (any, error) { return c.readHistory(name, key) })
	if err != nil {
		return nil, err
	}
	return read.([]Revision), nil
}

func (c *Connection) readHistory(name string, key readKey) ([]Revision, error) {
	ctx, cancel := context.WithTimeout(c.life, historyTimeout)
	defer cancel()
	var history []Revision
	after, total := int64(0), 0
	for {
		page, size, err := c.client.history(ctx, name, after)
		if IsRefusal(err, ProblemNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if total += size; total > maxHistory {
			return nil, wrongContent("getTokenProcedureHistory", "more than %d bytes", maxHistory)
		}
		for _, item := range page.Items {
			history = append(history, revisionOf(item))
		}
		if page.Next == 0 {
			c.recent.add(key, history, total)
			return history, nil
		}
		if page.Next <= after {
			return nil, wrongContent("getTokenProcedureHistory", "next %d after %d", page.Next, after)
		}
		after = page.Next
	}
}

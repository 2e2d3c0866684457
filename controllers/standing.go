package controllers

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// standing is how the object and what the host has under its name stand to each other.
type standing int

const (
	// standingUnknown: a draft, or the host is not available.
	standingUnknown standing = iota
	// standingConflict: another object of the same CMHost keeps the name.
	standingConflict
	// standingNew: the host has nothing, a lower revision, or a procedure without evidence. It can be submitted.
	standingNew
	// standingHeld: the host has exactly our request.
	standingHeld
	// standingStale: the host has our revision or a higher one, and never had our request.
	standingStale
	// standingDrifted: the host had our request, and has something else now.
	standingDrifted
)

// maxRevisionStep is how far above the host's revision the host takes a request.
const maxRevisionStep = 10_000

// standing compares object and host. It needs the content where contentNeeded says so.
func (f *facts) standing() standing {
	entry := f.host.entry
	switch {
	case f.draft() || !f.host.available():
		return standingUnknown
	case f.winner() != nil:
		return standingConflict
	case entry == nil || entry.Revision < f.revision():
		return standingNew
	case entry.Digest == f.digest || f.contentIsOwn():
		return standingHeld
	case f.host.historyHasOwn:
		return standingDrifted
	}
	return standingStale
}

// contentNeeded tells whether the standing depends on the host's content: only where the listed revision is ours or
// higher and the digest is another one.
func (f *facts) contentNeeded() bool {
	entry := f.host.entry
	return !f.draft() && entry != nil && entry.Revision >= f.revision() && entry.Digest != f.digest
}

// historyNeeded tells whether the standing depends on the host's history.
func (f *facts) historyNeeded() bool {
	return f.contentNeeded() && f.host.entry.Revision > f.revision()
}

// contentIsOwn recomputes the digest of the host's content: the listed one need not be true.
func (f *facts) contentIsOwn() bool {
	content := f.host.content
	if content == nil {
		return false
	}
	digest, err := request.New(f.own.Audience, content.Revision, content.Procedure).Digest()
	return err == nil && digest == f.digest
}

// tooFar tells whether the host would refuse the revision for being too far above its own.
func (f *facts) tooFar() bool {
	held := int64(0)
	if f.host.entry != nil {
		held = f.host.entry.Revision
	}
	return f.revision() > held+maxRevisionStep
}

// adopted tells whether the host had our request before we could submit it, and the last report did not know it. What it
// accepted since the object and two of its signatures are there was submitted from here, if by an operator that ended.
func (f *facts) adopted(was *metav1.Condition) bool {
	held, before := f.host.entry, f.object.Status.Host
	known := was != nil && was.Reason == v1alpha1.ReasonUpToDate && before != nil && before.Digest == held.Digest
	if f.submitted || known {
		return false
	}
	since := func(object metav1.Object) bool { return !held.AcceptedAt.Before(object.GetCreationTimestamp().Time) }
	own := 0
	for _, signature := range f.signatures {
		if signature.verdict.Verified() && signature.verdict.Digest == held.Digest && heldSigner(held, signature.verdict) && since(signature.object) {
			own++
		}
	}
	return own < signing.Quorum || !since(f.object)
}

// winner is the object that keeps the name instead of this one; nil if this one does. The object whose request the host
// has comes first, then the older, then the first by name.
func (f *facts) winner() *rival {
	own := rival{name: f.object.Name, uid: string(f.object.UID), created: f.object.CreationTimestamp.Time, digest: f.digest}
	best := own
	for _, other := range f.rivals {
		if f.keepsName(other, best) {
			best = other
		}
	}
	if best.uid == own.uid {
		return nil
	}
	return &best
}

func (f *facts) keepsName(a, b rival) bool {
	if held := f.host.entry; held != nil && held.Digest != "" && (a.digest == held.Digest) != (b.digest == held.Digest) {
		return a.digest == held.Digest
	}
	if !a.created.Equal(b.created) {
		return a.created.Before(b.created)
	}
	return strings.Compare(a.name, b.name) < 0
}

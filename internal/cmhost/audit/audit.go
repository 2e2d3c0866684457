// Package audit checks a CM host's log without trusting the host: the chain of hashes, and for each accepted request that
// two different officers signed exactly it, judged by the register as the log itself says it was at that time.
//
// It needs the log's entries as JSON and nothing else; it knows neither the database nor HTTP. What it cannot know is
// whether the register was right: the host's administrator is trusted for that, and the log says when it changed.
package audit

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/chain"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// Auditor checks the entries of a log, one after the other from the first.
type Auditor struct {
	// Head is the end of what was checked.
	Head chain.Head
	// Accepted counts the accepted requests.
	Accepted int

	audience string
	stored   map[string]stored // token procedures by name
	register register
}

// stored is what is checked of a later revision against an earlier one.
type stored struct {
	revision int64
	domain   string
}

// Check checks the next entry.
func (a *Auditor) Check(plain []byte) error {
	head, err := chain.Verify(a.Head, plain)
	if err != nil {
		return err
	}
	var entry cmhostv1.LogEntry
	if err := json.Unmarshal(plain, &entry); err != nil {
		return fmt.Errorf("entry %d cannot be read: %w", head.Length, err)
	}
	if err := a.apply(entry); err != nil {
		return fmt.Errorf("entry %d (%s %s): %w", entry.Index, entry.Kind, entry.Name, err)
	}
	a.Head = head
	return nil
}

// apply checks what an entry says, and notes what it changes.
func (a *Auditor) apply(entry cmhostv1.LogEntry) error {
	if a.stored == nil {
		a.stored = map[string]stored{}
	}
	switch {
	case entry.Kind != cmhostv1.ChangeKindTokenProcedure:
		return a.register.apply(entry)
	case entry.Action == cmhostv1.LogEntryActionImported:
		domain, _ := entry.Object["domain"].(string)
		a.stored[entry.Name] = stored{a.stored[entry.Name].revision, domain}
		return nil
	case entry.Action == cmhostv1.LogEntryActionAccepted:
		a.Accepted++
		return a.accepted(entry)
	}
	return fmt.Errorf("the action %q is none that a token procedure has", entry.Action)
}

// accepted checks the evidence of an accepted request.
func (a *Auditor) accepted(entry cmhostv1.LogEntry) error {
	signed, err := request.Parse(entry.Request)
	if err != nil {
		return err
	}
	before, replaces := a.stored[entry.Name]
	switch digest := request.DigestOf(entry.Request); {
	case digest != entry.Digest:
		return fmt.Errorf("the request has the digest %s, the entry says %s", digest, entry.Digest)
	case signed.Revision != entry.Revision || signed.Procedure.Name != entry.Name:
		return fmt.Errorf("the request is for revision %d of %q, the entry says %d", signed.Revision, signed.Procedure.Name, entry.Revision)
	case a.audience != "" && signed.Audience != a.audience:
		return fmt.Errorf("the request is for the audience %q, those before it for %q", signed.Audience, a.audience)
	case signed.Revision <= before.revision:
		return fmt.Errorf("revision %d was accepted before revision %d", before.revision, signed.Revision)
	}
	terms := signing.Terms{
		Register: a.register.current(), Audience: signed.Audience, ProcedureName: entry.Name, Now: entry.Time,
		MaxSignatureAge: anyAge,
	}
	if replaces {
		terms.ReplacedDomain = &before.domain
	}
	if err := signers(signed, entry, terms); err != nil {
		return err
	}
	a.audience, a.stored[entry.Name] = signed.Audience, stored{signed.Revision, signed.Procedure.Domain}
	return nil
}

// anyAge is for the one thing that the log does not say: how old a signature was allowed to be.
const anyAge = 100 * 365 * 24 * time.Hour

// signers judges the signatures, and compares what the entry says of the officers with what they are.
func signers(signed request.Request, entry cmhostv1.LogEntry, terms signing.Terms) error {
	verdicts := make([]signing.Verdict, len(entry.Signatures))
	names := make([]string, len(entry.Signatures))
	for i, s := range entry.Signatures {
		verdicts[i], names[i] = signing.Judge(s.Signature, terms), fmt.Sprintf("signature %d", i+1)
		if wrong := misrecorded(verdicts[i], s); wrong != "" {
			return fmt.Errorf("signature %d is by officer %s; the entry has another %s than the log and the signature", i+1, verdicts[i].Officer.ID, wrong)
		}
	}
	counted := 0
	for i, count := range signing.Tally(signed, verdicts, names) {
		if count.Reason != v1alpha1.ReasonCounted {
			return fmt.Errorf("signature %d does not count (%s): %s", i+1, count.Reason, count.Message)
		}
		counted++
	}
	if counted < signing.Quorum {
		return fmt.Errorf("%d signatures; expected %d", counted, signing.Quorum)
	}
	return nil
}

// misrecorded names what an entry says otherwise of a good signature than the signature and the register; empty if nothing.
func misrecorded(found signing.Verdict, recorded cmhostv1.LogSignature) string {
	if !found.Verified() {
		return ""
	}
	officer := found.Officer
	switch {
	case officer.ID != recorded.Officer.Id:
		return "officer"
	case officer.Subject != recorded.Officer.Subject:
		return "subject"
	case !bytes.Equal(found.CertificateDER, recorded.Certificate):
		return "certificate"
	case !found.SignedAt.Equal(recorded.SignedAt):
		return "signing time"
	case !slices.Equal(officer.Roles, recorded.Roles):
		return "list of roles"
	case officer.Domain != recorded.Domain:
		return "domain"
	}
	return ""
}

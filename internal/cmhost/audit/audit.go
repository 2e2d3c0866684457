// Package audit checks a CM host's log without trusting the host: the chain of hashes, and for each accepted request that
// two different officers signed exactly it.
//
// It needs the log's entries as JSON and nothing else; it knows neither the database nor HTTP. What it cannot know is
// whether the register was right: the host's administrator is trusted for that, and the log says when it changed.
package audit

import (
	"encoding/json"
	"fmt"
	"slices"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/chain"
	"github.com/tokenprocedures/token-procedure-operator/internal/domains"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// Auditor checks the entries of a log, one after the other from the first.
type Auditor struct {
	// Head is the end of what was checked.
	Head chain.Head
	// Accepted counts the accepted requests.
	Accepted  int
	audience  string
	revisions map[string]int64
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
	if entry.Action == cmhostv1.LogEntryActionAccepted {
		if err := a.accepted(entry); err != nil {
			return fmt.Errorf("entry %d (%s revision %d): %w", entry.Index, entry.Name, entry.Revision, err)
		}
		a.Accepted++
	}
	a.Head = head
	return nil
}

// accepted checks the evidence of an accepted request.
func (a *Auditor) accepted(entry cmhostv1.LogEntry) error {
	signed, err := request.Parse(entry.Request)
	if err != nil {
		return err
	}
	switch digest := request.DigestOf(entry.Request); {
	case digest != entry.Digest:
		return fmt.Errorf("the request has the digest %s, the entry says %s", digest, entry.Digest)
	case signed.Revision != entry.Revision || signed.Procedure.Name != entry.Name:
		return fmt.Errorf("the request is for revision %d of %q", signed.Revision, signed.Procedure.Name)
	case a.audience != "" && signed.Audience != a.audience:
		return fmt.Errorf("the request is for the audience %q, those before it for %q", signed.Audience, a.audience)
	case signed.Revision <= a.revisions[entry.Name]:
		return fmt.Errorf("revision %d was accepted before", a.revisions[entry.Name])
	}
	if err := signers(signed, entry); err != nil {
		return err
	}
	if a.revisions == nil {
		a.revisions = map[string]int64{}
	}
	a.audience, a.revisions[entry.Name] = signed.Audience, signed.Revision
	return nil
}

// signers checks the signatures by the certificates, roles and domains in the entry, as of its time.
func signers(signed request.Request, entry cmhostv1.LogEntry) error {
	var officers []signing.Officer
	for _, s := range entry.Signatures {
		officers = append(officers, signing.Officer{ID: s.Officer.Id, Subject: s.Officer.Subject, State: request.Active, Roles: s.Roles, Domain: s.Domain, Certificates: [][]byte{s.Certificate}})
	}
	register := signing.NewRegister(officers, domains.Tree{})
	verdicts := make([]signing.Verdict, len(entry.Signatures))
	names := make([]string, len(entry.Signatures))
	for i, s := range entry.Signatures {
		verdicts[i], names[i] = signing.VerifyEvidence(s.Signature, register, entry.Time), fmt.Sprintf("signature %d", i+1)
		if verdicts[i].Verified() && verdicts[i].Officer.ID != s.Officer.Id {
			return fmt.Errorf("signature %d is by %s, the entry says %s", i+1, verdicts[i].Officer.ID, s.Officer.Id)
		}
		for _, role := range []string{v1alpha1.RoleUseAWB, v1alpha1.RolePolicyTasks} {
			if !slices.Contains(s.Roles, role) {
				return fmt.Errorf("officer %s did not have the role %s", s.Officer.Id, role)
			}
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
		return fmt.Errorf("%d signatures count; expected %d", counted, signing.Quorum)
	}
	return nil
}

package audit

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/chain"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

var at = time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)

// history is a log: two officers and a domain are loaded, then two revisions of a procedure are accepted.
type history struct {
	one, two signingtest.Officer
	entries  []cmhostv1.LogEntry
}

func newHistory(t *testing.T) *history {
	t.Helper()
	h := &history{one: signingtest.New(t, "officer-1"), two: signingtest.New(t, "officer-2")}
	h.two.Domain = "Emea"
	h.load(t, cmhostv1.ChangeKindDomain, "Emea", cmhostv1.LogEntryActionAdded, map[string]any{"name": "Emea", "state": "Active"})
	h.load(t, cmhostv1.ChangeKindOfficer, "officer-1", cmhostv1.LogEntryActionAdded, h.one.Officer)
	h.load(t, cmhostv1.ChangeKindOfficer, "officer-2", cmhostv1.LogEntryActionAdded, h.two.Officer)
	h.accept(t, 1, h.one, h.two)
	h.accept(t, 2, h.two, h.one)
	return h
}

func (h *history) load(t *testing.T, kind cmhostv1.ChangeKind, name string, action cmhostv1.LogEntryAction, object any) {
	t.Helper()
	entry := cmhostv1.LogEntry{Time: at, Kind: kind, Name: name, Action: action}
	if object != nil {
		plain, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(plain, &entry.Object); err != nil {
			t.Fatal(err)
		}
	}
	h.entries = append(h.entries, entry)
}

func (h *history) accept(t *testing.T, revision int64, officers ...signingtest.Officer) {
	t.Helper()
	p := signingtest.Procedure("Employee card")
	p.Domain = "Emea"
	signed := request.New("cm.test", revision, p)
	canonical, err := signed.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	entry := cmhostv1.LogEntry{
		Time: at, Kind: cmhostv1.ChangeKindTokenProcedure, Name: p.Name, Action: cmhostv1.LogEntryActionAccepted,
		Revision: revision, Digest: request.DigestOf(canonical), Request: canonical,
	}
	for _, officer := range officers {
		entry.Signatures = append(entry.Signatures, cmhostv1.LogSignature{
			Officer: cmhostv1.OfficerReference{Id: officer.ID, Subject: officer.Subject}, Certificate: officer.Certificate.Raw,
			Roles: officer.Roles, Domain: officer.Domain, SignedAt: at, Signature: officer.Sign(t, signed, at),
		})
	}
	h.entries = append(h.entries, entry)
}

// check links the entries into a chain that is good by itself, as somebody with the host's database could, and audits it.
func (h *history) check(t *testing.T) error {
	t.Helper()
	auditor, head := &Auditor{}, chain.Head{}
	for _, entry := range h.entries {
		next, stored, err := chain.Link(head, entry)
		if err != nil {
			t.Fatal(err)
		}
		if err := auditor.Check([]byte(stored)); err != nil {
			return err
		}
		head = next
	}
	return nil
}

// TestForgedHistoriesAreFound rewrites whole logs, hashes included: only the officers' signatures are in the way.
func TestForgedHistoriesAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		forge func(*testing.T, *history)
		want  string // in the message; empty for a good log
	}{
		"nothing forged": {func(*testing.T, *history) {}, ""},
		"an officer who left later": {func(t *testing.T, h *history) {
			h.load(t, cmhostv1.ChangeKindOfficer, "officer-1", cmhostv1.LogEntryActionRemoved, nil)
		}, ""},
		"an officer who had left": {func(t *testing.T, h *history) {
			h.load(t, cmhostv1.ChangeKindOfficer, "officer-1", cmhostv1.LogEntryActionRemoved, nil)
			h.accept(t, 3, h.one, h.two)
		}, "UnknownSigner"},
		"an officer who had lost a role": {func(t *testing.T, h *history) {
			h.one.Roles = h.one.Roles[:1]
			h.load(t, cmhostv1.ChangeKindOfficer, "officer-1", cmhostv1.LogEntryActionChanged, h.one.Officer)
			h.accept(t, 3, h.one, h.two)
		}, "MissingRole"},
		"an officer of a domain that is gone": {func(t *testing.T, h *history) {
			h.two.Domain = "Sales"
			h.load(t, cmhostv1.ChangeKindOfficer, "officer-2", cmhostv1.LogEntryActionChanged, h.two.Officer)
			h.accept(t, 3, h.one, h.two)
		}, "OutsideDomain"},
		"somebody who was never registered": {func(t *testing.T, h *history) { h.accept(t, 3, h.one, signingtest.New(t, "stranger")) }, "UnknownSigner"},
		"one officer twice":                 {func(t *testing.T, h *history) { h.accept(t, 3, h.one, h.one) }, "SameOfficer"},
		"one signature":                     {func(t *testing.T, h *history) { h.accept(t, 3, h.one) }, "1 signatures; expected 2"},
		"no signature":                      {func(t *testing.T, h *history) { h.accept(t, 3) }, "0 signatures; expected 2"},
		"a revision twice":                  {func(t *testing.T, h *history) { h.accept(t, 2, h.one, h.two) }, "was accepted before"},
		"another digest":                    {func(_ *testing.T, h *history) { h.entries[4].Digest = h.entries[3].Digest }, "digest"},
		"another name":                      {func(_ *testing.T, h *history) { h.entries[4].Name = "Visitor card" }, "Visitor card"},
		"another officer named": {func(_ *testing.T, h *history) {
			h.entries[4].Signatures[0].Officer = h.entries[4].Signatures[1].Officer
		}, "another officer"},
		"another subject named": {func(_ *testing.T, h *history) { h.entries[4].Signatures[0].Officer.Subject = "CN=Nobody" }, "another subject"},
		"another certificate named": {func(_ *testing.T, h *history) {
			h.entries[4].Signatures[0].Certificate = h.entries[4].Signatures[1].Certificate
		}, "another certificate"},
		"another signing time named": {func(_ *testing.T, h *history) { h.entries[4].Signatures[0].SignedAt = at.Add(time.Second) }, "another signing time"},
		"a role fewer named": {func(_ *testing.T, h *history) {
			h.entries[4].Signatures[0].Roles = h.entries[4].Signatures[0].Roles[:1]
		}, "another list of roles"},
		"another domain named":           {func(_ *testing.T, h *history) { h.entries[4].Signatures[0].Domain = "" }, "another domain"},
		"signatures of another revision": {func(_ *testing.T, h *history) { h.entries[4].Signatures = h.entries[3].Signatures }, "does not count"},
		"another request": {func(_ *testing.T, h *history) {
			h.entries[4].Request = []byte(strings.Replace(string(h.entries[4].Request), "PIN letter", "PIN ladder", 1))
			h.entries[4].Digest = request.DigestOf(h.entries[4].Request)
		}, "does not count"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHistory(t)
			c.forge(t, h)
			err := h.check(t)
			if (err == nil) != (c.want == "") || (err != nil && !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v; want %q", err, c.want)
			}
		})
	}
}

func TestReadTakesEntriesPagesAndLists(t *testing.T) {
	for text, want := range map[string]string{
		"{\"index\":1}\n{\"index\":2}\n":                  "1 2",
		`{"items":[{"index":1},{"index":2}]}`:             "1 2",
		`{"items":[{"index":1}]} {"items":[{"index":2}]}`: "1 2",
		`[{"index":1},{"index":2}]`:                       "1 2",
		`{"items":[]}`:                                    "",
	} {
		var found []string
		err := Read(strings.NewReader(text), func(entry []byte) error {
			found = append(found, strings.Trim(string(entry), `{"index:}`))
			return nil
		})
		if got := strings.Join(found, " "); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"log", `"entry"`, "{", "7", `{"index":1,"index":1}`, `{"items":[],"items":[{"index":1}]}`, `[{"object":{"a":1,"a":1}}]`} {
		if err := Read(strings.NewReader(text), func([]byte) error { return nil }); err == nil {
			t.Errorf("%s was read", text)
		}
	}
}

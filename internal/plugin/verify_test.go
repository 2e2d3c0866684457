package plugin_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/chain"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// repositoryOf is a desk with what a repository has: procedures/card.yaml with two good signatures beside it, and the
// officers' certificates.
func repositoryOf(t *testing.T) *desk {
	d := newDesk(t)
	d.officers()
	d.officer("stranger")
	d.write("procedures/card.yaml", employeeCard)
	d.must("mkdir officers && cp officer-?.crt officers")
	d.sign("officer-1", "procedures/one.yaml")
	d.sign("officer-2", "procedures/two.yaml")
	return d
}

// sign makes an officer's signature of the procedure.
func (d *desk) sign(officer, out string, more ...string) {
	d.Helper()
	d.must(fmt.Sprintf("kubectl-tokenproc sign -f procedures/card.yaml --audience cm.example.com --key file:%s.key --cert %s.crt --yes --out %s %s", officer, officer, out, strings.Join(more, " ")))
}

// edit replaces a text in a file, which must be there.
func (d *desk) edit(name, old, new string) {
	d.Helper()
	before := d.read(name)
	if !strings.Contains(before, old) {
		d.Fatalf("%s has no %q", name, old)
	}
	d.write(name, strings.ReplaceAll(before, old, new))
}

const bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n" +
	"e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n"

// TestVerifyInCI changes a repository whose procedure two officers have signed, as pull requests could: only what two
// officers signed exactly ends with 0.
func TestVerifyInCI(t *testing.T) {
	remove := func(d *desk, names ...string) {
		for _, name := range names {
			if err := os.Remove(filepath.Join(d.folder, "procedures", name)); err != nil {
				d.Fatal(err)
			}
		}
	}
	inLines := func(d *desk) { // as base64 without -w0 writes it
		text := d.read("procedures/two.yaml")
		start := strings.Index(text, "signature: ") + len("signature: ")
		value := strings.TrimSpace(text[start:])
		d.write("procedures/two.yaml", text[:start]+"|\n    "+value[:76]+"\n    "+value[76:]+"\n")
	}
	original := repositoryOf(t)
	for name, c := range map[string]struct {
		change   func(d *desk)
		code     int
		mentions []string
	}{
		"nothing changed":            {func(*desk) {}, 0, []string{"2 of 2 officers have signed it"}},
		"one signature taken away":   {func(d *desk) { remove(d, "two.yaml") }, 1, []string{"NOT GOOD", "1 of 2 officers"}},
		"both signatures taken away": {func(d *desk) { remove(d, "one.yaml", "two.yaml") }, 1, []string{"NOT GOOD", "0 of 2 officers"}},
		"one officer instead of two": {func(d *desk) {
			remove(d, "two.yaml")
			d.sign("officer-1", "procedures/two.yaml", "--name again")
		}, 1, []string{"SameOfficer"}},
		"a stranger instead of an officer": {func(d *desk) {
			remove(d, "two.yaml")
			d.sign("stranger", "procedures/two.yaml")
		}, 1, []string{"UnknownSigner", "not in --officers officers: have it registered"}},
		"a field changed": {func(d *desk) { d.edit("procedures/card.yaml", "PIN letter", "User PIN") }, 1, []string{"ContentDiffers", "PIN procedure: expected User PIN, signed PIN letter"}},
		"a field added": {func(d *desk) {
			d.edit("procedures/card.yaml", "    domain: Corp\n", "    domain: Corp\n    visibleInSubdomain: true\n")
		}, 1, []string{"Visible in subdomain: expected Yes, signed (none)"}},
		"a field added that says nothing": {func(d *desk) {
			d.edit("procedures/card.yaml", "    domain: Corp\n", "    domain: Corp\n    visibleInSubdomain: false\n    keyProcedures: []\n")
		}, 0, nil},
		"a new revision not signed yet": {func(d *desk) { d.edit("procedures/card.yaml", "revision: 1", "revision: 2") }, 1, []string{"Superseded", "Revision: expected 2, signed 1"}},
		"a status that says all is well": {func(d *desk) {
			d.edit("procedures/card.yaml", "PIN letter", "User PIN")
			d.edit("procedures/card.yaml", "spec:\n", "status: {conditions: [{type: Ready, status: 'True'}]}\nspec:\n")
		}, 1, []string{"ContentDiffers"}},
		"signatures that refer to another object": {func(d *desk) { d.edit("procedures/two.yaml", "name: employee-card\n", "name: visitor-card\n") }, 1, []string{"1 of 2 officers"}},
		"another, unsigned procedure beside it": {func(d *desk) {
			d.write("procedures/other.yaml", strings.NewReplacer("employee-card", "other", "Employee card", "Other").Replace(employeeCard))
		}, 1, []string{`good  "Employee card"`, `NOT GOOD  "Other"`}},
		"a signature in lines":     {inLines, 1, []string{"Malformed: spec.signature has a line end"}},
		"a signature with a blank": {func(d *desk) { d.edit("procedures/two.yaml", "signature: MII", "signature: MI I") }, 1, []string{"Malformed: spec.signature is not base64"}},
		"a signature that is too long": {func(d *desk) {
			d.edit("procedures/two.yaml", "signature: MII", "signature: "+strings.Repeat("A", 43692)+"MII")
		}, 1, []string{"at most 43692 are allowed"}},
		"a draft": {func(d *desk) { d.edit("procedures/card.yaml", "spec:\n", "spec:\n  draft: true\n") }, 0, []string{"is a draft, which nobody signs"}},
		"anchors and aliases": {func(d *desk) {
			d.edit("procedures/card.yaml", "certificateProcedures: [Authentication, Signature]", "certificateProcedures: &list [Authentication, &s Signature]")
		}, 0, nil},
		"an alias to something else": {func(d *desk) { d.edit("procedures/card.yaml", "domain: Corp", "domain: &d Corp\n    inputView: *d") }, 1, []string{"Input view: expected Corp, signed (none)"}},
		"a doubled key": {func(d *desk) {
			d.edit("procedures/card.yaml", "    domain: Corp\n", "    domain: Corp\n    domain: Corp\n")
		}, 2, []string{"card.yaml:11", `"domain" already set in map`}},
		"a doubled key by a merge": {func(d *desk) {
			d.edit("procedures/card.yaml", "    domain: Corp\n", "    domain: Corp\n    <<: {domain: Emea, inputView: Visitor}\n")
		}, 2, []string{`"domain" already set in map`}},
		"a field added by a merge": {func(d *desk) {
			d.edit("procedures/card.yaml", "    domain: Corp\n", "    domain: Corp\n    <<: {inputView: Visitor}\n")
		}, 1, []string{"Input view: expected Visitor, signed (none)"}},
		"an unknown field": {func(d *desk) {
			d.edit("procedures/card.yaml", "    domain: Corp\n", "    domain: Corp\n    Domain: Emea\n")
		}, 2, []string{`unknown field "spec.procedure.Domain"`}},
		"an alias bomb":             {func(d *desk) { d.write("procedures/bomb.yaml", bomb) }, 2, []string{"excessive aliasing"}},
		"a second document hidden":  {func(d *desk) { d.edit("procedures/card.yaml", "Signature]\n", "Signature]\n...\n"+employeeCard) }, 2, []string{"a second document without a line `---`"}},
		"two documents of one name": {func(d *desk) { d.edit("procedures/card.yaml", "Signature]\n", "Signature]\n---\n"+employeeCard) }, 2, []string{"card.yaml:1 and procedures/card.yaml:19 are the same TokenProcedure \"employee-card\""}},
		"two files of one name": {func(d *desk) {
			d.write("procedures/again.yaml", strings.Replace(employeeCard, ", namespace: pki", "", 1))
		}, 2, []string{"are the same TokenProcedure"}},
		"two signatures of one name": {func(d *desk) {
			remove(d, "one.yaml", "two.yaml")
			d.sign("officer-1", "procedures/one.yaml", "--name same")
			d.sign("officer-2", "procedures/two.yaml", "--name same")
		}, 2, []string{"are the same ProcedureSignature \"same\""}},
		"the same in another namespace": {func(d *desk) {
			d.must("for f in card one two; do sed 's/namespace: pki/namespace: elsewhere/' procedures/$f.yaml > procedures/$f-2.yaml; done")
		}, 0, []string{"card.yaml:1", "card-2.yaml:1"}},
		"an object without a name": {func(d *desk) { d.edit("procedures/card.yaml", "name: employee-card, ", "") }, 2, []string{"has no metadata.name"}},
		"a link out of the folder": {func(d *desk) { d.must("ln -s /etc/passwd procedures/passwd.yaml") }, 2, []string{"procedures/passwd.yaml is no regular file"}},
		"a link to a device":       {func(d *desk) { d.must("ln -s /dev/zero procedures/zero.yaml") }, 2, []string{"procedures/zero.yaml is no regular file"}},
		"a pipe": {func(d *desk) {
			if err := syscall.Mkfifo(filepath.Join(d.folder, "procedures", "pipe.yaml"), 0o600); err != nil {
				d.Fatal(err)
			}
		}, 2, []string{"procedures/pipe.yaml is no regular file"}},
		"a huge file":                      {func(d *desk) { d.must("head -c 17000000 /dev/zero | tr '\\0' '#' > procedures/huge.yaml") }, 2, []string{"is larger than 16 MiB"}},
		"a file that is no manifest":       {func(d *desk) { d.write("procedures/notes.yaml", "buy: milk\n") }, 2, []string{"notes.yaml:1: not a Kubernetes object"}},
		"no file at all":                   {func(d *desk) { d.must("rm procedures/*") }, 2, []string{"has no .yaml, .yml or .json file"}},
		"no officers":                      {func(d *desk) { d.must("rm officers/*") }, 2, []string{"the folder officers has no certificate"}},
		"an officer who is no certificate": {func(d *desk) { d.must("ln -s /dev/zero officers/zero.crt") }, 2, []string{"zero.crt has more than 1048576 bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.must("cp -r " + original.folder + "/. .")
			c.change(d)
			done := d.run("kubectl-tokenproc verify -f procedures --audience cm.example.com --officers officers")
			if done.code != c.code {
				t.Errorf("ended with %d, want %d\n%s%s", done.code, c.code, done.stdout, done.stderr)
			}
			for _, mention := range c.mentions {
				if !strings.Contains(done.stdout+done.stderr, mention) {
					t.Errorf("%q is missing in:\n%s%s", mention, done.stdout, done.stderr)
				}
			}
			if strings.Contains(done.stdout+done.stderr, "root:") {
				t.Error("it shows a file that is not of the repository")
			}
		})
	}
}

// export is what a CM host hands out of its past: a history of one procedure, and the log.
type export struct {
	history cmhostv1.TokenProcedureHistory
	log     []cmhostv1.LogEntry
}

// newExport has the officers registered, and one revision accepted at a time.
func newExport(t *testing.T, at time.Time, officers ...signingtest.Officer) *export {
	t.Helper()
	e := &export{}
	for _, officer := range officers {
		entry := cmhostv1.LogEntry{Time: at, Kind: cmhostv1.ChangeKindOfficer, Name: officer.ID, Action: cmhostv1.LogEntryActionAdded}
		plain, err := json.Marshal(officer.Officer)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(plain, &entry.Object); err != nil {
			t.Fatal(err)
		}
		e.log = append(e.log, entry)
	}
	signed := request.New("cm.example.com", 1, signingtest.Procedure("Employee card"))
	canonical, err := signed.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	accepted := cmhostv1.LogEntry{Time: at, Kind: cmhostv1.ChangeKindTokenProcedure, Name: "Employee card", Action: cmhostv1.LogEntryActionAccepted, Revision: 1, Digest: request.DigestOf(canonical), Request: canonical}
	revision := cmhostv1.TokenProcedure{Name: "Employee card", Revision: 1, Digest: accepted.Digest, AcceptedAt: at, Procedure: signed.Procedure}
	for _, officer := range officers {
		of, signature := cmhostv1.OfficerReference{Id: officer.ID, Subject: officer.Subject}, officer.Sign(t, signed, at)
		accepted.Signatures = append(accepted.Signatures, cmhostv1.LogSignature{Officer: of, Certificate: officer.Certificate.Raw, Roles: officer.Roles, SignedAt: at, Signature: signature})
		revision.Signatures = append(revision.Signatures, cmhostv1.Signature{Officer: of, SignedAt: at, Signature: signature})
	}
	e.log = append(e.log, accepted)
	e.history.Items = append(e.history.Items, revision)
	return e
}

// write writes history.json and log.jsonl; the chain of the log is right, as whoever has the host's database could make it.
func (e *export) write(d *desk) {
	d.Helper()
	history, err := json.Marshal(e.history)
	if err != nil {
		d.Fatal(err)
	}
	d.write("history.json", string(history))
	var lines strings.Builder
	var head chain.Head
	for _, entry := range e.log {
		next, plain, err := chain.Link(head, entry)
		if err != nil {
			d.Fatal(err)
		}
		head = next
		lines.WriteString(plain + "\n")
	}
	d.write("log.jsonl", lines.String())
}

// TestVerifyAnExport changes what a CM host hands out of its past.
func TestVerifyAnExport(t *testing.T) {
	const history, both = "--history history.json", "--history history.json --log log.jsonl"
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	expired := func(o *signingtest.Options) { o.Validity = signingtest.Expired }
	for name, c := range map[string]struct {
		validity func(*signingtest.Options)
		change   func(*export)
		exports  string
		code     int
		mention  string
	}{
		"a history alone":                                     {exports: history, code: 0, mention: "2 of 2 officers have signed it; accepted 2026-03-01T12:00:00Z, as the export says: --log checks it"},
		"a history and a log":                                 {exports: both, code: 0, mention: "2 of 2 officers have signed it; accepted 2026-03-01T12:00:00Z, as in the log"},
		"another time, no log":                                {change: func(e *export) { e.history.Items[0].AcceptedAt = at.Add(time.Hour) }, exports: history, code: 0, mention: "as the export says"},
		"another time, a log":                                 {change: func(e *export) { e.history.Items[0].AcceptedAt = at.Add(time.Hour) }, exports: both, code: 1, mention: "the export says accepted 2026-03-01T13:00:00Z, the log 2026-03-01T12:00:00Z"},
		"a time before the signatures":                        {change: func(e *export) { e.history.Items[0].AcceptedAt = at.Add(-time.Hour) }, exports: history, code: 1, mention: "SigningTimeInFuture"},
		"not in the log":                                      {change: func(e *export) { e.log = e.log[:2] }, exports: both, code: 1, mention: "the log has no such request"},
		"a certificate that had expired, backdated":           {validity: expired, change: func(e *export) { e.history.Items[0].AcceptedAt = time.Date(2020, 6, 1, 0, 0, 0, 0, time.UTC) }, exports: history, code: 1, mention: "SigningTimeInFuture"},
		"a certificate that had expired, and the log says so": {validity: expired, exports: both, code: 1, mention: "CertificateExpired"},
		"other content":                                       {change: func(e *export) { e.history.Items[0].Procedure.PINProcedure = "User PIN" }, exports: history, code: 1, mention: "the export contradicts itself"},
		"another revision":                                    {change: func(e *export) { e.history.Items[0].Revision = 2 }, exports: history, code: 1, mention: "the export contradicts itself"},
		"another name":                                        {change: func(e *export) { e.history.Items[0].Name = "Visitor card" }, exports: history, code: 1, mention: "the export contradicts itself"},
		"one signature less":                                  {change: func(e *export) { e.history.Items[0].Signatures = e.history.Items[0].Signatures[:1] }, exports: history, code: 1, mention: "1 of 2 officers"},
		"one signature twice":                                 {change: func(e *export) { e.history.Items[0].Signatures[1] = e.history.Items[0].Signatures[0] }, exports: history, code: 1, mention: "SameOfficer"},
		"a signature changed":                                 {change: func(e *export) { s := e.history.Items[0].Signatures[1].Signature; s[len(s)-1] ^= 1 }, exports: history, code: 1, mention: "BadSignature"},
		"no revision":                                         {change: func(e *export) { e.history.Items = nil }, exports: history, code: 2, mention: "has no revisions"},
		"made elsewhere":                                      {change: func(e *export) { e.history.Items[0] = cmhostv1.TokenProcedure{Name: "Employee card"} }, exports: history, code: 1, mention: "the CM host has no evidence"},
		"a log of one officer":                                {change: func(e *export) { e.log[2].Signatures = e.log[2].Signatures[:1] }, exports: "--log log.jsonl", code: 1, mention: "good up to entry 2, then: entry 3"},
		"no such file":                                        {exports: "--history none.json", code: 2, mention: "none.json"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			var officers []signingtest.Officer
			for _, id := range []string{"officer-1", "officer-2"} {
				officer := signingtest.New(t, id, func(o *signingtest.Options) {
					if c.validity != nil {
						c.validity(o)
					}
				})
				officer.WriteFiles(t, d.folder, id)
				officers = append(officers, officer)
			}
			e := newExport(t, at, officers...)
			if c.change != nil {
				c.change(e)
			}
			e.write(d)
			d.must("mkdir officers && cp officer-?.crt officers")
			done := d.run("kubectl-tokenproc verify --officers officers " + c.exports)
			if done.code != c.code || !strings.Contains(done.stdout+done.stderr, c.mention) {
				t.Errorf("ended with %d, want %d and %q\n%s%s", done.code, c.code, c.mention, done.stdout, done.stderr)
			}
		})
	}
}

// TestAcceptedNeedsNoSignatures has a manifest whose signatures are gone from git, with the host's history of it.
func TestAcceptedNeedsNoSignatures(t *testing.T) {
	d := newDesk(t)
	one, two := d.officers()
	e := newExport(t, time.Now().UTC().Truncate(time.Second).AddDate(-1, 0, 0), one, two)
	e.write(d)
	d.must("mkdir officers && cp officer-?.crt officers")
	d.write("card.yaml", strings.Replace(employeeCard, "    domain: Corp\n", "", 1))
	for _, c := range []struct {
		flags, mention string
		code           int
	}{
		{"", "0 of 2 officers", 1},
		{"--history history.json", "accepted by the CM host", 0},
		{"--history history.json --log log.jsonl", "accepted by the CM host", 0},
		{"--history history.json --log cut.jsonl", "the log has no such request", 1},
	} {
		d.must("head -2 log.jsonl > cut.jsonl")
		done := d.run("kubectl-tokenproc verify -f card.yaml --audience cm.example.com --officers officers " + c.flags)
		if done.code != c.code || !strings.Contains(done.stdout, c.mention) {
			t.Errorf("%s: ended with %d, want %d and %q\n%s%s", c.flags, done.code, c.code, c.mention, done.stdout, done.stderr)
		}
	}
}

package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/audit"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

type reportOptions struct {
	hosts    hostFlags
	from, to string
	format   string
	bundle   string
}

var reportFormats = []string{"text", "csv", "html", "json", "yaml"}

func newReportCommand(s *session) *cobra.Command {
	o := reportOptions{format: "text"}
	command := &cobra.Command{
		Use:   "report --from DATE [--to DATE]",
		Short: "For auditors: who approved what, when, and what it changed",
		Long: `Report on a period: who approved which change of which procedure, when and with what changed, what was loaded into the
register of officers and the catalogue, and the state of every procedure at the end.

Everything comes from the CM host's append-only log, and is checked on the way: the chain of hashes from the first entry
on, and for every accepted request that two different officers signed exactly it. --bundle writes what is needed to
check all of it again, offline. The exit code is 1 if something in the log is wrong.

The log is read as a stream, however long it is; in memory are the changes of the period and the newest content of each
procedure.`,
		Example: `  kubectl tokenproc report --from 2026-01-01 --to 2026-03-31 -n pki
  kubectl tokenproc report --from 2026-01-01 -o html --bundle audit-2026/ -n pki > audit.html`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return o.run(command.Context(), s) },
	}
	o.hosts.addNamed(command, s)
	flags := command.Flags()
	flags.StringVar(&o.from, "from", "", "first day (2026-01-01) or instant (RFC 3339) of the period, UTC")
	flags.StringVar(&o.to, "to", "", "last day or instant of the period; now without it")
	addFormat(command, &o.format, reportFormats, "text, csv, html, or the stable forms json and yaml that 'kubectl tokenproc help output' describes")
	flags.StringVar(&o.bundle, "bundle", "", "write the log and each procedure's history to this new folder, for checking offline")
	cobra.CheckErr(command.MarkFlagRequired("from"))
	cobra.CheckErr(command.MarkFlagDirname("bundle"))
	return command
}

func (o *reportOptions) run(ctx context.Context, s *session) error {
	from, err := dayOrInstant(o.from, false)
	if err != nil {
		return usagef("--from: %w", err)
	}
	to := time.Now().UTC()
	if o.to != "" {
		if to, err = dayOrInstant(o.to, true); err != nil {
			return usagef("--to: %w", err)
		}
	}
	if from.After(to) {
		return usagef("the period ends before it begins: --from is %s, the end %s", timestamp(from), timestamp(to))
	}
	write := map[string]func(*session, *AuditReport) error{"text": sayAudit, "csv": writeAuditCSV, "html": writeAuditHTML, "json": o.structured, "yaml": o.structured}[o.format]
	opened, err := o.hosts.connect(ctx, s)
	if err != nil {
		return err
	}
	about, err := opened.about(ctx)
	if err != nil {
		return err
	}
	building := newAuditBuilder(about.Audience, from, to)
	if o.bundle != "" {
		if building.bundle, err = newBundle(o.bundle, about.Audience); err != nil {
			return err
		}
	}
	if err := errors.Join(opened.readLog(ctx, building.add, s.progress("entries of the log")), building.bundle.close()); err != nil {
		return err
	}
	report := building.finish()
	if err := write(s, report); err != nil {
		return err
	}
	if o.bundle != "" {
		building.bundle.say(s)
	}
	if len(report.Problems) > 0 {
		return errFinding
	}
	return nil
}

func (o *reportOptions) structured(s *session, report *AuditReport) error {
	output := outputFlags{format: o.format}
	return output.print(s, report, nil)
}

// dayOrInstant reads a day, its start or its end, or an instant.
func dayOrInstant(text string, end bool) (time.Time, error) {
	if instant, err := time.Parse(time.RFC3339, text); err == nil {
		return instant.UTC(), nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return day, fmt.Errorf("%q is neither a day such as 2026-01-31 nor an instant such as 2026-01-31T12:00:00Z", text)
	}
	if end {
		return day.AddDate(0, 0, 1).Add(-time.Nanosecond), nil
	}
	return day, nil
}

// readLog hands every entry of the host's log to visit, as it came.
func (h *host) readLog(ctx context.Context, visit func(json.RawMessage) error, progress func(int)) error {
	type page struct {
		Items []json.RawMessage `json:"items"`
		Next  int64             `json:"next"`
	}
	limit, total := proceduresALook, 0
	parameters := cmhostv1.ReadLogParams{Limit: &limit}
	for {
		found, err := answer[page](h.api.ReadLog(ctx, &parameters))
		if err != nil {
			return err
		}
		for _, entry := range found.Items {
			if err := visit(entry); err != nil {
				return err
			}
		}
		total += len(found.Items)
		progress(total)
		if found.Next == 0 {
			return nil
		}
		if parameters.After != nil && found.Next <= *parameters.After {
			return errors.New("the CM host's log does not advance")
		}
		parameters.After = &found.Next
	}
}

// auditBuilder goes through a log from its first entry.
type auditBuilder struct {
	report     AuditReport
	auditor    audit.Auditor
	broken     bool // the chain broke; what follows is not checked any more
	procedures map[string]*ProcedureAtDate
	contents   map[string]request.Procedure
	order      []string
	bundle     *bundle // nil where none is written
}

func newAuditBuilder(audience string, from, to time.Time) *auditBuilder {
	return &auditBuilder{
		report:     AuditReport{Audience: audience, From: from, To: to, Approvals: []Approval{}, Loads: []LoadEntry{}, Procedures: []ProcedureAtDate{}, Problems: []string{}},
		procedures: map[string]*ProcedureAtDate{}, contents: map[string]request.Procedure{},
	}
}

// add takes the next entry; an error means that the bundle could not be written.
func (b *auditBuilder) add(plain json.RawMessage) error {
	if err := b.bundle.entry(plain); err != nil {
		return err
	}
	if !b.broken {
		if err := b.auditor.Check(plain); err != nil {
			b.broken = true
			b.report.Problems = append(b.report.Problems, err.Error()+": what follows in the log was not checked")
		}
	}
	var entry cmhostv1.LogEntry
	if err := json.Unmarshal(plain, &entry); err != nil {
		b.report.Problems = append(b.report.Problems, fmt.Sprintf("an entry of the log cannot be read: %v", err))
		return nil
	}
	b.report.LogLength, b.report.LogHead = entry.Index, entry.Hash
	switch {
	case entry.Action == cmhostv1.LogEntryActionAccepted:
		return b.accepted(&entry)
	case entry.Time.After(b.report.To):
	case entry.Action == cmhostv1.LogEntryActionImported:
		b.imported(&entry)
	case !entry.Time.Before(b.report.From):
		b.report.Loads = append(b.report.Loads, LoadEntry{Index: entry.Index, Time: entry.Time, Action: string(entry.Action), Kind: string(entry.Kind), Name: entry.Name})
	}
	return nil
}

func (b *auditBuilder) accepted(entry *cmhostv1.LogEntry) error {
	signed, err := request.Parse(entry.Request)
	if err != nil {
		b.report.Problems = append(b.report.Problems, fmt.Sprintf("entry %d: %v", entry.Index, err))
		return nil
	}
	approval := Approval{Index: entry.Index, Time: entry.Time, Procedure: entry.Name, Revision: signed.Revision, Digest: request.DigestOf(entry.Request),
		State: signed.Procedure.State, Signatures: []SignatureOf{}, Changes: []Difference{}, Checked: !b.broken}
	copied := cmhostv1.TokenProcedure{Name: entry.Name, Revision: signed.Revision, Digest: approval.Digest, AcceptedAt: entry.Time, Procedure: signed.Procedure}
	for _, signature := range entry.Signatures {
		approval.Signatures = append(approval.Signatures, SignatureOf{Officer: OfficerName{ID: signature.Officer.Id, Subject: signature.Officer.Subject}, SignedAt: signature.SignedAt})
		copied.Signatures = append(copied.Signatures, cmhostv1.Signature{Officer: signature.Officer, SignedAt: signature.SignedAt, Signature: signature.Signature})
	}
	if entry.Time.After(b.report.To) { // the bundle has every revision, as it has the whole log
		return b.bundle.revision(&copied)
	}
	before, existed := b.contents[entry.Name]
	approval.New = !existed
	for _, d := range request.Differences(before, signed.Procedure) {
		approval.Changes = append(approval.Changes, Difference{Field: "spec.procedure." + d.Path, Label: d.Label, Old: d.Old, New: d.New})
	}
	b.contents[entry.Name] = signed.Procedure
	b.at(entry.Name, ProcedureAtDate{Procedure: entry.Name, Revision: signed.Revision, State: signed.Procedure.State, Digest: approval.Digest, Since: entry.Time})
	if !entry.Time.Before(b.report.From) {
		b.report.Approvals = append(b.report.Approvals, approval)
	}
	return b.bundle.revision(&copied)
}

// imported notes a procedure made elsewhere; the log has its content as the object.
func (b *auditBuilder) imported(entry *cmhostv1.LogEntry) {
	var content request.Procedure
	encoded, err := json.Marshal(entry.Object)
	if err == nil {
		err = json.Unmarshal(encoded, &content)
	}
	if err != nil {
		b.report.Problems = append(b.report.Problems, fmt.Sprintf("entry %d: the imported procedure cannot be read: %v", entry.Index, err))
		return
	}
	b.contents[entry.Name] = content
	b.at(entry.Name, ProcedureAtDate{Procedure: entry.Name, State: content.State, Since: entry.Time})
	if !entry.Time.Before(b.report.From) {
		b.report.Loads = append(b.report.Loads, LoadEntry{Index: entry.Index, Time: entry.Time, Action: string(entry.Action), Kind: string(entry.Kind), Name: entry.Name})
	}
}

func (b *auditBuilder) at(name string, now ProcedureAtDate) {
	if b.procedures[name] == nil {
		b.order = append(b.order, name)
	}
	b.procedures[name] = &now
}

func (b *auditBuilder) finish() *AuditReport {
	for _, name := range b.order {
		b.report.Procedures = append(b.report.Procedures, *b.procedures[name])
	}
	return &b.report
}

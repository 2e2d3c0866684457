package plugin

import (
	"encoding/csv"
	"fmt"
	"html/template"
	"strings"

	"github.com/tokenprocedures/token-procedure-operator/internal/plugin/terminal"
)

func sayAudit(s *session, report *AuditReport) error {
	style := terminal.StyleFor(s.Out)
	s.say("Token procedures of %s, %s to %s\n", report.Audience, timestamp(report.From), timestamp(report.To))
	s.say("from a log of %d entries, head %s\n\n", report.LogLength, report.LogHead)
	for _, problem := range report.Problems {
		s.say("%s %s\n", style.Bad("PROBLEM"), problem)
	}
	s.say("%s\n", style.Strong(fmt.Sprintf("Approved changes: %d", len(report.Approvals))))
	for _, approval := range report.Approvals {
		s.say("%s  %q revision %d, %s\n", timestamp(approval.Time), approval.Procedure, approval.Revision, approval.State)
		for _, signature := range approval.Signatures {
			s.say("  signed by %s (%s) %s\n", signature.Officer.ID, signature.Officer.Subject, timestamp(signature.SignedAt))
		}
		if approval.New {
			s.say("  new:\n")
		}
		for _, change := range approval.Changes {
			s.say("  %s\n", changeIn(approval.New, change))
		}
	}
	s.say("\n%s\n", style.Strong(fmt.Sprintf("Loaded by the host's administrator: %d", len(report.Loads))))
	for i, load := range report.Loads {
		head := timestamp(load.Time) + "  " + load.Action + " " + load.Kind
		if i > 0 && report.Loads[i-1].Time.Equal(load.Time) && report.Loads[i-1].Action == load.Action && report.Loads[i-1].Kind == load.Kind {
			s.say(", %q", load.Name)
			continue
		}
		if i > 0 {
			s.say("\n")
		}
		s.say("%s %q", head, load.Name)
	}
	if len(report.Loads) > 0 {
		s.say("\n")
	}
	s.say("\n%s\n", style.Strong("State on "+timestamp(report.To)))
	if len(report.Procedures) == 0 {
		s.say("no procedures\n")
		return nil
	}
	var table terminal.Table
	table.Row("PROCEDURE", "STATE", "REVISION", "SINCE")
	for _, procedure := range report.Procedures {
		table.Row(procedure.Procedure, procedure.State, orDash(procedure.Revision), timestamp(procedure.Since))
	}
	table.Write(s.Out, "")
	return nil
}

// changeIn is a change in words; in a new procedure there was nothing before.
func changeIn(isNew bool, change Difference) string {
	if isNew {
		return change.Label + ": " + change.New
	}
	return changeWords(change)
}

func changeWords(change Difference) string {
	return change.Label + ": " + noneIfEmpty(change.Old) + " -> " + noneIfEmpty(change.New)
}

// writeAuditCSV writes one line for each signature: what spreadsheets sort and filter by.
func writeAuditCSV(s *session, report *AuditReport) error {
	writer := csv.NewWriter(s.Out)
	rows := [][]string{{"accepted", "procedure", "revision", "state", "digest", "officer", "subject", "signed", "changes"}}
	for _, approval := range report.Approvals {
		changes := make([]string, len(approval.Changes))
		for i, change := range approval.Changes {
			changes[i] = changeWords(change)
		}
		for _, signature := range approval.Signatures {
			rows = append(rows, []string{timestamp(approval.Time), approval.Procedure, decimal(approval.Revision), approval.State, approval.Digest,
				signature.Officer.ID, signature.Officer.Subject, timestamp(signature.SignedAt), strings.Join(changes, "; ")})
		}
	}
	for _, row := range rows {
		for i := range row {
			row[i] = cell(row[i])
		}
	}
	return writer.WriteAll(rows)
}

// cell keeps a spreadsheet from taking text of foreign origin for a formula.
func cell(text string) string {
	if text = terminal.Clean(text); text != "" && strings.ContainsAny(text[:1], "=+-@") {
		return "'" + text
	}
	return text
}

var auditPage = template.Must(template.New("audit").Funcs(template.FuncMap{"time": timestamp, "words": changeWords, "clean": terminal.Clean}).Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"/><title>Token procedures of {{clean .Audience}}</title>
<style>body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}td,th{border:1px solid #999;padding:.3em .6em;text-align:left;vertical-align:top}code{font-size:80%}.problem{color:#a00;font-weight:bold}</style></head>
<body><h1>Token procedures of {{clean .Audience}}</h1>
<p>{{time .From}} to {{time .To}}, from a log of {{.LogLength}} entries, head <code>{{clean .LogHead}}</code></p>
{{range .Problems}}<p class="problem">{{clean .}}</p>
{{end}}<h2>Approved changes</h2>
<table><tr><th>Accepted</th><th>Procedure</th><th>Revision</th><th>State</th><th>Signed by</th><th>What changed</th></tr>
{{range .Approvals}}<tr><td>{{time .Time}}</td><td>{{clean .Procedure}}<br/><code>{{clean .Digest}}</code></td><td>{{.Revision}}</td><td>{{clean .State}}</td><td>{{range .Signatures}}{{clean .Officer.ID}} ({{clean .Officer.Subject}}), {{time .SignedAt}}<br/>{{end}}</td><td>{{range .Changes}}{{clean (words .)}}<br/>{{end}}</td></tr>
{{end}}</table>
<h2>Loaded by the host's administrator</h2>
<table><tr><th>Time</th><th>Action</th><th>Kind</th><th>Name</th></tr>
{{range .Loads}}<tr><td>{{time .Time}}</td><td>{{clean .Action}}</td><td>{{clean .Kind}}</td><td>{{clean .Name}}</td></tr>
{{end}}</table>
<h2>State on {{time .To}}</h2>
<table><tr><th>Procedure</th><th>State</th><th>Revision</th><th>Since</th></tr>
{{range .Procedures}}<tr><td>{{clean .Procedure}}</td><td>{{clean .State}}</td><td>{{.Revision}}</td><td>{{time .Since}}</td></tr>
{{end}}</table></body></html>
`))

func writeAuditHTML(s *session, report *AuditReport) error { return auditPage.Execute(s.Out, report) }

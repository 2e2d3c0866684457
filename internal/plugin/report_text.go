package plugin

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
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
		for _, change := range approval.Changes {
			s.say("  %s\n", changeWords(change))
		}
	}
	s.say("\n%s\n", style.Strong(fmt.Sprintf("Loaded by the host's administrator: %d", len(report.Loads))))
	for _, load := range report.Loads {
		s.say("%s  %s %s %q\n", timestamp(load.Time), load.Action, load.Kind, load.Name)
	}
	s.say("\n%s\n", style.Strong("State on "+timestamp(report.To)))
	var table terminal.Table
	table.Row("PROCEDURE", "STATE", "REVISION", "SINCE")
	for _, procedure := range report.Procedures {
		table.Row(procedure.Procedure, procedure.State, orDash(procedure.Revision), timestamp(procedure.Since))
	}
	table.Write(s.Out, "")
	return nil
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
<html lang="en"><head><meta charset="utf-8"><title>Token procedures of {{clean .Audience}}</title>
<style>body{font-family:sans-serif;margin:2em}table{border-collapse:collapse}td,th{border:1px solid #999;padding:.3em .6em;text-align:left;vertical-align:top}code{font-size:80%}.problem{color:#a00;font-weight:bold}</style></head>
<body><h1>Token procedures of {{clean .Audience}}</h1>
<p>{{time .From}} to {{time .To}}, from a log of {{.LogLength}} entries, head <code>{{clean .LogHead}}</code></p>
{{range .Problems}}<p class="problem">{{clean .}}</p>
{{end}}<h2>Approved changes</h2>
<table><tr><th>Accepted</th><th>Procedure</th><th>Revision</th><th>State</th><th>Signed by</th><th>What changed</th></tr>
{{range .Approvals}}<tr><td>{{time .Time}}</td><td>{{clean .Procedure}}<br><code>{{clean .Digest}}</code></td><td>{{.Revision}}</td><td>{{clean .State}}</td><td>{{range .Signatures}}{{clean .Officer.ID}} ({{clean .Officer.Subject}}), {{time .SignedAt}}<br>{{end}}</td><td>{{range .Changes}}{{clean (words .)}}<br>{{end}}</td></tr>
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

// writeBundle writes the whole log, one entry a line, and each procedure's history, for verify.
func writeBundle(s *session, folder string, built *auditBuilder) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return usage(err)
	}
	var log bytes.Buffer
	for _, entry := range built.entries {
		if err := json.Compact(&log, entry); err != nil {
			return err
		}
		log.WriteByte('\n')
	}
	problems := writeOut(s, filepath.Join(folder, "log.jsonl"), log.Bytes())
	taken := map[string]bool{}
	for _, name := range built.order {
		if len(built.histories[name]) == 0 {
			continue
		}
		history := &History{Audience: built.report.Audience, Procedure: name, Items: built.histories[name]}
		history.stamp()
		encoded, err := encode("json", history)
		if err != nil {
			return err
		}
		problems = errors.Join(problems, writeOut(s, filepath.Join(folder, "history-"+objectName(name, taken)+".json"), encoded))
	}
	s.note("check the bundle, offline, with the officers' certificates:\n  kubectl tokenproc verify --log %s/log.jsonl\n  kubectl tokenproc verify --history %s/history-NAME.json --officers FOLDER\n", folder, folder)
	return problems
}

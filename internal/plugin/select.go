package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/plugin/terminal"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

type selectOptions struct {
	from      sourceFlags
	catalog   catalogFlags
	output    outputFlags
	keyUsages []string
}

func newSelectCommand(s *session) *cobra.Command {
	var o selectOptions
	command := &cobra.Command{
		Use:   "select NAME | -f FILE [--key-usage USAGE,...]",
		Short: "Tell which certificate procedure a key gets, and why",
		Long: `Tell which certificate procedure a key gets whose request names these key usages, and why; without --key-usage the
whole list in order, with what each entry matches, and entries that can never be chosen marked as shadowed.

The first certificate procedure is used where a request names no key usage; otherwise the first that has every key usage
of the request; one with no key usage set, or with all of them, matches every request. The exit code is 1 if none matches.

The catalogue is that of --catalog, of the host that --host names, or of the procedure's CMHost in the cluster.`,
		Example: `  kubectl tokenproc select employee-card -n pki
  kubectl tokenproc select -f employee-card.yaml --catalog catalog.yaml --key-usage digitalSignature
  kubectl tokenproc select employee-card --key-usage keyEncipherment,dataEncipherment -o json`,
		Args:              oneName(&o.from),
		ValidArgsFunction: s.completeProcedures,
		RunE: func(command *cobra.Command, names []string) error {
			return o.run(command.Context(), s, names)
		},
	}
	o.from.add(command)
	o.catalog.add(command)
	o.output.add(command)
	command.Flags().StringSliceVar(&o.keyUsages, "key-usage", nil, "key usage of the request, by its name in RFC 5280; repeatable, or with commas")
	cobra.CheckErr(command.RegisterFlagCompletionFunc("key-usage", cobra.FixedCompletions(rules.KeyUsages, cobra.ShellCompDirectiveNoFileComp)))
	return command
}

func (o *selectOptions) run(ctx context.Context, s *session, names []string) error {
	if err := rules.ParseKeyUsages(o.keyUsages); err != nil {
		return usagef("--key-usage: %w", err)
	}
	one, err := o.from.one(ctx, s, names)
	if err != nil {
		return err
	}
	catalog, err := o.catalog.catalog(ctx, s, one)
	if err != nil {
		return err
	}
	procedure := request.FromV1alpha1(&one.procedure.Spec.Procedure)
	report := SelectionReport{Procedure: procedure.Name, KeyUsages: o.keyUsages, Entries: selectionEntries(procedure, catalog)}
	chosen, err := rules.SelectCertificateProcedure(procedure, catalog, o.keyUsages)
	switch {
	case errors.Is(err, rules.ErrNoMatch):
		report.Why = err.Error() + ": the request is refused"
	case err != nil:
		return err
	default:
		report.Chosen = chosen
		report.Why = whyChosen(&report, o.keyUsages)
	}
	if err := o.output.print(s, &report, func() { s.saySelection(&report, len(o.keyUsages) > 0) }); err != nil {
		return err
	}
	if report.Chosen == "" {
		return errFinding
	}
	return nil
}

// selectionEntries lists the procedure's certificate procedures with what each matches.
func selectionEntries(procedure request.Procedure, catalog *rules.Catalog) []SelectionEntry {
	shadows := map[string]string{}
	for _, warning := range rules.Warnings(procedure, catalog, nil) {
		if warning.Reason == v1alpha1.ReasonShadowedCertificateProcedure {
			shadows[warning.Field] = warning.Message
		}
	}
	entries := make([]SelectionEntry, len(procedure.CertificateProcedures))
	for i, name := range procedure.CertificateProcedures {
		entries[i] = SelectionEntry{Name: name, KeyUsages: []string{}, Shadowed: shadows[fmt.Sprintf("spec.procedure.certificateProcedures[%d]", i)]}
		k := slices.IndexFunc(catalog.CertificateProcedures, func(c rules.CertificateProcedure) bool { return c.Name == name })
		if k < 0 {
			entries[i].Unknown = true
			continue
		}
		entries[i].State = catalog.CertificateProcedures[k].State
		entries[i].KeyUsages = append(entries[i].KeyUsages, catalog.CertificateProcedures[k].KeyUsages...)
		entries[i].MatchesAll = len(entries[i].KeyUsages) == 0 || len(entries[i].KeyUsages) == len(rules.KeyUsages)
	}
	return entries
}

func whyChosen(report *SelectionReport, keyUsages []string) string {
	if len(keyUsages) == 0 {
		return "a request without key usage gets the first"
	}
	i := slices.IndexFunc(report.Entries, func(e SelectionEntry) bool { return e.Name == report.Chosen })
	if report.Entries[i].MatchesAll {
		return fmt.Sprintf("the first that matches %s: it matches every request", strings.Join(keyUsages, ", "))
	}
	return fmt.Sprintf("the first that has every key usage of the request: it has %s", strings.Join(report.Entries[i].KeyUsages, ", "))
}

func (s *session) saySelection(report *SelectionReport, asked bool) {
	if asked {
		if report.Chosen == "" {
			s.say("none: %s\n", report.Why)
			return
		}
		s.say("%s: %s\n", report.Chosen, report.Why)
		return
	}
	style := terminal.StyleFor(s.Out)
	var table terminal.Table
	table.Row("", "CERTIFICATE PROCEDURE", "MATCHES REQUESTS FOR", "REMARK")
	for i, entry := range report.Entries {
		matches := strings.Join(entry.KeyUsages, ", ")
		var remarks []string
		switch {
		case entry.Unknown:
			matches, remarks = "nothing", append(remarks, "not in the catalogue")
		case entry.MatchesAll:
			matches = "anything"
		}
		if i == 0 {
			remarks = append(remarks, "for requests without key usage")
		}
		if entry.State != "" && entry.State != rules.Active {
			remarks = append(remarks, "is "+entry.State)
		}
		if entry.Shadowed != "" {
			remarks = append(remarks, "SHADOWED: "+entry.Shadowed)
		}
		remark := terminal.Text(terminal.Clean(strings.Join(remarks, "; ")))
		if entry.Shadowed != "" || entry.Unknown {
			remark = style.Waiting(strings.Join(remarks, "; "))
		}
		table.Row(i+1, entry.Name, matches, remark)
	}
	table.Write(s.Out, "")
}

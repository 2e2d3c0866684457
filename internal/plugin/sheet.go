package plugin

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

func newSheetCommand(s *session) *cobra.Command {
	var from sourceFlags
	var output outputFlags
	command := &cobra.Command{
		Use:   "sheet NAME | -f FILE",
		Short: "Print the fields as the desktop program asks for them",
		Long: `Print the fields of a procedure in the order and under the labels of the desktop program's dialog, for whoever has to
type them there. Entries of lists are numbered: their order matters. Characters that are not ASCII are spelled out.`,
		Example: `  kubectl tokenproc sheet employee-card -n pki
  kubectl tokenproc sheet -f employee-card.yaml -o json`,
		Args:              oneName(&from),
		ValidArgsFunction: s.completeProcedures,
		RunE: func(command *cobra.Command, names []string) error {
			return runSheet(command.Context(), s, &from, &output, names)
		},
	}
	from.add(command)
	output.add(command)
	return command
}

func runSheet(ctx context.Context, s *session, from *sourceFlags, output *outputFlags, names []string) error {
	one, err := from.one(ctx, s, names)
	if err != nil {
		return err
	}
	procedure := request.FromV1alpha1(&one.procedure.Spec.Procedure)
	sheet := Sheet{Where: one.where, Fields: []SheetField{}}
	if own := one.procedure.Spec.Revision; own != nil {
		sheet.Revision = *own
	}
	for _, field := range request.Fields(procedure) {
		sheet.Fields = append(sheet.Fields, SheetField{Field: "spec.procedure." + field.Path, Label: field.Label, Value: field.Value})
	}
	return output.print(s, &sheet, func() {
		s.say("Create or Modify Token Procedure Request   %s, revision %s\n\n", sheet.Where, orDash(sheet.Revision))
		showFields(s.Out, procedure)
	})
}

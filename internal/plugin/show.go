package plugin

import (
	"io"

	"github.com/tokenprocedures/token-procedure-operator/internal/plugin/terminal"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// showRequest shows what an officer is about to sign. Everything comes from the bytes themselves: they are parsed here
// again, and parsing proves that they say nothing else.
func showRequest(w io.Writer, canonical []byte, replaces baseline, warnings []string) error {
	parsed, err := request.Parse(canonical)
	if err != nil {
		return err
	}
	style := terminal.StyleFor(w)
	var head terminal.Table
	head.Row("Audience", style.Strong(parsed.Audience))
	head.Row("Revision", style.Strong(revisionLine(parsed, replaces)))
	head.Row("Digest", request.DigestOf(canonical))
	head.Write(w, "  ")
	terminal.Printf(w, "\n%s\n", style.Strong("Fields"))
	showFields(w, parsed.Procedure)
	terminal.Printf(w, "\n%s\n", style.Strong("What changes"))
	showChanges(w, parsed.Procedure, replaces)
	if len(warnings) > 0 {
		terminal.Printf(w, "\n%s\n", style.Strong("Warnings"))
		for _, warning := range warnings {
			terminal.Printf(w, "  %s %s\n", style.Waiting("!"), warning)
		}
	}
	return nil
}

func revisionLine(parsed request.Request, replaces baseline) string {
	line := decimal(parsed.Revision)
	switch {
	case replaces.unknown != "":
		return line + ", replacing: not known here"
	case replaces.procedure == nil:
		return line + ", new"
	default:
		return line + ", replacing " + replaces.from
	}
}

// showFields lists the fields under the desktop program's labels, absent ones too, and spells out every character that
// is not ASCII.
func showFields(w io.Writer, procedure request.Procedure) {
	var fields terminal.Table
	for _, field := range request.Fields(procedure) {
		if field.Value == "" {
			fields.Row(field.Label, "-")
			continue
		}
		fields.Row(field.Label, field.Value)
		for _, character := range terminal.NonASCII(field.Value) {
			fields.Row("", "  not ASCII: "+character)
		}
	}
	fields.Write(w, "  ")
}

func showChanges(w io.Writer, procedure request.Procedure, replaces baseline) {
	switch {
	case replaces.unknown != "":
		terminal.Printf(w, "  not known: %s\n", replaces.unknown)
	case replaces.procedure == nil:
		terminal.Printf(w, "  everything is new: the CM host has no procedure of this name\n")
	default:
		differences := request.Differences(*replaces.procedure, procedure)
		for _, difference := range differences {
			terminal.Printf(w, "  %s\n", difference.String())
		}
		if len(differences) == 0 {
			terminal.Printf(w, "  no field: only the revision\n")
		}
	}
}

package plugin

import (
	"context"
	"math/big"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tokenprocedures/token-procedure-operator/internal/plugin/terminal"
)

type rangesOptions struct {
	hosts  hostFlags
	output outputFlags
	free   bool
	size   string
}

func newRangesCommand(s *session) *cobra.Command {
	var o rangesOptions
	command := &cobra.Command{
		Use:   "ranges [--free --size N]",
		Short: "Show the card serial ranges in use, with overlaps and gaps",
		Long: `Show which Active procedure of the CM host takes card serial numbers from which range, where ranges overlap, and the
gaps between them; on a terminal with a picture of the number line. --free lists the gaps alone, --size those that are
large enough; the exit code is 1 if there is none.`,
		Example: `  kubectl tokenproc ranges -n pki
  kubectl tokenproc ranges --free --size 100000 -o json`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return o.run(command.Context(), s) },
	}
	o.hosts.addNamed(command, s)
	o.output.add(command)
	command.Flags().BoolVar(&o.free, "free", false, "list only what is free")
	command.Flags().StringVar(&o.size, "size", "1", "how many numbers a gap must have, for --free")
	return command
}

func (o *rangesOptions) run(ctx context.Context, s *session) error {
	size, valid := new(big.Int).SetString(o.size, 10)
	if !valid || size.Sign() < 1 {
		return usagef("--size %q: expected a number from 1", o.size)
	}
	opened, err := o.hosts.connect(ctx, s)
	if err != nil {
		return err
	}
	procedures, err := opened.procedures(ctx, s.progress("procedures of the CM host"))
	if err != nil {
		return err
	}
	var used []numberRange
	for i := range procedures {
		if found, takes := usedRange(&procedures[i]); takes {
			used = append(used, newNumberRange(procedures[i].Name, found.From, found.To))
		}
	}
	line := newNumberLine(used)
	report := line.report(size)
	if o.free {
		report.Used, report.Overlaps = nil, nil
	}
	if err := o.output.print(s, &report, func() { s.sayRanges(&report, line, o.free) }); err != nil {
		return err
	}
	if o.free && len(report.Free) == 0 {
		return errFinding
	}
	return nil
}

func (s *session) sayRanges(report *RangesReport, line *numberLine, freeOnly bool) {
	style := terminal.StyleFor(s.Out)
	if !freeOnly {
		width := 0
		if terminal.IsTerminal(s.Out) {
			width = max(terminal.Width(s.Out)-60, 20)
		}
		var table terminal.Table
		table.Row("FROM", "TO", "NUMBERS", "PROCEDURE", "")
		for i, one := range report.Used {
			table.Row(one.From, one.To, one.Numbers, one.Procedure, line.picture(i, width))
		}
		table.Write(s.Out, "")
		for _, overlap := range report.Overlaps {
			s.say("%s %s and %s both have %s - %s (%s numbers)\n", style.Waiting("overlap:"), overlap.Procedures[0], overlap.Procedures[1], overlap.From, overlap.To, overlap.Numbers)
		}
	}
	for _, gap := range report.Free {
		s.say("free: %s - %s (%s numbers)\n", gap.From, gap.To, gap.Numbers)
	}
	if len(report.Free) == 0 {
		s.note("no gap is large enough\n")
	}
}

// picture is where a range lies on the line of all ranges.
func (l *numberLine) picture(i, width int) string {
	if width == 0 || len(l.used) == 0 {
		return ""
	}
	start, span := l.used[0].from, new(big.Int).Sub(l.highest, l.used[0].from)
	span.Add(span, bigOne)
	column := func(n *big.Int) int {
		offset := new(big.Int).Sub(n, start)
		return int(offset.Mul(offset, big.NewInt(int64(width))).Div(offset, span).Int64())
	}
	from, to := column(l.used[i].from), min(column(l.used[i].to), width-1)
	return "|" + strings.Repeat(".", from) + strings.Repeat("#", to-from+1) + strings.Repeat(".", width-1-to) + "|"
}

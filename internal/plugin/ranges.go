package plugin

import (
	"context"
	"math/big"
	"slices"
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
gaps between them; on a terminal with a picture of the number line, from the first number in use to the last: # is in use,
X by another procedure as well. --free lists the gaps alone, --size those that are large enough; the exit code is 1 if
there is none.`,
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
			table.Row(one.From, one.To, grouped(one.Numbers), one.Procedure, line.picture(i, width, report.Overlaps))
		}
		if len(report.Used) > 0 {
			table.Write(s.Out, "")
		} else {
			s.say("no Active procedure takes card serial numbers from a range\n")
		}
		for _, overlap := range report.Overlaps {
			s.say("%s %s and %s both have %s - %s (%s numbers)\n", style.Waiting("overlap:"), overlap.Procedures[0], overlap.Procedures[1], overlap.From, overlap.To, grouped(overlap.Numbers))
		}
	}
	for _, gap := range report.Free {
		s.say("free: %s - %s (%s numbers)\n", gap.From, gap.To, grouped(gap.Numbers))
	}
	if len(report.Free) == 0 {
		s.note("no gap is large enough\n")
	}
}

// grouped is a decimal number with its digits in groups of three.
func grouped(number string) string {
	for at := len(number) - 3; at > 0; at -= 3 {
		number = number[:at] + "," + number[at:]
	}
	return number
}

// picture is where a range lies on the line of all ranges: # where it is, X where another one is as well.
func (l *numberLine) picture(i, width int, overlaps []RangeOverlap) string {
	if width == 0 || len(l.used) == 0 {
		return ""
	}
	line := []byte(strings.Repeat(".", width))
	l.draw(line, l.used[i], '#')
	for _, overlap := range overlaps {
		if slices.Contains(overlap.Procedures, l.used[i].procedure) {
			l.draw(line, newNumberRange("", overlap.From, overlap.To), 'X')
		}
	}
	return "|" + string(line) + "|"
}

// draw marks the columns of a range, one at least.
func (l *numberLine) draw(line []byte, r numberRange, mark byte) {
	start := l.used[0].from
	span := count(start, l.highest)
	column := func(n *big.Int) int {
		offset := new(big.Int).Sub(n, start)
		return int(offset.Mul(offset, big.NewInt(int64(len(line)))).Div(offset, span).Int64())
	}
	for c := column(r.from); c <= min(column(r.to), len(line)-1); c++ {
		line[c] = mark
	}
}

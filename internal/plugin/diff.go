package plugin

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tokenprocedures/token-procedure-operator/internal/plugin/terminal"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

type diffOptions struct {
	from   sourceFlags
	hosts  hostFlags
	output outputFlags
}

func newDiffCommand(s *session) *cobra.Command {
	var o diffOptions
	command := &cobra.Command{
		Use:   "diff NAME | -f FILE",
		Short: "Compare a manifest with the CM host's copy and with the last signed revision",
		Long: `Compare the manifest, field by field and in domain words, with what the CM host has, and with the newest revision that
a signature beside the manifest covers. With -f the CM host is the one that --host names, else that of the manifest's
CMHost in the cluster.

The exit code is 1 when the manifest differs from the host's copy, or, where the host cannot be asked with what you have,
from the last signed revision.`,
		Example: `  kubectl tokenproc diff employee-card -n pki
  kubectl tokenproc diff -f employee-card.yaml -n pki

  # offline, against the signatures beside it
  kubectl tokenproc diff -f employee-card.yaml -f signatures/ -o json`,
		Args:              oneName(&o.from),
		ValidArgsFunction: s.completeProcedures,
		RunE: func(command *cobra.Command, names []string) error {
			return o.run(command.Context(), s, names)
		},
	}
	o.from.add(command)
	o.hosts.add(command)
	o.output.add(command)
	return command
}

func (o *diffOptions) run(ctx context.Context, s *session, names []string) error {
	one, err := o.from.one(ctx, s, names)
	if err != nil {
		return err
	}
	report := DiffReport{Where: one.where, Name: string(one.procedure.Spec.Procedure.Name), Comparisons: []Comparison{}}
	manifest := request.FromV1alpha1(&one.procedure.Spec.Procedure)
	if own := one.procedure.Spec.Revision; own != nil {
		report.Revision = *own
	}
	opened, why := o.hosts.openFor(ctx, s, one)
	switch {
	case why == nil:
		copied, err := opened.baseline(ctx, one)
		if err != nil {
			return err
		}
		report.compare("host", manifest, copied)
	case o.hosts.given():
		return why
	default:
		s.note("the CM host was not asked: %s\n", firstLine(why))
	}
	if err := one.loadSignatures(ctx, s); err != nil {
		return err
	}
	if signed := lastSigned(one); signed != nil {
		report.compare("signed", manifest, baseline{procedure: &signed.Procedure, revision: signed.Revision, from: "revision " + decimal(signed.Revision) + " as signed (the signature was not checked)"})
	}
	if len(report.Comparisons) == 0 {
		return usagef("there is nothing to compare with, no CM host and no signature: name the host with --host, or give the signatures with -f as well")
	}
	report.Differs = !report.Comparisons[0].Same
	if err := o.output.print(s, &report, func() { s.sayDiff(&report) }); err != nil {
		return err
	}
	if report.Differs {
		return errFinding
	}
	return nil
}

// lastSigned is the request with the highest revision among the signatures beside a manifest.
func lastSigned(from *source) *request.Request {
	var newest *request.Request
	for _, signature := range from.signatures {
		signed := signedRequest(signature.Spec.Signature)
		if signed != nil && signed.Procedure.Name == string(from.procedure.Spec.Procedure.Name) &&
			(from.audience == "" || signed.Audience == from.audience) && (newest == nil || signed.Revision > newest.Revision) {
			newest = signed
		}
	}
	return newest
}

func (r *DiffReport) compare(with string, manifest request.Procedure, other baseline) {
	comparison := Comparison{With: with, Revision: other.revision, Description: other.from, Differences: []Difference{}}
	if other.procedure == nil {
		comparison.Absent = true
	} else {
		for _, d := range request.Differences(*other.procedure, manifest) {
			comparison.Differences = append(comparison.Differences, Difference{Field: "spec.procedure." + d.Path, Label: d.Label, Old: d.Old, New: d.New})
		}
	}
	comparison.Same = !comparison.Absent && len(comparison.Differences) == 0
	r.Comparisons = append(r.Comparisons, comparison)
}

func (s *session) sayDiff(report *DiffReport) {
	style := terminal.StyleFor(s.Out)
	for _, comparison := range report.Comparisons {
		target := map[string]string{"host": "the CM host's copy", "signed": "the last signed revision"}[comparison.With]
		description := comparison.Description
		if comparison.Absent {
			description = "there is none"
		}
		s.say("%s\n", style.Strong("Against "+target+": "+description))
		switch {
		case comparison.Absent:
			s.say("  the whole procedure is new\n")
		case comparison.Same && comparison.Revision != report.Revision:
			s.say("  no field differs; the revision does: %d there, %d in the manifest\n", comparison.Revision, report.Revision)
		case comparison.Same:
			s.say("  no difference\n")
		}
		for _, d := range comparison.Differences {
			s.say("  %s:\n    %s\n    %s\n", d.Label, style.Bad("- "+noneIfEmpty(d.Old)), style.Good("+ "+noneIfEmpty(d.New)))
		}
	}
}

func noneIfEmpty(text string) string {
	if text == "" {
		return "(none)"
	}
	return text
}

package plugin

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/plugin/manifest"
	"github.com/tokenprocedures/token-procedure-operator/internal/plugin/terminal"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

// Severities of lint's findings.
const (
	severityError   = "error"
	severityMissing = "missing" // what a draft lacks to be submitted
	severityWarning = "warning"
)

type lintOptions struct {
	from    sourceFlags
	catalog catalogFlags
	output  outputFlags
	online  bool
	strict  bool
}

func newLintCommand(s *session) *cobra.Command {
	var o lintOptions
	command := &cobra.Command{
		Use:   "lint -f FILE|FOLDER",
		Short: "Check manifests, and say every broken rule with its line",
		Long: `Check manifests against every rule that can be checked here, and say all findings at once, each with its file and line.

Offline these are the rules of the custom resources, the same that the API server and the CM host evaluate, explicit nulls,
unknown fields, and objects that get in each other's way. With --catalog FILE, --host or --online come the references to
the CM host's catalogue, and warnings such as shadowed certificate procedures and overlapping serial ranges. --online asks
the cluster as well what each change would be allowed.

A draft may be incomplete: what it lacks is listed as "missing". Missing fields and warnings do not change the exit code,
unless --strict is given.`,
		Example: `  kubectl tokenproc lint -f procedures/ -R
  kubectl tokenproc lint -f employee-card.yaml --catalog catalog.yaml -o json
  kubectl tokenproc lint -f employee-card.yaml --online -n pki`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return o.run(command.Context(), s) },
	}
	o.from.add(command)
	o.catalog.add(command)
	o.output.add(command)
	command.Flags().BoolVar(&o.online, "online", false, "ask the cluster for what each object would change, and its CM host for catalogue and serial ranges")
	command.Flags().BoolVar(&o.strict, "strict", false, "missing fields of drafts and warnings count as errors for the exit code")
	cobra.CheckErr(command.MarkFlagRequired("filename"))
	return command
}

func (o *lintOptions) run(ctx context.Context, s *session) error {
	objects, problems, err := manifest.Read(o.from.files, o.from.recursive, s.In)
	if err != nil {
		return usage(err)
	}
	report := LintReport{Findings: []Finding{}}
	for _, problem := range problems {
		report.add(Finding{File: problem.File, Line: problem.Line, Severity: severityError, Reason: "NotReadable", Message: problem.Message})
	}
	known := &linted{names: map[string]string{}, procedures: map[string]string{}}
	for _, object := range objects {
		if object.String("apiVersion") != v1alpha1.GroupVersion.String() {
			continue
		}
		report.Objects++
		if err := o.lint(ctx, s, object, known, &report); err != nil {
			return err
		}
	}
	if err := o.lintAgainstHosts(ctx, s, known, &report); err != nil {
		return err
	}
	if err := o.output.print(s, &report, func() { s.sayLint(&report, o.online || o.catalog.file != "" || o.catalog.hosts.given()) }); err != nil {
		return err
	}
	if report.Errors > 0 || o.strict && len(report.Findings) > 0 {
		return errFinding
	}
	return nil
}

func (r *LintReport) add(finding Finding) {
	if finding.Severity == severityError {
		r.Errors++
	}
	r.Findings = append(r.Findings, finding)
}

// linted is what was seen in the files so far.
type linted struct {
	names      map[string]string // kind, namespace and name of objects, with where they are
	procedures map[string]string // CM host and procedure name, with where they are
	complete   []completeProcedure
}

// completeProcedure keeps every static rule and is no draft.
type completeProcedure struct {
	object    manifest.Object
	source    *source
	procedure request.Procedure
}

// lint checks one object for itself and against those before it.
func (o *lintOptions) lint(ctx context.Context, s *session, object manifest.Object, known *linted, report *LintReport) error {
	findings, severity, err := o.staticFindings(ctx, s, object)
	if err != nil {
		return err
	}
	add := func(severity string, finding rules.Finding) { report.add(placed(object, severity, finding)) }
	for _, finding := range findings {
		add(severity, finding)
	}
	identity := object.String("kind") + " " + object.String("metadata", "namespace") + "/" + object.String("metadata", "name")
	if before, twice := known.names[identity]; twice {
		add(severityError, rules.Finding{Field: "metadata.name", Reason: "Repeated", Message: fmt.Sprintf("metadata.name: the object is in %s already: kubectl would apply one over the other", before)})
	}
	known.names[identity] = position(object)
	if object.String("kind") != "TokenProcedure" || len(findings) > 0 {
		return nil
	}
	procedure, err := decodeProcedure(object.Content)
	if err != nil {
		return err // the rules let nothing through that cannot be decoded
	}
	if procedure.Spec.Draft != nil && *procedure.Spec.Draft {
		return nil
	}
	key := procedure.Namespace + "/" + procedure.Spec.CMHostRef.Name + "/" + string(procedure.Spec.Procedure.Name)
	if before, twice := known.procedures[key]; twice {
		add(severityError, rules.Finding{Field: "spec.procedure.name", Reason: v1alpha1.ReasonNameConflict, Message: fmt.Sprintf("spec.procedure.name: %s is for the same procedure of the same CM host", before)})
	}
	known.procedures[key] = position(object)
	converted := request.FromV1alpha1(&procedure.Spec.Procedure)
	known.complete = append(known.complete, completeProcedure{object, &source{procedure: procedure, audience: o.from.audience, where: position(object)}, converted})
	return nil
}

// staticFindings are the broken rules of one object, or what a draft lacks.
func (o *lintOptions) staticFindings(ctx context.Context, s *session, object manifest.Object) ([]rules.Finding, string, error) {
	findings := rules.ValidateCreate(object.Content)
	if o.online {
		old, err := o.liveObject(ctx, s, object)
		if err != nil {
			return nil, "", err
		}
		if old != nil {
			findings = rules.ValidateUpdate(object.Content, old)
		}
	}
	spec, _ := object.Content["spec"].(map[string]any)
	if len(findings) == 0 && object.String("kind") == "TokenProcedure" && spec["draft"] == true {
		return rules.MissingFromDraft(object.Content), severityMissing, nil
	}
	return findings, severityError, nil
}

// liveObject is the object in the cluster that a TokenProcedure would change; nil if there is none.
func (o *lintOptions) liveObject(ctx context.Context, s *session, object manifest.Object) (map[string]any, error) {
	if object.String("kind") != "TokenProcedure" {
		return nil, nil
	}
	key, err := s.keyOf(object)
	if err != nil {
		return nil, err
	}
	old, err := s.getProcedure(ctx, key)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return old, err
}

// keyOf is where an object of a file would be in the cluster.
func (s *session) keyOf(object manifest.Object) (client.ObjectKey, error) {
	key := client.ObjectKey{Namespace: object.String("metadata", "namespace"), Name: object.String("metadata", "name")}
	if key.Namespace != "" {
		return key, nil
	}
	var err error
	key.Namespace, err = s.namespace()
	return key, err
}

func placed(object manifest.Object, severity string, finding rules.Finding) Finding {
	return Finding{File: object.File, Line: object.Line(finding.Field), Object: object.String("kind") + "/" + object.String("metadata", "name"),
		Severity: severity, Field: finding.Field, Reason: finding.Reason, Message: finding.Message}
}

func (s *session) sayLint(report *LintReport, asked bool) {
	style := terminal.StyleFor(s.Out)
	for _, finding := range report.Findings {
		severity := style.Waiting(finding.Severity)
		if finding.Severity == severityError {
			severity = style.Bad(finding.Severity)
		}
		s.say("%s:%d: %s: %s (%s)\n", finding.File, finding.Line, severity, finding.Message, finding.Reason)
	}
	if !asked {
		s.note("names were not checked against a CM host, nor changes against the cluster: --online, --host or --catalog do\n")
	}
	s.note("%s checked, %s, %s\n", counted(report.Objects, "object"), counted(len(report.Findings), "finding"), counted(report.Errors, "error"))
}

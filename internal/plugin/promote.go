package plugin

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

type promoteOptions struct {
	from sourceFlags
	host hostFlags
	to   string
	out  string
}

func newPromoteCommand(s *session) *cobra.Command {
	var o promoteOptions
	command := &cobra.Command{
		Use:   "promote [NAME] -f FILE --to CMHOST",
		Short: "Write a procedure's manifest for another CM host",
		Long: `Write the manifest of a procedure for another CM host, for example from test to production. References are checked
against that host's catalogue, and everything that is missing there is listed; the revision is the one after the host's,
or the host's own where the content is the same already. The exit code is 1 if something is missing.

--to is the name of the CMHost that the manifest refers to. The host is asked through that CMHost in the cluster, or with
--host. Signatures are never taken along: they hold for one host only.`,
		Example: `  kubectl tokenproc promote -f test/employee-card.yaml --to production -n pki --out production/employee-card.yaml`,
		Args:    oneName(&o.from),
		RunE: func(command *cobra.Command, names []string) error {
			return o.run(command.Context(), s, names)
		},
	}
	o.from.add(command)
	o.host.add(command)
	command.Flags().StringVar(&o.to, "to", "", "name of the CMHost that the new manifest refers to")
	command.Flags().StringVar(&o.out, "out", "", "write the manifest to this file instead of the standard output")
	cobra.CheckErr(command.MarkFlagRequired("to"))
	cobra.CheckErr(command.RegisterFlagCompletionFunc("to", s.completeCMHosts))
	return command
}

func (o *promoteOptions) run(ctx context.Context, s *session, names []string) error {
	one, err := o.from.one(ctx, s, names)
	if err != nil {
		return err
	}
	o.host.cmHost = o.to
	opened, err := o.host.connect(ctx, s)
	if err != nil {
		return err
	}
	procedure := request.FromV1alpha1(&one.procedure.Spec.Procedure)
	catalog, err := opened.catalog(ctx)
	if err != nil {
		return err
	}
	stored, err := opened.procedure(ctx, procedure.Name)
	if err != nil {
		return err
	}
	revision := int64(1)
	switch {
	case stored == nil:
	case stored.Revision > 0 && len(request.Differences(stored.Procedure, procedure)) == 0:
		revision = stored.Revision
		s.note("the host has exactly this as revision %d already\n", revision)
	default:
		revision = stored.Revision + 1
		s.note("the host has revision %d; what changes there:\n", stored.Revision)
		for _, difference := range request.Differences(stored.Procedure, procedure) {
			s.note("  %s\n", difference.String())
		}
	}
	promoted := procedureObject(one.procedure.Name, one.procedure.Namespace, o.to, revision, procedure)
	promoted.Labels, promoted.Annotations = one.procedure.Labels, withoutKubectl(one.procedure.Annotations)
	promoted.Spec.Draft, promoted.Spec.DeletionPolicy = one.procedure.Spec.Draft, one.procedure.Spec.DeletionPolicy
	missing := rules.CheckReferences(procedure, catalog)
	for _, finding := range missing {
		s.note("missing there: %s (%s)\n", finding.Message, finding.Reason)
	}
	for _, warning := range rules.Warnings(procedure, catalog, nil) {
		s.note("warning: %s (%s)\n", warning.Message, warning.Reason)
	}
	var found error
	if len(missing) > 0 {
		found = errFinding
	}
	return errors.Join(writeManifests(s, []any{promoted}, o.out, ""), found)
}

// withoutKubectl leaves out what kubectl apply keeps on an object in the cluster.
func withoutKubectl(annotations map[string]string) map[string]string {
	kept := map[string]string{}
	for name, value := range annotations {
		if name != "kubectl.kubernetes.io/last-applied-configuration" && name != v1alpha1.AnnotationAcceptLogHead {
			kept[name] = value
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

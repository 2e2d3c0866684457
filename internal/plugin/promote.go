package plugin

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"
	apiequality "k8s.io/apimachinery/pkg/api/equality"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/plugin/manifest"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

type promoteOptions struct {
	from   sourceFlags
	host   hostFlags
	to     string
	out    string
	format string
}

func newPromoteCommand(s *session) *cobra.Command {
	var o promoteOptions
	command := &cobra.Command{
		Use:   "promote NAME | -f FILE --to CMHOST",
		Short: "Write a procedure's manifest for another CM host",
		Long: `Write the manifest of a procedure for another CM host, for example from test to production. References are checked
against that host's catalogue, and everything that is missing there is listed; the revision is the one after the host's,
or the host's own where the content is the same already. The exit code is 1 if something is missing.

--to is the name of the CMHost that the manifest refers to. The host is asked through that CMHost in the cluster, or with
--host. A manifest of a YAML file keeps its comments. Signatures are never taken along: they hold for one host only.`,
		Example: `  kubectl tokenproc promote -f test/employee-card.yaml --to production -n pki --out production/employee-card.yaml

  # the other host is not known to this cluster
  kubectl tokenproc promote employee-card -n pki --to production \
    --host https://cm.example.com:8443 --host-ca ca.crt --host-cert me.crt --host-key me.key`,
		Args:              oneName(&o.from),
		ValidArgsFunction: s.completeProcedures,
		RunE: func(command *cobra.Command, names []string) error {
			return o.run(command.Context(), s, names)
		},
	}
	o.from.add(command)
	o.host.add(command)
	command.Flags().StringVar(&o.to, "to", "", "name of the CMHost that the new manifest refers to")
	command.Flags().StringVar(&o.out, "out", "", "write the manifest to this file instead of the standard output")
	addManifestFormat(command, &o.format)
	cobra.CheckErr(command.MarkFlagRequired("to"))
	cobra.CheckErr(command.MarkFlagFilename("out", "yaml", "json"))
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
	about, err := opened.about(ctx)
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
	revision := s.revisionThere(about.Audience, stored, procedure)
	missing := s.sayMissing(about.Audience, procedure, catalog)
	return errors.Join(o.write(s, one, promoted(one.procedure, o.to, revision)), missing)
}

// revisionThere is the revision for another host, and says why.
func (s *session) revisionThere(audience string, stored *cmhostv1.TokenProcedure, procedure request.Procedure) int64 {
	if stored == nil {
		s.note("%s does not have %q: this is revision 1\n", audience, procedure.Name)
		return 1
	}
	differences := request.Differences(stored.Procedure, procedure)
	if stored.Revision > 0 && len(differences) == 0 {
		s.note("%s has exactly this as revision %d already\n", audience, stored.Revision)
		return stored.Revision
	}
	s.note("%s has revision %d: this is revision %d, and changes\n", audience, stored.Revision, stored.Revision+1)
	for _, difference := range differences {
		s.note("  %s\n", difference.String())
	}
	return stored.Revision + 1
}

// sayMissing lists what another host would refuse, and what it would warn of.
func (s *session) sayMissing(audience string, procedure request.Procedure, catalog *rules.Catalog) error {
	for _, warning := range rules.Warnings(procedure, catalog, nil) {
		s.note("warning: %s (%s)\n", warning.Message, warning.Reason)
	}
	missing := rules.CheckReferences(procedure, catalog)
	if len(missing) == 0 {
		return nil
	}
	s.note("missing at %s:\n", audience)
	for _, finding := range missing {
		s.note("  - %s (%s)\n", finding.Message, finding.Reason)
	}
	return errFinding
}

// promoted is a procedure for another CM host.
func promoted(procedure *v1alpha1.TokenProcedure, cmHost string, revision int64) *v1alpha1.TokenProcedure {
	made := procedureObject(procedure.Name, procedure.Namespace, cmHost, revision, request.FromV1alpha1(&procedure.Spec.Procedure))
	made.Labels, made.Annotations = procedure.Labels, withoutKubectl(procedure.Annotations)
	made.Spec.Draft, made.Spec.DeletionPolicy = procedure.Spec.Draft, procedure.Spec.DeletionPolicy
	return made
}

// write writes the manifest, with the comments of the file that it comes from where that can be done.
func (o *promoteOptions) write(s *session, one *source, made *v1alpha1.TokenProcedure) error {
	if one.manifest != nil && o.format != "json" {
		if text := withComments(*one.manifest, made); text != nil {
			return writeOut(s, o.out, text)
		}
		s.note("written without the comments of %s\n", one.manifest.File)
	}
	return writeManifests(s, []any{made}, o.out, o.format)
}

// withComments is a manifest as in the file that it comes from; nil where that would not be the same object (aliases may
// stand for more than one field), or not be safe on a terminal.
func withComments(from manifest.Object, made *v1alpha1.TokenProcedure) []byte {
	keep := []string{"name", "namespace", "labels"}
	if len(made.Annotations) > 0 {
		keep = append(keep, "annotations")
	}
	text, err := from.Edited(keep, made.Spec.CMHostRef.Name, *made.Spec.Revision)
	if err != nil || unsafeLines(text) {
		return nil
	}
	objects, problems := manifest.Parse("", text)
	if len(objects) != 1 || len(problems) > 0 {
		return nil
	}
	read, err := decodeProcedure(objects[0].Content)
	if err != nil || !apiequality.Semantic.DeepEqual(normal(read), normal(made)) {
		return nil
	}
	return text
}

// normal is what counts of a procedure's manifest, in one form.
func normal(procedure *v1alpha1.TokenProcedure) *v1alpha1.TokenProcedure {
	copied := procedure.DeepCopy()
	copied.Spec.Procedure = request.ToV1alpha1(request.FromV1alpha1(&copied.Spec.Procedure).Normalize())
	copied.Annotations = withoutKubectl(copied.Annotations)
	copied.Status = v1alpha1.TokenProcedureStatus{}
	return copied
}

// ofMachines are annotations that belong to an object in a cluster and to no manifest.
var ofMachines = []string{"kubectl.kubernetes.io/last-applied-configuration", v1alpha1.AnnotationAcceptLogHead}

// withoutKubectl leaves out what kubectl apply keeps on an object in the cluster.
func withoutKubectl(annotations map[string]string) map[string]string {
	kept := map[string]string{}
	for name, value := range annotations {
		if !slices.Contains(ofMachines, name) {
			kept[name] = value
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

package plugin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/plugin/manifest"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

// sourceFlags say which procedures a command works on: by name in the cluster, or in files.
type sourceFlags struct {
	files     []string
	recursive bool
	audience  string
}

func (f *sourceFlags) add(command *cobra.Command) {
	flags := command.Flags()
	flags.StringSliceVarP(&f.files, "filename", "f", nil, "work offline on the manifests in this file or folder; - is the standard input")
	flags.BoolVarP(&f.recursive, "recursive", "R", false, "look into the subfolders of -f as well")
	flags.StringVar(&f.audience, "audience", "", "the audience of the CM host that the request is for; with -f it can also come from a CMHost manifest beside the procedure")
	cobra.CheckErr(command.MarkFlagFilename("filename", "yaml", "yml", "json"))
}

// source is one procedure that a command works on, with what is beside it.
type source struct {
	procedure  *v1alpha1.TokenProcedure
	object     map[string]any    // the procedure as decoded, for the static rules
	manifest   *manifest.Object  // nil for one from the cluster
	cmHost     *v1alpha1.CMHost  // nil where none is known
	signatures []signatureObject // of this procedure, those in files or in the cluster
	where      string            // for people: FILE:LINE or namespace/name
	audience   string            // of the request; empty where nothing names it
}

// signatureObject is a ProcedureSignature and where it was found.
type signatureObject struct {
	v1alpha1.ProcedureSignature
	where string
}

// load finds the procedures that a command line names. Without names it takes all in the files.
func (f *sourceFlags) load(ctx context.Context, s *session, names []string) ([]source, error) {
	if len(f.files) > 0 {
		return f.fromFiles(s, names)
	}
	if len(names) == 0 {
		return nil, usagef("name a TokenProcedure, or give manifests with -f FILE")
	}
	namespace, err := s.namespace()
	if err != nil {
		return nil, err
	}
	sources := make([]source, 0, len(names))
	for _, name := range names {
		found, err := f.fromCluster(ctx, s, client.ObjectKey{Namespace: namespace, Name: name})
		if err != nil {
			return nil, err
		}
		sources = append(sources, *found)
	}
	return sources, nil
}

// signable is load without the drafts, unless the names ask for them: of a folder only what can be signed is.
func (f *sourceFlags) signable(ctx context.Context, s *session, names []string) ([]source, error) {
	sources, err := f.load(ctx, s, names)
	if err != nil || len(names) > 0 || len(sources) == 1 {
		return sources, err
	}
	return slices.DeleteFunc(sources, func(one source) bool {
		if one.isDraft() {
			s.note("%s is a draft, which nobody signs: left out\n", one.where)
		}
		return one.isDraft()
	}), nil
}

// one is load for a command that works on a single procedure.
func (f *sourceFlags) one(ctx context.Context, s *session, names []string) (*source, error) {
	sources, err := f.load(ctx, s, names)
	if err != nil {
		return nil, err
	}
	if len(sources) != 1 {
		return nil, usagef("this needs one TokenProcedure, and the files have %d: say which one by its name", len(sources))
	}
	return &sources[0], nil
}

func (f *sourceFlags) fromCluster(ctx context.Context, s *session, key client.ObjectKey) (*source, error) {
	object, err := s.getProcedure(ctx, key)
	if err != nil {
		return nil, err
	}
	procedure, err := decodeProcedure(object)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	found := &source{procedure: procedure, object: object, where: key.String(), audience: f.audience, cmHost: &v1alpha1.CMHost{}}
	hostKey := client.ObjectKey{Namespace: key.Namespace, Name: procedure.Spec.CMHostRef.Name}
	if err := s.get(ctx, hostKey, found.cmHost, "CMHost"); err != nil {
		return nil, err
	}
	if named := found.cmHost.Spec.Audience; f.audience == "" {
		found.audience = named
	} else if named != f.audience {
		return nil, fmt.Errorf("CMHost %s in this cluster has the audience %q, you said %q: this cluster is not where you think you are, or --audience is wrong", hostKey, named, f.audience)
	}
	return found, nil
}

// loadSignatures reads the ProcedureSignatures of a procedure from the cluster.
func (f *source) loadSignatures(ctx context.Context, s *session) error {
	if f.manifest != nil {
		return nil
	}
	var list v1alpha1.ProcedureSignatureList
	if err := s.list(ctx, &list, f.procedure.Namespace, "ProcedureSignatures"); err != nil {
		return err
	}
	for _, signature := range list.Items {
		if signature.Spec.ProcedureRef.Name == f.procedure.Name {
			f.signatures = append(f.signatures, signatureObject{signature, client.ObjectKeyFromObject(&signature).String()})
		}
	}
	return nil
}

func (f *sourceFlags) fromFiles(s *session, names []string) ([]source, error) {
	found, err := f.read(s)
	if err != nil {
		return nil, err
	}
	var sources []source
	for _, object := range found.procedures {
		one, err := found.source(object, f.audience)
		if err != nil {
			return nil, err
		}
		if len(names) == 0 || slices.Contains(names, one.procedure.Name) {
			sources = append(sources, *one)
		}
	}
	if len(sources) < max(len(names), 1) {
		return nil, usagef("%s", f.notFound(names, sources))
	}
	return sources, nil
}

// notFound says which of the wanted procedures are not in the files.
func (f *sourceFlags) notFound(names []string, found []source) string {
	missing := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(found, func(s source) bool { return s.procedure.Name == name })
	})
	what := "no TokenProcedure"
	if len(missing) > 0 {
		what = "no TokenProcedure " + strings.Join(missing, ", ")
	}
	return fmt.Sprintf("%s in %s: check names and files (-R looks into subfolders)", what, strings.Join(f.files, ", "))
}

// folder is what files hold of our kinds.
type folder struct {
	objects    []manifest.Object
	procedures []manifest.Object
	signatures []signatureObject
	cmHosts    []v1alpha1.CMHost
}

// read reads all objects of our kinds in the files; whatever cannot be read ends the command.
func (f *sourceFlags) read(s *session) (*folder, error) {
	objects, problems, err := manifest.Read(f.files, f.recursive, s.In)
	for _, problem := range problems {
		err = errors.Join(err, problem)
	}
	if err != nil {
		return nil, usage(err)
	}
	found := &folder{objects: objects}
	for _, object := range objects {
		if err := found.sort(object); err != nil {
			return nil, usage(fmt.Errorf("%s: %w", position(object), err))
		}
	}
	return found, nil
}

func (d *folder) sort(object manifest.Object) error {
	if object.String("apiVersion") != v1alpha1.GroupVersion.String() {
		return nil
	}
	switch object.String("kind") {
	case "TokenProcedure":
		d.procedures = append(d.procedures, object)
	case "ProcedureSignature":
		signature := signatureObject{where: position(object)}
		d.signatures = append(d.signatures, signature)
		return decode(object.Content, &d.signatures[len(d.signatures)-1].ProcedureSignature)
	case "CMHost":
		d.cmHosts = append(d.cmHosts, v1alpha1.CMHost{})
		return decode(object.Content, &d.cmHosts[len(d.cmHosts)-1])
	}
	return nil
}

// source gathers what belongs to one procedure of the files. Where either side of a reference has no namespace, the
// names alone decide: a folder is applied with -n.
func (d *folder) source(object manifest.Object, audience string) (*source, error) {
	procedure, err := decodeProcedure(object.Content)
	if err != nil {
		return nil, usage(fmt.Errorf("%s: %w", position(object), err))
	}
	found := &source{procedure: procedure, object: object.Content, manifest: &object, where: position(object), audience: audience}
	for i, host := range d.cmHosts {
		if host.Name == procedure.Spec.CMHostRef.Name && sameNamespace(host.Namespace, procedure.Namespace) {
			found.cmHost = &d.cmHosts[i]
			if found.audience == "" {
				found.audience = host.Spec.Audience
			}
		}
	}
	for _, signature := range d.signatures {
		if signature.Spec.ProcedureRef.Name == procedure.Name && sameNamespace(signature.Namespace, procedure.Namespace) {
			found.signatures = append(found.signatures, signature)
		}
	}
	return found, nil
}

func sameNamespace(a, b string) bool { return a == "" || b == "" || a == b }

func position(object manifest.Object) string {
	return fmt.Sprintf("%s:%d", object.File, object.Line(""))
}

// decodeProcedure refuses what this program does not know: an officer must see everything that is signed. The status is
// left out, for nothing that is signed comes from it.
func decodeProcedure(object map[string]any) (*v1alpha1.TokenProcedure, error) {
	procedure := new(v1alpha1.TokenProcedure)
	withoutStatus := maps.Clone(object)
	delete(withoutStatus, "status")
	return procedure, decode(withoutStatus, procedure)
}

func decode(object map[string]any, into any) error {
	err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object, into, true)
	if err != nil {
		return fmt.Errorf("it does not fit the kind, or this program is older than the cluster: %w", err)
	}
	return nil
}

// request is the request that officers sign for the procedure. A draft, and what breaks a static rule, has none.
func (f *source) request() (request.Request, error) {
	if draft := f.procedure.Spec.Draft; draft != nil && *draft {
		return request.Request{}, &exitError{ExitFinding, fmt.Errorf("%s is a draft, which nobody signs: `kubectl tokenproc lint` lists what it lacks; take `draft` away to submit it", f.where)}
	}
	if findings := rules.ValidateCreate(f.object); len(findings) > 0 {
		return request.Request{}, brokenRules(f.where, findings)
	}
	if f.audience == "" {
		return request.Request{}, usagef("%s: the CM host's audience is part of the request: name it with --audience", f.where)
	}
	return request.New(f.audience, *f.procedure.Spec.Revision, request.FromV1alpha1(&f.procedure.Spec.Procedure)), nil
}

func brokenRules(where string, findings []rules.Finding) error {
	errs := []error{fmt.Errorf("%s breaks rules of token procedures, and nobody may sign it", where)}
	for _, finding := range findings {
		errs = append(errs, fmt.Errorf("  %s", finding.Message))
	}
	return &exitError{ExitFinding, errors.Join(errs...)}
}

package plugin

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/text/unicode/norm"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

type importOptions struct {
	hosts  hostFlags
	all    bool
	out    string
	format string
}

func newImportCommand(s *session) *cobra.Command {
	var o importOptions
	command := &cobra.Command{
		Use:   "import NAME... | --all",
		Short: "Write manifests for what the CM host already has",
		Long: `Write manifests, ready for git and clean under lint, for procedures that the CM host already has. NAME is the
procedure's name on the CM host.

What has evidence comes at the same revision, with its signatures as ProcedureSignatures: the operator adopts it without
a new signature. What was made elsewhere comes as revision 1 and waits for two signatures. What breaks a rule that new
procedures must keep comes as a draft, and lint lists what it lacks.`,
		Example: `  kubectl tokenproc import --all -n pki --out procedures/
  kubectl tokenproc import "Employee card" --cmhost production --host https://cm.example.com:8443 --host-ca ca.crt --host-cert me.crt --host-key me.key`,
		ValidArgsFunction: s.completeHostProcedures(&o.hosts),
		RunE: func(command *cobra.Command, names []string) error {
			return o.run(command.Context(), s, names)
		},
	}
	o.hosts.addNamed(command, s)
	command.Flags().BoolVar(&o.all, "all", false, "every procedure of the CM host")
	command.Flags().StringVar(&o.out, "out", "", "write one file for each procedure to this new folder instead of all to the standard output")
	addManifestFormat(command, &o.format)
	cobra.CheckErr(command.MarkFlagDirname("out"))
	return command
}

func (o *importOptions) run(ctx context.Context, s *session, names []string) error {
	if o.all == (len(names) > 0) {
		return usagef("name procedures of the CM host, or take them all with --all")
	}
	opened, err := o.hosts.connect(ctx, s)
	if err != nil {
		return err
	}
	if o.hosts.cmHost == "" {
		return usagef("with --host, say with --cmhost which CMHost the manifests refer to")
	}
	if o.all {
		listed, err := opened.procedures(ctx, s.progress("procedures of the CM host"))
		if err != nil {
			return err
		}
		for _, procedure := range listed {
			names = append(names, procedure.Name)
		}
	}
	return o.importAll(ctx, s, opened, names)
}

// importAll writes the manifests of procedures: as it goes on, but for JSON on the standard output, which is one List.
func (o *importOptions) importAll(ctx context.Context, s *session, from *host, names []string) error {
	namespace, taken := s.givenNamespace(), map[string]bool{}
	if o.out != "" {
		if err := mustBeNew(o.out); err != nil {
			return err
		}
	}
	list := []any{}
	for i, name := range names {
		stored, err := from.procedure(ctx, name)
		if err != nil {
			return err
		}
		if stored == nil {
			return from.noProcedure(ctx, name)
		}
		objects := importedObjects(stored, o.hosts.cmHost, namespace, objectName(name, taken))
		if o.out == "" && o.format == "json" {
			list = append(list, objects...)
		} else if err := o.write(s, objects, i == 0); err != nil {
			return err
		}
		if done := i + 1; done%importsALook == 0 && done < len(names) {
			s.note("%d of %d procedures imported\n", done, len(names))
		}
	}
	if o.out == "" && o.format == "json" {
		if err := writeManifests(s, list, "", "json"); err != nil {
			return err
		}
	}
	s.note("%s imported\n", counted(len(names), "procedure"))
	return nil
}

// noProcedure says which procedures the host has instead: people give the object's name where the host's is meant.
func (h *host) noProcedure(ctx context.Context, name string) error {
	listed, err := h.procedures(ctx, func(int) {})
	if err != nil {
		return err
	}
	names := make([]string, min(len(listed), 5))
	for i := range names {
		names[i] = strconv.Quote(listed[i].Name)
	}
	if len(listed) > len(names) {
		names = append(names, fmt.Sprintf("and %d more", len(listed)-len(names)))
	}
	return fmt.Errorf("the CM host has no procedure %q (it has %s): the name on the CM host is expected, not that of an object", name, cmp.Or(strings.Join(names, ", "), "none"))
}

// importsALook is how many procedures are imported between two lines that tell how far it is.
const importsALook = 100

// givenNamespace is the namespace that the user named with -n; none where manifests should leave it open.
func (s *session) givenNamespace() string {
	if s.flags.Namespace == nil {
		return ""
	}
	return *s.flags.Namespace
}

func (o *importOptions) write(s *session, objects []any, first bool) error {
	if o.out == "" {
		if !first {
			s.say("---\n")
		}
		return writeManifests(s, objects, "", o.format)
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return usage(err)
	}
	procedure := objects[0].(*v1alpha1.TokenProcedure)
	return writeManifests(s, objects, filepath.Join(o.out, procedure.Name+"."+o.format), o.format)
}

// importedObjects are the manifests of a procedure that a host has: the procedure, and its evidence as signatures.
func importedObjects(stored *cmhostv1.TokenProcedure, cmHost, namespace, name string) []any {
	procedure := procedureObject(name, namespace, cmHost, max(stored.Revision, 1), stored.Procedure)
	if plain, err := plainObject(procedure); err != nil || len(rules.ValidateCreate(plain)) > 0 {
		draft := true
		procedure.Spec.Draft = &draft
	}
	objects := []any{procedure}
	for i, signature := range stored.Signatures {
		objects = append(objects, &v1alpha1.ProcedureSignature{
			TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "ProcedureSignature"},
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-r%d-recorded-%d", name, stored.Revision, i+1), Namespace: namespace},
			Spec: v1alpha1.ProcedureSignatureSpec{
				ProcedureRef: v1alpha1.TokenProcedureReference{Name: name},
				Signature:    base64.StdEncoding.EncodeToString(signature.Signature),
			},
		})
	}
	return objects
}

func procedureObject(name, namespace, cmHost string, revision int64, procedure request.Procedure) *v1alpha1.TokenProcedure {
	return &v1alpha1.TokenProcedure{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "TokenProcedure"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: v1alpha1.TokenProcedureSpec{
			CMHostRef: v1alpha1.CMHostReference{Name: cmHost},
			Revision:  &revision,
			Procedure: request.ToV1alpha1(procedure),
		},
	}
}

// objectName makes a Kubernetes name of a procedure's: lower case, letters without accents, digits and dashes. One that
// is taken gets a number.
func objectName(name string, taken map[string]bool) string {
	var made strings.Builder
	for _, r := range strings.ToLower(norm.NFKD.String(strings.ReplaceAll(name, "ß", "ss"))) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			made.WriteRune(r)
		case unicode.IsMark(r):
		case made.Len() > 0 && !strings.HasSuffix(made.String(), "-"):
			made.WriteByte('-')
		}
	}
	base := strings.Trim(made.String()[:min(made.Len(), 200)], "-")
	if base == "" {
		base = "procedure"
	}
	unique := base
	for i := 2; taken[unique]; i++ {
		unique = fmt.Sprintf("%s-%d", base, i)
	}
	taken[unique] = true
	return unique
}

package plugin

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/keys"
	"github.com/tokenprocedures/token-procedure-operator/internal/plugin/terminal"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

type signOptions struct {
	from    sourceFlags
	hosts   hostFlags
	keys    keyFlags
	out     string
	name    string
	output  outputFlags
	yes     bool
	apply   bool
	closing bool
}

func newSignCommand(s *session) *cobra.Command {
	var o signOptions
	command := &cobra.Command{
		Use:   "sign [NAME...] [-f FILE --audience AUDIENCE] --key KEY [--cert FILE]",
		Short: "Sign procedures as an administration officer",
		Long: `Sign one or more procedures with your own key.

Each request is shown first, as parsed from the very bytes that will be signed: for which CM host, which revision it
replaces, every field under the labels of the desktop program, what changes, warnings. Nothing is taken from a status.
You confirm each one; --yes is for scripts.

You sign only for CM hosts whose audience --audience names, or your own configuration lists: once, on your own machine,
write "audiences: [cm.example.com]" into ~/.config/kubectl-tokenproc/config.yaml (or below $XDG_CONFIG_HOME). Which
audience is right, the CM host's administrator knows; a cluster is not believed.

The result is a ProcedureSignature manifest: on the standard output, in a file with --out, or in the cluster with
--apply. A ProcedureSignature never changes; its name has the revision and the beginning of your certificate's SHA-256
fingerprint.

To end a procedure, set spec.procedure.state to Closed, raise spec.revision, apply, and sign as usual. --close is for two
other cases: an object whose spec.deletionPolicy is Close, which kubectl delete then keeps until two officers have signed
(before or after deleting), and "submit" while the cluster is down.

Passphrases and PINs are asked for on the terminal, or read with --pin-file; they are never on the command line.`,
		Example: `  # sign what is in the cluster, and put the signature there
  kubectl tokenproc sign employee-card -n pki --audience cm.example.com --key file:officer.key --cert officer.crt --apply

  # sign offline, for git
  kubectl tokenproc sign -f employee-card.yaml --audience cm.example.com --key pkcs12:officer.p12 --out employee-card-signature.yaml

  # with a smart card, the whole folder, one confirmation each; drafts are left out
  kubectl tokenproc sign -f procedures/ --audience cm.example.com --key 'pkcs11:token=Officer;object=Signature?module-path=/usr/lib/opensc-pkcs11.so' --apply

  # the request that closes the procedure at the host, for an object with deletionPolicy Close that is, or will be, deleted
  kubectl tokenproc sign employee-card -n pki --close --audience cm.example.com --key file:officer.key --cert officer.crt --apply`,
		ValidArgsFunction: s.completeProcedures,
		RunE: func(command *cobra.Command, names []string) error {
			return o.run(command.Context(), s, names)
		},
	}
	o.from.add(command)
	o.hosts.add(command)
	o.keys.add(command)
	o.output.add(command)
	flags := command.Flags()
	flags.StringVar(&o.out, "out", "", "write the manifest to this file instead of the standard output")
	flags.StringVar(&o.name, "name", "", "name of the ProcedureSignature, instead of the one made of procedure, revision and certificate")
	flags.BoolVarP(&o.yes, "yes", "y", false, "do not ask for confirmation")
	flags.BoolVar(&o.apply, "apply", false, "create the ProcedureSignature in the cluster")
	flags.BoolVar(&o.closing, "close", false, "sign the closing request: the CM host's content with state Closed")
	cobra.CheckErr(command.MarkFlagFilename("out", "yaml"))
	command.MarkFlagsMutuallyExclusive("apply", "out")
	return command
}

// unsigned is a request before it is signed, with what the officer needs to see.
type unsigned struct {
	source    *source
	request   request.Request
	canonical []byte
	replaces  baseline
	warnings  []string
}

func (o *signOptions) run(ctx context.Context, s *session, names []string) error {
	prepared, err := o.prepare(ctx, s, names)
	if err != nil {
		return err
	}
	if o.name != "" && len(prepared) > 1 {
		return usagef("--name is for one procedure; these are %d", len(prepared))
	}
	key, err := o.keys.open(s)
	if err != nil {
		return err
	}
	signatures, err := o.signEach(ctx, s, key, prepared)
	return errors.Join(err, key.Close(), o.write(s, signatures))
}

// prepare finds every request before the first is shown: an officer who has begun to sign is not stopped half way by
// something that could have been known.
func (o *signOptions) prepare(ctx context.Context, s *session, names []string) ([]unsigned, error) {
	sources, err := o.from.signable(ctx, s, names)
	if err != nil {
		return nil, err
	}
	prepared := make([]unsigned, len(sources))
	for i := range sources {
		if prepared[i], err = o.prepareOne(ctx, s, &sources[i]); err != nil {
			return nil, err
		}
	}
	return prepared, nil
}

func (o *signOptions) prepareOne(ctx context.Context, s *session, from *source) (unsigned, error) {
	if from.audience == "" {
		return unsigned{}, usagef("%s: for which CM host do you sign? Name its audience with --audience", from.where)
	}
	if err := maySignFor(from.audience, o.from.audience); err != nil {
		return unsigned{}, err
	}
	if from.procedure.DeletionTimestamp != nil && !o.closing {
		return unsigned{}, usagef("%s is being deleted: what officers sign now is the closing request, with --close", from.where)
	}
	replaces, err := findBaseline(ctx, s, &o.hosts, from)
	if err != nil {
		return unsigned{}, err
	}
	wanted, err := from.request()
	if o.closing {
		wanted, err = closingRequest(from, replaces)
	}
	if err != nil {
		return unsigned{}, err
	}
	canonical, err := wanted.Bytes()
	if err != nil {
		return unsigned{}, err
	}
	warnings, err := hostWarnings(ctx, s, wanted, replaces)
	if policy := from.procedure.Spec.DeletionPolicy; o.closing && from.manifest == nil && policy != v1alpha1.DeletionPolicyClose {
		warnings = append(warnings, "nothing will submit this by itself: spec.deletionPolicy is not Close, so deleting the object leaves the CM host alone. Set it to Close first; or, to end the procedure without deleting the object, set spec.procedure.state to Closed and raise spec.revision")
	}
	return unsigned{source: from, request: wanted, canonical: canonical, replaces: replaces, warnings: warnings}, err
}

// hostWarnings are what the host would refuse, and what the rules warn of, where the host was asked.
func hostWarnings(ctx context.Context, s *session, wanted request.Request, replaces baseline) ([]string, error) {
	if replaces.host == nil {
		return []string{"references and serial ranges were not checked: the CM host was not asked"}, nil
	}
	var warnings []string
	if replaces.copy != nil && wanted.Revision <= replaces.revision {
		warnings = append(warnings, fmt.Sprintf("the CM host has revision %d already and will refuse revision %d: raise spec.revision first", replaces.revision, wanted.Revision))
	}
	catalog, err := replaces.host.catalog(ctx)
	if err != nil {
		return nil, err
	}
	procedures, err := replaces.host.procedures(ctx, s.progress("procedures of the CM host"))
	if err != nil {
		return nil, err
	}
	for _, finding := range rules.CheckReferences(wanted.Procedure, catalog) {
		warnings = append(warnings, "the CM host will refuse this: "+finding.Message)
	}
	for _, finding := range rules.Warnings(wanted.Procedure, catalog, rangesOf(procedures)) {
		warnings = append(warnings, finding.Message)
	}
	return warnings, nil
}

func (o *signOptions) signEach(ctx context.Context, s *session, key *keys.Key, prepared []unsigned) ([]v1alpha1.ProcedureSignature, error) {
	var signatures []v1alpha1.ProcedureSignature
	var declined error
	for i, one := range prepared {
		if o.apply {
			already, err := o.already(ctx, s, key, one)
			if err != nil {
				return signatures, err
			}
			if already {
				continue
			}
		}
		one.look(ctx, s, key)
		confirmed, err := o.confirm(s, key, one, i+1, len(prepared))
		if err != nil {
			return signatures, err
		}
		if !confirmed {
			declined = declinedf("not signed, as you said: %s", one.source.where)
			continue
		}
		der, err := signing.Sign(one.canonical, key.Certificate, key.Signer, time.Now())
		if err != nil {
			return signatures, err
		}
		signature := o.manifest(one, key, der)
		signatures = append(signatures, signature)
		if o.apply {
			if err := applySignature(ctx, s, &signature); err != nil {
				return signatures, err
			}
		}
	}
	return signatures, declined
}

// confirm shows a request and asks whether to sign it.
func (o *signOptions) confirm(s *session, key *keys.Key, one unsigned, number, count int) (bool, error) {
	style := terminal.StyleFor(s.ErrOut)
	s.note("%s\n", style.Strong(fmt.Sprintf("Request %d of %d: %s", number, count, one.source.where)))
	if err := showRequest(s.ErrOut, one.canonical, one.replaces, signWarnings(one, key, time.Now())); err != nil {
		return false, err
	}
	s.note("\nSigning as %s\n", subjectOf(key))
	if o.yes {
		return true, nil
	}
	return s.confirm("Sign this request for " + one.request.Audience + "?")
}

// signWarnings are things that the officer should know before signing.
func signWarnings(one unsigned, key *keys.Key, now time.Time) []string {
	warnings := one.warnings
	if now.Before(key.Certificate.NotBefore) {
		warnings = append(warnings, "your certificate is valid from "+timestamp(key.Certificate.NotBefore)+" only: the signature will not count before")
	}
	if now.After(key.Certificate.NotAfter) {
		warnings = append(warnings, "your certificate expired on "+timestamp(key.Certificate.NotAfter)+": the signature will not count")
	}
	return warnings
}

func (o *signOptions) manifest(one unsigned, key *keys.Key, der []byte) v1alpha1.ProcedureSignature {
	name := o.name
	if name == "" {
		name = signatureName(one.source.procedure.Name, one.request.Revision, key.Certificate.Raw)
	}
	return v1alpha1.ProcedureSignature{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "ProcedureSignature"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: one.source.procedure.Namespace},
		Spec: v1alpha1.ProcedureSignatureSpec{
			ProcedureRef: v1alpha1.TokenProcedureReference{Name: one.source.procedure.Name},
			Signature:    base64.StdEncoding.EncodeToString(der),
		},
	}
}

// signatureName is unique for procedure, revision and certificate, because a ProcedureSignature's name cannot be used again.
func signatureName(procedure string, revision int64, certificate []byte) string {
	fingerprint := sha256.Sum256(certificate)
	suffix := fmt.Sprintf("-r%d-%s", revision, hex.EncodeToString(fingerprint[:4]))
	const longest = 253
	return procedure[:min(len(procedure), longest-len(suffix))] + suffix
}

// already tells whether the cluster has this signature: it is looked for before anything is shown and confirmed. One of
// something else under its name is an error.
func (o *signOptions) already(ctx context.Context, s *session, key *keys.Key, one unsigned) (bool, error) {
	wanted := o.manifest(one, key, nil)
	name, err := s.placeOf(&wanted)
	if err != nil {
		return false, err
	}
	var existing v1alpha1.ProcedureSignature
	err = s.get(ctx, name, &existing, "ProcedureSignature")
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, s.sameSigned(&existing, one.request)
}

// placeOf is where a signature is in the cluster.
func (s *session) placeOf(signature *v1alpha1.ProcedureSignature) (client.ObjectKey, error) {
	key := client.ObjectKeyFromObject(signature)
	if key.Namespace != "" {
		return key, nil
	}
	var err error
	key.Namespace, err = s.namespace()
	return key, err
}

// sameSigned refuses an existing signature that is not over a request; that it is there already is no error.
func (s *session) sameSigned(existing *v1alpha1.ProcedureSignature, wanted request.Request) error {
	theirs := signedRequest(existing.Spec.Signature)
	if theirs != nil && sameRequest(*theirs, wanted) {
		s.note("proceduresignature.cm.tokenprocedures.dev/%s unchanged: you have signed this request already (if it was too long ago, delete it or give --name)\n", existing.Name)
		return nil
	}
	holds := "holds no signature of a request"
	if theirs != nil {
		holds = fmt.Sprintf("holds a signature of something else, revision %d of %q for the CM host %s", theirs.Revision, theirs.Procedure.Name, theirs.Audience)
	}
	return fmt.Errorf("ProcedureSignature %s exists and %s: delete it, or give this one another name with --name", client.ObjectKeyFromObject(existing), holds)
}

// applySignature creates a signature in the cluster. That the same approval is there already is no error.
func applySignature(ctx context.Context, s *session, signature *v1alpha1.ProcedureSignature) error {
	cluster, err := s.client()
	if err != nil {
		return err
	}
	key, err := s.placeOf(signature)
	if err != nil {
		return err
	}
	created := signature.DeepCopy()
	created.Namespace = key.Namespace
	err = cluster.Create(ctx, created, client.FieldOwner("kubectl-tokenproc"))
	if !apierrors.IsAlreadyExists(err) {
		if err == nil {
			s.note("proceduresignature.cm.tokenprocedures.dev/%s created\n", created.Name)
		}
		return explain(err, fmt.Sprintf("ProcedureSignature %s", key))
	}
	var existing v1alpha1.ProcedureSignature
	if err := s.get(ctx, key, &existing, "ProcedureSignature"); err != nil {
		return err
	}
	ours := signedRequest(signature.Spec.Signature)
	if ours == nil {
		return fmt.Errorf("ProcedureSignature %s exists, and the new signature cannot be read", key)
	}
	return s.sameSigned(&existing, *ours)
}

func sameRequest(a, b request.Request) bool {
	first, firstErr := a.Digest()
	second, secondErr := b.Digest()
	return firstErr == nil && secondErr == nil && first == second
}

// write writes the manifests of what was signed, unless they are in the cluster.
func (o *signOptions) write(s *session, signatures []v1alpha1.ProcedureSignature) error {
	if o.apply && !o.output.structured() || len(signatures) == 0 {
		return nil
	}
	objects := make([]any, len(signatures))
	for i := range signatures {
		objects[i] = &signatures[i]
	}
	return writeManifests(s, objects, o.out, o.output.format)
}

package plugin

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/keys"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

type pendingOptions struct {
	keys      keyFlags
	status    statusOptions
	officer   string
	namespace bool
}

func newPendingCommand(s *session) *cobra.Command {
	var o pendingOptions
	command := &cobra.Command{
		Use:   "pending --officer CERT|ID | --key KEY",
		Short: "List what waits for your signature",
		Long: `List the procedures, across all namespaces, whose request waits for signatures and that this officer has not signed.

The officer is known by a certificate, or by the id in the CM host's register. Where the CM host can be asked, procedures
are left out that the officer may not sign (another domain, a missing role), and it is said why; otherwise they are
listed, and signing shows what is true.`,
		Example: `  kubectl tokenproc pending --officer officer.crt
  kubectl tokenproc pending --officer officer-1 -n pki --one-namespace
  kubectl tokenproc pending --key pkcs12:officer.p12 -o json`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return o.run(command.Context(), s) },
	}
	o.keys.add(command)
	o.status.hosts.add(command)
	o.status.output.add(command)
	flags := command.Flags()
	flags.StringVar(&o.officer, "officer", "", "PEM or DER file of the officer's certificate, or the officer's id at the CM host; instead of --key")
	flags.BoolVar(&o.namespace, "one-namespace", false, "only the namespace of -n")
	cobra.CheckErr(command.RegisterFlagCompletionFunc("officer", s.completeOfficers(&o.status.hosts)))
	return command
}

// sought is the officer whose work is listed: known by a certificate, else by the id.
type sought struct {
	certificate *x509.Certificate
	id          string
	// listed and unlisted tell that some CM host's register has the officer, and that some has not.
	listed, unlisted bool
}

func (p *sought) String() string {
	if p.certificate == nil {
		return fmt.Sprintf("officer %q", p.id)
	}
	return p.certificate.Subject.String()
}

func (o *pendingOptions) sought(s *session) (*sought, error) {
	if o.officer == "" && o.keys.key == "" {
		return nil, usagef("whose signature? Name the officer's certificate with --officer FILE, or your key with --key KEY")
	}
	if o.officer != "" && o.keys.key != "" {
		return nil, usagef("whose signature? Give --officer or --key, not both")
	}
	if o.officer == "" {
		key, err := o.keys.open(s)
		if err != nil {
			return nil, err
		}
		return &sought{certificate: key.Certificate}, key.Close()
	}
	if _, err := os.Stat(o.officer); errors.Is(err, fs.ErrNotExist) && filepath.Base(o.officer) == o.officer {
		return &sought{id: o.officer}, nil
	}
	certificate, err := keys.ReadCertificate(o.officer)
	if err != nil {
		return nil, usagef("--officer: %w", err)
	}
	return &sought{certificate: certificate}, nil
}

func (o *pendingOptions) run(ctx context.Context, s *session) error {
	officer, err := o.sought(s)
	if err != nil {
		return err
	}
	o.status.allNamespaces = !o.namespace
	procedures, err := o.status.find(ctx, s, nil)
	if apierrors.IsForbidden(err) && o.status.allNamespaces {
		return fmt.Errorf("%w; --one-namespace -n NAMESPACE looks into one only", err)
	}
	if err != nil {
		return err
	}
	list, err := o.waiting(ctx, s, officer, procedures)
	if err != nil {
		return err
	}
	if officer.unlisted && !officer.listed {
		return usagef("no CM host here lists %s: correct --officer or --key, or have the certificate registered", officer)
	}
	return o.status.output.print(s, list, func() {
		if len(list.Items) == 0 {
			s.note("nothing waits for the signature of %s\n", officer)
			return
		}
		s.sayTable(list.Items, true)
	})
}

// waiting lists what the officer may still sign, and says of the rest why they may not.
func (o *pendingOptions) waiting(ctx context.Context, s *session, officer *sought, procedures []v1alpha1.TokenProcedure) (*ProcedureStatusList, error) {
	list := &ProcedureStatusList{Items: []ProcedureStatus{}}
	registers := map[client.ObjectKey]*officers{}
	said := map[string]bool{}
	ahead, err := o.ahead(ctx, s)
	if err != nil {
		return nil, err
	}
	for i := range procedures {
		status := statusOf(&procedures[i])
		ahead.show(&status, procedures[i].Spec.DeletionPolicy)
		waits := status.Request != nil && status.gate(v1alpha1.ConditionSigned).Status != "True" && !officer.signed(&status)
		if !waits && !officer.mayClose(&status) {
			continue
		}
		key := client.ObjectKey{Namespace: status.Namespace, Name: status.CMHost}
		if registers[key] == nil {
			registers[key] = o.status.askOfficers(ctx, s, key)
		}
		if officer.certificate == nil && registers[key].problem != "" {
			return nil, fmt.Errorf("the officer %q is not known here, there is no such file, and the CM host could not be asked: %s; give the file of the certificate", officer.id, registers[key].problem)
		}
		known, why := registers[key].mayStillSign(officer, string(procedures[i].Spec.Procedure.Domain))
		if why == "" && (known == nil || !waits || !hasSigned(&status, known)) {
			list.Items = append(list.Items, status)
		}
		if line := fmt.Sprintf("CM host %s: %s", key, why); why != "" && !said[line] {
			said[line] = true
			s.note("%s\n", line)
		}
	}
	return list, nil
}

// ahead reads what was signed ahead where the procedures are.
func (o *pendingOptions) ahead(ctx context.Context, s *session) (aheadSignatures, error) {
	if o.status.allNamespaces {
		return readAhead(ctx, s, ""), nil
	}
	namespace, err := s.namespace()
	if err != nil {
		return nil, err
	}
	return readAhead(ctx, s, namespace), nil
}

// mayClose tells whether a closing request that others have begun to sign waits for the officer.
func (p *sought) mayClose(status *ProcedureStatus) bool {
	return slices.ContainsFunc(status.Ahead, func(ahead SignedAhead) bool {
		return ahead.State == request.Closed && len(ahead.Officers) < signing.Quorum && !slices.ContainsFunc(ahead.Officers, p.is)
	})
}

// is tells whether an officer is the one who is sought.
func (p *sought) is(officer OfficerName) bool {
	if p.certificate == nil {
		return officer.ID == p.id
	}
	return sameSubject(officer.Subject, p.certificate)
}

// signed tells whether the officer has signed, as far as that is known without the CM host: an officer is bound to the
// certificate's subject.
func (p *sought) signed(status *ProcedureStatus) bool {
	return slices.ContainsFunc(status.Signatures, func(s SignatureOf) bool { return p.is(s.Officer) })
}

func hasSigned(status *ProcedureStatus, officer *signing.Officer) bool {
	return slices.ContainsFunc(status.Signatures, func(s SignatureOf) bool { return s.Officer.ID == officer.ID })
}

func sameSubject(subject string, certificate *x509.Certificate) bool {
	return strings.EqualFold(strings.ReplaceAll(subject, ", ", ","), certificate.Subject.String())
}

// mayStillSign finds the officer in the register, and says why they may not sign for a domain. Both are empty where the
// host could not be asked.
func (o *officers) mayStillSign(officer *sought, domain string) (known *signing.Officer, why string) {
	if o.problem != "" {
		return nil, ""
	}
	i := slices.IndexFunc(o.all, func(listed signing.Officer) bool {
		if officer.certificate == nil {
			return listed.ID == officer.id
		}
		return slices.ContainsFunc(listed.Certificates, func(der []byte) bool { return string(der) == string(officer.certificate.Raw) })
	})
	officer.listed, officer.unlisted = officer.listed || i >= 0, officer.unlisted || i < 0
	if i < 0 && officer.certificate == nil {
		return nil, fmt.Sprintf("it lists no officer %q, and there is no such file", officer.id)
	}
	if i < 0 {
		return nil, fmt.Sprintf("it lists no officer with this certificate (%s)", officer.certificate.Subject)
	}
	if why := mayNotApprove(&o.all[i], domain, o.tree, time.Now()); why != "" {
		return &o.all[i], fmt.Sprintf("officer %s may not sign for %s: %s", o.all[i].ID, cmp.Or(domain, "Root"), why)
	}
	return &o.all[i], ""
}

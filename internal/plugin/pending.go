package plugin

import (
	"context"
	"crypto/x509"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/keys"
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
		Use:   "pending --officer CERT | --key KEY",
		Short: "List what waits for your signature",
		Long: `List the procedures, across all namespaces, whose request waits for signatures and that this officer has not signed.

The officer is known by a certificate. Where the CM host can be asked, procedures are left out that the officer may not
sign (another domain, a missing role); otherwise they are listed, and signing shows what is true.`,
		Example: `  kubectl tokenproc pending --officer officer.crt
  kubectl tokenproc pending --key pkcs12:officer.p12 -o json`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return o.run(command.Context(), s) },
	}
	o.keys.add(command)
	o.status.hosts.add(command)
	o.status.output.add(command)
	flags := command.Flags()
	flags.StringVar(&o.officer, "officer", "", "PEM or DER file of the officer's certificate; instead of --key")
	flags.BoolVar(&o.namespace, "one-namespace", false, "only the namespace of -n")
	cobra.CheckErr(command.MarkFlagFilename("officer"))
	command.MarkFlagsOneRequired("officer", "key")
	command.MarkFlagsMutuallyExclusive("officer", "key")
	return command
}

func (o *pendingOptions) certificate(s *session) (*x509.Certificate, error) {
	if o.officer != "" {
		certificate, err := keys.ReadCertificate(o.officer)
		return certificate, usage(err)
	}
	key, err := o.keys.open(s)
	if err != nil {
		return nil, err
	}
	return key.Certificate, key.Close()
}

func (o *pendingOptions) run(ctx context.Context, s *session) error {
	certificate, err := o.certificate(s)
	if err != nil {
		return err
	}
	o.status.allNamespaces = !o.namespace
	procedures, err := o.status.find(ctx, s, nil)
	if err != nil {
		return err
	}
	list := ProcedureStatusList{Items: []ProcedureStatus{}}
	registers := map[client.ObjectKey]*officers{}
	for i := range procedures {
		status := statusOf(&procedures[i])
		if status.Request == nil || status.gate(v1alpha1.ConditionSigned).Status == "True" || signedBy(&status, certificate) {
			continue
		}
		key := client.ObjectKey{Namespace: status.Namespace, Name: status.CMHost}
		if registers[key] == nil {
			registers[key] = o.status.askOfficers(ctx, s, key)
		}
		if registers[key].mayStillSign(&status, string(procedures[i].Spec.Procedure.Domain), certificate) {
			list.Items = append(list.Items, status)
		}
	}
	return o.status.output.print(s, &list, func() {
		if len(list.Items) == 0 {
			s.note("nothing waits for the signature of %s\n", certificate.Subject)
			return
		}
		s.sayTable(list.Items, true)
	})
}

// signedBy tells whether the officer of a certificate has signed: an officer is bound to the certificate's subject.
func signedBy(status *ProcedureStatus, certificate *x509.Certificate) bool {
	return slices.ContainsFunc(status.Signatures, func(s SignatureOf) bool { return sameSubject(s.Officer.Subject, certificate) })
}

func sameSubject(subject string, certificate *x509.Certificate) bool {
	return strings.EqualFold(strings.ReplaceAll(subject, ", ", ","), certificate.Subject.String())
}

// mayStillSign tells whether the officer of a certificate may sign what is asked for; yes, where it is not known.
func (o *officers) mayStillSign(status *ProcedureStatus, domain string, certificate *x509.Certificate) bool {
	if o.problem != "" {
		return true
	}
	i := slices.IndexFunc(o.all, func(officer signing.Officer) bool {
		return slices.ContainsFunc(officer.Certificates, func(der []byte) bool { return string(der) == string(certificate.Raw) })
	})
	if i < 0 || !mayApprove(&o.all[i], domain, o.tree) {
		return false
	}
	return !slices.ContainsFunc(status.Signatures, func(s SignatureOf) bool { return s.Officer.ID == o.all[i].ID })
}

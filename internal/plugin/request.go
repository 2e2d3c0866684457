package plugin

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

func newRequestCommand(s *session) *cobra.Command {
	var from sourceFlags
	var hosts hostFlags
	var closing bool
	command := &cobra.Command{
		Use:   "request [NAME] [-f FILE --audience AUDIENCE]",
		Short: "Print exactly the bytes that officers sign",
		Long: `Print the request for one procedure: exactly the bytes that officers sign, without a newline.

Drafts, and procedures that break a rule of the custom resource, have no request.`,
		Example: `  # the request of a procedure in the cluster, for signing with openssl
  kubectl tokenproc request employee-card -n pki > request.json
  openssl cms -sign -binary -nodetach -md sha256 -in request.json -signer officer.pem -inkey officer.key -outform DER | base64 -w0

  # offline
  kubectl tokenproc request -f employee-card.yaml --audience cm.example.com > request.json`,
		Args:              oneName(&from),
		ValidArgsFunction: s.completeProcedures,
		RunE: func(command *cobra.Command, names []string) error {
			canonical, err := requestBytes(command.Context(), s, &from, &hosts, names, closing)
			if err != nil {
				return err
			}
			_, err = s.Out.Write(canonical)
			return err
		},
	}
	from.add(command)
	hosts.add(command)
	command.Flags().BoolVar(&closing, "close", false, "the closing request: the CM host's content with state Closed")
	return command
}

func requestBytes(ctx context.Context, s *session, from *sourceFlags, hosts *hostFlags, names []string, closing bool) ([]byte, error) {
	one, err := from.one(ctx, s, names)
	if err != nil {
		return nil, err
	}
	wanted, err := wantedRequest(ctx, s, one, hosts, closing)
	if err != nil {
		return nil, err
	}
	return wanted.Bytes()
}

// wantedRequest is the request of a procedure's manifest, or the one that closes it.
func wantedRequest(ctx context.Context, s *session, one *source, hosts *hostFlags, closing bool) (request.Request, error) {
	if !closing {
		return one.request()
	}
	copied, err := hostBaseline(ctx, s, hosts, one)
	if err != nil {
		return request.Request{}, err
	}
	return closingRequest(one, copied)
}

func newDigestCommand(s *session) *cobra.Command {
	var from sourceFlags
	var hosts hostFlags
	var output outputFlags
	var closing bool
	command := &cobra.Command{
		Use:   "digest [NAME...] [-f FILE --audience AUDIENCE]",
		Short: "Print the digest of the request that officers sign",
		Long: `Print the SHA-256 digest of the request of each procedure, to compare with status.request.digest and with what
another officer reads out. For one procedure it is the digest alone, for several a line with the digest and the name.`,
		Example: `  kubectl tokenproc digest employee-card -n pki
  kubectl tokenproc digest -f procedures/ --audience cm.example.com -o json`,
		ValidArgsFunction: s.completeProcedures,
		RunE: func(command *cobra.Command, names []string) error {
			sources, err := from.signable(command.Context(), s, names)
			if err != nil {
				return err
			}
			list := DigestList{Items: []Digest{}}
			for i := range sources {
				wanted, err := wantedRequest(command.Context(), s, &sources[i], &hosts, closing)
				if err != nil {
					return err
				}
				digest, err := wanted.Digest()
				if err != nil {
					return err
				}
				list.Items = append(list.Items, Digest{Namespace: sources[i].procedure.Namespace, Name: sources[i].procedure.Name,
					Audience: wanted.Audience, Revision: wanted.Revision, Digest: digest})
			}
			return output.print(s, &list, func() { s.sayDigests(list.Items) })
		},
	}
	from.add(command)
	hosts.add(command)
	output.add(command)
	command.Flags().BoolVar(&closing, "close", false, "the digest of the closing request: the CM host's content with state Closed")
	return command
}

func (s *session) sayDigests(digests []Digest) {
	if len(digests) == 1 {
		s.say("%s\n", digests[0].Digest)
		return
	}
	for _, digest := range digests {
		s.say("%s  %s\n", digest.Digest, digest.Name)
	}
}

// oneName accepts a name in the cluster, or files, which a name may narrow.
func oneName(from *sourceFlags) cobra.PositionalArgs {
	return func(_ *cobra.Command, names []string) error {
		if len(names) > 1 || len(names) == 0 && len(from.files) == 0 {
			return usagef("expected the name of one TokenProcedure, or a manifest with -f FILE; found %d names", len(names))
		}
		return nil
	}
}

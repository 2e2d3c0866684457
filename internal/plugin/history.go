package plugin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/plugin/terminal"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

type historyOptions struct {
	from     sourceFlags
	hosts    hostFlags
	output   outputFlags
	evidence string
}

func newHistoryCommand(s *session) *cobra.Command {
	var o historyOptions
	command := &cobra.Command{
		Use:   "history NAME [--evidence FOLDER]",
		Short: "List every revision with its signers, and take out the evidence",
		Long: `List every revision that the CM host ever accepted of a procedure: when, who signed, and what changed.

NAME is a TokenProcedure in the cluster; with --host it is the procedure's name on the CM host. --evidence writes the
signed files, and says how to check each with openssl alone. The output of -o json is what verify --history reads.`,
		Example: `  kubectl tokenproc history employee-card -n pki
  kubectl tokenproc history employee-card -n pki --evidence evidence/
  kubectl tokenproc history "Employee card" --host https://cm.example.com:8443 --host-ca ca.crt --host-cert me.crt --host-key me.key -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: s.completeProcedures,
		RunE: func(command *cobra.Command, names []string) error {
			return o.run(command.Context(), s, names[0])
		},
	}
	o.hosts.add(command)
	o.output.add(command)
	command.Flags().StringVar(&o.evidence, "evidence", "", "write the signed files to this new folder")
	cobra.CheckErr(command.MarkFlagDirname("evidence"))
	return command
}

func (o *historyOptions) run(ctx context.Context, s *session, name string) error {
	var cmHost *source
	if !o.hosts.given() {
		one, err := o.from.one(ctx, s, []string{name})
		if err != nil {
			return err
		}
		cmHost, name = one, string(one.procedure.Spec.Procedure.Name)
	} else {
		cmHost = &source{}
	}
	opened, err := o.hosts.open(ctx, s, cmHost.cmHost)
	if err != nil {
		return err
	}
	about, err := opened.about(ctx)
	if err != nil {
		return err
	}
	revisions, err := opened.history(ctx, name)
	if hasStatus(err, http.StatusNotFound) {
		return fmt.Errorf("the CM host %s has no procedure %q", about.Audience, name)
	}
	if err != nil {
		return err
	}
	history := History{Audience: about.Audience, Procedure: name, Items: revisions}
	if err := o.output.print(s, &history, func() { s.sayHistory(&history) }); err != nil || o.evidence == "" {
		return err
	}
	return writeEvidence(s, o.evidence, revisions)
}

func (s *session) sayHistory(history *History) {
	style := terminal.StyleFor(s.Out)
	var before *request.Procedure
	for i := range history.Items {
		revision := &history.Items[i]
		s.say("%s\n", style.Strong(fmt.Sprintf("Revision %d  %s", revision.Revision, revision.Procedure.State)))
		if revision.Revision == 0 {
			s.say("  made elsewhere, without evidence\n")
		} else {
			s.say("  accepted %s  %s\n", timestamp(revision.AcceptedAt), revision.Digest)
		}
		for _, signature := range revision.Signatures {
			s.say("  signed by %s (%s) %s\n", signature.Officer.Id, signature.Officer.Subject, timestamp(signature.SignedAt))
		}
		if before != nil {
			for _, difference := range request.Differences(*before, revision.Procedure) {
				s.say("  %s\n", difference.String())
			}
		}
		before = &revision.Procedure
	}
}

// writeEvidence writes each signature as a file of its own, and the request that it covers.
func writeEvidence(s *session, folder string, revisions []cmhostv1.TokenProcedure) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return usage(err)
	}
	var problems error
	for i := range revisions {
		revision := &revisions[i]
		for k, signature := range revision.Signatures {
			base := filepath.Join(folder, fmt.Sprintf("r%d-%d-%s", revision.Revision, k+1, fileName(signature.Officer.Id)))
			signed := signing.Judge(signature.Signature, signing.Terms{}).Request
			if signed == nil {
				problems = errors.Join(problems, fmt.Errorf("revision %d: the signature of %s holds no request: the evidence is broken", revision.Revision, signature.Officer.Id))
				continue
			}
			canonical, err := signed.Bytes()
			if err != nil {
				return err
			}
			if err := errors.Join(writeOut(s, base+".request.json", canonical), writeOut(s, base+".p7m", signature.Signature)); err != nil {
				return err
			}
			s.note("%s.p7m  check it with the officer's own certificate (%s):\n  openssl cms -verify -binary -inform DER -in %s.p7m -nointern -certfile OFFICER.crt -noverify | cmp - %s.request.json\n",
				base, signature.Officer.Subject, base, base)
		}
	}
	return problems
}

// fileName makes a name of foreign origin fit for a file.
func fileName(name string) string {
	cleaned := strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') {
			return r
		}
		return '-'
	}, name)
	return strings.Trim(cleaned[:min(len(cleaned), 100)], "-")
}

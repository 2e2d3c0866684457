package plugin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

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

NAME is a TokenProcedure in the cluster; with --cmhost or --host it is the procedure's name on the CM host, also of one
that has no TokenProcedure any more. --evidence writes the signed files, and says how to check each with openssl alone.
The output of -o json is what verify --history reads.`,
		Example: `  kubectl tokenproc history employee-card -n pki
  kubectl tokenproc history employee-card -n pki --evidence evidence/
  kubectl tokenproc history "Employee card" --cmhost production -n pki -o json > employee-card.json`,
		Args: func(_ *cobra.Command, names []string) error {
			if len(names) != 1 {
				return usagef("expected the name of one TokenProcedure, or of one procedure on the CM host with --cmhost or --host; found %d names", len(names))
			}
			return nil
		},
		ValidArgsFunction: s.completeProcedures,
		RunE: func(command *cobra.Command, names []string) error {
			return o.run(command.Context(), s, names[0])
		},
	}
	o.hosts.addNamed(command, s)
	o.output.add(command)
	command.Flags().StringVar(&o.evidence, "evidence", "", "write the signed files to this new folder")
	cobra.CheckErr(command.MarkFlagDirname("evidence"))
	return command
}

func (o *historyOptions) run(ctx context.Context, s *session, name string) error {
	if o.evidence != "" {
		if err := mustBeNew(o.evidence); err != nil {
			return err
		}
	}
	opened, name, err := o.open(ctx, s, name)
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

// open finds the host, and the procedure's name there.
func (o *historyOptions) open(ctx context.Context, s *session, name string) (*host, string, error) {
	if o.hosts.given() || o.hosts.cmHost != "" {
		opened, err := o.hosts.connect(ctx, s)
		return opened, name, err
	}
	one, err := o.from.one(ctx, s, []string{name})
	if apierrors.IsNotFound(err) {
		return nil, "", fmt.Errorf("%w; --cmhost NAME takes the name on the CM host, also of what is not in the cluster any more", err)
	}
	if err != nil {
		return nil, "", err
	}
	opened, err := o.hosts.open(ctx, s, one.cmHost)
	return opened, string(one.procedure.Spec.Procedure.Name), err
}

// mustBeNew refuses a folder that has files already.
func mustBeNew(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return usage(err)
	}
	if len(entries) > 0 {
		return usagef("the folder %s has files already, and nothing was written: name a new one", folder)
	}
	return nil
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
	s.note("Check each with the officer's own certificate, a PEM file that you have from elsewhere; \"signer certificate not found\" means that it is not the one that signed. The exit code is 0 only if the officer signed exactly this request.\n")
	var problems error
	for i := range revisions {
		for k := range revisions[i].Signatures {
			problems = errors.Join(problems, writeSignature(s, folder, &revisions[i], k))
		}
	}
	return problems
}

func writeSignature(s *session, folder string, revision *cmhostv1.TokenProcedure, k int) error {
	signature := &revision.Signatures[k]
	base := filepath.Join(folder, fmt.Sprintf("r%d-%d-%s", revision.Revision, k+1, fileName(signature.Officer.Id)))
	verdict := signing.Judge(signature.Signature, signing.Terms{})
	if verdict.Request == nil {
		return fmt.Errorf("revision %d: the signature of %s holds no request: the evidence is broken", revision.Revision, signature.Officer.Id)
	}
	canonical, err := verdict.Request.Bytes()
	if err != nil {
		return err
	}
	if err := errors.Join(writeOut(s, base+".request.json", canonical), writeOut(s, base+".p7m", signature.Signature)); err != nil {
		return err
	}
	s.note("%s.p7m  by %s, %s\n  openssl cms -verify -binary -inform DER -in %s.p7m -nointern -certfile OFFICER.crt -noverify -out %s.checked && cmp %s.checked %s.request.json\n",
		base, signature.Officer.Subject, certificateWords(verdict.CertificateDER), base, base, base, base)
	return nil
}

// certificateWords names the certificate that a signature carries, as `openssl x509 -fingerprint -sha256` does.
func certificateWords(der []byte) string {
	if der == nil {
		return "certificate not known"
	}
	digest := sha256.Sum256(der)
	return "certificate " + strings.TrimSuffix(strings.ToUpper(regexp.MustCompile("..").ReplaceAllString(hex.EncodeToString(digest[:]), "$0:")), ":")
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

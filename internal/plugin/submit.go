package plugin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/plugin/terminal"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

type submitOptions struct {
	from   sourceFlags
	hosts  hostFlags
	output outputFlags
	yes    bool
}

func newSubmitCommand(s *session) *cobra.Command {
	var o submitOptions
	command := &cobra.Command{
		Use:   "submit -f FILE|FOLDER --host URL",
		Short: "Send a request with its two signatures straight to the CM host",
		Long: `Send requests with their two signatures straight to the CM host, with the cluster down: for example an emergency close
that two officers have signed with "sign --close --host URL".

The requests are those inside the ProcedureSignatures in the files: of each procedure the one with the highest revision
above the host's that two officers have signed. Each is shown and confirmed. The host decides, exactly as for the
operator; the client certificate must be permitted to submit.`,
		Example: `  kubectl tokenproc submit -f signatures/ --host https://cm.example.com:8443 --host-ca ca.crt --host-cert submitter.crt --host-key submitter.key`,
		Args:    cobra.NoArgs,
		RunE:    func(command *cobra.Command, _ []string) error { return o.run(command.Context(), s) },
	}
	o.from.add(command)
	o.hosts.add(command)
	o.output.add(command)
	command.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask for confirmation")
	cobra.CheckErr(command.MarkFlagRequired("filename"))
	cobra.CheckErr(command.MarkFlagRequired("host"))
	return command
}

func (o *submitOptions) run(ctx context.Context, s *session) error {
	found, err := o.from.read(s)
	if err != nil {
		return err
	}
	opened, err := o.hosts.open(ctx, s, nil)
	if err != nil {
		return err
	}
	about, err := opened.about(ctx)
	if err != nil {
		return err
	}
	if o.from.audience != "" && o.from.audience != about.Audience {
		return fmt.Errorf("the CM host at %s is %q, you said %q", opened.url, about.Audience, o.from.audience)
	}
	register, err := openRegister(ctx, opened)
	if err != nil {
		return err
	}
	maxAge, err := time.ParseDuration(about.MaxSignatureAge)
	if err != nil {
		return fmt.Errorf("the CM host's maxSignatureAge %q is no duration", about.MaxSignatureAge)
	}
	candidates := candidatesOf(found.signatures, about.Audience)
	if len(candidates) == 0 {
		return usagef("the files have no ProcedureSignature for the CM host %q", about.Audience)
	}
	report := SubmitReport{Audience: about.Audience, Items: []Submitted{}}
	var problems error
	for _, procedure := range candidates {
		done, err := o.submit(ctx, s, opened, procedure, signing.Terms{Register: register, Audience: about.Audience, MaxSignatureAge: maxAge})
		if err == nil {
			report.Items = append(report.Items, *done)
		}
		problems = errors.Join(problems, err)
	}
	return errors.Join(o.output.print(s, &report, func() { s.saySubmitted(&report) }), problems)
}

func (s *session) saySubmitted(report *SubmitReport) {
	for _, done := range report.Items {
		if done.Sent {
			s.say("%q revision %d is %s at the CM host, accepted %s\n", done.Procedure, done.Revision, done.State, timestamp(done.AcceptedAt))
		} else {
			s.say("%q: nothing to send, the CM host has revision %d, %s\n", done.Procedure, done.Revision, done.State)
		}
	}
}

// submittedAs is the host's copy after submitting.
func submittedAs(copied *cmhostv1.TokenProcedure, sent bool) *Submitted {
	return &Submitted{Procedure: copied.Name, Revision: copied.Revision, State: copied.Procedure.State, Digest: copied.Digest, AcceptedAt: copied.AcceptedAt, Sent: sent}
}

// candidate is a request that somebody signed, with the signatures over it.
type candidate struct {
	request    request.Request
	signatures [][]byte
	names      []string
}

// candidatesOf groups signatures by procedure, the requests of each from the highest revision down.
func candidatesOf(signatures []signatureObject, audience string) [][]candidate {
	byDigest := map[string]*candidate{}
	var digests []string
	slices.SortFunc(signatures, bySignatureAge)
	for _, signature := range signatures {
		signed := signedRequest(signature.Spec.Signature)
		if signed == nil || signed.Audience != audience {
			continue
		}
		digest, err := signed.Digest()
		if err != nil {
			continue
		}
		if byDigest[digest] == nil {
			byDigest[digest] = &candidate{request: *signed}
			digests = append(digests, digest)
		}
		der, err := signing.FromText(signature.Spec.Signature)
		if err == nil {
			byDigest[digest].signatures = append(byDigest[digest].signatures, der)
			byDigest[digest].names = append(byDigest[digest].names, signature.where)
		}
	}
	byName := map[string]int{}
	var procedures [][]candidate
	for _, digest := range digests {
		name := byDigest[digest].request.Procedure.Name
		i, known := byName[name]
		if !known {
			i, byName[name] = len(procedures), len(procedures)
			procedures = append(procedures, nil)
		}
		procedures[i] = append(procedures[i], *byDigest[digest])
	}
	for _, candidates := range procedures {
		slices.SortStableFunc(candidates, func(a, b candidate) int { return int(min(max(b.request.Revision-a.request.Revision, -1), 1)) })
	}
	return procedures
}

// submit sends the best request of one procedure.
func (o *submitOptions) submit(ctx context.Context, s *session, to *host, candidates []candidate, terms signing.Terms) (*Submitted, error) {
	name := candidates[0].request.Procedure.Name
	stored, err := to.procedure(ctx, name)
	if err != nil {
		return nil, err
	}
	replaces := baseline{}
	terms.ProcedureName, terms.Now = name, time.Now()
	if stored != nil {
		replaces = baseline{procedure: &stored.Procedure, revision: stored.Revision, from: describeCopy(stored), copy: stored}
		terms.ReplacedDomain = &stored.Procedure.Domain
	}
	var why error
	for i := range candidates {
		if stored != nil && candidates[i].request.Revision <= stored.Revision {
			continue
		}
		two, err := candidates[i].counted(terms)
		if err != nil {
			why = errors.Join(why, err)
			continue
		}
		return o.send(ctx, s, to, &candidates[i], two, replaces)
	}
	if why == nil && stored != nil {
		return submittedAs(stored, false), nil
	}
	return nil, &exitError{ExitFinding, why}
}

// counted takes the first two signatures that count.
func (c *candidate) counted(terms signing.Terms) ([][]byte, error) {
	verdicts := make([]signing.Verdict, len(c.signatures))
	for i, der := range c.signatures {
		verdicts[i] = signing.Judge(der, terms)
	}
	var two [][]byte
	problem := fmt.Errorf("%q revision %d is not signed by %d officers", c.request.Procedure.Name, c.request.Revision, signing.Quorum)
	for i, count := range signing.Tally(c.request, verdicts, c.names) {
		if count.Reason == v1alpha1.ReasonCounted {
			two = append(two, c.signatures[i])
		}
		problem = fmt.Errorf("%w\n  %s: %s", problem, c.names[i], count.Message)
	}
	if len(two) < signing.Quorum {
		return nil, problem
	}
	return two[:signing.Quorum], nil
}

func (o *submitOptions) send(ctx context.Context, s *session, to *host, chosen *candidate, two [][]byte, replaces baseline) (*Submitted, error) {
	canonical, err := chosen.request.Bytes()
	if err != nil {
		return nil, err
	}
	s.note("%s\n", terminal.StyleFor(s.ErrOut).Strong("Request for "+to.url))
	if err := showRequest(s.ErrOut, canonical, replaces, nil); err != nil {
		return nil, err
	}
	if !o.yes {
		confirmed, err := s.confirm("Submit this request to " + chosen.request.Audience + "?")
		if err != nil {
			return nil, err
		}
		if !confirmed {
			return nil, declinedf("not submitted, as you said: %s", chosen.request.Procedure.Name)
		}
	}
	accepted, err := to.submit(ctx, chosen.request.Procedure.Name, cmhostv1.Submission{Request: canonical, Signatures: two})
	if err != nil {
		return nil, err
	}
	return submittedAs(accepted, true), nil
}

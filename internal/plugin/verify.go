package plugin

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/domains"
	"github.com/tokenprocedures/token-procedure-operator/internal/plugin/terminal"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

type verifyOptions struct {
	from     sourceFlags
	catalog  catalogFlags
	output   outputFlags
	officers string
	history  []string
	logs     []string
	at       string
	maxAge   time.Duration
}

func newVerifyCommand(s *session) *cobra.Command {
	var o verifyOptions
	command := &cobra.Command{
		Use:   "verify [NAME...] [-f FILE|FOLDER] [--history FILE] --officers FILE|FOLDER",
		Short: "Check who signed which revision of what, and whether two officers did",
		Long: `Check signatures offline, given the officers' certificates. The exit code is 0 only if every procedure has two good
signatures of different officers over exactly its request, so that a pull request cannot be merged without them.

--officers is a folder of certificates (each subject counts as one officer in good standing), the officers.yaml of the
CM host's administrator, or an answer of GET /v1/officers. --host asks the CM host instead. Domains of officers are
judged by the domain tree of --catalog, or of the host.

--log checks an export of the host's append-only log (cmhost export, report --bundle): no entry is missing or changed,
and two different officers signed every accepted request, by the certificates that the log itself records. Compare the
head that it prints with one that you know, such as that in the status of a CMHost: a log can be cut off or made anew.

--history checks an export of the CM host's history (kubectl tokenproc history -o json): each revision by the officers'
certificates as they were valid when the host accepted it. When that was, the export says by itself; with --log as well
it has to be in the log, at that time. A procedure whose request is in that history needs no other signatures: those in
git may be gone, or too old to be used again.`,
		Example: `  # in CI, for a pull request
  kubectl tokenproc verify -f procedures/ -R --audience cm.example.com --officers officers/

  # an export of the host's history, years later
  kubectl tokenproc verify --history employee-card.json --log log.jsonl --officers officers.yaml`,
		ValidArgsFunction: s.completeProcedures,
		RunE: func(command *cobra.Command, names []string) error {
			return o.run(command.Context(), s, names)
		},
	}
	o.from.add(command)
	o.catalog.add(command)
	o.output.add(command)
	flags := command.Flags()
	flags.StringVar(&o.officers, "officers", "", "folder of the officers' certificates, officers.yaml, or an answer of GET /v1/officers")
	flags.StringSliceVar(&o.history, "history", nil, "export of the CM host's history to check as well; repeatable")
	flags.StringSliceVar(&o.logs, "log", nil, "export of the CM host's log to check: the chain of hashes and the signatures of every accepted request; repeatable")
	flags.StringVar(&o.at, "at", "", "judge as of this time (RFC 3339) instead of now")
	flags.DurationVar(&o.maxAge, "max-age", usualSignatureAge, "how old a signature may be that the host has not accepted yet; the host's own limit decides in the end")
	cobra.CheckErr(command.MarkFlagFilename("officers"))
	cobra.CheckErr(command.MarkFlagFilename("history", "json", "yaml"))
	return command
}

// judge is what signatures are judged by.
type judge struct {
	register *signing.Register
	officers string // the --officers that the register was made of; empty where it is the CM host's
	now      time.Time
	maxAge   time.Duration
	accepted map[string]*cmhostv1.TokenProcedure // by digest, those whose evidence is good
	newest   map[hostProcedure]*cmhostv1.TokenProcedure
	logged   loggedTimes // nil without --log
}

// hostProcedure is a procedure of one CM host.
type hostProcedure struct{ audience, name string }

func (o *verifyOptions) run(ctx context.Context, s *session, names []string) error {
	onlyLogs := len(names) == 0 && len(o.from.files) == 0 && len(o.history) == 0
	if onlyLogs && len(o.logs) == 0 {
		return usagef("what is to be verified? Give manifests with -f, an export of the host's history with --history or of its log with --log, or the name of a TokenProcedure")
	}
	report := VerifyReport{Procedures: []VerifiedProcedure{}, Logs: []VerifiedLog{}, Good: true}
	logged, err := o.checkLogs(&report)
	if err != nil {
		return err
	}
	if onlyLogs {
		return o.finish(s, &report)
	}
	var sources []source
	if len(names) > 0 || len(o.from.files) > 0 {
		if sources, err = o.from.load(ctx, s, names); err != nil {
			return err
		}
	}
	judging, err := o.judge(ctx, s, sources)
	if err != nil {
		return err
	}
	judging.logged = logged
	for _, path := range o.history {
		revisions, err := readHistoryFile(path)
		if err != nil {
			return err
		}
		for i := range revisions {
			report.add(judging.recorded(path, &revisions[i]))
		}
	}
	if err := judging.manifests(ctx, s, sources, &report); err != nil {
		return err
	}
	return o.finish(s, &report)
}

// manifests checks the procedures of files or of the cluster, with the signatures beside them.
func (j *judge) manifests(ctx context.Context, s *session, sources []source, report *VerifyReport) error {
	if err := distinct(sources); err != nil {
		return err
	}
	for i := range sources {
		if sources[i].isDraft() {
			s.note("%s is a draft, which nobody signs: left out\n", sources[i].where)
			continue
		}
		if err := sources[i].loadSignatures(ctx, s); err != nil {
			return err
		}
		verified, err := j.manifest(&sources[i])
		if err != nil {
			return err
		}
		report.add(verified)
	}
	return nil
}

// distinct refuses two objects of one kind and name: whatever was verified, a cluster keeps only one of them.
func distinct(sources []source) error {
	procedures, signatures := named{}, named{}
	for _, from := range sources {
		if err := procedures.add("TokenProcedure", &from.procedure.ObjectMeta, from.where); err != nil {
			return err
		}
		for _, signature := range from.signatures {
			if err := signatures.add("ProcedureSignature", &signature.ObjectMeta, signature.where); err != nil {
				return err
			}
		}
	}
	return nil
}

// named are the objects of one kind by name, and where they are.
type named map[string][]place

type place struct{ namespace, where string }

// add refuses an object without a name, and a second one of its name. An object without a namespace can get any.
func (n named) add(kind string, object *metav1.ObjectMeta, where string) error {
	if object.Name == "" {
		return usagef("%s: the %s has no metadata.name", where, kind)
	}
	for _, earlier := range n[object.Name] {
		if earlier.where != where && sameNamespace(earlier.namespace, object.Namespace) {
			return usagef("%s and %s are the same %s %q: a cluster keeps only one of them; give each a name of its own", earlier.where, where, kind, object.Name)
		}
	}
	n[object.Name] = append(n[object.Name], place{object.Namespace, where})
	return nil
}

func (o *verifyOptions) finish(s *session, report *VerifyReport) error {
	if err := o.output.print(s, report, func() { s.sayVerified(report) }); err != nil {
		return err
	}
	if !report.Good {
		return errFinding
	}
	return nil
}

func (f *source) isDraft() bool { return f.procedure.Spec.Draft != nil && *f.procedure.Spec.Draft }

// judge gathers officers, the domain tree and the time.
func (o *verifyOptions) judge(ctx context.Context, s *session, sources []source) (*judge, error) {
	judging := &judge{now: time.Now(), maxAge: o.maxAge, accepted: map[string]*cmhostv1.TokenProcedure{}, newest: map[hostProcedure]*cmhostv1.TokenProcedure{}}
	if o.at != "" {
		var err error
		if judging.now, err = time.Parse(time.RFC3339, o.at); err != nil {
			return nil, usagef("--at: %w; expected for example 2026-11-22T18:00:00Z", err)
		}
	}
	if o.officers != "" {
		all, err := readOfficerFile(o.officers)
		if err != nil {
			return nil, err
		}
		var tree domains.Tree
		if o.catalog.file != "" {
			catalog, err := readCatalog(o.catalog.file)
			if err != nil {
				return nil, err
			}
			tree = domains.NewTree(catalog.Domains)
		}
		judging.register, judging.officers = signing.NewRegister(all, tree), o.officers
		return judging, nil
	}
	anchor := &source{}
	if len(sources) > 0 {
		anchor = &sources[0]
	}
	opened, err := o.catalog.hosts.open(ctx, s, anchor.cmHost)
	if err != nil {
		return nil, usagef("whose signatures count? Give the officers' certificates with --officers: %w", err)
	}
	judging.register, err = openRegister(ctx, opened)
	return judging, err
}

func (r *VerifyReport) add(verified VerifiedProcedure) {
	r.Good = r.Good && verified.Good
	r.Procedures = append(r.Procedures, verified)
}

func (s *session) sayVerified(report *VerifyReport) {
	style := terminal.StyleFor(s.Out)
	for _, log := range report.Logs {
		if log.Good {
			s.say("%s  the log %s: %d entries, %d accepted requests, each signed by two officers; head %s\n", style.Good("good"), log.Where, log.Entries, log.Accepted, log.Head)
		} else {
			s.say("%s  the log %s: good up to entry %d, then: %s\n", style.Bad("NOT GOOD"), log.Where, log.Entries, log.Message)
		}
	}
	for _, procedure := range report.Procedures {
		verdict := style.Good("good")
		if !procedure.Good {
			verdict = style.Bad("NOT GOOD")
		}
		s.say("%s  %q revision %d for %s: %s\n", verdict, procedure.Procedure, procedure.Revision, procedure.Audience, procedure.Message)
		s.say("  %s  %s\n", procedure.Digest, procedure.Where)
		for _, signature := range procedure.Signatures {
			line := signature.Reason + ": " + signature.Message
			if signature.Counted {
				line = "counts"
			}
			s.say("  - %s %s  %s: %s\n", officerWords(signature.Officer), instantOrNone(signature.SignedAt), signature.Where, line)
		}
	}
}

func officerWords(officer OfficerName) string {
	switch officer.ID {
	case "":
		return "unknown officer"
	case officer.Subject:
		return officer.ID
	default:
		return officer.ID + " (" + officer.Subject + ")"
	}
}

func instantOrNone(t time.Time) string {
	if t.IsZero() {
		return "at no known time"
	}
	return timestamp(t)
}

package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tokenprocedures/token-procedure-operator/internal/plugin/terminal"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

type newOptions struct {
	catalog catalogFlags
	answers map[string]*string
	object  string
	out     string
	format  string
	draft   bool

	audience string // of the CM host that the catalogue came from
}

func newNewCommand(s *session) *cobra.Command {
	o := newOptions{answers: map[string]*string{}}
	command := &cobra.Command{
		Use:   "new [--out FILE]",
		Short: "Write a commented manifest for a new procedure, question by question",
		Long: `Write a commented manifest for a new procedure. On a terminal you are asked for every field that the chosen storage
profile needs or may have, and for names you are offered what the CM host's catalogue has, where it can be asked
(--catalog FILE, --host, or the CMHost in the cluster). Whatever you give by a flag is not asked.

Without a terminal the flags decide. What is still missing then makes a draft, and is listed with the flags for it.`,
		Example: `  kubectl tokenproc new -n pki --out employee-card.yaml
  kubectl tokenproc new -n pki --name "Employee card" --storage-profile SmartCard --serial-range 100000-199999 \
    --pin-procedure "PIN letter" --issuer-certificates StoreAll --recovered-certificates Store \
    --certificate-procedures Authentication,Signature --cmhost production --out employee-card.yaml`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return o.run(command.Context(), s) },
	}
	o.catalog.add(command)
	flags := command.Flags()
	flags.StringVar(&o.catalog.hosts.cmHost, "cmhost", "", "name of the CMHost that the manifest refers to; not needed where the namespace has only one")
	flags.StringVar(&o.object, "object-name", "", "metadata.name; made of the procedure's name without it")
	flags.StringVar(&o.out, "out", "", "write the manifest to this file instead of the standard output")
	flags.BoolVar(&o.draft, "draft", false, "save a draft, even if nothing is missing")
	addManifestFormat(command, &o.format)
	for _, q := range questions {
		o.answers[q.flag] = flags.String(q.flag, "", q.help)
		if q.choices != nil {
			cobra.CheckErr(command.RegisterFlagCompletionFunc(q.flag, o.completeChoices(s, q)))
		}
	}
	cobra.CheckErr(command.RegisterFlagCompletionFunc("cmhost", s.completeCMHosts))
	cobra.CheckErr(command.MarkFlagFilename("out", "yaml", "json"))
	return command
}

// completeChoices completes names from the catalogue.
func (o *newOptions) completeChoices(s *session, q question) cobra.CompletionFunc {
	return func(command *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		catalog, _ := o.findCatalog(command.Context(), s)
		return q.choices(catalog), cobra.ShellCompDirectiveNoFileComp
	}
}

// findCatalog asks for the catalogue where that is possible; nil and why where it is not.
func (o *newOptions) findCatalog(ctx context.Context, s *session) (*rules.Catalog, error) {
	if o.catalog.file != "" {
		return readCatalog(o.catalog.file)
	}
	opened, err := o.catalog.hosts.connect(ctx, s)
	if err != nil {
		return nil, err
	}
	about, err := opened.about(ctx)
	if err != nil {
		return nil, err
	}
	o.audience = about.Audience
	return opened.catalog(ctx)
}

func (o *newOptions) run(ctx context.Context, s *session) error {
	prompter, err := terminal.NewPrompter(s.In, s.ErrOut)
	switch {
	case errors.Is(err, terminal.ErrNoTerminal) && *o.answers["name"] == "":
		return usagef("there is no terminal to ask on: give at least --name and --storage-profile; `kubectl tokenproc new --help` lists the rest")
	case errors.Is(err, terminal.ErrNoTerminal):
		prompter = nil
	case err != nil:
		return err
	default:
		defer prompter.Close() //nolint:errcheck // nothing was written
	}
	catalog, why := o.findCatalog(ctx, s)
	if why != nil && (o.catalog.file != "" || o.catalog.hosts.given()) {
		return why
	}
	draft, err := o.answer(ctx, s, prompter, catalog, why)
	if err != nil {
		return err
	}
	return errors.Join(o.write(s, draft, prompter != nil), s.sayUnknown(draft.unknown(catalog)))
}

// sayUnknown lists the names in a new manifest that the CM host would refuse.
func (s *session) sayUnknown(unknown []rules.Finding) error {
	for _, finding := range unknown {
		s.note("the CM host will refuse this: %s%s\n", finding.Message, flagFor(finding))
	}
	if len(unknown) > 0 {
		return errFinding
	}
	return nil
}

// answer takes the flags, and asks for the rest if there is a terminal. why is why there is no catalogue.
func (o *newOptions) answer(ctx context.Context, s *session, prompter *terminal.Prompter, catalog *rules.Catalog, why error) (*draftManifest, error) {
	if err := o.chooseCMHost(ctx, s, prompter, why); err != nil {
		return nil, err
	}
	draft := newDraftManifest(o.catalog.hosts.cmHost)
	for _, q := range questions {
		if err := draft.set(q, cmp.Or(*o.answers[q.flag], q.preset)); err != nil {
			return nil, usagef("--%s: %w", q.flag, err)
		}
	}
	if prompter == nil {
		return draft, nil
	}
	if catalog == nil && why != nil {
		s.note("names cannot be offered: %s\n", firstLine(why))
	}
	for _, q := range questions {
		if *o.answers[q.flag] != "" || q.preset != "" {
			continue
		}
		err := askOne(s, prompter, draft, q, catalog)
		if errors.Is(err, errTooManyTries) {
			s.note("%s: %s; what was answered is kept as a draft\n", q.label, err)
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return draft, nil
}

// chooseCMHost finds out which CMHost the manifest refers to, where neither a flag nor the cluster says so.
func (o *newOptions) chooseCMHost(ctx context.Context, s *session, prompter *terminal.Prompter, why error) error {
	if o.catalog.hosts.cmHost == "" && (o.catalog.file != "" || o.catalog.hosts.given()) {
		_, why = o.catalog.hosts.findCMHost(ctx, s)
	}
	if o.catalog.hosts.cmHost != "" {
		return nil
	}
	if prompter == nil {
		return usagef("which CMHost does the manifest refer to? Name it with --cmhost NAME (%s)", firstLine(why))
	}
	s.note("Which CMHost the manifest refers to is not known: %s\n", firstLine(why))
	for range maxTries {
		name, err := prompter.Ask("CMHost (name of the object in the same namespace):")
		if err != nil {
			return err
		}
		if name != "" {
			o.catalog.hosts.cmHost = name
			return nil
		}
	}
	return usagef("CMHost: no usable answer after %d tries", maxTries)
}

// write writes the manifest, and says what comes next.
func (o *newOptions) write(s *session, draft *draftManifest, asked bool) error {
	object := draft.finish(o.object, s.givenNamespace())
	missing := rules.MissingFromDraft(object)
	if len(missing) > 0 || o.draft {
		object["spec"].(map[string]any)["draft"] = true
	}
	if broken := rules.ValidateCreate(object); len(broken) > 0 {
		return brokenRules("the new manifest", broken)
	}
	encoded, err := commented(object)
	if o.format == "json" {
		encoded, err = encode("json", object)
	}
	if err != nil {
		return err
	}
	if err := writeOut(s, o.out, encoded); err != nil {
		return err
	}
	for _, finding := range missing {
		s.note("still missing: %s%s\n", finding.Message, flagFor(finding))
	}
	name, _, _ := unstructured.NestedString(object, "metadata", "name")
	o.sayNext(s, name, len(missing) > 0 || o.draft, asked)
	return nil
}

// flagFor names the flag that gives what a finding misses.
func flagFor(finding rules.Finding) string {
	for _, q := range questions {
		if len(q.about([]rules.Finding{finding})) > 0 {
			return " (--" + q.flag + ")"
		}
	}
	return ""
}

// maxTries bounds how often a question is repeated: a script at the other end would never stop.
const maxTries = 10

// errTooManyTries ends the questions; what was answered is kept.
var errTooManyTries = fmt.Errorf("no usable answer after %d tries", maxTries)

// askOne asks one question, again where the answer breaks a rule about it.
func askOne(s *session, prompter *terminal.Prompter, draft *draftManifest, q question, catalog *rules.Catalog) error {
	required := draft.requires(q, catalog)
	if !required && !draft.allows(q) {
		return nil
	}
	label := q.label
	if !required {
		label += q.without()
	}
	if q.aside != "" {
		s.note("  %s\n", q.aside)
	}
	offered := q.offers(catalog)
	for i, name := range offered {
		s.note("  %d  %s  %s\n", i+1, name, q.hints[name])
	}
	for range maxTries {
		answer, err := prompter.Ask(label + q.hint(len(offered)) + ":")
		switch {
		case err != nil:
			return err
		case answer == "" && !required:
			return nil
		case answer == "":
			s.note("  this needs an answer%s\n", q.hint(len(offered)))
			continue
		}
		err = draft.set(q, byNumber(answer, offered, q.list))
		if err == nil {
			broken := draft.broken(q, catalog)
			if len(broken) == 0 {
				return nil
			}
			err = errors.New(rules.Messages(broken))
		}
		s.note("  %s\n", err)
	}
	if err := draft.set(q, ""); err != nil {
		return err
	}
	return errTooManyTries
}

func (o *newOptions) sayNext(s *session, name string, draft, asked bool) {
	if o.out == "" || o.out == "-" {
		if asked {
			s.note("save this as a file, then: kubectl tokenproc lint -f FILE\n")
		}
		return
	}
	s.note("wrote %s\n", o.out)
	in := ""
	if namespace := s.givenNamespace(); namespace != "" {
		in = " -n " + namespace
	}
	steps := []string{
		"kubectl tokenproc lint -f " + o.out + " --online",
		"kubectl apply -f " + o.out,
		"each of two officers: kubectl tokenproc sign " + name + in + " --audience " + cmp.Or(o.audience, "AUDIENCE") + " --key file:KEY --cert CERTIFICATE --apply",
		"kubectl tokenproc status " + name + in,
	}
	if draft {
		steps = append([]string{"complete it, and take `draft: true` away"}, steps...)
	}
	s.note("next:\n")
	for i, step := range steps {
		s.note("%s\n", fmt.Sprintf("  %d. %s", i+1, step))
	}
}

package plugin

import (
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
	draft   bool
}

func newNewCommand(s *session) *cobra.Command {
	o := newOptions{answers: map[string]*string{}}
	command := &cobra.Command{
		Use:   "new [--out FILE]",
		Short: "Write a commented manifest for a new procedure, question by question",
		Long: `Write a commented manifest for a new procedure. On a terminal you are asked for every field that the chosen storage
profile needs or may have, and for names you are offered what the CM host's catalogue has, where it can be asked
(--catalog FILE, --host, or the CMHost in the cluster). Whatever you give by a flag is not asked.

Without a terminal the flags decide. What is still missing then makes a draft, and is listed.`,
		Example: `  kubectl tokenproc new --out employee-card.yaml
  kubectl tokenproc new --name "Employee card" --storage-profile SmartCard --serial-range 100000-199999 \
    --pin-procedure "PIN letter" --issuer-certificates StoreAll --recovered-certificates Store \
    --certificate-procedures Authentication,Signature --cmhost production --out employee-card.yaml`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error { return o.run(command.Context(), s) },
	}
	o.catalog.add(command)
	flags := command.Flags()
	flags.StringVar(&o.catalog.hosts.cmHost, "cmhost", "", "name of the CMHost that the manifest refers to")
	flags.StringVar(&o.object, "object-name", "", "metadata.name; made of the procedure's name without it")
	flags.StringVar(&o.out, "out", "", "write the manifest to this file instead of the standard output")
	flags.BoolVar(&o.draft, "draft", false, "save a draft, even if nothing is missing")
	for _, q := range questions {
		o.answers[q.flag] = flags.String(q.flag, "", q.help)
		if q.choices != nil {
			cobra.CheckErr(command.RegisterFlagCompletionFunc(q.flag, o.completeChoices(s, q)))
		}
	}
	cobra.CheckErr(command.RegisterFlagCompletionFunc("cmhost", s.completeCMHosts))
	cobra.CheckErr(command.MarkFlagFilename("out", "yaml"))
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
	return opened.catalog(ctx)
}

func (o *newOptions) run(ctx context.Context, s *session) error {
	catalog, why := o.findCatalog(ctx, s)
	if why != nil && (o.catalog.file != "" || o.catalog.hosts.given()) {
		return why
	}
	draft := newDraftManifest(o.catalog.hosts.cmHost)
	for _, q := range questions {
		if err := draft.set(q, *o.answers[q.flag]); err != nil {
			return usagef("--%s: %w", q.flag, err)
		}
	}
	asked, err := o.ask(s, draft, catalog, why)
	if err != nil {
		return err
	}
	object := draft.finish(o.object)
	missing := rules.MissingFromDraft(object)
	if len(missing) > 0 || o.draft {
		object["spec"].(map[string]any)["draft"] = true
	}
	if broken := rules.ValidateCreate(object); len(broken) > 0 {
		return brokenRules("the new manifest", broken)
	}
	encoded, err := commented(object)
	if err != nil {
		return err
	}
	if err := writeOut(s, o.out, encoded); err != nil {
		return err
	}
	for _, finding := range missing {
		s.note("still missing: %s\n", finding.Message)
	}
	name, _, _ := unstructured.NestedString(object, "metadata", "name")
	s.sayNext(o.out, name, len(missing) > 0, asked)
	return nil
}

// ask asks for what the flags did not say, if there is a terminal.
func (o *newOptions) ask(s *session, draft *draftManifest, catalog *rules.Catalog, why error) (bool, error) {
	prompter, err := terminal.NewPrompter(s.In, s.ErrOut)
	if errors.Is(err, terminal.ErrNoTerminal) {
		if *o.answers["name"] == "" {
			return false, usagef("there is no terminal to ask on: give at least --name and --storage-profile; `kubectl tokenproc new --help` lists the rest")
		}
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer prompter.Close() //nolint:errcheck // nothing was written
	if why != nil {
		s.note("names cannot be offered: %s\n", firstLine(why))
	}
	for _, q := range questions {
		if *o.answers[q.flag] != "" {
			continue
		}
		if err := askOne(s, prompter, draft, q, catalog); err != nil {
			return true, err
		}
	}
	return true, nil
}

// maxTries bounds how often a question is repeated: a script at the other end would never stop.
const maxTries = 10

// askOne asks one question, again where the answer breaks a rule about it.
func askOne(s *session, prompter *terminal.Prompter, draft *draftManifest, q question, catalog *rules.Catalog) error {
	required := draft.requires(q)
	if !required && !draft.allows(q) {
		return nil
	}
	label := q.label
	if !required {
		label += " (optional)"
	}
	offered := q.offers(catalog)
	for i, name := range offered {
		s.note("  %d  %s\n", i+1, name)
	}
	for range maxTries {
		answer, err := prompter.Ask(label + q.hint(len(offered)) + ":")
		if err != nil {
			return err
		}
		if answer == "" && !required {
			return nil
		}
		if answer == "" {
			answer = q.preset
		}
		err = draft.set(q, byNumber(answer, offered, q.list))
		if err == nil {
			if broken := draft.broken(q); len(broken) > 0 {
				err = errors.New(rules.Messages(broken))
			} else if answer != "" {
				return nil
			}
		}
		if err != nil {
			s.note("  %s\n", err)
		}
	}
	return usagef("%s: no usable answer after %d tries", q.label, maxTries)
}

func (s *session) sayNext(out, name string, draft, asked bool) {
	if out == "" || out == "-" {
		if asked {
			s.note("save this as a file, then: kubectl tokenproc lint -f FILE\n")
		}
		return
	}
	s.note("wrote %s\n", out)
	steps := []string{"kubectl tokenproc lint -f " + out, "kubectl apply -f " + out, "kubectl tokenproc sign " + name + " --key file:KEY --cert CERTIFICATE --apply, by each of two officers", "kubectl tokenproc status " + name}
	if draft {
		steps = append([]string{"complete it, and take `draft: true` away"}, steps...)
	}
	s.note("next:\n")
	for i, step := range steps {
		s.note("%s\n", fmt.Sprintf("  %d. %s", i+1, step))
	}
}

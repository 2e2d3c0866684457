package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/tokenprocedures/token-procedure-operator/internal/plugin/terminal"
)

const overview = `Token procedures of a certificate manager, signed by two officers: what officers and platform teams reach for.

From an empty directory to an Active procedure:

  0. kubectl get cmhosts -A                                      the namespace to work in, here pki
     On each officer's machine, once: the CM host's audience into ~/.config/kubectl-tokenproc/config.yaml, for example
     "audiences: [cm.example.com]"; without that, give --audience cm.example.com to sign.
  1. kubectl tokenproc new -n pki --out employee-card.yaml       answer the questions; you get a commented manifest
  2. kubectl tokenproc lint -f employee-card.yaml --online       every broken rule, with its line
  3. kubectl apply -f employee-card.yaml                         now it waits for two officers
  4. kubectl tokenproc sign employee-card -n pki --key file:officer.key --cert officer.crt --apply
                                                                 each of two officers, on a machine of their own
  5. kubectl tokenproc status employee-card -n pki               which gate it has passed, and what is next

A change is the same again: edit, raise spec.revision, apply, two signatures. Nothing signed is ever deleted: to end a
procedure set its state to Closed, which is a change like any other; with two more signatures it can be Active again.
Deleting the object leaves the CM host alone, unless its spec.deletionPolicy is Close: "sign --help" says how that works.

Exit codes: 0 done; 1 there are findings or differences; 2 the command line, a file or the configuration is wrong;
3 the cluster, the CM host or the key could not be used, or refused; 4 a person said no.`

// Run runs the plugin under the name and with the arguments of a command line, and returns its exit code.
func Run(ctx context.Context, line []string, streams genericiooptions.IOStreams) int {
	root := NewCommand(streams)
	root.SetArgs(argumentsOf(line))
	err := root.ExecuteContext(ctx)
	if err != nil && !errors.Is(err, errFinding) {
		terminal.Printf(streams.ErrOut, "error: %s\n", err)
	}
	return exitCode(err)
}

// NewCommand is the plugin's command with everything below it.
func NewCommand(streams genericiooptions.IOStreams) *cobra.Command {
	s := &session{IOStreams: streams, flags: genericclioptions.NewConfigFlags(true)}
	root := &cobra.Command{
		Use:           "kubectl-tokenproc",
		Short:         "Token procedures of a certificate manager, signed by two officers",
		Long:          overview,
		SilenceUsage:  true,
		SilenceErrors: true,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl tokenproc"},
		Args: func(command *cobra.Command, arguments []string) error {
			if len(arguments) > 0 {
				return noCommand(command, arguments[0])
			}
			return nil
		},
		PersistentPreRunE: func(command *cobra.Command, _ []string) error {
			if err := errors.Join(missingFlags(command), command.ValidateFlagGroups()); err != nil {
				return usagef("%w: `%s --help` says more", err, command.CommandPath())
			}
			return nil
		},
		SuggestionsMinimumDistance: 2,
		RunE:                       func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.SetFlagErrorFunc(func(command *cobra.Command, err error) error {
		return usagef("%w: `%s --help` lists the flags", err, command.CommandPath())
	})
	s.flags.AddFlags(root.PersistentFlags())
	root.CompletionOptions.DisableDefaultCmd = true
	addCommands(root, s)
	asUsageErrors(root)
	return root
}

// missingFlags names required flags as they are typed.
func missingFlags(command *cobra.Command) error {
	var missing []string
	command.Flags().VisitAll(func(flag *pflag.Flag) {
		if required := flag.Annotations[cobra.BashCompOneRequiredFlag]; len(required) == 1 && required[0] == "true" && !flag.Changed {
			name := "--" + flag.Name
			if flag.Shorthand != "" {
				name = "-" + flag.Shorthand
			}
			missing = append(missing, name)
		}
	})
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("this needs %s", strings.Join(missing, " and "))
}

// noCommand says what the user may have meant.
func noCommand(root *cobra.Command, typed string) error {
	meant := root.SuggestionsFor(typed)
	if len(meant) == 0 {
		return usagef("there is no command %q: `kubectl tokenproc --help` lists them", typed)
	}
	return usagef("there is no command %q; did you mean %s?", typed, strings.Join(meant, " or "))
}

// group is commands of one purpose.
type group struct {
	id, title string
	commands  []func(*session) *cobra.Command
}

var groups = []group{
	{"write", "Write and check procedures:", []func(*session) *cobra.Command{newNewCommand, newLintCommand, newDiffCommand, newSheetCommand}},
	{"sign", "Sign:", []func(*session) *cobra.Command{newRequestCommand, newDigestCommand, newSignCommand, newVerifyCommand}},
	{"look", "See what is going on:", []func(*session) *cobra.Command{newStatusCommand, newPendingCommand, newSelectCommand}},
	{"host", "Work with the CM host:", []func(*session) *cobra.Command{newRangesCommand, newHistoryCommand, newImportCommand, newPromoteCommand, newReportCommand, newSubmitCommand}},
}

func addCommands(root *cobra.Command, s *session) {
	for _, group := range groups {
		root.AddGroup(&cobra.Group{ID: group.id, Title: group.title})
		for _, create := range group.commands {
			command := create(s)
			command.GroupID = group.id
			root.AddCommand(command)
		}
	}
	root.AddCommand(newVersionCommand(s), newOptionsCommand(s), newCompletionCommand(s), newOutputTopic())
	root.SetUsageTemplate(usageTemplate(root.UsageTemplate()))
}

// usageTemplate leaves kubectl's own flags to `kubectl tokenproc options`: there are twenty.
func usageTemplate(template string) string {
	before, rest, found := strings.Cut(template, "{{if .HasAvailableInheritedFlags}}")
	_, after, alsoFound := strings.Cut(rest, "{{end}}")
	if !found || !alsoFound {
		return template
	}
	before = strings.ReplaceAll(before, ".LocalFlags.", ".LocalNonPersistentFlags.")
	return before + "\n\nUse \"kubectl tokenproc options\" for the flags that kubectl has everywhere, such as -n and --context." + after
}

// asUsageErrors gives what cobra itself finds wrong with a command line the exit code for it.
func asUsageErrors(command *cobra.Command) {
	if check := command.Args; check != nil {
		command.Args = func(c *cobra.Command, arguments []string) error { return usage(check(c, arguments)) }
	}
	for _, below := range command.Commands() {
		asUsageErrors(below)
	}
}

func newOptionsCommand(s *session) *cobra.Command {
	list := func(command *cobra.Command, _ []string) {
		s.say("These flags can be given to every command:\n\n%s", terminal.Text(command.InheritedFlags().FlagUsages()))
	}
	command := &cobra.Command{
		Use:   "options",
		Short: "List the flags that kubectl has everywhere",
		Args:  cobra.NoArgs,
		Run:   list,
	}
	command.SetHelpFunc(list)
	return command
}

// newOutputTopic is a page of help, not a command.
func newOutputTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "output",
		Short: "What -o json and -o yaml print, member by member, and the exit codes",
		Long:  string(outputPage()),
	}
}

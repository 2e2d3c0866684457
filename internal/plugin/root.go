package plugin

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/tokenprocedures/token-procedure-operator/internal/plugin/terminal"
)

const overview = `Token procedures of a certificate manager, signed by two officers: what officers and platform teams reach for.

From an empty directory to an Active procedure:

  1. kubectl tokenproc new --out employee-card.yaml              answer the questions; you get a commented manifest
  2. kubectl tokenproc lint -f employee-card.yaml                every broken rule, with its line
  3. kubectl apply -f employee-card.yaml                         now it waits for two officers
  4. kubectl tokenproc sign NAME --key file:officer.key --cert officer.crt --apply
                                                                 each of two officers, on a machine of their own
  5. kubectl tokenproc status NAME                               which gate it has passed, and what is next

A change is the same again: edit, raise spec.revision, apply, two signatures. Nothing signed is ever deleted: to end a
procedure set its state to Closed.

Exit codes: 0 done; 1 there are findings or differences; 2 the command line, a file or the configuration is wrong;
3 the cluster, the CM host or the key could not be used, or refused; 4 a person said no.`

// Run runs the plugin and returns its exit code.
func Run(ctx context.Context, arguments []string, streams genericiooptions.IOStreams) int {
	root := NewCommand(streams)
	root.SetArgs(arguments)
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
		Args: func(_ *cobra.Command, arguments []string) error {
			if len(arguments) > 0 {
				return usagef("there is no command %q: `kubectl tokenproc --help` lists them", arguments[0])
			}
			return nil
		},
		PersistentPreRunE: func(command *cobra.Command, _ []string) error {
			return usage(errors.Join(command.ValidateRequiredFlags(), command.ValidateFlagGroups()))
		},
		RunE: func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.SetFlagErrorFunc(func(command *cobra.Command, err error) error {
		return usagef("%w: `%s --help` lists the flags", err, command.CommandPath())
	})
	s.flags.AddFlags(root.PersistentFlags())
	addCommands(root, s)
	asUsageErrors(root)
	return root
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
	root.AddCommand(newVersionCommand(s), newOptionsCommand(s))
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
	return &cobra.Command{
		Use:   "options",
		Short: "List the flags that kubectl has everywhere",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			s.say("These flags can be given to every command:\n\n%s", terminal.Text(command.InheritedFlags().FlagUsages()))
			return nil
		},
	}
}

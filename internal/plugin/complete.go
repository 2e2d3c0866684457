package plugin

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// completerName is the program that kubectl looks for on the PATH to complete `kubectl tokenproc …`.
const completerName = "kubectl_complete-tokenproc"

// argumentsOf are the arguments of a command line; those of a completion where it was called as kubectl's completer.
func argumentsOf(line []string) []string {
	if strings.TrimSuffix(filepath.Base(line[0]), ".exe") == completerName {
		return append([]string{cobra.ShellCompRequestCmd}, line[1:]...)
	}
	return line[1:]
}

func newCompletionCommand(s *session) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Set up shell completion of procedures, officers and catalogue names",
		Long: `kubectl completes "kubectl tokenproc" itself, if it finds this program under the name ` + completerName + `
on the PATH: make a link, and set up kubectl's own completion (kubectl completion --help).

The script that this command prints is for calling kubectl-tokenproc directly.`,
		Example: `  # for kubectl tokenproc
  ln -s "$(command -v kubectl-tokenproc)" "$(dirname "$(command -v kubectl-tokenproc)")/` + completerName + `"

  # for kubectl-tokenproc
  source <(kubectl-tokenproc completion bash)`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: shells,
		RunE: func(command *cobra.Command, shell []string) error {
			root := command.Root()
			switch shell[0] {
			case "bash":
				return root.GenBashCompletionV2(s.Out, true)
			case "zsh":
				return root.GenZshCompletion(s.Out)
			case "fish":
				return root.GenFishCompletion(s.Out, true)
			default:
				return root.GenPowerShellCompletionWithDesc(s.Out)
			}
		},
	}
}

// completeProcedures completes the names of TokenProcedures in the namespace.
func (s *session) completeProcedures(command *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	namespace, err := s.namespace()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var list v1alpha1.TokenProcedureList
	if err := s.list(command.Context(), &list, namespace, "TokenProcedures"); err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names := make([]string, len(list.Items))
	for i, item := range list.Items {
		names[i] = item.Name + "\t" + string(item.Spec.Procedure.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeCMHosts completes the names of CMHosts in the namespace.
func (s *session) completeCMHosts(command *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	namespace, err := s.namespace()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var list v1alpha1.CMHostList
	if err := s.list(command.Context(), &list, namespace, "CMHosts"); err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names := make([]string, len(list.Items))
	for i, item := range list.Items {
		names[i] = item.Name + "\t" + item.Spec.Audience
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeOfficers completes the ids of the officers that the CM host lists; where it cannot be asked, files.
func (s *session) completeOfficers(hosts *hostFlags) cobra.CompletionFunc {
	return func(command *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		opened, err := hosts.connect(command.Context(), s)
		if err != nil {
			return nil, cobra.ShellCompDirectiveDefault
		}
		officers, err := opened.officers(command.Context())
		if err != nil {
			return nil, cobra.ShellCompDirectiveDefault
		}
		names := make([]string, len(officers))
		for i, officer := range officers {
			names[i] = officer.ID + "\t" + officer.Subject
		}
		return names, cobra.ShellCompDirectiveDefault
	}
}

// completeHostProcedures completes the names of procedures on the CM host.
func (s *session) completeHostProcedures(hosts *hostFlags) cobra.CompletionFunc {
	return func(command *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		opened, err := hosts.connect(command.Context(), s)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		procedures, err := opened.procedures(command.Context(), func(int) {})
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		names := make([]string, len(procedures))
		for i, procedure := range procedures {
			names[i] = procedure.Name + "\t" + procedure.State
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

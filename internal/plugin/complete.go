package plugin

import (
	"github.com/spf13/cobra"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// completeProcedures completes the names of TokenProcedures in the namespace.
func (s *session) completeProcedures(command *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	namespace, err := s.namespace()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var list v1alpha1.TokenProcedureList
	if err := s.list(command.Context(), &list, namespace); err != nil {
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
	if err := s.list(command.Context(), &list, namespace); err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names := make([]string, len(list.Items))
	for i, item := range list.Items {
		names[i] = item.Name + "\t" + item.Spec.Audience
	}
	return names, cobra.ShellCompDirectiveNoFileComp
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

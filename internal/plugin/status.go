package plugin

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

type statusOptions struct {
	hosts         hostFlags
	output        outputFlags
	allNamespaces bool
	watch         bool
}

func newStatusCommand(s *session) *cobra.Command {
	var o statusOptions
	command := &cobra.Command{
		Use:   "status [NAME...]",
		Short: "Show what procedures wait for",
		Long: `Show the gates that each procedure has passed, who has signed, who could, and what is next: a table for many, a tree
for one.

Who could sign is known where the CM host can be asked: through the CMHost in the cluster, if you may read its Secret, or
with --host.`,
		Example: `  kubectl tokenproc status -n pki
  kubectl tokenproc status employee-card -n pki
  kubectl tokenproc status -A -o json`,
		ValidArgsFunction: s.completeProcedures,
		RunE: func(command *cobra.Command, names []string) error {
			if o.allNamespaces && len(names) > 0 {
				return usagef("a name belongs to one namespace: leave -A out, or the names")
			}
			if o.watch {
				return o.follow(command.Context(), s, names)
			}
			return o.show(command.Context(), s, names)
		},
	}
	o.hosts.add(command)
	o.output.add(command)
	command.Flags().BoolVarP(&o.allNamespaces, "all-namespaces", "A", false, "the procedures of all namespaces")
	command.Flags().BoolVarP(&o.watch, "watch", "w", false, "show again whenever something changes")
	return command
}

func (o *statusOptions) show(ctx context.Context, s *session, names []string) error {
	procedures, err := o.find(ctx, s, names)
	if err != nil {
		return err
	}
	list := ProcedureStatusList{Items: make([]ProcedureStatus, len(procedures))}
	for i := range procedures {
		list.Items[i] = statusOf(&procedures[i])
	}
	if len(names) == 1 || o.output.structured() {
		o.addOfficers(ctx, s, procedures, list.Items)
	}
	if len(names) == 1 {
		readAhead(ctx, s, procedures[0].Namespace).show(&list.Items[0], procedures[0].Spec.DeletionPolicy)
	}
	return o.output.print(s, &list, func() {
		switch {
		case len(names) == 1:
			s.sayTree(&list.Items[0])
		case len(list.Items) == 0:
			s.noProcedures(o.allNamespaces)
		default:
			s.sayTable(list.Items, o.allNamespaces)
		}
	})
}

// noProcedures says where nothing was found, and what to do.
func (s *session) noProcedures(everywhere bool) {
	namespace, err := s.namespace()
	if err != nil || everywhere {
		s.note("no token procedures in any namespace: `kubectl tokenproc new` makes a manifest, kubectl apply -f puts it here\n")
		return
	}
	s.note("no token procedures in namespace %s: -A looks into all namespaces; `kubectl tokenproc new` makes a manifest\n", namespace)
}

func (o *statusOptions) find(ctx context.Context, s *session, names []string) ([]v1alpha1.TokenProcedure, error) {
	namespace, err := s.namespace()
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		if o.allNamespaces {
			namespace = ""
		}
		var list v1alpha1.TokenProcedureList
		err := s.list(ctx, &list, namespace, "TokenProcedures")
		return list.Items, err
	}
	procedures := make([]v1alpha1.TokenProcedure, len(names))
	for i, name := range names {
		if err := s.get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &procedures[i], "TokenProcedure"); err != nil {
			return nil, err
		}
	}
	return procedures, nil
}

// follow shows the procedures, and again each one that changes, until interrupted.
func (o *statusOptions) follow(ctx context.Context, s *session, names []string) error {
	namespace, err := s.namespace()
	if err != nil {
		return err
	}
	if o.allNamespaces {
		namespace = ""
	}
	cluster, err := s.client()
	if err != nil {
		return err
	}
	watcher, err := cluster.Watch(ctx, &v1alpha1.TokenProcedureList{}, client.InNamespace(namespace))
	if err != nil {
		return explain(err, "watching TokenProcedures"+inNamespace(namespace))
	}
	defer watcher.Stop()
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, open := <-watcher.ResultChan():
			if !open {
				return fmt.Errorf("the API server ended the watch: start it again")
			}
			if err := o.showEvent(s, event, wanted); err != nil {
				return err
			}
		}
	}
}

func (o *statusOptions) showEvent(s *session, event watch.Event, wanted map[string]bool) error {
	procedure, isProcedure := event.Object.(*v1alpha1.TokenProcedure)
	if !isProcedure || len(wanted) > 0 && !wanted[procedure.Name] {
		return nil
	}
	if event.Type == watch.Deleted {
		s.note("%s/%s is gone\n", procedure.Namespace, procedure.Name)
		return nil
	}
	status := statusOf(procedure)
	list := ProcedureStatusList{Items: []ProcedureStatus{status}}
	return o.output.print(s, &list, func() {
		if len(wanted) == 1 {
			s.sayTree(&status)
			s.say("\n")
			return
		}
		s.say("%s/%s  %s  %s: %s\n", status.Namespace, status.Name, status.signedCount(), status.ready().Reason, status.Next)
	})
}

// addOfficers adds who could still sign, where the host can be asked.
func (o *statusOptions) addOfficers(ctx context.Context, s *session, procedures []v1alpha1.TokenProcedure, statuses []ProcedureStatus) {
	hosts := map[client.ObjectKey]*officers{}
	for i := range procedures {
		if statuses[i].Request == nil {
			continue
		}
		key := client.ObjectKey{Namespace: procedures[i].Namespace, Name: procedures[i].Spec.CMHostRef.Name}
		if hosts[key] == nil {
			hosts[key] = o.askOfficers(ctx, s, key)
		}
		statuses[i].CouldSign, statuses[i].CouldSignUnknown = hosts[key].whoCould(&statuses[i], string(procedures[i].Spec.Procedure.Domain))
	}
}

func (o *statusOptions) askOfficers(ctx context.Context, s *session, key client.ObjectKey) *officers {
	var cmHost v1alpha1.CMHost
	if !o.hosts.given() {
		if err := s.get(ctx, key, &cmHost, "CMHost"); err != nil {
			return &officers{problem: firstLine(err)}
		}
	}
	opened, err := o.hosts.open(ctx, s, &cmHost)
	if err != nil {
		return &officers{problem: firstLine(err)}
	}
	return readOfficers(ctx, opened)
}

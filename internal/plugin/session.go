package plugin

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/plugin/terminal"
)

// session is one run of the plugin: its streams, and the cluster that kubectl's flags point to.
type session struct {
	genericiooptions.IOStreams
	flags   *genericclioptions.ConfigFlags
	cluster client.WithWatch
}

// clusterTimeout bounds one call to the API server where the user set no --request-timeout.
const clusterTimeout = 30 * time.Second

// client connects to the cluster at first use.
func (s *session) client() (client.WithWatch, error) {
	if s.cluster != nil {
		return s.cluster, nil
	}
	config, err := s.flags.ToRESTConfig()
	if err != nil {
		return nil, usagef("no cluster to talk to: %w; set --kubeconfig or --context, or work offline with -f FILE", err)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	s.cluster, err = client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("the cluster cannot be reached: %w", err)
	}
	return s.cluster, nil
}

// namespace is the one that kubectl would use.
func (s *session) namespace() (string, error) {
	namespace, _, err := s.flags.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return "", usagef("no namespace: %w", err)
	}
	return namespace, nil
}

// procedureKind is how the API machinery calls a TokenProcedure.
var procedureKind = v1alpha1.GroupVersion.WithKind("TokenProcedure")

// getProcedure reads a TokenProcedure as it is on the server, fields that this program does not know included.
func (s *session) getProcedure(ctx context.Context, key client.ObjectKey) (map[string]any, error) {
	cluster, err := s.client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	var object unstructured.Unstructured
	object.SetGroupVersionKind(procedureKind)
	if err := cluster.Get(ctx, key, &object); err != nil {
		return nil, explain(err, fmt.Sprintf("TokenProcedure %s", key))
	}
	return object.Object, nil
}

// get reads an object of the cluster; name is what to call it in an error.
func (s *session) get(ctx context.Context, key client.ObjectKey, object client.Object, name string) error {
	cluster, err := s.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	return explain(cluster.Get(ctx, key, object), fmt.Sprintf("%s %s", name, key))
}

// list reads all objects of a kind, page by page.
func (s *session) list(ctx context.Context, list client.ObjectList, namespace string) error {
	cluster, err := s.client()
	if err != nil {
		return err
	}
	var all []runtime.Object
	for next := ""; ; {
		pageContext, cancel := context.WithTimeout(ctx, clusterTimeout)
		err := cluster.List(pageContext, list, client.InNamespace(namespace), client.Limit(500), client.Continue(next))
		cancel()
		if err != nil {
			return explain(err, "the list")
		}
		page, err := meta.ExtractList(list)
		if err != nil {
			return err
		}
		all = append(all, page...)
		if next = list.GetContinue(); next == "" {
			return meta.SetList(list, all)
		}
	}
}

// explain says what to do about an error of the API server.
func explain(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%s was not found: check the name and -n NAMESPACE: %w", what, err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s: the cluster does not let you: %w", what, err)
	case meta.IsNoMatchError(err):
		return fmt.Errorf("the cluster does not know token procedures: install the operator's custom resource definitions, or check --context: %w", err)
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}

// say writes a line for people, with every argument cleaned, to the standard output.
func (s *session) say(format string, arguments ...any) { terminal.Printf(s.Out, format, arguments...) }

// note writes a line for people, with every argument cleaned, to the standard error.
func (s *session) note(format string, arguments ...any) {
	terminal.Printf(s.ErrOut, format, arguments...)
}

// confirm asks the person at the terminal.
func (s *session) confirm(question string) (bool, error) {
	prompter, err := terminal.NewPrompter(s.In, s.ErrOut)
	if errors.Is(err, terminal.ErrNoTerminal) {
		return false, usagef("there is no terminal to confirm on: look at the request above, then repeat with --yes")
	}
	if err != nil {
		return false, err
	}
	defer prompter.Close() //nolint:errcheck // nothing was written
	return prompter.Confirm(terminal.Clean(question))
}

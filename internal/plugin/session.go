package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
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
		return nil, kubeconfigProblem(err)
	}
	if err := s.mustBeConfigured(config); err != nil {
		return nil, err
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
		return "", kubeconfigProblem(err)
	}
	return namespace, nil
}

// mustBeConfigured refuses the address that client-go makes up where nothing says which cluster: nobody is there.
func (s *session) mustBeConfigured(config *rest.Config) error {
	raw, err := s.flags.ToRawKubeConfigLoader().RawConfig()
	if err != nil || len(raw.Clusters) > 0 || *s.flags.APIServer != "" || config.Host != "http://localhost:8080" {
		return nil //nolint:nilerr // what cannot be read is reported where it is used
	}
	files := s.flags.ToRawKubeConfigLoader().ConfigAccess().GetLoadingPrecedence()
	return usagef("no kubeconfig was found (looked for %s): set KUBECONFIG or --kubeconfig, or work offline with -f FILE", strings.Join(files, ", "))
}

func kubeconfigProblem(err error) error {
	return usagef("the kubeconfig does not say which cluster: %w; check --kubeconfig and --context, or work offline with -f FILE", err)
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

// list reads all objects of a kind in a namespace, or in all where it is empty, page by page; kind is what to call them.
func (s *session) list(ctx context.Context, list client.ObjectList, namespace, kind string) error {
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
			return explain(err, "listing "+kind+inNamespace(namespace))
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

// inNamespace says where, for people.
func inNamespace(namespace string) string {
	if namespace == "" {
		return " in all namespaces"
	}
	return " in namespace " + namespace
}

// explained is an error in words that say what to do, with the original for programs.
type explained struct {
	words string
	cause error
}

func (e *explained) Error() string { return e.words }
func (e *explained) Unwrap() error { return e.cause }

// explain says what to do about an error of the API server; what is the object, or what was done.
func explain(err error, what string) error {
	var unreachable *url.Error
	words := ""
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		words = what + " was not found: check the name and -n NAMESPACE"
	case apierrors.IsForbidden(err):
		_, reason, _ := strings.Cut(err.Error(), "is forbidden: ")
		words = fmt.Sprintf("%s: the cluster does not let you: %s", what, cmp.Or(reason, err.Error()))
	case apierrors.IsUnauthorized(err):
		words = fmt.Sprintf("the cluster does not know you: log in again, or check --kubeconfig, --context and --token (%v)", err)
	case meta.IsNoMatchError(err):
		words = "the cluster does not know token procedures: install the operator's custom resource definitions, or check --context"
	case errors.As(err, &unreachable):
		words = fmt.Sprintf("the cluster cannot be reached: check --kubeconfig and --context, or work offline with -f FILE (%v)", unreachable)
	default:
		words = fmt.Sprintf("%s: %v", what, err)
	}
	return &explained{words, err}
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

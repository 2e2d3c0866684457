package plugin

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// hostFlags say how to reach a CM host without the cluster. Without them its address and credentials come from the
// CMHost in the cluster.
type hostFlags struct {
	url, ca, certificate, key string
	cmHost                    string
}

func (f *hostFlags) add(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.url, "host", "", "URL of the CM host to ask directly, for example https://cm.example.com:8443; without it the CMHost in the cluster says how to reach it")
	flags.StringVar(&f.ca, "host-ca", "", "PEM file with the CA of the CM host's certificate, for --host")
	flags.StringVar(&f.certificate, "host-cert", "", "PEM file with the client certificate to show to the CM host, for --host")
	flags.StringVar(&f.key, "host-key", "", "PEM file with the client certificate's key, for --host")
	for _, name := range []string{"host-ca", "host-cert", "host-key"} {
		cobra.CheckErr(command.MarkFlagFilename(name))
	}
}

// addNamed is add for a command whose host is not that of a procedure in the cluster.
func (f *hostFlags) addNamed(command *cobra.Command, s *session) {
	f.add(command)
	command.Flags().StringVar(&f.cmHost, "cmhost", "", "name of the CMHost in the cluster; not needed where the namespace has only one")
	cobra.CheckErr(command.RegisterFlagCompletionFunc("cmhost", s.completeCMHosts))
}

// connect connects to the host that the flags name, else to the CMHost in the namespace.
func (f *hostFlags) connect(ctx context.Context, s *session) (*host, error) {
	if f.given() {
		return f.openURL()
	}
	cmHost, err := f.findCMHost(ctx, s)
	if err != nil {
		return nil, err
	}
	return f.open(ctx, s, cmHost)
}

func (f *hostFlags) findCMHost(ctx context.Context, s *session) (*v1alpha1.CMHost, error) {
	namespace, err := s.namespace()
	if err != nil {
		return nil, err
	}
	if f.cmHost != "" {
		named := new(v1alpha1.CMHost)
		return named, s.get(ctx, client.ObjectKey{Namespace: namespace, Name: f.cmHost}, named, "CMHost")
	}
	var list v1alpha1.CMHostList
	if err := s.list(ctx, &list, namespace, "CMHosts"); err != nil {
		return nil, err
	}
	switch len(list.Items) {
	case 1:
	case 0:
		return nil, usagef("there is no CMHost in namespace %s: name another with -n (kubectl get cmhosts -A lists them), or the host itself with --host URL", namespace)
	default:
		return nil, usagef("there are %d CMHosts in namespace %s: say which with --cmhost NAME, or name the host itself with --host URL", len(list.Items), namespace)
	}
	f.cmHost = list.Items[0].Name
	return &list.Items[0], nil
}

// given tells whether the user named a host.
func (f *hostFlags) given() bool { return f.url != "" }

const (
	hostTimeout     = 30 * time.Second
	maxAnswerBytes  = 4 << 20
	maxPages        = 1000
	proceduresALook = 500
)

// host is a CM host, asked directly.
type host struct {
	api *cmhostv1.Client
	url string
}

// open connects to the host that the flags name, else to that of the CMHost.
func (f *hostFlags) open(ctx context.Context, s *session, cmHost *v1alpha1.CMHost) (*host, error) {
	if f.given() {
		return f.openURL()
	}
	if f.ca != "" || f.certificate != "" || f.key != "" {
		return nil, usagef("--host-ca, --host-cert and --host-key belong to --host URL, which is missing")
	}
	if cmHost == nil || cmHost.UID == "" {
		return nil, usagef("no CM host to ask: name it with --host URL --host-ca FILE --host-cert FILE --host-key FILE")
	}
	var secret corev1.Secret
	key := client.ObjectKey{Namespace: cmHost.Namespace, Name: cmHost.Spec.TLSSecretRef.Name}
	if err := s.get(ctx, key, &secret, "Secret"); err != nil {
		return nil, fmt.Errorf("how to reach the CM host %s is not known: %w; or name it with --host URL --host-ca FILE --host-cert FILE --host-key FILE", cmHost.Name, err)
	}
	pair, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return nil, fmt.Errorf("the Secret %s has no usable tls.crt and tls.key: %w", key, err)
	}
	return newHost(cmHost.Spec.URL, secret.Data[corev1.ServiceAccountRootCAKey], pair)
}

// openFor connects to the host that the flags name, else to that of a procedure's CMHost in the cluster; for a procedure
// of a file that is the one that its cmHostRef names.
func (f *hostFlags) openFor(ctx context.Context, s *session, from *source) (*host, error) {
	if f.given() || from.manifest == nil {
		return f.open(ctx, s, from.cmHost)
	}
	key, err := s.keyOf(*from.manifest)
	if err != nil {
		return nil, err
	}
	var cmHost v1alpha1.CMHost
	key.Name = from.procedure.Spec.CMHostRef.Name
	if err := s.get(ctx, key, &cmHost, "CMHost"); err != nil {
		return nil, err
	}
	return f.open(ctx, s, &cmHost)
}

func (f *hostFlags) openURL() (*host, error) {
	if f.ca == "" || f.certificate == "" || f.key == "" {
		return nil, usagef("--host needs --host-ca, --host-cert and --host-key as well")
	}
	ca, err := os.ReadFile(f.ca)
	if err != nil {
		return nil, usagef("--host-ca: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(f.certificate, f.key)
	if err != nil {
		return nil, usagef("--host-cert and --host-key: %w", err)
	}
	return newHost(f.url, ca, pair)
}

// newHost connects with TLS 1.3 and nothing else: no proxy from the environment, no redirects.
func newHost(url string, ca []byte, pair tls.Certificate) (*host, error) {
	if !strings.HasPrefix(url, "https://") {
		return nil, usagef("the CM host's URL %q: expected https://HOST:PORT", url)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("the CM host's CA (ca.crt) has no certificate in PEM")
	}
	caller := &http.Client{
		Timeout:       hostTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: []tls.Certificate{pair}},
			ForceAttemptHTTP2: true,
		},
	}
	api, err := cmhostv1.NewClient(url, cmhostv1.WithHTTPClient(caller))
	if err != nil {
		return nil, usagef("the CM host's URL %q: %w", url, err)
	}
	return &host{api: api, url: url}, nil
}

// problemError is a refusal of the host.
type problemError struct {
	status  int
	problem cmhostv1.Problem
}

func (e *problemError) Error() string {
	lines := []string{fmt.Sprintf("the CM host refused (%d %s): %s", e.status, cmp.Or(e.problem.Reason, e.problem.Title), cmp.Or(e.problem.Detail, e.problem.Title, "no reason was given"))}
	for _, field := range e.problem.Errors {
		lines = append(lines, fmt.Sprintf("  %s: %s", field.Pointer, field.Detail))
	}
	return strings.Join(lines, "\n")
}

// hasStatus tells whether the host refused with this HTTP status.
func hasStatus(err error, status int) bool {
	var problem *problemError
	return errors.As(err, &problem) && problem.status == status
}

// answer reads an answer of the host into T.
func answer[T any](response *http.Response, err error) (*T, error) {
	if err != nil {
		return nil, fmt.Errorf("the CM host cannot be reached: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // read to its end or given up
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the CM host's answer broke off: %w", err)
	case len(body) > maxAnswerBytes:
		return nil, fmt.Errorf("the CM host's answer is larger than %d MiB", maxAnswerBytes>>20)
	case response.StatusCode != http.StatusOK && response.StatusCode != http.StatusCreated:
		refusal := &problemError{status: response.StatusCode}
		if err := json.Unmarshal(body, &refusal.problem); err != nil {
			refusal.problem = cmhostv1.Problem{Title: http.StatusText(response.StatusCode)}
		}
		return nil, refusal
	}
	result := new(T)
	if err := json.Unmarshal(body, result); err != nil {
		return nil, fmt.Errorf("the CM host's answer is not what its interface promises: %w", err)
	}
	return result, nil
}

func (h *host) about(ctx context.Context) (*cmhostv1.Host, error) {
	return answer[cmhostv1.Host](h.api.GetHost(ctx))
}

func (h *host) catalog(ctx context.Context) (*rules.Catalog, error) {
	return answer[rules.Catalog](h.api.GetCatalog(ctx, nil))
}

func (h *host) officers(ctx context.Context) ([]signing.Officer, error) {
	list, err := answer[cmhostv1.OfficerList](h.api.ListOfficers(ctx, nil))
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// procedure is the host's copy; nil where it has none of that name.
func (h *host) procedure(ctx context.Context, name string) (*cmhostv1.TokenProcedure, error) {
	found, err := answer[cmhostv1.TokenProcedure](h.api.GetTokenProcedure(ctx, name))
	if hasStatus(err, http.StatusNotFound) {
		return nil, nil
	}
	return found, err
}

// procedures lists all procedures of the host. progress is told how many there are so far.
func (h *host) procedures(ctx context.Context, progress func(int)) ([]cmhostv1.TokenProcedureSummary, error) {
	var all []cmhostv1.TokenProcedureSummary
	limit := proceduresALook
	parameters := cmhostv1.ListTokenProceduresParams{Limit: &limit}
	for range maxPages {
		page, err := answer[cmhostv1.TokenProcedureList](h.api.ListTokenProcedures(ctx, &parameters))
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		progress(len(all))
		if page.Next == "" {
			return all, nil
		}
		parameters.After = &page.Next
	}
	return nil, fmt.Errorf("the CM host's list does not end after %d pages", maxPages)
}

// history is every revision of a procedure with its evidence, oldest first.
func (h *host) history(ctx context.Context, name string) ([]cmhostv1.TokenProcedure, error) {
	var all []cmhostv1.TokenProcedure
	var parameters cmhostv1.GetTokenProcedureHistoryParams
	for range maxPages {
		page, err := answer[cmhostv1.TokenProcedureHistory](h.api.GetTokenProcedureHistory(ctx, name, &parameters))
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if page.Next == 0 {
			return all, nil
		}
		parameters.After = &page.Next
	}
	return nil, fmt.Errorf("the CM host's history of %q does not end after %d pages", name, maxPages)
}

func (h *host) submit(ctx context.Context, name string, submission cmhostv1.Submission) (*cmhostv1.TokenProcedure, error) {
	return answer[cmhostv1.TokenProcedure](h.api.PutTokenProcedure(ctx, name, submission))
}

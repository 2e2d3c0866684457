package install

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	cmv1 "github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// cluster is a control plane, which writes down every request in its audit log.
type cluster struct {
	environment *envtest.Environment
	config      *rest.Config
	admin       client.Client // cluster administrator
	kubeconfig  string
	auditLog    string
}

const auditPolicy = `
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules: [{level: Metadata}]
`

var scheme = runtime.NewScheme()

func init() {
	ctrl.SetLogger(logr.Discard()) // envtest's, which only says that it starts
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(cmv1.AddToScheme(scheme))
}

// startCluster starts a control plane that has nothing of ours.
func startCluster(parent string) (*cluster, error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return nil, errors.New("KUBEBUILDER_ASSETS has to name what hack/controlplane/build.sh prints")
	}
	folder, err := os.MkdirTemp(parent, "cluster-")
	if err != nil {
		return nil, err
	}
	patient := &envtest.Environment{ControlPlaneStartTimeout: 2 * time.Minute, ControlPlaneStopTimeout: time.Minute}
	c := &cluster{environment: patient, kubeconfig: filepath.Join(folder, "kubeconfig"), auditLog: filepath.Join(folder, "audit.log")}
	policy := filepath.Join(folder, "policy.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return nil, err
	}
	c.environment.ControlPlane.GetAPIServer().Configure().Append("audit-policy-file", policy).Append("audit-log-path", c.auditLog)
	if c.config, err = c.environment.Start(); err != nil {
		return nil, err
	}
	c.config.QPS = -1
	if err := os.WriteFile(c.kubeconfig, c.environment.KubeConfig, 0o600); err != nil {
		return nil, err
	}
	c.admin, err = client.New(c.config, client.Options{Scheme: scheme})
	return c, err
}

// newCluster is a control plane of a test's own.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	c, err := startCluster(t.TempDir())
	if err != nil {
		t.Fatalf("starting a control plane: %v", err)
	}
	t.Cleanup(func() {
		if err := c.environment.Stop(); err != nil {
			t.Errorf("stopping the control plane: %v", err)
		}
	})
	return c
}

func (c *cluster) kubectl(arguments ...string) (string, error) {
	command := exec.Command(filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), append([]string{"--kubeconfig", c.kubeconfig}, arguments...)...)
	output, err := command.CombinedOutput()
	if err != nil {
		return string(output), fmt.Errorf("kubectl %s: %w\n%s", strings.Join(arguments, " "), err, output)
	}
	return string(output), nil
}

// must is kubectl with a command that has to succeed.
func (c *cluster) must(t *testing.T, arguments ...string) string {
	t.Helper()
	output, err := c.kubectl(arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return output
}

// as is a client of somebody else than the administrator.
func (c *cluster) as(t *testing.T, user string, groups ...string) client.Client {
	t.Helper()
	impersonating := rest.CopyConfig(c.config)
	impersonating.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
	other, err := client.New(impersonating, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return other
}

func (c *cluster) create(t *testing.T, objects ...client.Object) {
	t.Helper()
	for _, object := range objects {
		if err := c.admin.Create(context.Background(), object); err != nil {
			t.Fatal(err)
		}
	}
}

// audited is a request as the API server writes it down.
type audited struct {
	Verb           string
	User           struct{ Username string }
	ObjectRef      struct{ Resource, Subresource, Namespace, Name string }
	ResponseStatus struct{ Code int }
}

// audit is every request that a user has made, with its own identity.
func (c *cluster) audit(t *testing.T, user string) (requests []audited) {
	t.Helper()
	content, err := os.ReadFile(c.auditLog)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		var request audited
		if err := json.Unmarshal([]byte(line), &request); err != nil {
			continue // the last line may be half written
		}
		if request.User.Username == user {
			requests = append(requests, request)
		}
	}
	return requests
}

package install

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// operator is the manager as its Deployment runs it: the arguments, the service account, nobody's rights on a file system that
// has nothing else; only the ports are free ones on loopback.
type operator struct {
	cluster *cluster
	command *exec.Cmd
	metrics string
	output  safeBuffer
	ended   chan error
}

// safeBuffer is what a process has written so far.
type safeBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (o *operator) log() string {
	o.output.mu.Lock()
	defer o.output.mu.Unlock()
	return o.output.text.String()
}

func (c *cluster) startOperator(t *testing.T) *operator {
	t.Helper()
	deployment := &appsv1.Deployment{}
	if err := c.admin.Get(context.Background(), client.ObjectKey{Namespace: operatorNamespace, Name: "token-procedure-operator-controller-manager"}, deployment); err != nil {
		t.Fatal(err)
	}
	pod := deployment.Spec.Template.Spec
	o := &operator{cluster: c, metrics: freeAddress(t), ended: make(chan error, 1)}
	box := newSandbox(t, "manager")
	box.write("/kubeconfig", c.kubeconfigOf(t, pod.ServiceAccountName))
	arguments := []string{"--kubeconfig=/kubeconfig", "--leader-election-namespace", operatorNamespace,
		"--lease-duration=2m"} // a busy machine may keep it from renewing a shorter one; it is given back at the end
	for _, argument := range pod.Containers[0].Args {
		switch argument {
		case "--metrics-bind-address=:8443":
			argument = "--metrics-bind-address=" + o.metrics
		case "--health-probe-bind-address=:8081":
			argument = "--health-probe-bind-address=" + freeAddress(t)
		}
		arguments = append(arguments, argument)
	}
	o.command = box.command(pod.Containers[0].Command, arguments)
	o.command.Stderr = &o.output
	if err := o.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { o.ended <- o.command.Wait() }()
	t.Cleanup(func() {
		o.stop(t)
		if t.Failed() {
			t.Log("the operator's log:\n" + o.log())
		}
	})
	return o
}

// stop ends the operator as the kubelet does. It can be called again.
func (o *operator) stop(t *testing.T) {
	t.Helper()
	if o.command == nil {
		return
	}
	if err := o.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	o.command = nil
	select {
	case err := <-o.ended:
		if err != nil {
			t.Errorf("expected the operator to end well, found %v\n%s", err, o.log())
		}
	case <-time.After(45 * time.Second): // terminationGracePeriodSeconds
		t.Error("expected the operator to end within the time that its Deployment gives it")
	}
}

// kubeconfigOf is that of a service account in the operator's namespace.
func (c *cluster) kubeconfigOf(t *testing.T, account string) []byte {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["x"] = &clientcmdapi.Cluster{Server: c.config.Host, CertificateAuthorityData: c.config.CAData}
	config.AuthInfos["x"] = &clientcmdapi.AuthInfo{Token: c.token(t, account)}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "x", AuthInfo: "x"}
	config.CurrentContext = "x"
	content, err := clientcmd.Write(*config)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func (c *cluster) token(t *testing.T, account string) string {
	t.Helper()
	named := &corev1.ServiceAccount{}
	named.Namespace, named.Name = operatorNamespace, account
	request := &authenticationv1.TokenRequest{}
	if err := c.admin.SubResource("token").Create(context.Background(), named, request); err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

// checkMetrics reads the metrics as Prometheus does, and as somebody who may not.
func (o *operator) checkMetrics(w *world) {
	w.t.Helper()
	w.cluster.must(w.t, "create", "serviceaccount", "prometheus", "-n", operatorNamespace)
	w.cluster.must(w.t, "create", "serviceaccount", "nobody", "-n", operatorNamespace)
	w.cluster.must(w.t, "create", "clusterrolebinding", "prometheus", "--clusterrole=token-procedure-operator-metrics-reader",
		"--serviceaccount="+operatorNamespace+":prometheus")
	w.Eventually(o.scrape(w.t, w.cluster.token(w.t, "prometheus"))).Should(Equal(http.StatusOK))
	w.Expect(o.scrape(w.t, w.cluster.token(w.t, "nobody"))()).To(Equal(http.StatusForbidden))
	w.Expect(o.scrape(w.t, "")()).To(Equal(http.StatusUnauthorized))
}

// scrape asks for the metrics and returns the HTTP status.
func (o *operator) scrape(t *testing.T, token string) func() (int, error) {
	c := &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, // the certificate is the process's own
	}
	t.Cleanup(c.CloseIdleConnections)
	return func() (int, error) {
		request, err := http.NewRequest(http.MethodGet, "https://"+o.metrics+"/metrics", nil)
		if err != nil {
			return 0, err
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := c.Do(request)
		if err != nil {
			return 0, fmt.Errorf("reading the metrics: %w", err)
		}
		return response.StatusCode, response.Body.Close()
	}
}

// freeAddress is an address on loopback that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

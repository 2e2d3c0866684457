package install

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const evaluation = "cmhost-evaluation"

// The page on the reference host is followed, and what it installs is run: the programs of its pod with their arguments, on
// files that its volumes have. It is nowhere in config/default.
func TestEvaluationHost(t *testing.T) {
	t.Parallel()
	g, ctx, c := NewWithT(t), context.Background(), newCluster(t)
	d := newDesk(t, c)
	for _, part := range sections(t, "evaluation.md")[0].parts {
		d.sh(part.script)
	}
	deployment := &appsv1.Deployment{}
	g.Expect(c.admin.Get(ctx, client.ObjectKey{Namespace: evaluation, Name: "cmhost"}, deployment)).To(Succeed())
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "trial", Namespace: evaluation}, Spec: *deployment.Spec.Template.Spec.DeepCopy()}
	g.Expect(c.admin.Create(ctx, pod, client.DryRunAll)).To(Succeed(), "the namespace enforces the Pod Security Standard restricted")

	box := newSandbox(t, "cmhost")
	c.mount(t, box, pod)
	address := freeAddress(t)
	run := func(container corev1.Container) *exec.Cmd {
		arguments := slices.Clone(container.Args)
		for i, argument := range arguments {
			switch argument {
			case "--listen=:8443":
				arguments[i] = "--listen=" + address
			case "--metrics-listen=:9090":
				arguments[i] = "--metrics-listen=" + freeAddress(t)
			}
		}
		return box.command(container.Command, arguments)
	}
	output, err := run(pod.Spec.InitContainers[0]).CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred(), string(output))
	serve := run(pod.Spec.Containers[0])
	serve.Stderr = &strings.Builder{}
	g.Expect(serve.Start()).To(Succeed())
	defer func() {
		g.Expect(serve.Process.Signal(syscall.SIGTERM)).To(Succeed())
		g.Expect(serve.Wait()).To(Succeed())
	}()

	// As the operator would, with the Secret that the page made for it and the URL that the CMHost has.
	operator := &corev1.Secret{}
	g.Expect(c.admin.Get(ctx, client.ObjectKey{Namespace: "pki", Name: "cm-client"}, operator)).To(Succeed())
	url := c.must(t, "get", "cmhost", "evaluation", "-n", "pki", "-o", "jsonpath={.spec.url}")
	g.Eventually(func() (string, error) { return audienceAt(url, address, operator) }).WithTimeout(soon).Should(Equal("cm.evaluation"))
}

func TestDefaultHasNoHost(t *testing.T) {
	for _, object := range render(t, "../../config/default") {
		if content := canonical(t, object); strings.Contains(content, "/cmhost\"") || object.GetNamespace() == evaluation {
			t.Errorf("expected no reference CM host in config/default, found %s %s", object.GetKind(), object.GetName())
		}
	}
}

// mount makes the volumes of a pod.
func (c *cluster) mount(t *testing.T, box *sandbox, pod *corev1.Pod) {
	t.Helper()
	paths := map[string]string{}
	for _, mount := range pod.Spec.Containers[0].VolumeMounts {
		paths[mount.Name] = mount.MountPath
	}
	get := func(name string, into client.Object) {
		t.Helper()
		if err := c.admin.Get(context.Background(), client.ObjectKey{Namespace: pod.Namespace, Name: name}, into); err != nil {
			t.Fatal(err)
		}
	}
	for _, volume := range pod.Spec.Volumes {
		path := paths[volume.Name]
		switch {
		case volume.ConfigMap != nil:
			found := &corev1.ConfigMap{}
			get(volume.ConfigMap.Name, found)
			for name, content := range found.Data {
				box.write(filepath.Join(path, name), []byte(content))
			}
		case volume.Secret != nil:
			found := &corev1.Secret{}
			get(volume.Secret.SecretName, found)
			for name, content := range found.Data {
				box.write(filepath.Join(path, name), content)
			}
		default:
			box.volume(path)
		}
	}
}

// audienceAt asks a host at an address, under the name that its URL has, what it calls itself.
func audienceAt(url, address string, secret *corev1.Secret) (string, error) {
	pair, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return "", err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(secret.Data["ca.crt"]) {
		return "", errors.New("ca.crt of the Secret has no certificate")
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: []tls.Certificate{pair}},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport, Timeout: 5 * time.Second}).Get(url + "/v1/host")
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("expected 200 OK, found %s", response.Status)
	}
	var host struct{ Audience string }
	err = json.NewDecoder(response.Body).Decode(&host)
	return host.Audience, err
}

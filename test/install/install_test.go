// Package install applies what is shipped in config/ to a real API server and tries out what it allows and refuses.
package install

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	cmv1 "github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

const (
	operatorNamespace = "token-procedure-operator-system"
	operatorAccount   = "token-procedure-operator-controller-manager"
)

var (
	config  *rest.Config
	admin   client.Client // cluster administrator
	kubectl func(arguments ...string) (string, error)
)

func TestMain(m *testing.M) {
	code, err := withControlPlane(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting a control plane, for which KUBEBUILDER_ASSETS has to name what hack/controlplane/build.sh prints:", err)
		code = 1
	}
	os.Exit(code)
}

func withControlPlane(run func() int) (code int, err error) {
	environment := &envtest.Environment{}
	if config, err = environment.Start(); err != nil {
		return 0, err
	}
	defer func() {
		if stopped := environment.Stop(); err == nil {
			err = stopped
		}
	}()
	if err := cmv1.AddToScheme(clientgoscheme.Scheme); err != nil {
		return 0, err
	}
	if admin, err = client.New(config, client.Options{Scheme: clientgoscheme.Scheme}); err != nil {
		return 0, err
	}
	directory, err := os.MkdirTemp("", "install-")
	if err != nil {
		return 0, err
	}
	defer func() {
		if removed := os.RemoveAll(directory); err == nil {
			err = removed
		}
	}()
	kubeconfig := filepath.Join(directory, "kubeconfig")
	if err := os.WriteFile(kubeconfig, environment.KubeConfig, 0o600); err != nil {
		return 0, err
	}
	kubectl = func(arguments ...string) (string, error) {
		command := exec.Command(filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), append([]string{"--kubeconfig", kubeconfig}, arguments...)...)
		output, err := command.CombinedOutput()
		if err != nil {
			return string(output), fmt.Errorf("kubectl %s: %w\n%s", strings.Join(arguments, " "), err, output)
		}
		return string(output), nil
	}
	// As a user would, with the server's validation of every field.
	if _, err := kubectl("apply", "--server-side", "--validate=strict", "-k", "../../config/default"); err != nil {
		return 0, err
	}
	return run(), nil
}

// as is a client of somebody else than the administrator.
func as(t *testing.T, user string, groups ...string) client.Client {
	t.Helper()
	impersonating := rest.CopyConfig(config)
	impersonating.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
	c, err := client.New(impersonating, client.Options{Scheme: clientgoscheme.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func create(t *testing.T, object client.Object) {
	t.Helper()
	if err := admin.Create(context.Background(), object); err != nil {
		t.Fatal(err)
	}
}

func render(t *testing.T, directory string) []*unstructured.Unstructured {
	t.Helper()
	rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), directory)
	if err != nil {
		t.Fatalf("rendering %s: %v", directory, err)
	}
	var objects []*unstructured.Unstructured
	for _, resource := range rendered.Resources() {
		content, err := resource.Map()
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, &unstructured.Unstructured{Object: content})
	}
	return objects
}

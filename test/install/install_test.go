// Package install applies what is shipped in config/ and charts/ to a real API server, runs the operator with exactly the
// permissions that are shipped, and tries out what it all allows and refuses.
package install

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const (
	operatorNamespace = "token-procedure-operator-system"
	operatorAccount   = "token-procedure-operator-controller-manager"
)

var (
	// shared has config/default installed, for tests that change nothing but their own namespace.
	shared *cluster
	// programs is where the operator and the reference CM host were built.
	programs string
)

func TestMain(m *testing.M) {
	code, err := prepared(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, "preparing the tests:", err)
		code = 1
	}
	os.Exit(code)
}

func prepared(run func() int) (code int, err error) {
	if programs, err = os.MkdirTemp("", "install-"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(programs) //nolint:errcheck // a temporary folder
	// Static, as those that are released, but of what the tests compile anyway; hack/release.sh has the flags of the released ones.
	build := exec.Command("go", "build", "-ldflags", "-linkmode external -extldflags -static", "-o", programs, "./cmd/manager", "./cmd/cmhost")
	build.Dir = "../.."
	if output, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("building the programs: %w\n%s", err, output)
	}
	if shared, err = startCluster(programs); err != nil {
		return 0, err
	}
	defer func() {
		if stopped := shared.environment.Stop(); err == nil {
			err = stopped
		}
	}()
	// As a user would, with the server's validation of every field.
	if _, err := shared.kubectl("apply", "--server-side", "--validate=strict", "-k", "../../config/default"); err != nil {
		return 0, err
	}
	return run(), nil
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

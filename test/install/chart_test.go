package install

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// The chart in the namespace of config/default is config/default with its own values, and config/namespaced with two.
func TestChartRendersTheSameObjects(t *testing.T) {
	for directory, values := range map[string][]string{
		"../../config/default":    nil,
		"../../config/namespaced": {"--set", "namespaces={pki},secretNames={cm-client}"},
	} {
		t.Run(directory, func(t *testing.T) {
			want := byName(render(t, directory))
			delete(want, "Namespace/"+operatorNamespace) // helm --create-namespace makes it
			compare(t, directory, want, "the chart", byName(helm(t, append([]string{"--namespace", operatorNamespace}, values...)...)))
		})
	}
}

// The kustomize that kubectl 1.32 has renders everything as the newest does.
func TestOlderKustomizeRendersTheSameObjects(t *testing.T) {
	for _, name := range []string{"default", "namespaced", "cmhost", "argocd", "prometheus", "samples"} {
		t.Run(name, func(t *testing.T) {
			directory := "../../config/" + name
			output, err := exec.Command("go", "tool", "-modfile=../../hack/kustomize/go.mod", "kustomize", "build", directory).Output()
			if err != nil {
				t.Fatalf("kustomize 5.5 cannot build %s: %v", directory, complaintOf(err))
			}
			compare(t, "kustomize 5.8", byName(render(t, directory)), "kustomize 5.5", byName(objectsIn(t, output)))
		})
	}
}

func complaintOf(err error) string {
	if exit, found := errors.AsType[*exec.ExitError](err); found {
		return string(exit.Stderr)
	}
	return err.Error()
}

// compare expects two sides to have the same objects.
func compare(t *testing.T, one string, want map[string]*unstructured.Unstructured, other string, got map[string]*unstructured.Unstructured) {
	t.Helper()
	if missing := difference(want, got); len(missing) > 0 {
		t.Errorf("only %s has %v", one, missing)
	}
	if extra := difference(got, want); len(extra) > 0 {
		t.Errorf("only %s has %v", other, extra)
	}
	for name, object := range want {
		if a, b := canonical(t, object), canonical(t, got[name]); a != b {
			t.Errorf("%s: %s has\n%s\n%s has\n%s", name, one, a, other, b)
		}
	}
}

func TestChartTakesValues(t *testing.T) {
	objects := helm(t, "--namespace", "elsewhere", "--set", "image=registry.example.com/x:1,replicas=1,extraArgs={--namespaces=pki}")
	deployments := slices.DeleteFunc(objects, func(u *unstructured.Unstructured) bool { return u.GetKind() != "Deployment" })
	if len(deployments) != 1 || deployments[0].GetNamespace() != "elsewhere" {
		t.Fatalf("expected one Deployment in the namespace elsewhere, found %v", deployments)
	}
	for _, expected := range []string{`"image":"registry.example.com/x:1"`, `"replicas":1`, `"--namespaces=pki"`} {
		if text := canonical(t, deployments[0]); !bytes.Contains([]byte(text), []byte(expected)) {
			t.Errorf("expected %s in\n%s", expected, text)
		}
	}
}

func helm(t *testing.T, arguments ...string) []*unstructured.Unstructured {
	t.Helper()
	command := exec.Command("go", append([]string{"tool", "-modfile=../../hack/helm/go.mod", "helm", "template", "--include-crds", "--kube-version=1.37.0",
		"token-procedure-operator", "../../charts/token-procedure-operator"}, arguments...)...)
	output, err := command.Output()
	if err != nil {
		t.Fatalf("helm template: %s", complaintOf(err))
	}
	return objectsIn(t, output)
}

func objectsIn(t *testing.T, manifests []byte) (objects []*unstructured.Unstructured) {
	t.Helper()
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatalf("what was rendered is not YAML: %v", err)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

func byName(objects []*unstructured.Unstructured) map[string]*unstructured.Unstructured {
	named := map[string]*unstructured.Unstructured{}
	for _, object := range objects {
		named[object.GetKind()+"/"+object.GetName()] = object
	}
	return named
}

func difference(a, b map[string]*unstructured.Unstructured) []string {
	only := maps.Clone(a)
	for name := range b {
		delete(only, name)
	}
	return slices.Sorted(maps.Keys(only))
}

func canonical(t *testing.T, object *unstructured.Unstructured) string {
	t.Helper()
	if object == nil {
		return ""
	}
	content, err := json.Marshal(object.Object)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

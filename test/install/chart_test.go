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

// The chart with its own values, in the namespace of config/default, is config/default.
func TestChartRendersTheSameObjects(t *testing.T) {
	want := byName(render(t, "../../config/default"))
	delete(want, "Namespace/"+operatorNamespace) // helm --create-namespace makes it
	got := byName(helm(t, "--namespace", operatorNamespace))
	if missing := difference(want, got); len(missing) > 0 {
		t.Errorf("only config/default has %v", missing)
	}
	if extra := difference(got, want); len(extra) > 0 {
		t.Errorf("only the chart has %v", extra)
	}
	for name, object := range want {
		if a, b := canonical(t, object), canonical(t, got[name]); a != b {
			t.Errorf("%s: config/default has\n%s\nthe chart has\n%s", name, a, b)
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

func helm(t *testing.T, arguments ...string) (objects []*unstructured.Unstructured) {
	t.Helper()
	command := exec.Command("go", append([]string{"tool", "-modfile=../../hack/helm/go.mod", "helm", "template", "--include-crds", "--kube-version=1.37.0",
		"token-procedure-operator", "../../charts/token-procedure-operator"}, arguments...)...)
	var complaint bytes.Buffer
	command.Stderr = &complaint
	output, err := command.Output()
	if err != nil {
		t.Fatalf("helm template: %v\n%s", err, complaint.String())
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(output), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatalf("what helm rendered is not YAML: %v", err)
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

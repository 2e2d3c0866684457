// Command chart makes the Helm chart from what config/default renders, so that CRDs, roles and the rest have one source.
// What people set when they install becomes a value: the image, replicas, resources, further arguments and the namespace.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const (
	namespace = "token-procedure-operator-system"
	marked    = "# Generated from config/default by hack/chart. Do not edit.\n"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: chart KUSTOMIZATION CHART")
		os.Exit(2)
	}
	if err := generate(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func generate(kustomization, chart string) error {
	rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), kustomization)
	if err != nil {
		return fmt.Errorf("rendering %s: %w", kustomization, err)
	}
	for _, directory := range []string{"crds", "templates"} {
		path := filepath.Join(chart, directory)
		if err := errors.Join(os.RemoveAll(path), os.MkdirAll(path, 0o755)); err != nil {
			return err
		}
	}
	templates := map[string][][]byte{}
	for _, resource := range rendered.Resources() {
		object, err := resource.Map()
		if err != nil {
			return err
		}
		switch kind := resource.GetKind(); kind {
		case "Namespace": // Helm's --create-namespace makes it
		case "CustomResourceDefinition":
			templates["crds/"+resource.GetName()] = append(templates["crds/"+resource.GetName()], encode(object))
		case "Deployment":
			values := takeValues(object)
			if err := os.WriteFile(filepath.Join(chart, "values.yaml"), []byte(valuesFile(values)), 0o644); err != nil {
				return err
			}
			templates["templates/deployment"] = append(templates["templates/deployment"], template(encode(object)))
		default:
			file := "templates/" + strings.ToLower(kind)
			templates[file] = append(templates[file], template(encode(object)))
		}
	}
	for file, documents := range templates {
		content := append([]byte(marked), bytes.Join(documents, []byte("---\n"))...)
		if err := os.WriteFile(filepath.Join(chart, file+".yaml"), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func encode(object any) []byte {
	content, err := yaml.Marshal(object)
	if err != nil {
		panic(err) // what was decoded from YAML can be encoded as YAML
	}
	return content
}

// placeholders stand for values in the Deployment until it is text.
var placeholders = map[string]string{
	"@replicas":  "{{ .Values.replicas }}",
	"@image":     "{{ .Values.image }}",
	"@resources": "{{- toYaml .Values.resources | nindent 10 }}",
	"- '@args'":  "{{- with .Values.extraArgs }}{{ toYaml . | nindent 8 }}{{- end }}",
}

// takeValues replaces what becomes a value by its placeholder, and returns what it was.
func takeValues(deployment map[string]any) map[string]any {
	spec := deployment["spec"].(map[string]any)
	pod := spec["template"].(map[string]any)["spec"].(map[string]any)
	container := pod["containers"].([]any)[0].(map[string]any)
	values := map[string]any{"replicas": spec["replicas"], "image": container["image"], "resources": container["resources"]}
	spec["replicas"], container["image"], container["resources"] = "@replicas", "@image", "@resources"
	arguments, _ := container["args"].([]any)
	container["args"] = append(arguments, "@args")
	return values
}

func template(document []byte) []byte {
	text := strings.ReplaceAll(string(document), namespace, "{{ .Release.Namespace }}")
	for placeholder, value := range placeholders {
		text = strings.ReplaceAll(text, "'"+placeholder+"'", value)
		text = strings.ReplaceAll(text, placeholder, value)
	}
	return []byte(text)
}

func valuesFile(values map[string]any) string {
	return marked + `
# image is the operator's image.
` + string(encode(map[string]any{"image": values["image"]})) + `
# replicas is how many operators there are; one of them works at a time.
` + string(encode(map[string]any{"replicas": values["replicas"]})) + `
# resources are what a replica may use.
` + string(encode(map[string]any{"resources": values["resources"]})) + `
# extraArgs are further arguments of the manager, for example --namespaces=pki.
extraArgs: []
`
}

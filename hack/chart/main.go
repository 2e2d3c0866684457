// Command chart makes the Helm chart from what config/default renders, so that CRDs, roles and the rest have one source.
// What people set when they install becomes a value: the image, replicas, resources, further arguments, the operator's own
// namespace and those that it looks after.
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
	namespace   = "token-procedure-operator-system"
	managerRole = "token-procedure-operator-manager-role"
	marked      = "# Generated from config/default by hack/chart. Do not edit.\n"
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
			templates[file] = append(templates[file], narrowed(object))
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

// narrowed is the template of an object. With the value namespaces the operator's role is bound in these and nowhere else,
// and with secretNames it gets Secrets of these names only.
func narrowed(object map[string]any) []byte {
	name := object["metadata"].(map[string]any)["name"]
	reference, _ := object["roleRef"].(map[string]any)
	switch {
	case name == managerRole:
		secrets := object["rules"].([]any)[0].(map[string]any)
		if fmt.Sprint(secrets["resources"]) != "[secrets]" {
			panic("expected the first rule of " + managerRole + " to be that of Secrets")
		}
		secrets["resourceNames"] = "@secretNames"
	case reference["name"] == managerRole:
		everywhere := template(encode(object))
		object["kind"] = "RoleBinding"
		object["metadata"].(map[string]any)["namespace"] = "@namespace"
		there := strings.ReplaceAll(string(template(encode(object))), ".Release", "$.Release")
		return []byte("{{- if not .Values.namespaces }}\n" + string(everywhere) +
			"{{- end }}\n{{- range .Values.namespaces }}\n---\n" + there + "{{- end }}\n")
	}
	return template(encode(object))
}

// placeholders stand for values until an object is text.
var placeholders = map[string]string{
	"  resourceNames: '@secretNames'\n": "{{- with .Values.secretNames }}\n  resourceNames: {{ toJson . }}\n{{- end }}\n",
	"'@namespace'":                      "{{ . }}",
	"@replicas":                         "{{ .Values.replicas }}",
	"@image":                            "{{ .Values.image }}",
	"@resources":                        "{{- toYaml .Values.resources | nindent 10 }}",
	"        - '@args'\n": `        {{- with .Values.namespaces }}
        - --namespaces={{ join "," . }}
        {{- end }}
        {{- with .Values.extraArgs }}{{ toYaml . | nindent 8 }}{{- end }}
`,
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
# namespaces are those that the operator looks after, and may read and write in; all if empty. They have to be there.
namespaces: []

# secretNames are the Secrets that the operator may get, those that CMHosts name; all if empty.
secretNames: []

# extraArgs are further arguments of the manager, for example --verbose.
extraArgs: []
`
}

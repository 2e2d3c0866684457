package rules

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/config/crd/bases"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

const samples = "../../config/samples"

// TestSamples: every sample is accepted, refers to what the local host's catalogue has, and gives no warning. There is
// one for each storage profile.
func TestSamples(t *testing.T) {
	catalog := sampleCatalog(t)
	profiles := map[v1alpha1.StorageProfile]bool{}
	var ranges rules.SerialRanges
	for _, path := range manifests(t, samples) {
		for _, object := range decode(t, path) {
			tp := typed(t, object)
			if findings := judgeCreate(t, object); len(findings) > 0 {
				t.Errorf("%s: %+v", path, findings)
			}
			p := request.FromV1alpha1(&tp.Spec.Procedure)
			if findings := append(rules.CheckReferences(p, catalog), rules.Warnings(p, catalog, &ranges)...); len(findings) > 0 {
				t.Errorf("%s: %+v", path, findings)
			}
			if r, has := rules.SerialRangeOf(p); has {
				ranges.Set(p.Name, r)
			}
			isDraft := tp.Spec.Draft != nil && *tp.Spec.Draft
			if missing := rules.MissingFromDraft(object); (len(missing) > 0) != isDraft {
				t.Errorf("%s: draft is %v, and missing is %+v", path, isDraft, missing)
			}
			profiles[tp.Spec.Procedure.StorageProfile] = profiles[tp.Spec.Procedure.StorageProfile] || !isDraft
		}
	}
	for _, profile := range storageProfiles {
		if !profiles[v1alpha1.StorageProfile(profile)] {
			t.Errorf("there is no sample with the storage profile %s", profile)
		}
	}
}

// TestSamplesThatTheHostJudges: what only the catalogue and other procedures show is accepted by the API server, and
// found in process with the reason and message that the comment says.
func TestSamplesThatTheHostJudges(t *testing.T) {
	catalog := sampleCatalog(t)
	var ranges rules.SerialRanges
	if staff, has := rules.SerialRangeOf(procedure(t, decode(t, filepath.Join(samples, "smart-card.yaml"))[0])); has {
		ranges.Set("Staff card", staff)
	}
	for directory, find := range map[string]func(request.Procedure) []finding{
		"refused-by-host": func(p request.Procedure) []finding { return rules.CheckReferences(p, catalog) },
		"warned":          func(p request.Procedure) []finding { return rules.Warnings(p, catalog, &ranges) },
	} {
		for _, path := range manifests(t, filepath.Join(samples, directory)) {
			object := decode(t, path)[0]
			if findings := judgeCreate(t, object); len(findings) > 0 {
				t.Errorf("%s: %+v", path, findings)
			}
			findings := find(procedure(t, object))
			if len(findings) != 1 || findings[0].Field != comment(t, path, "Field") || findings[0].Reason != comment(t, path, "Reason") ||
				!strings.HasPrefix(findings[0].Message, comment(t, path, "Message")) {
				t.Errorf("%s: %+v", path, findings)
			}
		}
	}
}

func sampleCatalog(t *testing.T) *rules.Catalog {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(samples, "host", "catalog.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var catalog rules.Catalog
	if err := yaml.UnmarshalStrict(content, &catalog); err != nil {
		t.Fatal(err)
	}
	return &catalog
}

func typed(t *testing.T, object map[string]any) *v1alpha1.TokenProcedure {
	t.Helper()
	var tp v1alpha1.TokenProcedure
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object, &tp); err != nil {
		t.Fatal(err)
	}
	return &tp
}

func procedure(t *testing.T, object map[string]any) request.Procedure {
	t.Helper()
	return request.FromV1alpha1(&typed(t, object).Spec.Procedure)
}

// TestInvalidSamples: each is refused by the API server and in process, at the field and with the message that its
// comment says, and every CEL rule of the custom resource definitions has one.
func TestInvalidSamples(t *testing.T) {
	var messages []string
	for _, path := range manifests(t, filepath.Join(samples, "invalid")) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			field, message := comment(t, path, "Field"), comment(t, path, "Message")
			messages = append(messages, message)
			refusedSample(t, decode(t, path), field, message)
		})
	}
	for _, rule := range celRules(t) {
		covered := false
		for _, message := range messages {
			covered = covered || rule.MatchString(message)
		}
		if !covered {
			t.Errorf("no file in config/samples/invalid shows the rule that says %s", rule)
		}
	}
}

func refusedSample(t *testing.T, objects []map[string]any, field, message string) {
	last := objects[len(objects)-1]
	var err error
	var findings []finding
	switch len(objects) {
	case 1:
		findings, err = judgeCreate(t, last), createDryRun(last)
	case 2:
		findings = judgeUpdate(t, last, objects[0])
		err = server.Patch(context.Background(), &unstructured.Unstructured{Object: clone(last)}, client.Merge, client.DryRunAll)
	default:
		t.Fatalf("has %d objects: expected one, or one and its change", len(objects))
	}
	if err == nil || !strings.Contains(err.Error(), message) || !strings.Contains(err.Error(), field) {
		t.Errorf("the API server says: %v\nexpected %s: %s", err, field, message)
	}
	unknown := strings.Contains(message, "unknown field")
	found := false
	for _, finding := range findings {
		if finding.Field != field && !strings.Contains(finding.Message, "were not checked") {
			t.Errorf("another finding: %+v", finding)
		}
		found = found || unknown || strings.Contains(finding.Message, message)
	}
	if !found {
		t.Errorf("in process: %+v\nexpected %s: %s", findings, field, message)
	}
}

// literal is a piece of text in a CEL message expression.
var literal = regexp.MustCompile(`'([^']*)'`)

// celRules are patterns of the messages of all CEL rules in the custom resource definitions.
func celRules(t *testing.T) []*regexp.Regexp {
	t.Helper()
	var patterns []*regexp.Regexp
	files, err := fs.Glob(bases.FS, "*.yaml")
	if err != nil || len(files) != 3 {
		t.Fatalf("custom resource definitions: %v, %v", files, err)
	}
	for _, name := range files {
		content, err := fs.ReadFile(bases.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(content, &crd); err != nil {
			t.Fatal(err)
		}
		patterns = append(patterns, rulesBelow(crd.Spec.Versions[0].Schema.OpenAPIV3Schema)...)
	}
	return patterns
}

func rulesBelow(schema *apiextensionsv1.JSONSchemaProps) []*regexp.Regexp {
	var patterns []*regexp.Regexp
	for _, rule := range schema.XValidations {
		pattern := regexp.QuoteMeta(rule.Message)
		if rule.MessageExpression != "" {
			var pieces []string
			for _, piece := range literal.FindAllStringSubmatch(rule.MessageExpression, -1) {
				pieces = append(pieces, strings.ReplaceAll(regexp.QuoteMeta(piece[1]), "%d", "[0-9]+"))
			}
			pattern = strings.Join(pieces, ".+")
		}
		patterns = append(patterns, regexp.MustCompile("^"+pattern))
	}
	for _, property := range schema.Properties {
		patterns = append(patterns, rulesBelow(&property)...)
	}
	if schema.Items != nil {
		patterns = append(patterns, rulesBelow(schema.Items.Schema)...)
	}
	return patterns
}

// manifests are the YAML files right in a directory, without those of kustomize.
func manifests(t *testing.T, directory string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(directory, "*.yaml"))
	if err != nil || len(all) == 0 {
		t.Fatalf("%s: %v, %v", directory, all, err)
	}
	var found []string
	for _, path := range all {
		if filepath.Base(path) != "kustomization.yaml" {
			found = append(found, path)
		}
	}
	return found
}

func decode(t *testing.T, path string) []map[string]any {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
	var objects []map[string]any
	for {
		var object unstructured.Unstructured
		if err := decoder.Decode(&object); errors.Is(err, io.EOF) {
			return objects
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if object.Object != nil {
			objects = append(objects, object.Object)
		}
	}
}

// comment is what stands behind a key in the comment in front of a manifest.
func comment(t *testing.T, path, key string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if value, found := strings.CutPrefix(line, "# "+key+": "); found {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("%s has no comment with %s", path, key)
	return ""
}

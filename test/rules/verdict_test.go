package rules

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

type finding = rules.Finding

// notAllChecked is how the API server says that it did not come to the CEL rules. In process these are evaluated where
// that is safe, so that there may be more findings.
const notAllChecked = "some validation rules were not checked"

// refusal is what the API server said of an object: nil if it accepts it, otherwise each finding as "field: message".
func refusal(err error) ([]string, error) {
	if err == nil {
		return nil, nil
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) || !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) {
		return nil, err
	}
	details := status.Status().Details
	if details == nil || len(details.Causes) == 0 {
		return []string{status.Status().Message}, nil
	}
	var findings []string
	for _, cause := range details.Causes {
		findings = append(findings, cause.Field+": "+cause.Message)
	}
	return findings, nil
}

// differ tells how the verdict of the API server and the findings in process differ; empty if they do not. Both find
// the same fields at fault, as often, unless the API server did not check all rules.
func differ(server []string, inProcess []finding) string {
	if (len(server) > 0) != (len(inProcess) > 0) {
		return fmt.Sprintf("API server: %q\nin process: %+v", server, inProcess)
	}
	var left []string
	for _, finding := range inProcess {
		left = append(left, finding.Field)
	}
	incomplete := slices.ContainsFunc(server, func(f string) bool { return strings.Contains(f, notAllChecked) })
	for _, found := range server {
		field, _, _ := strings.Cut(found, ": ")
		if strings.Contains(found, notAllChecked) || !strings.HasPrefix(field, "spec") {
			continue // that, or a strict decoding error, which has no field
		}
		index := slices.Index(left, field)
		if index < 0 {
			return fmt.Sprintf("only the API server finds %s\nAPI server: %q\nin process: %+v", field, server, inProcess)
		}
		left = slices.Delete(left, index, index+1)
	}
	if decoding := strings.Contains(strings.Join(server, ""), "strict decoding error"); len(left) > 0 && !incomplete && !decoding {
		return fmt.Sprintf("only in process: %q\nAPI server: %q\nin process: %+v", left, server, inProcess)
	}
	return ""
}

// judgeCreate gives the findings in process of an object, after holding them against the API server's.
func judgeCreate(t *testing.T, object map[string]any) []finding {
	t.Helper()
	findings := findInProcess(object)
	compare(t, createDryRun(object), findings)
	return findings
}

// judgeUpdate is judgeCreate for a change of an object that is created for it and deleted again.
func judgeUpdate(t *testing.T, object, old map[string]any) []finding {
	t.Helper()
	findings := rules.ValidateUpdate(object, old)
	stored := &unstructured.Unstructured{Object: clone(old)}
	if err := server.Create(context.Background(), stored); err != nil {
		t.Fatalf("the object before the change: %v", err)
	}
	t.Cleanup(func() {
		if err := server.Delete(context.Background(), stored); err != nil {
			t.Error(err)
		}
	})
	changed := &unstructured.Unstructured{Object: clone(object)}
	changed.SetResourceVersion(stored.GetResourceVersion())
	err := server.Update(context.Background(), changed, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
	compare(t, err, findings)
	return findings
}

func findInProcess(object map[string]any) []finding { return rules.ValidateCreate(object) }

func createDryRun(object map[string]any) error {
	return server.Create(context.Background(), &unstructured.Unstructured{Object: clone(object)},
		client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
}

func applyDryRun(object map[string]any) error {
	return server.Apply(context.Background(), client.ApplyConfigurationFromUnstructured(&unstructured.Unstructured{Object: clone(object)}),
		client.DryRunAll, client.FieldOwner("test"))
}

func compare(t *testing.T, err error, findings []finding) {
	t.Helper()
	found, err := refusal(err)
	if err != nil {
		t.Fatal(err)
	}
	if difference := differ(found, findings); difference != "" {
		t.Error(difference)
	}
	for _, finding := range findings {
		name := finding.Field[strings.LastIndex(finding.Field, ".")+1:]
		if !strings.Contains(finding.Message, name) {
			t.Errorf("the message %q does not name %s", finding.Message, finding.Field)
		}
	}
}

func clone(object map[string]any) map[string]any {
	return (&unstructured.Unstructured{Object: object}).DeepCopy().Object
}

package rules

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	metavalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/common"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// ValidateCreate evaluates the custom resource definition's own schema and CEL, and the rules on names that CEL cannot
// express (NFC), for an object of one of our kinds as decoded from YAML or JSON. Unknown fields and explicit nulls are
// findings too; the status is not looked at. Findings are ordered by field; the object is not changed.
func ValidateCreate(object map[string]any) []Finding { return validate(object, nil) }

// ValidateUpdate is ValidateCreate for a change, with the transition rules. What an object had already and a change
// leaves alone is not refused again, as in the API server.
func ValidateUpdate(object, old map[string]any) []Finding { return validate(object, old) }

// MissingFromDraft lists what a draft TokenProcedure still lacks to be submitted: the same evaluation with draft taken away.
func MissingFromDraft(object map[string]any) []Finding {
	submitted, err := private(object)
	if err != nil {
		return []Finding{unreadable(err)}
	}
	if spec, ok := submitted["spec"].(map[string]any); ok {
		delete(spec, "draft")
	}
	return validate(submitted, nil)
}

// ValidateRequest evaluates the static rules for a request that reaches the host without a custom resource. The fields
// of the findings are those of the custom resource; RequestPointer has them as the request does.
func ValidateRequest(r request.Request) []Finding {
	converted := request.ToV1alpha1(r.Procedure)
	procedure, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&converted)
	if err != nil {
		return []Finding{unreadable(err)}
	}
	return definitions()["TokenProcedure"].judge(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(),
		"kind":       "TokenProcedure",
		"metadata":   map[string]any{"name": "request", "namespace": "request"},
		"spec": map[string]any{
			"cmHostRef": map[string]any{"name": "request"},
			"revision":  r.Revision,
			"procedure": procedure,
		},
	}, nil)
}

// CheckName tells why a name is not one that a CM host's object can have; nil if it is.
func CheckName(name string) error {
	for _, finding := range ValidateCreate(map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(),
		"kind":       "TokenProcedure",
		"metadata":   map[string]any{"name": "name", "namespace": "name"},
		"spec": map[string]any{
			"cmHostRef": map[string]any{"name": "name"},
			"draft":     true,
			"procedure": map[string]any{"name": name},
		},
	}) {
		return fmt.Errorf("%q is not a name: %s", name, finding.Message)
	}
	return nil
}

func validate(object, old map[string]any) []Finding {
	object, err := private(object)
	if err == nil && old != nil {
		old, err = private(old)
	}
	if err != nil {
		return []Finding{unreadable(err)}
	}
	return judge(object, old)
}

// judge is validate for objects that nobody else has: it takes away what the API server would.
func judge(object, old map[string]any) []Finding {
	kind, _ := object["kind"].(string)
	definition, known := definitions()[kind]
	if !known {
		return []Finding{invalid("kind", "kind is %q: expected one of %s", kind, kinds())}
	}
	if version, _ := object["apiVersion"].(string); version != v1alpha1.GroupVersion.String() {
		return []Finding{invalid("apiVersion", "apiVersion is %q: expected %s", version, v1alpha1.GroupVersion)}
	}
	findings := definition.unknownFields(object)
	findings = append(findings, dropNulls(object["spec"], field.NewPath("spec"))...)
	findings = append(findings, checkMetadata(object)...)
	return definition.judge(object, old, findings...)
}

// judge adds what breaks the definition's own rules, and those on names, to what was found before.
func (d *definition) judge(object, old map[string]any, findings ...Finding) []Finding {
	var broken []Finding
	complete := true
	if old != nil || !d.spec.hold(object["spec"]) {
		broken, complete = d.evaluate(object, old)
	}
	findings = sortByField(slices.Concat(findings, checkNormalForm(object), broken))
	if !complete {
		findings = append(findings, invalid("spec", "some rules of spec were not checked because of the other findings: correct those and check again"))
	}
	return findings
}

// private is a copy of an object without its status, with numbers as the API server has them.
func private(object map[string]any) (map[string]any, error) {
	shallow := make(map[string]any, len(object))
	for key, value := range object {
		if key != "status" {
			shallow[key] = value
		}
	}
	encoded, err := json.Marshal(shallow)
	if err != nil {
		return nil, err
	}
	var copied map[string]any
	return copied, json.Unmarshal(encoded, &copied)
}

// evaluate is what the API server does with an object, in the same order. It is complete unless the object is so wrong
// that CEL cannot be evaluated.
func (d *definition) evaluate(object, old map[string]any) (findings []Finding, complete bool) {
	var schemaErrors field.ErrorList
	var celOptions []cel.Option
	var before any
	if old == nil {
		schemaErrors = validation.ValidateCustomResource(nil, object, d.schema)
		schemaErrors = append(schemaErrors, listtype.ValidateListSetsAndMaps(nil, d.structural, object)...)
	} else {
		correlated := common.NewCorrelatedObject(object, old, &model.Structural{Structural: d.structural})
		celOptions = append(celOptions, cel.WithRatcheting(correlated))
		before = old
		schemaErrors = validation.ValidateCustomResourceUpdate(nil, object, old, d.schema, validation.WithRatcheting(correlated))
		if len(listtype.ValidateListSetsAndMaps(nil, d.structural, old)) == 0 {
			schemaErrors = append(schemaErrors, listtype.ValidateListSetsAndMaps(nil, d.structural, object)...)
		}
	}
	complete = true
	for _, err := range schemaErrors {
		findings = append(findings, fromSchema(err))
		complete = complete && (err.Type == field.ErrorTypeInvalid || err.Type == field.ErrorTypeNotSupported)
	}
	if !complete {
		return findings, false
	}
	celErrors, _ := d.rules.Validate(context.Background(), nil, d.structural, object, before, celconfig.RuntimeCELCostBudget, celOptions...)
	for _, err := range celErrors {
		findings = append(findings, fromCEL(err))
	}
	return findings, true
}

// fromSchema turns a finding of the OpenAPI schema, which does not always name its field, into one that does.
func fromSchema(err *field.Error) Finding {
	switch {
	case err.Type == field.ErrorTypeRequired && err.Detail == "":
		return invalid(err.Field, "%s: Required value: it is missing, and always required", err.Field)
	case err.Type == field.ErrorTypeTypeInvalid:
		return invalid(err.Field, "%s", err.Detail)
	case err.Type == field.ErrorTypeTooLong: // says bytes, counts characters
		return invalid(err.Field, "%s is too long: it %s", err.Field, strings.Replace(err.Detail, "bytes", "characters", 1))
	}
	return invalid(err.Field, "%s", err.Error())
}

// fromCEL keeps the words of the rule. Those on a single value get its path and the value, quoted, in front, as the API
// server puts them; the others name the field and what was found.
func fromCEL(err *field.Error) Finding {
	if value, ok := err.BadValue.(string); ok && err.Type == field.ErrorTypeInvalid {
		return invalid(err.Field, "%s is %q: %s", err.Field, value, err.Detail)
	}
	return invalid(err.Field, "%s", err.Detail)
}

func (d *definition) unknownFields(object map[string]any) []Finding {
	options := schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}
	var findings []Finding
	for _, path := range pruning.PruneWithOptions(object, d.structural, true, options) {
		findings = append(findings, invalid(path, "%s is not a field of this kind: correct its spelling or remove it", path))
	}
	return findings
}

// dropNulls finds explicit nulls of fields and takes them away, as the API server does with what is not applied.
func dropNulls(value any, path *field.Path) (findings []Finding) {
	switch value := value.(type) {
	case []any:
		for i, entry := range value {
			findings = append(findings, dropNulls(entry, path.Index(i))...)
		}
	case map[string]any:
		for key, entry := range value {
			if entry == nil {
				delete(value, key)
				findings = append(findings, invalid(path.Child(key).String(),
					"%s is null: remove the field, for server-side apply refuses nulls", path.Child(key)))
			}
			findings = append(findings, dropNulls(entry, path.Child(key))...)
		}
	}
	return findings
}

func checkMetadata(object map[string]any) []Finding {
	path := field.NewPath("metadata")
	metadata, _, err := objectmeta.GetObjectMeta(object, false)
	if err != nil {
		return []Finding{invalid(path.String(), "metadata cannot be read: %v", err)}
	}
	if metadata == nil {
		metadata = &metav1.ObjectMeta{}
	}
	if metadata.Namespace == "" {
		metadata.Namespace = "default" // whoever applies it says which
	}
	if metadata.Name == "" && metadata.GenerateName != "" {
		metadata.Name = metadata.GenerateName + "x"
	}
	var findings []Finding
	for _, err := range metavalidation.ValidateObjectMeta(metadata, true, metavalidation.NameIsDNSSubdomain, path) {
		findings = append(findings, fromSchema(err))
	}
	return findings
}

// checkNormalForm finds names in a procedure that are not in Unicode normalisation form C: two of them could look the
// same and be different objects.
func checkNormalForm(object map[string]any) []Finding {
	spec, _ := object["spec"].(map[string]any)
	return denormal(spec["procedure"], field.NewPath("spec", "procedure"))
}

func denormal(value any, path *field.Path) (findings []Finding) {
	switch value := value.(type) {
	case string:
		if !norm.NFC.IsNormalString(value) {
			findings = append(findings, invalid(path.String(),
				"%s is %+q, which is not in Unicode normalisation form C: write it as %+q", path, value, norm.NFC.String(value)))
		}
	case []any:
		for i, entry := range value {
			findings = append(findings, denormal(entry, path.Index(i))...)
		}
	case map[string]any:
		for key, entry := range value {
			findings = append(findings, denormal(entry, path.Child(key))...)
		}
	}
	return findings
}

func unreadable(err error) Finding {
	return invalid("", "the object cannot be read: %v", err)
}

func invalid(path, format string, arguments ...any) Finding {
	return Finding{Field: path, Reason: v1alpha1.ReasonInvalid, Message: fmt.Sprintf(format, arguments...)}
}

package rules

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/config/crd/bases"
)

// definition is a custom resource definition, compiled for evaluation.
type definition struct {
	structural *schema.Structural
	schema     validation.SchemaValidator
	rules      *cel.Validator
	spec       *node
}

// definitions are the embedded definitions by kind. They cannot fail to compile in a program whose tests ran, so that
// a failure is a panic.
var definitions = sync.OnceValue(func() map[string]*definition {
	compiled, err := compileAll(bases.FS)
	if err != nil {
		panic(fmt.Sprintf("embedded custom resource definitions: %v", err))
	}
	return compiled
})

// kinds lists the kinds that have rules, for messages.
func kinds() string {
	var names []string
	for kind := range definitions() {
		names = append(names, kind)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func compileAll(files fs.FS) (map[string]*definition, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, err
	}
	compiled := make(map[string]*definition, len(names))
	for _, name := range names {
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(content, &crd); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if compiled[crd.Spec.Names.Kind], err = compile(&crd); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return compiled, nil
}

func compile(crd *apiextensionsv1.CustomResourceDefinition) (*definition, error) {
	index := slices.IndexFunc(crd.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool {
		return v.Name == v1alpha1.GroupVersion.Version
	})
	if index < 0 {
		return nil, fmt.Errorf("has no version %s", v1alpha1.GroupVersion.Version)
	}
	var internal apiextensions.CustomResourceValidation
	if err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(
		crd.Spec.Versions[index].Schema, &internal, nil); err != nil {
		return nil, err
	}
	structural, err := schema.NewStructural(internal.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	schemaValidator, _, err := validation.NewSchemaValidator(internal.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	if len(structural.XValidations) > 0 || len(structural.Properties["metadata"].XValidations) > 0 {
		return nil, errors.New("rules beside those of spec are not supported")
	}
	spec := structural.Properties["spec"]
	compiled, err := compileNode(&spec, model.SchemaDeclType(&spec, false))
	if err != nil {
		return nil, fmt.Errorf("spec: %w", err)
	}
	return &definition{
		structural: structural,
		schema:     schemaValidator,
		rules:      cel.NewValidator(structural, true, celconfig.PerCallLimit),
		spec:       compiled,
	}, nil
}

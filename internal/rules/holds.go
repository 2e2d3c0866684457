package rules

import (
	"errors"
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/common"
	"k8s.io/apiserver/pkg/cel/environment"
)

// node is a part of a schema with the rules on it and below it, for the one question that nearly always has to be
// answered: does a new object keep all of them? What is broken, and in which words, is the library's cel.Validator's to
// say. It compiles and evaluates the same rules with the same functions, but builds all of a schema's properties anew
// whenever a rule looks at a field, which takes most of its time; a node has them once.
type node struct {
	schema     common.Schema
	rules      []cel.CompilationResult
	properties map[string]*node
	items      *node
}

// compileNode compiles the rules on a schema and below it; nil if there are none. The few things that our definitions do
// not have are refused.
func compileNode(s *schema.Structural, declared *apiservercel.DeclType) (*node, error) {
	if s.AdditionalProperties != nil || s.XEmbeddedResource || s.ValueValidation != nil && len(s.ValueValidation.AllOf) > 0 {
		return nil, errors.New("additionalProperties, allOf and embedded resources are not supported")
	}
	made := &node{schema: remember(s), properties: map[string]*node{}}
	results, err := cel.Compile(s, declared, celconfig.PerCallLimit, environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()), cel.StoredExpressionsEnvLoader())
	if err != nil {
		return nil, err
	}
	for i, result := range results {
		switch {
		case result.Error != nil:
			return nil, result.Error
		case s.XValidations[i].OptionalOldSelf != nil:
			return nil, errors.New("optionalOldSelf is not supported")
		case !result.UsesOldSelf: // there is no old object
			made.rules = append(made.rules, result)
		}
	}
	for name, property := range s.Properties {
		escaped, _ := apiservercel.Escape(name)
		if field, known := declared.Fields[escaped]; known {
			below, err := compileNode(&property, field.Type)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if below != nil {
				made.properties[name] = below
			}
		}
	}
	if s.Items != nil {
		if made.items, err = compileNode(s.Items, declared.ElemType); err != nil {
			return nil, err
		}
	}
	if len(made.rules) == 0 && len(made.properties) == 0 && made.items == nil {
		return nil, nil
	}
	return made, nil
}

// hold tells whether a value keeps all rules on and below the node, within a budget of work. False may also mean that
// this could not be found out.
func (n *node) hold(value any, budget *uint64) bool {
	if n == nil || value == nil {
		return true
	}
	if len(n.rules) > 0 {
		self := map[string]any{cel.ScopedVarName: common.UnstructuredToVal(value, n.schema)}
		for _, rule := range n.rules {
			kept, details, err := rule.Program.Eval(self)
			if err != nil || kept.Value() != true {
				return false
			}
			cost := details.ActualCost()
			if cost == nil || *cost > *budget {
				return false
			}
			*budget -= *cost
		}
	}
	switch value := value.(type) {
	case map[string]any:
		for name, below := range n.properties {
			if !below.hold(value[name], budget) {
				return false
			}
		}
	case []any:
		for _, entry := range value {
			if !n.items.hold(entry, budget) {
				return false
			}
		}
	}
	return true
}

// remembered is a schema as CEL sees it, whose parts are built once.
type remembered struct {
	model.Structural

	properties map[string]common.Schema
	items      common.Schema
}

func remember(s *schema.Structural) *remembered {
	made := &remembered{Structural: model.Structural{Structural: s}}
	if s.Properties != nil {
		made.properties = make(map[string]common.Schema, len(s.Properties))
		for name, property := range s.Properties {
			made.properties[name] = remember(&property)
		}
	}
	if s.Items != nil {
		made.items = remember(s.Items)
	}
	return made
}

// Properties implements common.Schema.
func (r *remembered) Properties() map[string]common.Schema { return r.properties }

// Items implements common.Schema.
func (r *remembered) Items() common.Schema { return r.items }

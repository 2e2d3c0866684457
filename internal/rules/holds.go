package rules

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	schemacel "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apimachinery/pkg/util/version"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// node is a part of a definition's schema, compiled for the one question that nearly always has to be answered: is a new
// object as the schema and its rules want it? What is wrong with one, and in which words, is for the API server's library
// to say, which builds its validators anew for each field of each object, and counts what each step of a rule costs. A
// node evaluates the same rules in the same environment and counts nothing: the API server takes a definition only if
// what its rules can cost, for the largest object that the schema allows, is within its limits.
type node struct {
	kind       string // of the schema's types
	bounds     schema.ValueValidation
	rules      []cel.Program
	properties map[string]*node
	items      *node
}

// compileNode compiles a schema and what is below it. Of all that schemas can have it knows what our definitions use;
// anything else is refused.
func compileNode(s *schema.Structural, declared *apiservercel.DeclType) (*node, error) {
	made := &node{kind: s.Type, properties: map[string]*node{}}
	if s.ValueValidation != nil {
		made.bounds = *s.ValueValidation
	}
	if err := onlyKnown(s, made.bounds); err != nil {
		return nil, err
	}
	var err error
	if made.rules, err = compileRules(s, declared); err != nil {
		return nil, err
	}
	for name, property := range s.Properties {
		field, known := declared.Fields[name]
		if !known {
			return nil, fmt.Errorf("%s: no rule could name it", name)
		}
		if made.properties[name], err = compileNode(&property, field.Type); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if s.Items != nil {
		made.items, err = compileNode(s.Items, declared.ElemType)
	}
	return made, err
}

// onlyKnown refuses a schema with anything that hold does not look at.
func onlyKnown(s *schema.Structural, bounds schema.ValueValidation) error {
	if !slices.Contains([]string{"string", "boolean", "integer", "array", "object"}, s.Type) || s.Nullable || s.AdditionalProperties != nil {
		return fmt.Errorf("type %q, nullable or additionalProperties: not supported", s.Type)
	}
	if s.Type != "string" && len(bounds.Enum) > 0 || bounds.Format != "" && bounds.Format != "int64" {
		return errors.New("an enum that is not of strings, or a format: not supported")
	}
	if s.XListType != nil && *s.XListType != "atomic" {
		return fmt.Errorf("x-kubernetes-list-type %q: not supported", *s.XListType)
	}
	others := s.Extensions
	others.XListType, others.XMapType = nil, nil
	bounds.Format, bounds.Enum, bounds.Required = "", nil, nil
	bounds.MinLength, bounds.MaxLength, bounds.MinItems, bounds.MaxItems, bounds.Minimum, bounds.Maximum = nil, nil, nil, nil, nil, nil
	if !reflect.ValueOf(others).IsZero() || !reflect.ValueOf(bounds).IsZero() {
		return fmt.Errorf("%+v, %+v: not supported", others, bounds)
	}
	return nil
}

// compileRules compiles the rules on a schema, those of changes left out.
func compileRules(s *schema.Structural, declared *apiservercel.DeclType) ([]cel.Program, error) {
	if len(s.XValidations) == 0 {
		return nil, nil
	}
	checking, running, err := environmentsFor(declared.MaybeAssignTypeName("selfType"))
	if err != nil {
		return nil, err
	}
	var programs []cel.Program
	for _, rule := range s.XValidations {
		if rule.OptionalOldSelf != nil {
			return nil, errors.New("optionalOldSelf: not supported")
		}
		expression, issues := checking.Compile(rule.Rule)
		if err := issues.Err(); err != nil {
			return nil, err
		}
		if found := expression.OutputType(); found != cel.BoolType {
			return nil, fmt.Errorf("the rule %q gives a %s; expected a bool", rule.Rule, found)
		}
		if usesOldSelf(expression) {
			continue
		}
		program, err := running.Program(expression, cel.EvalOptions(cel.OptOptimize))
		if err != nil {
			return nil, err
		}
		programs = append(programs, program)
	}
	return programs, nil
}

// environmentsFor are the API server's environment for rules on a type, and one with the same functions that counts nothing.
func environmentsFor(self *apiservercel.DeclType) (checking, running *cel.Env, err error) {
	extended, err := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()).Extend(environment.VersionedOptions{
		IntroducedVersion: version.MajorMinor(1, 0),
		EnvOptions:        []cel.EnvOption{cel.Variable(schemacel.ScopedVarName, self.CelType()), cel.Variable(schemacel.OldScopedVarName, self.CelType())},
		DeclTypes:         []*apiservercel.DeclType{self},
	})
	if err != nil {
		return nil, nil, err
	}
	checking = extended.StoredExpressionsEnv()
	functions := slices.Collect(maps.Values(checking.Functions()))
	running, err = cel.NewCustomEnv(cel.OptionalTypes(), cel.FunctionDecls(functions...),
		cel.CustomTypeAdapter(checking.CELTypeAdapter()), cel.CustomTypeProvider(checking.CELTypeProvider()))
	return checking, running, err
}

func usesOldSelf(expression *cel.Ast) bool {
	for _, reference := range expression.NativeRep().ReferenceMap() {
		if reference.Name == schemacel.OldScopedVarName {
			return true
		}
	}
	return false
}

// hold tells whether a value, as decoded from JSON and without fields that the schema does not know, is as the schema and
// its rules want it. False may also mean that this could not be found out.
func (n *node) hold(value any) bool {
	if !n.allows(value) {
		return false
	}
	self := cel.Activation(nil)
	if len(n.rules) > 0 {
		self, _ = cel.NewActivation(map[string]any{schemacel.ScopedVarName: value}) // never fails for a map
	}
	for _, rule := range n.rules {
		if kept, _, err := rule.Eval(self); err != nil || kept.Value() != true {
			return false
		}
	}
	switch value := value.(type) {
	case map[string]any:
		for name, part := range value {
			if below := n.properties[name]; below == nil || !below.hold(part) {
				return false
			}
		}
	case []any:
		for _, entry := range value {
			if !n.items.hold(entry) {
				return false
			}
		}
	}
	return true
}

// allows tells whether a value has the type and the bounds of the schema, whatever its parts are.
func (n *node) allows(value any) bool {
	switch value := value.(type) {
	case string:
		length := float64(utf8.RuneCountInString(value))
		return n.kind == "string" && within(length, n.bounds.MinLength, n.bounds.MaxLength) &&
			(len(n.bounds.Enum) == 0 || slices.ContainsFunc(n.bounds.Enum, func(e schema.JSON) bool { return e.Object == value }))
	case bool:
		return n.kind == "boolean"
	case int64:
		return n.kind == "integer" && within(float64(value), n.bounds.Minimum, n.bounds.Maximum)
	case []any:
		return n.kind == "array" && within(float64(len(value)), n.bounds.MinItems, n.bounds.MaxItems)
	case map[string]any:
		return n.kind == "object" && !slices.ContainsFunc(n.bounds.Required, func(name string) bool { _, there := value[name]; return !there })
	}
	return false
}

func within[Bound int64 | float64](value float64, least, most *Bound) bool {
	return (least == nil || value >= float64(*least)) && (most == nil || value <= float64(*most))
}

// Command apidocs writes the documentation of the CM host's interface, for people, from the contract that is embedded in
// the generated code:
//
//	go run ./internal/cmhost/apidocs docs/host-api.md
package main

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/template"

	"github.com/getkin/kin-openapi/openapi3"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
)

//go:embed page.md.tmpl
var page string

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "apidocs:", err)
		os.Exit(1)
	}
}

// run writes the page into a file, all of it or nothing.
func run(arguments []string) error {
	if len(arguments) != 1 {
		return errors.New("usage: apidocs FILE")
	}
	var written bytes.Buffer
	if err := write(&written); err != nil {
		return err
	}
	return os.WriteFile(arguments[0], written.Bytes(), 0o644)
}

func write(out io.Writer) error {
	contract, err := cmhostv1.GetSpec()
	if err != nil {
		return err
	}
	parsed, err := template.New("page").Funcs(template.FuncMap{
		"operations": operations, "schemas": schemas, "responses": responses, "properties": properties,
		"kind": kind, "json": indented, "line": line, "parameters": parameters, "problems": problems, "refusals": refusals, "trim": strings.TrimSpace,
	}).Parse(page)
	if err != nil {
		return err
	}
	return parsed.Execute(out, contract)
}

// operation is a call with where it is.
type operation struct {
	Method, Path string
	*openapi3.Operation
	Common openapi3.Parameters
}

// operations are all calls of a tag, in the order of their paths.
func operations(contract *openapi3.T, tag string) []operation {
	var found []operation
	for _, path := range contract.Paths.InMatchingOrder() {
		item := contract.Paths.Value(path)
		for method, o := range item.Operations() {
			if slices.Contains(o.Tags, tag) {
				found = append(found, operation{method, path, o, item.Parameters})
			}
		}
	}
	slices.SortFunc(found, func(a, b operation) int { return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method) })
	return found
}

func parameters(o operation) []*openapi3.Parameter {
	var found []*openapi3.Parameter
	for _, p := range slices.Concat(o.Common, o.Parameters) {
		found = append(found, p.Value)
	}
	return found
}

// response is an answer with its status.
type response struct {
	Status string
	*openapi3.Response
}

func responses(o operation) []response {
	var found []response
	for status, r := range o.Responses.Map() {
		found = append(found, response{status, r.Value})
	}
	slices.SortFunc(found, func(a, b response) int { return strings.Compare(a.Status, b.Status) })
	return found
}

// problems are the refusals that a response shows, each once.
func problems(r response) []string {
	var found []string
	if media := r.Content["application/problem+json"]; media != nil {
		for _, example := range media.Examples {
			if value, ok := example.Value.Value.(map[string]any); ok {
				typ, _ := value["type"].(string)
				found = append(found, "`"+strings.TrimPrefix(typ, cmhostv1.ProblemBase)+"`")
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// refusal is an example of a refusal.
type refusal struct {
	Status               int
	Type, Reason, Detail string
}

// refusals are all examples of refusals, each once, by status.
func refusals(contract *openapi3.T) ([]refusal, error) {
	var found []refusal
	for _, r := range contract.Components.Responses {
		media := r.Value.Content["application/problem+json"]
		if media == nil {
			continue
		}
		for _, example := range media.Examples {
			var one refusal
			plain, err := json.Marshal(example.Value.Value)
			if err != nil {
				return nil, err
			}
			if err := json.Unmarshal(plain, &one); err != nil {
				return nil, err
			}
			one.Type = strings.TrimPrefix(one.Type, cmhostv1.ProblemBase)
			found = append(found, one)
		}
	}
	slices.SortFunc(found, func(a, b refusal) int {
		return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Detail, b.Detail))
	})
	return slices.Compact(found), nil
}

// named is a schema with its name.
type named struct {
	Name string
	*openapi3.SchemaRef
	Required bool
}

func schemas(contract *openapi3.T) []named {
	var found []named
	for name, schema := range contract.Components.Schemas {
		found = append(found, named{name, schema, false})
	}
	slices.SortFunc(found, func(a, b named) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// properties are those of a schema and of the schemas that it is made of.
func properties(schema *openapi3.Schema) []named {
	var found []named
	for _, part := range schema.AllOf {
		found = append(found, properties(part.Value)...)
	}
	for name, property := range schema.Properties {
		found = append(found, named{name, property, slices.Contains(schema.Required, name)})
	}
	slices.SortFunc(found, func(a, b named) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// kind says what a value is, with its bounds.
func kind(ref *openapi3.SchemaRef) string {
	schema := ref.Value
	switch {
	case ref.Ref != "":
		name := ref.Ref[strings.LastIndex(ref.Ref, "/")+1:]
		return fmt.Sprintf("[%s](#%s)", name, strings.ToLower(name))
	case len(schema.AllOf) == 1:
		return kind(schema.AllOf[0])
	case len(schema.AllOf) > 1:
		return "object"
	case schema.Type.Is("array"):
		return strings.TrimSpace("list of " + kind(schema.Items) + count(schema))
	}
	words := []string{schema.Type.Slice()[0]}
	if schema.Format != "" {
		words = append(words, schema.Format)
	}
	return strings.Join(words, ", ") + limits(schema)
}

func count(schema *openapi3.Schema) string {
	switch {
	case schema.MaxItems != nil && schema.MinItems == *schema.MaxItems:
		return fmt.Sprintf(", exactly %d", *schema.MaxItems)
	case schema.MaxItems != nil:
		return fmt.Sprintf(", at most %d", *schema.MaxItems)
	}
	return ""
}

// limits are a value's bounds and choices.
func limits(schema *openapi3.Schema) string {
	var words []string
	if len(schema.Enum) > 0 {
		for _, choice := range schema.Enum {
			words = append(words, fmt.Sprintf("`%v`", choice))
		}
		return ": " + strings.Join(words, ", ")
	}
	if schema.Min != nil && schema.Max != nil {
		words = append(words, fmt.Sprintf("%.0f to %.0f", *schema.Min, *schema.Max))
	}
	if schema.MaxLength != nil {
		words = append(words, fmt.Sprintf("at most %d characters", *schema.MaxLength))
	}
	if schema.Default != nil {
		words = append(words, fmt.Sprintf("%v if absent", schema.Default))
	}
	if len(words) == 0 {
		return ""
	}
	return ", " + strings.Join(words, ", ")
}

func indented(value any) (string, error) {
	text, err := json.MarshalIndent(value, "", "  ")
	return string(text), err
}

// line is a text on one line of a table.
func line(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", "\\|")
}

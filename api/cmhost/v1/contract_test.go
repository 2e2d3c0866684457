package cmhostv1

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// problemsByStatus is every refusal that the interface knows, by its HTTP status.
var problemsByStatus = map[string][]string{
	"400": {"malformed", "audience-mismatch"},
	"403": {"signature", "officer", "same-officer", "client-not-permitted"},
	"404": {"not-found"},
	"409": {"stale-revision", "revision-conflict"},
	"410": {"cursor-gone"},
	"413": {"too-large"},
	"422": {"rule-broken", "unknown-reference", "no-match"},
	"429": {"busy"},
	"503": {"unavailable"},
}

func loadContract(t *testing.T) *openapi3.T {
	t.Helper()
	contract, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return contract
}

// eachOperation calls check for every operation of the contract.
func eachOperation(contract *openapi3.T, check func(name string, path *openapi3.PathItem, operation *openapi3.Operation)) {
	for path, item := range contract.Paths.Map() {
		for method, operation := range item.Operations() {
			check(method+" "+path, item, operation)
		}
	}
}

func TestContractIsValid(t *testing.T) {
	contract := loadContract(t)
	if err := contract.Validate(t.Context(), openapi3.EnableExamplesValidation(), openapi3.EnableSchemaFormatValidation(), openapi3.EnableSchemaPatternValidation()); err != nil {
		t.Fatal(err)
	}
}

func TestEmbeddedContractIsTheFile(t *testing.T) {
	embedded, err := GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	contract := loadContract(t)
	if embedded.Info.Version != contract.Info.Version || embedded.Info.Description != contract.Info.Description {
		t.Error("the generated code holds another contract: run make generate")
	}
	if got, want := len(embedded.Paths.Map()), len(contract.Paths.Map()); got != want {
		t.Errorf("the generated code knows %d paths, the contract has %d: run make generate", got, want)
	}
}

func TestOperationsAreDocumented(t *testing.T) {
	contract := loadContract(t)
	seen := map[string]bool{}
	eachOperation(contract, func(name string, path *openapi3.PathItem, operation *openapi3.Operation) {
		if operation.OperationID == "" || seen[operation.OperationID] {
			t.Errorf("%s: operationId %q is empty or used twice", name, operation.OperationID)
		}
		seen[operation.OperationID] = true
		if operation.Summary == "" || len(operation.Tags) != 1 {
			t.Errorf("%s: expected a summary and one tag", name)
		}
		for _, parameter := range slices.Concat(path.Parameters, operation.Parameters) {
			if parameter.Value.Description == "" {
				t.Errorf("%s: parameter %s has no description", name, parameter.Value.Name)
			}
		}
		if body := operation.RequestBody; body != nil {
			checkContent(t, name+" request", body.Value.Content)
		}
		for status, response := range operation.Responses.Map() {
			if response.Value.Description == nil || *response.Value.Description == "" {
				t.Errorf("%s %s: no description", name, status)
			}
			if status != "304" {
				checkContent(t, name+" "+status, response.Value.Content)
			}
		}
	})
}

// checkContent asks for a schema and at least one example for each content type.
func checkContent(t *testing.T, where string, content openapi3.Content) {
	t.Helper()
	if len(content) == 0 {
		t.Errorf("%s: no content described", where)
	}
	for mediaType, media := range content {
		if media.Schema == nil || len(media.Examples) == 0 {
			t.Errorf("%s %s: expected a schema and examples", where, mediaType)
		}
	}
}

func TestEveryRefusalIsDescribed(t *testing.T) {
	contract := loadContract(t)
	found := map[string]bool{}
	eachOperation(contract, func(name string, _ *openapi3.PathItem, operation *openapi3.Operation) {
		for _, always := range []string{"403", "429", "503"} {
			if operation.Responses.Value(always) == nil {
				t.Errorf("%s: %s is not described", name, always)
			}
		}
		for status, response := range operation.Responses.Map() {
			if status < "400" {
				continue
			}
			for key, example := range response.Value.Content["application/problem+json"].Examples {
				problem := example.Value.Value.(map[string]any)
				typ := strings.TrimPrefix(problem["type"].(string), ProblemBase)
				if !slices.Contains(problemsByStatus[status], typ) {
					t.Errorf("%s %s: example %s has the type %s, which belongs to another status", name, status, key, typ)
				}
				found[typ] = true
			}
		}
	})
	for status, types := range problemsByStatus {
		for _, typ := range types {
			if !found[typ] {
				t.Errorf("no operation shows the problem %s (%s %s)", typ, status, http.StatusText(statusOf(status)))
			}
		}
	}
}

func statusOf(status string) int {
	code := 0
	for _, digit := range status {
		code = code*10 + int(digit-'0')
	}
	return code
}

func TestStringsAndListsAreBounded(t *testing.T) {
	contract := loadContract(t)
	eachOperation(contract, func(name string, path *openapi3.PathItem, operation *openapi3.Operation) {
		for _, parameter := range slices.Concat(path.Parameters, operation.Parameters) {
			schema := parameter.Value.Schema.Value
			switch {
			case schema.Type.Is("string") && schema.MaxLength == nil,
				schema.Type.Is("array") && schema.MaxItems == nil,
				schema.Type.Is("integer") && (schema.Min == nil || schema.Max == nil):
				t.Errorf("%s: parameter %s has no bounds", name, parameter.Value.Name)
			}
		}
	})
	for name, header := range contract.Components.Headers {
		checkBounds(t, "header "+name, header.Value.Schema)
	}
	for name, schema := range contract.Components.Schemas {
		checkBounds(t, name, schema)
	}
}

// checkBounds asks for bounds on everything in a schema that can grow. What is referred to is checked by itself; the object
// of a log entry is free.
func checkBounds(t *testing.T, where string, reference *openapi3.SchemaRef) {
	t.Helper()
	if reference == nil {
		return
	}
	schema := reference.Value
	switch {
	case schema.Type.Is("string") && schema.MaxLength == nil && len(schema.Enum) == 0 && schema.Format != "date-time":
		t.Errorf("%s is a string without maxLength", where)
	case schema.Type.Is("array") && schema.MaxItems == nil:
		t.Errorf("%s is an array without maxItems", where)
	case schema.Type.Is("integer") && (schema.Min == nil || schema.Max == nil):
		t.Errorf("%s is an integer without minimum and maximum", where)
	}
	for name, property := range schema.Properties {
		if property.Ref == "" {
			checkBounds(t, where+"."+name, property)
		}
	}
	if schema.Items != nil && schema.Items.Ref == "" {
		checkBounds(t, where+"[]", schema.Items)
	}
	for _, part := range schema.AllOf {
		if part.Ref == "" {
			checkBounds(t, where, part)
		}
	}
}

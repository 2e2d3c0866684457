package request

import (
	"bytes"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gowebpki/jcs"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// compiledSchema is the published JSON Schema.
func compiledSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile("request.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("request.schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("request.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// TestSchemaHasTheFieldsOfTheType walks the Go type and the schema side by side.
func TestSchemaHasTheFieldsOfTheType(t *testing.T) {
	compareFields(t, "request", reflect.TypeFor[Request](), compiledSchema(t))
}

func compareFields(t *testing.T, path string, goType reflect.Type, schema *jsonschema.Schema) {
	t.Helper()
	for schema.Ref != nil {
		schema = schema.Ref
	}
	if goType.Kind() == reflect.Pointer {
		goType = goType.Elem()
	}
	if goType.Kind() != reflect.Struct {
		kinds := map[reflect.Kind]string{reflect.String: "string", reflect.Int64: "integer", reflect.Bool: "boolean", reflect.Slice: "array"}
		if schema.Const == nil && !slices.Equal(schema.Types.ToStrings(), []string{kinds[goType.Kind()]}) {
			t.Errorf("%s is %s in Go and %v in the schema", path, goType, schema.Types.ToStrings())
		}
		return
	}
	if schema.AdditionalProperties != false {
		t.Errorf("%s may have additional properties in the schema", path)
	}
	var fields []string
	for field := range goType.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		fields = append(fields, name)
		if property, found := schema.Properties[name]; found {
			compareFields(t, path+"."+name, field.Type, property)
		} else {
			t.Errorf("%s.%s is missing in the schema", path, name)
		}
	}
	for name := range schema.Properties {
		if !slices.Contains(fields, name) {
			t.Errorf("%s.%s is in the schema alone", path, name)
		}
	}
}

// agree fails if the schema and Parse do not judge a document alike, once it is in the form of RFC 8785. The bounds of
// size are not the schema's.
func agree(t testing.TB, schema *jsonschema.Schema, document []byte) (accepted, comparable bool) {
	t.Helper()
	if len(document) > MaxBytes {
		return false, false
	}
	canonical, err := jcs.Transform(document)
	if err != nil || len(canonical) > MaxBytes || countParts(canonical) > MaxParts {
		return false, false
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(canonical))
	if err != nil {
		return false, false
	}
	bySchema := schema.Validate(value)
	_, byParse := Parse(canonical)
	if (bySchema == nil) != (byParse == nil) {
		t.Fatalf("%s\nschema: %v\nParse: %v", canonical, bySchema, byParse)
	}
	return byParse == nil, true
}

func TestSchemaAgreesWithParse(t *testing.T) {
	schema := compiledSchema(t)
	for _, c := range []struct {
		old, new string
		want     bool
	}{
		{"", "", true},
		{`"revision":1`, `"revision":9007199254740991`, true},
		{`"revision":1`, `"revision":1.0`, true}, // RFC 8785 writes 1
		{`"revision":1`, `"revision":1.5`, false},
		{`"revision":1`, `"revision":0`, false},
		{`"revision":1`, `"revision":"1"`, false},
		{`"revision":1`, `"revision":9007199254740992`, false},
		{`"audience":"cm.example.com"`, `"audience":""`, false},
		{`"audience":"cm.example.com",`, ``, false},
		{`"name":"Employee card"`, `"name":""`, false},
		{`"name":"Employee card"`, `"Name":"Employee card"`, false},
		{`"name":"Employee card",`, ``, false},
		{`"name":"Employee card"`, `"name":null`, false},
		{`"domain":"Corp"`, `"domain":""`, false},
		{`"domain":"Corp"`, `"domain":7`, false},
		{`"domain":"Corp"`, `"domain":"Corp","visibleInSubdomain":true`, true},
		{`"domain":"Corp"`, `"domain":"Corp","visibleInSubdomain":false`, false},
		{`"domain":"Corp"`, `"domain":"Corp","unknown":true`, false},
		{`"state"`, `"ſtate"`, false},
		{`"enabled":true,`, `"enabled":false,`, true},
		{`"enabled":true,`, ``, true},
		{`"enabled":true,`, `"enabled":null,`, false},
		{`"range":{"from":"100000","to":"199999"}`, `"range":{}`, false},
		{`"range":{"from":"100000","to":"199999"}`, `"range":{"from":"1"}`, true},
		{`{"enabled":true,"range":{"from":"100000","to":"199999"}}`, `{}`, false},
		{`["Authentication","Signature"]`, `[]`, false},
		{`["Authentication","Signature"]`, `["Signature"]`, true},
		{`["Authentication","Signature"]`, `[""]`, true},
		{`["Authentication","Signature"]`, `[null]`, false},
		{`["Authentication","Signature"]`, `"Signature"`, false},
		{`{"policy":"StoreAll","recoveredCertificates":"Store"}`, `{}`, false},
		{`request/v1`, `request/v2`, false},
	} {
		changed := strings.Replace(vectorOne, c.old, c.new, 1)
		if c.old != "" && changed == vectorOne {
			t.Fatalf("%s: the test changed nothing", c.old)
		}
		if accepted, compared := agree(t, schema, []byte(changed)); !compared || accepted != c.want {
			t.Errorf("%s: accepted %v, want %v", changed, accepted, c.want)
		}
	}
}

// TestOpenAPIHasTheSameFields holds the CM host's interface, which shows procedures as officers sign them, against the
// Go type.
func TestOpenAPIHasTheSameFields(t *testing.T) {
	text, err := os.ReadFile("../../api/cmhost/v1/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]any `json:"properties"`
			} `json:"schemas"`
		} `json:"components"`
	}
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	var fields []string
	for field := range reflect.TypeFor[Procedure]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		fields = append(fields, name)
	}
	slices.Sort(fields)
	if found := slices.Sorted(maps.Keys(document.Components.Schemas["Procedure"].Properties)); !slices.Equal(found, fields) {
		t.Errorf("the interface has %v\nthe request has   %v", found, fields)
	}
}

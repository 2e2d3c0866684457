package manifest

import (
	"strings"
	"testing"
)

const stream = `# a comment
apiVersion: v1
kind: One
spec:
  procedure:
    name: A
    certificateProcedures:
      - First
      - Second
    inputView: null
---
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Two
    spec: {x: ~, y: [1, null]}
  - apiVersion: v1
    kind: Three
--- # the last one
{"apiVersion": "v1", "kind": "Four",
 "spec": {"procedure": {"name": "B"}}}
`

func TestEveryFieldHasItsLine(t *testing.T) {
	objects, problems := Parse("f.yaml", []byte(stream))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, c := range []struct {
		kind, field string
		line        int
	}{
		{"One", "", 2},
		{"One", "spec.procedure.name", 6},
		{"One", "spec.procedure.certificateProcedures[1]", 9},
		{"One", "spec.procedure.certificateProcedures[7]", 7},
		{"One", "spec.procedure.pinProcedure", 5},
		{"Two", "spec.x", 17},
		{"Three", "kind", 19},
		{"Three", "spec", 18},
		{"Four", "spec.procedure.name", 22},
	} {
		for _, object := range objects {
			if object.String("kind") == c.kind && object.Line(c.field) != c.line {
				t.Errorf("%s of %s: line %d, want %d", c.field, c.kind, object.Line(c.field), c.line)
			}
		}
	}
	if len(objects) != 4 {
		t.Errorf("%d objects, want 4", len(objects))
	}
}

func TestWhatCannotBeReadIsNamedWithItsLine(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"a doubled key":            {"apiVersion: v1\nkind: A\nspec: {}\nspec: {}\n", `f.yaml:4: `},
		"a broken second document": {"apiVersion: v1\nkind: A\n---\nkind: [\n", "f.yaml:"},
		"no kind":                  {"---\na: b\n", "f.yaml:2: not a Kubernetes object"},
		"a scalar":                 {"hello\n", "f.yaml:1: "},
		"a hidden second document": {"apiVersion: v1\nkind: A\n...\napiVersion: v1\nkind: B\n", "a second document"},
		"a tab as indentation":     {"apiVersion: v1\nspec:\n\ta: b\n", "f.yaml:3: not YAML: found character that cannot start any token"},
	} {
		_, problems := Parse("f.yaml", []byte(c.content))
		if len(problems) != 1 || !strings.Contains(problems[0].Error(), c.want) {
			t.Errorf("%s: got %v, want one with %q", name, problems, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(stream))
	f.Fuzz(func(t *testing.T, content []byte) {
		objects, _ := Parse("f", content)
		lines := strings.Count(string(content), "\n") + 1
		for _, object := range objects {
			for _, field := range []string{"kind", "spec", "spec.procedure.name", "spec.procedure.certificateProcedures[1]"} {
				if line := object.Line(field); line < 1 || line > lines {
					t.Fatalf("%s is said to be in line %d of %d", field, line, lines)
				}
			}
		}
	})
}

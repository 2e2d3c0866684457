// Package docs checks that the documentation says what the product does.
package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

func TestEveryReasonHasAnEntry(t *testing.T) {
	page, err := os.ReadFile("troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	reasons := constants(t, "../api/v1alpha1/conditions.go", "Reason")
	if len(reasons) < 40 {
		t.Fatalf("expected to find some 50 reasons, found %d: %v", len(reasons), reasons)
	}
	for _, reason := range reasons {
		found := false
		for line := range strings.Lines(string(page)) {
			first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
			found = found || (strings.HasPrefix(line, "| `") && strings.Contains(first, "`"+reason+"`"))
		}
		if !found {
			t.Errorf("expected a row for the reason %s in docs/troubleshooting.md", reason)
		}
	}
}

// constants returns the values of the string constants of a file whose names have a prefix.
func constants(t *testing.T, path, prefix string) (values []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, prefix) || len(spec.Values) == 0 {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, value)
		return true
	})
	return values
}

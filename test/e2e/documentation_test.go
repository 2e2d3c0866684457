package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/tokenprocedures/token-procedure-operator/docs"
)

// elsewhere are the tests that run pages which do not start from the local stack.
var elsewhere = map[string]string{
	"install.md":    "../install/pages_test.go",
	"evaluation.md": "../install/evaluation_test.go",
	"host.md":       "../../cmd/cmhost/main_test.go",
}

// Every shell block of the documentation is run, in the order of its page and in one shell, as a reader would; or a comment
// before it says why it is not.
func TestDocumentation(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, page := range append([]string{"../../README.md"}, pages...) {
		content, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		var script strings.Builder
		for _, block := range docs.Blocks(string(content)) {
			if block.NotRun == "" {
				script.WriteString(block.Script)
			}
		}
		if test := elsewhere[filepath.Base(page)]; test != "" {
			if source, err := os.ReadFile(test); err != nil || !strings.Contains(string(source), filepath.Base(page)) {
				t.Errorf("expected %s to run %s: %v", test, page, err)
			}
			continue
		}
		if script.Len() == 0 {
			continue
		}
		t.Run(filepath.Base(page), func(t *testing.T) {
			s := up(t)
			output, err := s.sh(script.String())
			s.Expect(err).NotTo(HaveOccurred(), output)
		})
		ran++
	}
	if ran < 2 {
		t.Errorf("expected README.md and docs/getting-started.md at least to have shell blocks that can be run, found %d", ran)
	}
}

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/tokenprocedures/token-procedure-operator/docs"
)

// Pages that start from a cluster without the operator are run by test/install.
var elsewhere = map[string]bool{"install.md": true, "evaluation.md": true}

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
		if script.Len() == 0 || elsewhere[filepath.Base(page)] {
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

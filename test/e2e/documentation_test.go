package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

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
		script := commands(string(content))
		if script == "" {
			continue
		}
		t.Run(filepath.Base(page), func(t *testing.T) {
			s := up(t)
			output, err := s.sh(script)
			s.Expect(err).NotTo(HaveOccurred(), output)
		})
		ran++
	}
	if ran == 0 {
		t.Error("expected the documentation to have shell blocks that can be run")
	}
}

// commands joins the shell blocks of a page that are not marked `<!-- not run: why -->`.
func commands(page string) string {
	var script strings.Builder
	inside, run := false, false
	previous := ""
	for line := range strings.Lines(page) {
		switch trimmed := strings.TrimSpace(line); {
		case inside && trimmed == "```":
			inside = false
		case inside:
			if run {
				script.WriteString(line)
			}
		case trimmed == "```sh":
			inside, run = true, !strings.HasPrefix(previous, "<!-- not run: ")
		case trimmed != "":
			previous = trimmed
		}
	}
	return script.String()
}

// Package docs reads the shell blocks of the documentation, for the tests that run them as a reader would type them.
package docs

import (
	"strings"
)

// Block is a shell block of a page.
type Block struct {
	// Section and Part are the headings of the second and third level that it stands below.
	Section, Part string
	// NotRun says why no test runs it, from a comment before the block: <!-- not run: why -->
	NotRun string
	Script string
}

// Blocks are the shell blocks of a page, in their order.
func Blocks(page string) (blocks []Block) {
	var current Block
	inside, previous := false, ""
	for line := range strings.Lines(page) {
		trimmed := strings.TrimSpace(line)
		switch {
		case inside && trimmed == "```":
			inside = false
			blocks = append(blocks, current)
		case inside:
			current.Script += line
		case trimmed == "```sh":
			why, found := strings.CutPrefix(previous, "<!-- not run: ")
			if !found {
				why = ""
			}
			inside, current.Script, current.NotRun = true, "", strings.TrimSuffix(why, " -->")
		case strings.HasPrefix(line, "## "):
			current.Section, current.Part = strings.TrimPrefix(trimmed, "## "), ""
		case strings.HasPrefix(line, "### "):
			current.Part = strings.TrimPrefix(trimmed, "### ")
		}
		if trimmed != "" {
			previous = trimmed
		}
	}
	return blocks
}

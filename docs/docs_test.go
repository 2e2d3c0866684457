package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
	explained := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		if row, found := strings.CutPrefix(line, "| `"); found {
			first, _, _ := strings.Cut(row, " | ")
			for reason := range strings.SplitSeq(first, ", ") {
				explained[strings.Trim(reason, "`")] = true
			}
		}
	}
	for _, reason := range reasons {
		if !explained[reason] {
			t.Errorf("expected a row for the reason %s in docs/troubleshooting.md", reason)
		}
		delete(explained, reason)
	}
	if len(explained) > 0 {
		t.Errorf("expected no rows in docs/troubleshooting.md for reasons that are not there: %v", explained)
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

// Every row of the threat model names the tests that show it, and all of them are there.
func TestThreatModelNamesItsTests(t *testing.T) {
	page, err := os.ReadFile("threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]map[string]bool{}
	column, rows := "", 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		last := strings.TrimSpace(cells[len(cells)-1])
		switch {
		case !strings.HasPrefix(line, "|"):
			column = ""
		case column == "":
			if column = last; column != "Shown by" {
				t.Errorf("expected the last column of each table to be called Shown by, found %q", column)
			}
		case !strings.HasPrefix(line, "|---"):
			rows++
			named := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(last, -1)
			if len(named) == 0 {
				t.Errorf("expected a test in the row %q", cells[0])
			}
			for _, name := range named {
				if err := isTest(name[1], known); err != nil {
					t.Errorf("%q: %v", cells[0], err)
				}
			}
		}
	}
	if rows < 15 {
		t.Errorf("expected the threat model's tables, found %d rows", rows)
	}
}

// isTest looks for a test by its name, "folder.TestName" or "folder: sentence of a specification".
func isTest(name string, known map[string]map[string]bool) error {
	folder, test, found := strings.Cut(name, ": ")
	if !found {
		folder, test, found = strings.Cut(name, ".")
	}
	if !found {
		return fmt.Errorf("expected folder.TestName or folder: sentence, found %q", name)
	}
	if known[folder] == nil {
		names, err := testsIn(filepath.Join("..", folder))
		if err != nil {
			return err
		}
		known[folder] = names
	}
	if !known[folder][test] {
		return fmt.Errorf("there is no test %q in %s", test, folder)
	}
	return nil
}

// testsIn are the names of the tests of a folder and the sentences of its specifications.
func testsIn(folder string) (map[string]bool, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return nil, err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.FuncDecl:
				if node.Recv == nil && strings.HasPrefix(node.Name.Name, "Test") {
					names[node.Name.Name] = true
				}
			case *ast.CallExpr:
				called, isName := node.Fun.(*ast.Ident)
				if isName && called.Name == "It" && len(node.Args) > 0 {
					if sentence, isText := node.Args[0].(*ast.BasicLit); isText {
						if text, err := strconv.Unquote(sentence.Value); err == nil {
							names[text] = true
						}
					}
				}
			}
			return true
		})
	}
	return names, nil
}

// A shell block is run by a test, or says why not in a sentence. Commands hide in no other kind of block.
func TestShellBlocksAreRunOrSayWhyNot(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, path := range append(pages, "../README.md") {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		blocks := Blocks(string(page))
		total += len(blocks)
		for _, block := range blocks {
			if block.NotRun != "" && len(strings.Fields(block.NotRun)) < 4 {
				t.Errorf("%s, %s: expected a sentence that says why this is not run, found %q", path, block.Section, block.NotRun)
			}
		}
		for line := range strings.Lines(string(page)) {
			if regexp.MustCompile("^```(bash|shell|console|zsh)").MatchString(strings.TrimSpace(line)) {
				t.Errorf("%s: expected ```sh before commands, found %q", path, line)
			}
		}
	}
	if total < 20 {
		t.Errorf("expected the shell blocks of all pages, found %d", total)
	}
}

func TestBlocksKnowTheirPlace(t *testing.T) {
	page := "# Page\n\n## One\n\n```sh\na\n```\n\n### Part\n\n<!-- not run: because it is so -->\n```sh\nb\nc\n```\n\n## Two\n\n```yaml\nx: y\n```\n\n```sh\nd\n```\n"
	want := []Block{
		{Section: "One", Script: "a\n"},
		{Section: "One", Part: "Part", NotRun: "because it is so", Script: "b\nc\n"},
		{Section: "Two", Script: "d\n"},
	}
	if got := Blocks(page); !slices.Equal(got, want) {
		t.Errorf("expected %+v, found %+v", want, got)
	}
}

// Every link from one page to another leads to a file, and to a heading of it.
func TestLinksLeadSomewhere(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, path := range append(pages, "../README.md") {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range link.FindAllStringSubmatch(string(page), -1) {
			target, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			file := filepath.Join(filepath.Dir(path), target)
			if target == "" {
				file = path
			}
			content, err := os.ReadFile(file)
			if info, statErr := os.Stat(file); statErr == nil && info.IsDir() {
				err = nil
			}
			if err != nil {
				t.Errorf("%s: the link %s leads nowhere", path, found[1])
			}
			if anchor != "" && !headings(string(content))[anchor] {
				t.Errorf("%s: the link %s leads to no heading", path, found[1])
			}
		}
	}
}

// headings are the anchors of a page, made as GitHub makes them.
func headings(page string) map[string]bool {
	anchors := map[string]bool{}
	for line := range strings.Lines(page) {
		if title, found := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); found && strings.HasPrefix(line, "#") {
			plain := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
			anchors[strings.ReplaceAll(plain, " ", "-")] = true
		}
	}
	return anchors
}

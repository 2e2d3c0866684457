package plugin_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/tokenprocedures/token-procedure-operator/internal/plugin"
)

func TestCommandPagesAreFresh(t *testing.T) {
	fresh := t.TempDir()
	if err := plugin.WriteDocs(fresh); err != nil {
		t.Fatal(err)
	}
	want, got := pages(t, fresh), pages(t, "../../docs/commands")
	for name, content := range want {
		if got[name] != content {
			t.Errorf("docs/commands/%s is not what the program says: run `go generate ./internal/plugin`", name)
		}
	}
	for name := range got {
		if _, known := want[name]; !known {
			t.Errorf("docs/commands/%s is of no command: run `go generate ./internal/plugin`", name)
		}
	}
}

func pages(t *testing.T, folder string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no pages in %s (%v)", folder, err)
	}
	found := map[string]string{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(file)] = string(content)
	}
	return found
}

// The examples of the help, which are those of the pages, are split into words by a shell, and each must name a command and
// flags that there are, with arguments that it takes.
func TestExamplesAreTaken(t *testing.T) {
	checked := 0
	for _, command := range plugin.NewCommand(genericiooptions.NewTestIOStreamsDiscard()).Commands() {
		for _, example := range splitExamples(t, command.Example) {
			checked++
			if err := taken(example); err != nil {
				t.Errorf("%s: kubectl %s: %v", command.Name(), strings.Join(example, " "), err)
			}
		}
	}
	if checked < 30 {
		t.Errorf("%d examples; expected at least 30", checked)
	}
	if taken([]string{"tokenproc", "status", "--no-such-flag"}) == nil || taken([]string{"tokenproc", "nothing"}) == nil {
		t.Error("an example with a flag or a command that there is not would be taken")
	}
}

// ofPlugin is a command of the plugin, with the lines that it goes on in.
var ofPlugin = regexp.MustCompile(`(?m)^ *kubectl tokenproc (.*\\\n)*.*$`)

// splitExamples runs examples with a kubectl that writes down its arguments and nothing else.
func splitExamples(t *testing.T, examples string) (found [][]string) {
	t.Helper()
	examples = strings.Join(ofPlugin.FindAllString(examples, -1), "\n")
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	shell := exec.CommandContext(t.Context(), "sh", "-c", `kubectl() { printf '%s\0' "$@" >&3; printf '\n\0' >&3; }
mkdir evidence production
`+examples)
	shell.Dir, shell.ExtraFiles = t.TempDir(), []*os.File{writer}
	if output, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s in:\n%s", err, output, examples)
	}
	_ = writer.Close()
	words, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	var one []string
	for word := range strings.SplitSeq(strings.TrimSuffix(string(words), "\x00"), "\x00") {
		if word != "\n" {
			one = append(one, word)
			continue
		}
		found, one = append(found, one), nil
	}
	return found
}

func taken(words []string) error {
	root := plugin.NewCommand(genericiooptions.NewTestIOStreamsDiscard())
	command, rest, err := root.Find(words[1:])
	if err != nil {
		return err
	}
	if command == root {
		return cobra.NoArgs(root, rest)
	}
	if err := command.ParseFlags(rest); err != nil {
		return err
	}
	if err := command.ValidateArgs(command.Flags().Args()); err != nil {
		return err
	}
	return command.ValidateRequiredFlags()
}

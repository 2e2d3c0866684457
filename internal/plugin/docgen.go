package plugin

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

//go:generate go run ./docgen ../../docs/commands

// documents are the kinds that -o json and -o yaml print.
var documents = []document{
	&AuditReport{}, &DiffReport{}, &DigestList{}, &History{}, &LintReport{}, &ProcedureStatusList{}, &RangesReport{},
	&SelectionReport{}, &Sheet{}, &SubmitReport{}, &VerifyReport{}, &VersionInfo{},
}

// WriteDocs writes one page for each command, and one for the stable output, to a folder; other pages there are removed.
func WriteDocs(folder string) error {
	pages, err := filepath.Glob(filepath.Join(folder, "*.md"))
	if err != nil {
		return err
	}
	for _, page := range pages {
		if err := os.Remove(page); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	root := NewCommand(genericiooptions.NewTestIOStreamsDiscard())
	root.DisableAutoGenTag = true
	hideInherited(root)
	link := func(name string) string { return strings.TrimPrefix(name, "kubectl_") }
	if err := writeCommandDocs(root, folder, link); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "output.md"), outputPage(), 0o644) //nolint:gosec // documentation
}

// hideInherited leaves kubectl's own flags to the page of `options`: their defaults depend on the machine, too.
func hideInherited(command *cobra.Command) {
	command.PersistentFlags().VisitAll(func(flag *pflag.Flag) { flag.Hidden = true })
}

func writeCommandDocs(command *cobra.Command, folder string, link func(string) string) error {
	for _, below := range command.Commands() {
		if below.IsAvailableCommand() {
			if err := writeCommandDocs(below, folder, link); err != nil {
				return err
			}
		}
	}
	var page bytes.Buffer
	if err := doc.GenMarkdownCustom(command, &page, link); err != nil {
		return err
	}
	name := strings.ReplaceAll(strings.TrimPrefix(command.CommandPath(), "kubectl "), " ", "_") + ".md"
	marked := strings.Replace(page.String(), "### Examples\n", "### Examples\n\n"+notRun+"\n", 1)
	return os.WriteFile(filepath.Join(folder, name), []byte(marked), 0o644) //nolint:gosec // documentation
}

// notRun marks the examples as other pages mark what no test runs.
const notRun = "<!-- not run: they name your files and hosts; tests hold them against the commands, and run the like on files and hosts of their own -->"

// outputPage describes every kind that programs may rely on, from the types that are printed.
func outputPage() []byte {
	var page bytes.Buffer
	fmt.Fprintf(&page, "# Output for programs\n\n`-o json` and `-o yaml` print one document of a kind below. Within `%s` members are only added.\n"+
		"Text from others is never a risk for a terminal: what could move the cursor or hide text is escaped.\n\n"+
		"| Exit code | meaning |\n|---|---|\n| 0 | done, and everything is as it should be |\n| 1 | done, and there are findings or differences |\n"+
		"| 2 | the command line, a file or the configuration is wrong |\n| 3 | the cluster, the CM host or the key could not be used, or refused |\n| 4 | a person said no |\n", OutputVersion)
	seen := map[reflect.Type]bool{}
	for _, d := range documents {
		describe(&page, reflect.TypeOf(d).Elem(), seen)
	}
	return page.Bytes()
}

// describe writes the members of a struct, and then of the structs of this package in it.
func describe(page *bytes.Buffer, kind reflect.Type, seen map[reflect.Type]bool) {
	if seen[kind] {
		return
	}
	seen[kind] = true
	fmt.Fprintf(page, "\n## %s\n\n| member | type | |\n|---|---|---|\n", kind.Name())
	var below []reflect.Type
	for _, field := range reflect.VisibleFields(kind) {
		if field.Anonymous {
			continue
		}
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		text, element := typeName(field.Type)
		if options != "" {
			text += ", may be absent"
		}
		fmt.Fprintf(page, "| `%s` | %s | %s |\n", name, text, field.Tag.Get("doc"))
		if element != nil && !slices.Contains(below, element) {
			below = append(below, element)
		}
	}
	for _, element := range below {
		describe(page, element, seen)
	}
}

// typeName names a type for people; the second result is a struct of this package to describe as well.
func typeName(t reflect.Type) (string, reflect.Type) {
	switch {
	case t.Kind() == reflect.Slice:
		name, element := typeName(t.Elem())
		return "list of " + name, element
	case t.Kind() == reflect.Pointer:
		return typeName(t.Elem())
	case t.String() == "time.Time":
		return "RFC 3339 time", nil
	case t.Kind() == reflect.Struct && t.PkgPath() == reflect.TypeFor[Header]().PkgPath():
		return fmt.Sprintf("[%s](#%s)", t.Name(), strings.ToLower(t.Name())), t
	case t.Kind() == reflect.Struct:
		return t.Name() + " of the CM host's interface", nil
	case t.Kind() == reflect.Int64 || t.Kind() == reflect.Int:
		return "integer", nil
	case t.Kind() == reflect.Bool:
		return "boolean", nil
	default:
		return "string", nil
	}
}

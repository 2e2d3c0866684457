package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/tokenprocedures/token-procedure-operator/internal/plugin/terminal"
)

// OutputVersion is the apiVersion of everything that -o json and -o yaml print. Within a version members are only added.
const OutputVersion = "plugin.tokenprocedures.dev/v1"

// outputFlags choose between text for people and a stable form for programs.
type outputFlags struct {
	format string
}

func (f *outputFlags) add(command *cobra.Command) {
	addFormat(command, &f.format, []string{"json", "yaml"}, "json or yaml, in the stable form that 'kubectl tokenproc help output' describes; text for people without it")
}

// addFormat adds -o with the formats that it takes.
func addFormat(command *cobra.Command, into *string, formats []string, help string) {
	command.Flags().VarP(&oneOf{into, formats}, "output", "o", help)
	cobra.CheckErr(command.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)))
}

// oneOf is a flag that takes one of a few words.
type oneOf struct {
	chosen *string
	words  []string
}

func (o *oneOf) String() string { return *o.chosen }
func (o *oneOf) Type() string   { return "string" }

func (o *oneOf) Set(word string) error {
	if !slices.Contains(o.words, word) {
		return fmt.Errorf("expected %s", strings.Join(o.words, ", "))
	}
	*o.chosen = word
	return nil
}

// structured tells whether the output is for programs.
func (f *outputFlags) structured() bool { return f.format != "" }

// print writes a result in the chosen form; text writes it for people.
func (f *outputFlags) print(s *session, result document, text func()) error {
	if f.format == "" {
		text()
		return nil
	}
	result.stamp()
	encoded, err := encode(f.format, result)
	if err != nil {
		return err
	}
	_, err = s.Out.Write(encoded)
	return err
}

// encode writes JSON or YAML that is safe on a terminal.
func encode(format string, result any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(result); err != nil {
		return nil, err
	}
	switch format {
	case "json":
		return escapeJSON(buffer.Bytes()), nil
	case "yaml":
		converted, err := yaml.JSONToYAML(buffer.Bytes())
		if err != nil || !unsafeLines(converted) {
			return converted, err
		}
		return escapeJSON(buffer.Bytes()), nil // JSON is YAML too, and can escape everything
	default:
		return nil, usagef("-o %s is not known: expected json or yaml", strconv.Quote(format))
	}
}

func unsafeLines(text []byte) bool {
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		if terminal.Unsafe(string(line)) {
			return true
		}
	}
	return false
}

// escapeJSON escapes what a terminal might act on; outside of strings JSON has only ASCII.
func escapeJSON(text []byte) []byte {
	escaped := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == '\n' || !terminal.Unsafe(string(text[:size])):
			escaped = append(escaped, text[:size]...)
		case r > 0xffff:
			escaped = fmt.Appendf(escaped, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			escaped = fmt.Appendf(escaped, `\u%04x`, r)
		}
		text = text[size:]
	}
	return escaped
}

// counted is a number of things in words.
func counted(number int, thing string) string {
	if number == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", number, thing)
}

func decimal(number int64) string { return strconv.FormatInt(number, 10) }

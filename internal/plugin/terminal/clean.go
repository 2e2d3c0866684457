// Package terminal writes text that comes from others so that it cannot fool a person or a terminal, and asks a person
// for a confirmation or a PIN.
//
// Names, messages and file contents may be hostile: they come from a cluster, a host, a file. Printf and Table escape
// what could move the cursor, hide text or turn its direction. The package knows nothing of token procedures.
package terminal

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/runenames"
)

// Clean makes one line of text safe to show: control characters (line ends too), characters without a width, those that
// change the direction of text, and bytes that are not UTF-8 are escaped as in Go strings.
func Clean(text string) string { return clean(text, unsafe) }

// CleanLines is Clean for text of several lines, such as an error message: line ends stay.
func CleanLines(text string) string {
	return clean(text, func(r rune) bool { return r != '\n' && unsafe(r) })
}

func clean(text string, escape func(rune) bool) string {
	if utf8.ValidString(text) && strings.IndexFunc(text, escape) < 0 {
		return text
	}
	var cleaned strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size <= 1:
			fmt.Fprintf(&cleaned, `\x%02x`, text[0])
		case escape(r):
			cleaned.WriteString(escaped(r))
		default:
			cleaned.WriteRune(r)
		}
		text = text[size:]
	}
	return cleaned.String()
}

func escaped(r rune) string {
	switch r {
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	}
	if r > 0xffff {
		return fmt.Sprintf(`\U%08x`, r)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// unsafe tells what a terminal might act on or not show. Marks are escaped as well: many of them on one letter cover
// the lines around it.
func unsafe(r rune) bool {
	return r != ' ' && !unicode.IsGraphic(r) || unicode.IsMark(r) || unicode.Is(unicode.Zs, r) && r != ' ' ||
		unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) || unicode.Is(unicode.Variation_Selector, r)
}

// Unsafe tells whether Clean would change the text.
func Unsafe(text string) bool { return !utf8.ValidString(text) || strings.IndexFunc(text, unsafe) >= 0 }

// NonASCII describes each character of the text that is not ASCII, once, in order, so that letters that only look alike
// can be told apart: "ü U+00FC LATIN SMALL LETTER U WITH DIAERESIS".
func NonASCII(text string) []string {
	var described []string
	seen := map[rune]bool{}
	for _, r := range text {
		if r < utf8.RuneSelf || seen[r] {
			continue
		}
		seen[r] = true
		described = append(described, fmt.Sprintf("%s U+%04X %s", Clean(string(r)), r, runenames.Name(r)))
	}
	return described
}

// Text is text that is safe already, for example because it holds the escape sequences of a style. Printf and Table
// leave it as it is.
type Text string

// Printf is fmt.Fprintf with every argument cleaned. The format itself must be ours.
func Printf(w io.Writer, format string, arguments ...any) {
	cleaned := make([]any, len(arguments))
	for i, argument := range arguments {
		cleaned[i] = cleanArgument(argument)
	}
	fmt.Fprintf(w, format, cleaned...) //nolint:errcheck // a closed pipe ends the program anyway
}

func cleanArgument(argument any) any {
	switch value := argument.(type) {
	case Text:
		return string(value)
	case int, int32, int64, bool, float64:
		return value
	case error:
		return CleanLines(value.Error())
	default:
		return Clean(fmt.Sprint(value))
	}
}

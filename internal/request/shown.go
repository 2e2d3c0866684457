package request

import (
	"strings"
	"unicode"
)

// maxShown bounds how many bytes of a value of foreign origin a message repeats.
const maxShown = 200

// Shown makes a value of foreign origin fit for a message: on one line, without control, bidirectional and invisible
// characters, and not too long.
func Shown(value string) string {
	if len(value) > maxShown {
		value = strings.ToValidUTF8(value[:maxShown], "") + "…"
	}
	return printable(value)
}

// printable replaces control, bidirectional and invisible characters.
func printable(value string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, value)
}

package terminal

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"Employee card":          "Employee card",
		"Zürich カード":             "Zürich カード",
		"a\x1b[31mb":             `a\u001b[31mb`,
		"two\nlines\r\t":         `two\nlines\r\t`,
		"\u202Eevil":             `\u202eevil`,
		"zero\u200Bwidth":        `zero\u200bwidth`,
		"no\u00a0break":          `no\u00a0break`,
		"bad\xff":                `bad\xff`,
		"C1 \u009b31m":           `C1 \u009b31m`,
		"variation \ufe0f":       `variation \ufe0f`,
		"filler \u3164":          `filler \u3164`,
		"mark e\u0301\u0301":     `mark e\u0301\u0301`,
		"tag \U000e0041":         `tag \U000e0041`,
		"replaced \ufffd itself": "replaced \ufffd itself",
	} {
		if got := Clean(text); got != want {
			t.Errorf("Clean(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestPrintfCleansArgumentsOnly(t *testing.T) {
	var out strings.Builder
	Printf(&out, "%s\n%d %v %s", "a\nb", 7, true, Text("\x1b[1mc\x1b[0m"))
	if want := "a\\nb\n7 true \x1b[1mc\x1b[0m"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

func TestTableAlignsWhatIsSeen(t *testing.T) {
	var table Table
	table.Row("A", "B", "C")
	table.Row(Style{coloured: true}.Bad("no"), "Zürich", 1)
	table.Row("yes", "", "")
	var out strings.Builder
	table.Write(&out, "  ")
	want := "  A     B        C\n  \x1b[31mno\x1b[0m    Zürich   1\n  yes\n"
	if out.String() != want {
		t.Errorf("got\n%q, want\n%q", out.String(), want)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\x1b[31m\u202e\xff\n")
	f.Fuzz(func(t *testing.T, text string) {
		cleaned := Clean(text)
		if !utf8.ValidString(cleaned) || Clean(cleaned) != cleaned {
			t.Fatalf("Clean(%q) = %q is not clean", text, cleaned)
		}
		for _, r := range cleaned {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
				t.Fatalf("Clean(%q) has %U", text, r)
			}
		}
	})
}

package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// Style says how text is shown. On anything but a terminal it adds nothing.
type Style struct{ coloured bool }

// StyleFor is the style for a stream: colours on a terminal, unless the user's NO_COLOR or a dumb terminal says otherwise.
func StyleFor(w io.Writer) Style {
	return Style{coloured: IsTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// IsTerminal tells whether a stream is a terminal.
func IsTerminal(stream any) bool {
	file, isFile := stream.(*os.File)
	return isFile && term.IsTerminal(int(file.Fd()))
}

// Width is the width of a terminal in columns; 80 where it is not known.
func Width(w io.Writer) int {
	if file, isFile := w.(*os.File); isFile {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 80
}

// Good shows text of something that is as it should be.
func (s Style) Good(text string) Text { return s.wrap("\x1b[32m", text) }

// Bad shows text of something that somebody must act on.
func (s Style) Bad(text string) Text { return s.wrap("\x1b[31m", text) }

// Waiting shows text of something that waits for somebody.
func (s Style) Waiting(text string) Text { return s.wrap("\x1b[33m", text) }

// Strong shows text that a person must read.
func (s Style) Strong(text string) Text { return s.wrap("\x1b[1m", text) }

func (s Style) wrap(sequence, text string) Text {
	if !s.coloured || text == "" {
		return Text(Clean(text))
	}
	return Text(sequence + Clean(text) + "\x1b[0m")
}

// Table collects rows and writes them in columns. Every cell is cleaned.
type Table struct {
	rows [][]string
}

// Row adds a row. Cells are Text, or anything that fmt prints.
func (t *Table) Row(cells ...any) {
	row := make([]string, len(cells))
	for i, cell := range cells {
		row[i] = fmt.Sprint(cleanArgument(cell))
	}
	t.rows = append(t.rows, row)
}

// Write writes the table with three spaces between columns and none at the end of a line.
func (t *Table) Write(w io.Writer, indent string) {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], visibleWidth(cell))
		}
	}
	for _, row := range t.rows {
		var line strings.Builder
		line.WriteString(indent)
		for i, cell := range row {
			line.WriteString(cell)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-visibleWidth(cell)+3))
			}
		}
		io.WriteString(w, strings.TrimRight(line.String(), " ")+"\n") //nolint:errcheck // a closed pipe ends the program anyway
	}
}

// visibleWidth counts the characters of a cell without the escape sequences of a style.
func visibleWidth(cell string) int {
	width := 0
	for len(cell) > 0 {
		if strings.HasPrefix(cell, "\x1b[") {
			if end := strings.IndexByte(cell, 'm'); end >= 0 {
				cell = cell[end+1:]
				continue
			}
		}
		_, size := utf8.DecodeRuneInString(cell)
		cell = cell[size:]
		width++
	}
	return width
}

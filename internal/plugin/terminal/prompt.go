package terminal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// ErrNoTerminal says that there is nobody to ask.
var ErrNoTerminal = errors.New("there is no terminal to ask on")

// Prompter asks the person at the terminal.
type Prompter struct {
	in    *os.File
	lines *bufio.Reader
	out   io.Writer
	owned bool
}

// NewPrompter asks on the standard input where that is a terminal, else on the process's controlling terminal, so that
// manifests can be piped in. It returns ErrNoTerminal where there is none.
func NewPrompter(stdin any, out io.Writer) (*Prompter, error) {
	if IsTerminal(stdin) {
		in := stdin.(*os.File)
		return &Prompter{in: in, lines: bufio.NewReader(in), out: out}, nil
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, ErrNoTerminal
	}
	return &Prompter{in: tty, lines: bufio.NewReader(tty), out: tty, owned: true}, nil
}

// Close gives back the terminal.
func (p *Prompter) Close() error {
	if p.owned {
		return p.in.Close()
	}
	return nil
}

// Confirm asks a question that only `y` or `yes` answers with yes.
func (p *Prompter) Confirm(question string) (bool, error) {
	answer, err := p.Ask(question + " [y/N]")
	if err != nil {
		return false, err
	}
	answer = strings.ToLower(answer)
	return answer == "y" || answer == "yes", nil
}

// Ask asks a question and returns the answer's line without surrounding white space.
func (p *Prompter) Ask(question string) (string, error) {
	fmt.Fprintf(p.out, "%s ", question) //nolint:errcheck // the answer decides, not the question's fate
	line, err := p.lines.ReadString('\n')
	if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
		return "", fmt.Errorf("no answer was given: %w", err)
	}
	return strings.TrimSpace(line), nil
}

// Secret asks for a PIN or passphrase without showing what is typed.
func (p *Prompter) Secret(question string) ([]byte, error) {
	fmt.Fprintf(p.out, "%s ", question) //nolint:errcheck // the answer decides, not the question's fate
	secret, err := term.ReadPassword(int(p.in.Fd()))
	fmt.Fprintln(p.out) //nolint:errcheck // cosmetic
	if err != nil {
		return nil, fmt.Errorf("nothing was typed: %w", err)
	}
	return secret, nil
}

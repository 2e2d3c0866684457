package terminal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"
)

// ErrNoTerminal says that there is nobody to ask.
var ErrNoTerminal = errors.New("there is no terminal to ask on")

// ErrNoAnswer says that the person did not answer, but pressed Ctrl-C or Ctrl-D.
var ErrNoAnswer = errors.New("no answer was given, and nothing more was done")

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
	line, err := p.answer(question, func() (string, error) {
		line, err := p.lines.ReadString('\n')
		if errors.Is(err, io.EOF) && line != "" {
			err = nil
		}
		return line, err
	})
	if err != nil {
		fmt.Fprintln(p.out) //nolint:errcheck // cosmetic
	}
	return strings.TrimSpace(line), err
}

// Secret asks for a PIN or passphrase without showing what is typed: the terminal stops echoing before it asks, so that
// whoever types at once, a person or a script, is not shown either.
func (p *Prompter) Secret(question string) ([]byte, error) {
	descriptor := int(p.in.Fd())
	before, err := term.MakeRaw(descriptor)
	if err != nil {
		return nil, err
	}
	secret, err := p.answer(question, func() (string, error) {
		return term.NewTerminal(keystrokes{p.in, p.out}, "").ReadPassword("")
	})
	err = errors.Join(err, term.Restore(descriptor, before))
	if err != nil {
		fmt.Fprintln(p.out) //nolint:errcheck // cosmetic
	}
	return []byte(secret), err
}

// keystrokes reads a terminal key by key, so that what was typed after the answer is left for the next question.
type keystrokes struct {
	io.Reader
	io.Writer
}

func (k keystrokes) Read(buffer []byte) (int, error) {
	return k.Reader.Read(buffer[:min(1, len(buffer))])
}

// answer asks and reads. A person who presses Ctrl-C or Ctrl-D does not answer; the reading is then left behind, for
// the program ends.
func (p *Prompter) answer(question string, read func() (string, error)) (string, error) {
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupted)
	fmt.Fprintf(p.out, "%s ", question) //nolint:errcheck // the answer decides, not the question's fate
	type answered struct {
		text string
		err  error
	}
	answers := make(chan answered, 1)
	go func() {
		text, err := read()
		answers <- answered{text, err}
	}()
	select {
	case given := <-answers:
		if given.err != nil {
			return "", fmt.Errorf("%w (%w)", ErrNoAnswer, given.err)
		}
		return given.text, nil
	case <-interrupted:
		return "", ErrNoAnswer
	}
}

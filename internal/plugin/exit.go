package plugin

import (
	"errors"
	"fmt"

	"github.com/tokenprocedures/token-procedure-operator/internal/plugin/terminal"
)

// Exit codes of every command.
const (
	// ExitOK: done, and everything is as it should be.
	ExitOK = 0
	// ExitFinding: done, and there is something to act on: a broken rule, a difference, a signature that is missing.
	ExitFinding = 1
	// ExitUsage: the command line, a file or the configuration is wrong; nothing was done.
	ExitUsage = 2
	// ExitFailed: the cluster, the CM host or the key could not be used, or refused.
	ExitFailed = 3
	// ExitDeclined: a person said no.
	ExitDeclined = 4
)

// exitError is an error with the exit code that it means.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// errFinding ends a command whose output has said already what was found.
var errFinding = &exitError{code: ExitFinding, err: errors.New("there are findings")}

func usagef(format string, arguments ...any) error {
	return &exitError{code: ExitUsage, err: fmt.Errorf(format, arguments...)}
}

func usage(err error) error {
	if err == nil {
		return nil
	}
	return &exitError{code: ExitUsage, err: err}
}

func declinedf(format string, arguments ...any) error {
	return &exitError{code: ExitDeclined, err: fmt.Errorf(format, arguments...)}
}

// exitCode is the code for an error: that of the first exitError in it, of a question without an answer, else ExitFailed.
func exitCode(err error) int {
	if err == nil {
		return ExitOK
	}
	if exit, found := errors.AsType[*exitError](err); found {
		return exit.code
	}
	if errors.Is(err, terminal.ErrNoAnswer) {
		return ExitDeclined
	}
	return ExitFailed
}

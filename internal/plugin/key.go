package plugin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tokenprocedures/token-procedure-operator/internal/keys"
	"github.com/tokenprocedures/token-procedure-operator/internal/plugin/terminal"
)

// keyFlags say which key an officer has.
type keyFlags struct {
	key, certificate, pinFile string
}

func (f *keyFlags) add(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&f.key, "key", "", "your key: file:PATH (PEM), pkcs12:PATH, or pkcs11:token=LABEL;object=LABEL?module-path=MODULE.so (smart card, HSM)")
	flags.StringVar(&f.certificate, "cert", "", "PEM or DER file of your certificate; needed with file: unless it is in the key's file")
	flags.StringVar(&f.pinFile, "pin-file", "", "read the passphrase or PIN from this file, - is the standard input; without it you are asked on the terminal")
	for _, name := range []string{"cert", "pin-file"} {
		cobra.CheckErr(command.MarkFlagFilename(name))
	}
	cobra.CheckErr(command.RegisterFlagCompletionFunc("key", cobra.FixedCompletions(keys.Schemes, cobra.ShellCompDirectiveNoSpace)))
}

func (f *keyFlags) open(s *session) (*keys.Key, error) {
	if f.key == "" {
		return nil, usagef("which key signs? Name it with --key file:PATH, --key pkcs12:PATH or --key pkcs11:URI")
	}
	if !slices.ContainsFunc(keys.Schemes, func(scheme string) bool { return strings.HasPrefix(f.key, scheme) }) {
		return nil, usagef("--key %q does not say what it is: expected file:PATH, pkcs12:PATH or pkcs11:URI", f.key)
	}
	opened, err := keys.Open(keys.Reference{Key: f.key, Certificate: f.certificate, Secret: func(what string) ([]byte, error) { return f.secret(s, what) }})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("--key or --cert: %w", err)
	}
	return opened, err
}

const maxPINBytes = 1024

// secret reads a passphrase or PIN from --pin-file, or asks for it without showing what is typed.
func (f *keyFlags) secret(s *session, what string) ([]byte, error) {
	if f.pinFile == "" {
		prompter, err := terminal.NewPrompter(s.In, s.ErrOut)
		if errors.Is(err, terminal.ErrNoTerminal) {
			return nil, usagef("the passphrase or PIN of %s is needed, and there is no terminal to ask on: use --pin-file FILE, or --pin-file - for the standard input", what)
		}
		if err != nil {
			return nil, err
		}
		defer prompter.Close() //nolint:errcheck // nothing was written
		return prompter.Secret("Passphrase or PIN of " + terminal.Clean(what) + ":")
	}
	in := s.In
	if f.pinFile != "-" {
		file, err := os.Open(f.pinFile)
		if err != nil {
			return nil, usagef("--pin-file: %w", err)
		}
		defer file.Close() //nolint:errcheck // read only
		in = file
	}
	content, err := io.ReadAll(io.LimitReader(in, maxPINBytes+1))
	if err != nil {
		return nil, fmt.Errorf("--pin-file: %w", err)
	}
	line, _, _ := bytes.Cut(content, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 || len(line) > maxPINBytes {
		return nil, usagef("--pin-file: expected the passphrase or PIN on the first line, 1 to %d bytes", maxPINBytes)
	}
	return line, nil
}

// subjectOf is how people read whose key it is.
func subjectOf(key *keys.Key) string {
	return strings.TrimSpace(key.Certificate.Subject.String())
}

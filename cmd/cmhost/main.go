// Command cmhost is the reference CM host: it serves the interface of api/cmhost/v1 from a SQLite file or PostgreSQL, and
// loads, verifies and exports what is in the database.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set when a release is built.
var version = "devel"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	status := execute(ctx, newCommand(), os.Stderr)
	stop()
	os.Exit(status)
}

// execute runs a command and returns the program's exit status.
func execute(ctx context.Context, command *cobra.Command, stderr io.Writer) int {
	err := command.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintln(stderr, "cmhost:", err) // nobody is left to tell
	return 1
}

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "cmhost",
		Short:         "The reference CM host",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newServeCommand(), newLoadCommand(), newVerifyCommand(), newExportCommand(), newRestoredCommand())
	return root
}

// databaseFlag adds the flag that names the database.
func databaseFlag(command *cobra.Command, address *string) {
	command.Flags().StringVar(address, "database", "", "SQLite file, or postgres://USER@HOST:PORT/DATABASE")
}

// interrupted adds to the error of a command that a signal ended what the command has left behind.
func interrupted(ctx context.Context, left string, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("interrupted; %s: %w", left, err)
}

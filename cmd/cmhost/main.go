// Command cmhost is the reference CM host: it serves the interface of api/cmhost/v1 from a SQLite file or PostgreSQL, and
// loads, verifies and exports what is in the database.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set when a release is built.
var version = "devel"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := newCommand().ExecuteContext(ctx); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "cmhost:", err)
		stop()
		os.Exit(1)
	}
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

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/load"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/store"
)

// loadFlags are the flags of cmhost load.
type loadFlags struct {
	database, officers, catalog, procedures string
	allowBreaking, dryRun                   bool
}

func newLoadCommand() *cobra.Command {
	flags := &loadFlags{}
	command := &cobra.Command{
		Use:   "load",
		Short: "Load the register of officers, the catalogue, and procedures made elsewhere",
		Long: `Load the register of officers, the catalogue, and procedures made elsewhere.

The files say how everything is from now on: what they do not list any more is removed. What changes is printed,
written in one transaction and logged; a host that serves the same database notices by itself. Procedures made
elsewhere are only added or replaced. Certificate files are looked up from the folder of the officers' file.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return runLoad(command.Context(), command.OutOrStdout(), flags)
		},
	}
	databaseFlag(command, &flags.database)
	f := command.Flags()
	f.StringVar(&flags.officers, "officers", "", "the register of officers, YAML")
	f.StringVar(&flags.catalog, "catalog", "", "the catalogue, YAML")
	f.StringVar(&flags.procedures, "procedures", "", "token procedures made elsewhere, without signatures, YAML")
	f.BoolVar(&flags.allowBreaking, "allow-breaking", false, "load also what breaks an Active procedure")
	f.BoolVar(&flags.dryRun, "dry-run", false, "print what would change, and change nothing")
	if err := command.MarkFlagRequired("database"); err != nil {
		panic(err)
	}
	command.MarkFlagsOneRequired("officers", "catalog", "procedures")
	return command
}

func runLoad(ctx context.Context, out io.Writer, flags *loadFlags) (err error) {
	input, err := readInput(flags)
	if err != nil {
		return err
	}
	opened, err := store.Open(ctx, flags.database, store.Options{})
	if err != nil {
		return interrupted(ctx, "nothing was loaded", err) // from here on it is not interrupted
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	changes, broken, err := load.Load(ctx, opened, input)
	if err != nil {
		return err
	}
	for _, change := range changes {
		if _, err := fmt.Fprintln(out, change); err != nil {
			return err
		}
	}
	for _, procedure := range broken {
		if _, err := fmt.Fprintln(out, "! broken:", procedure); err != nil {
			return err
		}
	}
	done := "loaded"
	if flags.dryRun {
		done = "nothing was changed, this was a dry run;"
	}
	_, err = fmt.Fprintf(out, "%s %d changes\n", done, len(changes))
	return err
}

func readInput(flags *loadFlags) (input load.Input, err error) {
	input = load.Input{AllowBreaking: flags.allowBreaking, DryRun: flags.dryRun, Now: time.Now().UTC().Truncate(time.Millisecond)}
	if flags.officers != "" {
		if input.Officers, err = load.ReadOfficers(flags.officers); err != nil {
			return input, err
		}
	}
	if flags.catalog != "" {
		if input.Catalog, err = load.ReadCatalog(flags.catalog); err != nil {
			return input, err
		}
	}
	if flags.procedures != "" {
		if input.Procedures, err = load.ReadProcedures(flags.procedures); err != nil {
			return input, err
		}
	}
	return input, nil
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/audit"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/store"
)

func newVerifyCommand() *cobra.Command {
	var database, file, head string
	command := &cobra.Command{
		Use:   "verify",
		Short: "Check the log: the chain of hashes and the evidence of every accepted request",
		Long: `Check the log: that no entry was changed, left out or put in, and that two different officers signed every
accepted request. The log is that of a database, or a file from "cmhost export" or GET /v1/log ("-" reads standard input).
That nothing was cut off at the end only shows against a head that you remember: compare the printed one, or give --head.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			auditor := &audit.Auditor{}
			if err := eachEntry(command, database, file, auditor.Check); err != nil {
				return interrupted(command.Context(), "not the whole log was checked", err)
			}
			if head != "" && head != auditor.Head.Hash {
				return fmt.Errorf("the log ends with %s after %d entries; expected %s", auditor.Head.Hash, auditor.Head.Length, head)
			}
			_, err := fmt.Fprintf(command.OutOrStdout(), "good: %d entries, %d accepted requests, head %s\n", auditor.Head.Length, auditor.Accepted, auditor.Head.Hash)
			return err
		},
	}
	databaseFlag(command, &database)
	command.Flags().StringVarP(&file, "file", "f", "", "file with the log's entries as JSON")
	command.Flags().StringVar(&head, "head", "", "the hash that the last entry must have")
	command.MarkFlagsOneRequired("database", "file")
	command.MarkFlagsMutuallyExclusive("database", "file")
	return command
}

func newExportCommand() *cobra.Command {
	var database string
	command := &cobra.Command{
		Use:   "export",
		Short: "Write the log with its evidence as JSON lines",
		Long: `Write the log with its evidence as JSON lines: one entry on each, with the signed bytes of the request, the
signatures and the officers' certificates, roles and domains as judged. "cmhost verify -f" checks it anywhere.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			out := bufio.NewWriter(command.OutOrStdout())
			err := eachEntry(command, database, "", func(entry []byte) error {
				_, err := out.Write(append(entry, '\n'))
				return err
			})
			return interrupted(command.Context(), "the export is not complete", errors.Join(err, out.Flush()))
		},
	}
	databaseFlag(command, &database)
	if err := command.MarkFlagRequired("database"); err != nil {
		panic(err)
	}
	return command
}

func newRestoredCommand() *cobra.Command {
	var database string
	command := &cobra.Command{
		Use:   "restored",
		Short: "Say that the database was restored, where no program can notice",
		Long: `Say that the database was restored, so that the cursors of the change feed from before are refused and clients list again.
A file that was copied back and a dump that was restored are noticed without. Only what brings a whole machine, volume or
data directory back as it was leaves no trace: run this once, before or while hosts serve the database.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			ctx := command.Context()
			err := restored(ctx, command.OutOrStdout(), database)
			return interrupted(ctx, "cursors from before may still be good, run it again", err)
		},
	}
	databaseFlag(command, &database)
	if err := command.MarkFlagRequired("database"); err != nil {
		panic(err)
	}
	return command
}

func restored(ctx context.Context, out io.Writer, database string) (err error) {
	opened, err := store.Open(ctx, database, store.Options{Existing: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	if err := opened.Restored(ctx); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "a new epoch has begun: cursors from before are gone")
	return err
}

// eachEntry visits the log of a database or a file, page by page.
func eachEntry(command *cobra.Command, database, file string, visit func([]byte) error) (err error) {
	ctx := command.Context()
	unlessInterrupted := func(entry []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return visit(entry)
	}
	if file == "-" {
		return audit.Read(command.InOrStdin(), unlessInterrupted)
	}
	if file != "" {
		opened, err := os.Open(file)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, opened.Close()) }()
		return audit.Read(opened, unlessInterrupted)
	}
	opened, err := store.Open(ctx, database, store.Options{Existing: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	return eachStored(ctx, opened, unlessInterrupted)
}

func eachStored(ctx context.Context, s *store.Store, visit func([]byte) error) error {
	const page = 500
	for after := int64(0); ; {
		entries, err := s.Log(ctx, after, page)
		if err != nil {
			return err
		}
		for _, entry := range entries.Items {
			if err := visit(entry); err != nil {
				return err
			}
		}
		if !entries.More {
			return nil
		}
		after = entries.LastIndex
	}
}

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
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/load"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/store"
)

func newVerifyCommand() *cobra.Command {
	var database, file, head string
	command := &cobra.Command{
		Use:   "verify",
		Short: "Check the log: the chain of hashes and the evidence of every accepted request",
		Long: `Check the log: that no entry was changed, left out or put in, and that two different officers signed every
accepted request. The log is that of a database, or a file from "cmhost export" or GET /v1/log ("-" reads standard input).
Of a database also the register, the catalogue and the log's head, which are stored beside the log, must be what the log says.
That nothing was cut off at the end only shows against a head that you remember: compare the printed one, or give --head.`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) (err error) {
			ctx, auditor := command.Context(), &audit.Auditor{}
			switch file {
			case "":
				err = checkDatabase(ctx, database, auditor)
			case "-":
				err = checkFile(ctx, command.InOrStdin(), auditor)
			default:
				err = openAndCheckFile(ctx, file, auditor)
			}
			if err != nil {
				return interrupted(ctx, "not the whole log was checked", err)
			}
			if head != "" && head != auditor.Head.Hash {
				return fmt.Errorf("the log ends with %s after %d entries; expected %s", auditor.Head.Hash, auditor.Head.Length, head)
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "good: %d entries, %d accepted requests, head %s\n", auditor.Head.Length, auditor.Accepted, auditor.Head.Hash)
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
			ctx := command.Context()
			return interrupted(ctx, "the export is not complete", export(ctx, command.OutOrStdout(), database))
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

// export writes each entry of a database's log on a line.
func export(ctx context.Context, to io.Writer, database string) (err error) {
	snapshot, err := store.OpenSnapshot(ctx, database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	out := bufio.NewWriter(to)
	err = snapshot.EachEntry(ctx, func(entry []byte) error {
		_, err := out.Write(append(entry, '\n'))
		return err
	})
	return errors.Join(err, out.Flush())
}

func openAndCheckFile(ctx context.Context, path string, auditor *audit.Auditor) (err error) {
	opened, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	return checkFile(ctx, opened, auditor)
}

func checkFile(ctx context.Context, from io.Reader, auditor *audit.Auditor) error {
	return audit.Read(from, func(entry []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return auditor.Check(entry)
	})
}

// checkDatabase checks the log of a database, then what is stored beside it.
func checkDatabase(ctx context.Context, address string, auditor *audit.Auditor) (err error) {
	snapshot, err := store.OpenSnapshot(ctx, address)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	recorded := load.Recorded{}
	err = snapshot.EachEntry(ctx, func(plain []byte) error {
		if err := auditor.Check(plain); err != nil {
			return err
		}
		return recorded.Note(plain)
	})
	if err != nil {
		return err
	}
	head, err := snapshot.Head(ctx)
	if err != nil {
		return err
	}
	if head != auditor.Head {
		err = fmt.Errorf("the log ends with %s after %d entries; stored as its head is %s after %d", auditor.Head.Hash, auditor.Head.Length, head.Hash, head.Length)
	}
	policy, policyErr := snapshot.Policy(ctx)
	if policyErr != nil {
		return errors.Join(err, policyErr)
	}
	return errors.Join(err, recorded.Check(policy.Officers, policy.Catalog))
}

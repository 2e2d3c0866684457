package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/chain"
)

// witness is a small file beside a SQLite file that no backup of the database contains. It has a random name, which is a
// part of the epoch, and how far the log came. Where the log is shorter or another one, the database was copied back from
// a backup and gets a new name, and so does one without a witness. That a witness lags behind is no sign of a restore: a
// host that was killed may have committed after it wrote the witness last. PostgreSQL needs none: nil.
type witness struct {
	file *os.File
	name string
}

// testimony is what follows the name: the index and the hash of the last entry. All names have the same length.
const testimony = " %16d %-71s\n"

// witnessOf is what a database's witness is called: nothing that a copy of everything which begins like the database takes.
func witnessOf(address string) string {
	return filepath.Join(filepath.Dir(address), ".witness-of-"+filepath.Base(address))
}

// openWitness opens the witness of a database, whose writers must be locked out.
func openWitness(ctx context.Context, path string, from querier, head chain.Head) (w *witness, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open what tells that a database was restored: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	plain, err := io.ReadAll(io.LimitReader(file, 1024))
	if err != nil {
		return nil, err
	}
	w = &witness{file: file}
	var seen chain.Head
	if _, err := fmt.Sscan(string(plain), &w.name, &seen.Length, &seen.Hash); err == nil && len(w.name) == len(newEpoch()) {
		var there string
		if err := from.QueryRowContext(ctx, `SELECT COALESCE((SELECT hash FROM log WHERE idx = $1), $2)`, seen.Length, noHash).Scan(&there); err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
		if there == seen.Hash {
			return w, w.note(head)
		}
	}
	w.name = newEpoch()
	if _, err := file.WriteAt([]byte(w.name), 0); err != nil {
		return nil, err
	}
	return w, w.note(head)
}

// noHash stands for the hash of the entry that an empty log does not have.
const noHash = "none"

// note writes how far the log came.
func (w *witness) note(head chain.Head) error {
	if w == nil {
		return nil
	}
	hash := head.Hash
	if head.Length == 0 {
		hash = noHash
	}
	_, err := w.file.WriteAt(fmt.Appendf(nil, testimony, head.Length, hash), int64(len(w.name)))
	return err
}

func (w *witness) close() error {
	if w == nil {
		return nil
	}
	return w.file.Close()
}

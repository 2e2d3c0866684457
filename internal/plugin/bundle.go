package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
)

// bundle is a folder with what verify needs to check a report again: the whole log, one entry a line, and each
// procedure's history. It is written while the log is read; nothing of it is kept in memory. A nil bundle takes
// everything and writes nothing.
type bundle struct {
	folder, audience string
	log              *os.File
	histories        map[string]string // file by procedure
	taken            map[string]bool   // names of these files
}

func newBundle(folder, audience string) (*bundle, error) {
	if err := mustBeNew(folder); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, usage(err)
	}
	log, err := createNew(filepath.Join(folder, "log.jsonl"))
	if err != nil {
		return nil, err
	}
	return &bundle{folder: folder, audience: audience, log: log, histories: map[string]string{}, taken: map[string]bool{}}, nil
}

// entry writes the next entry of the log.
func (b *bundle) entry(plain json.RawMessage) error {
	if b == nil {
		return nil
	}
	var line bytes.Buffer
	if err := json.Compact(&line, plain); err != nil {
		return err
	}
	line.WriteByte('\n')
	_, err := b.log.Write(line.Bytes())
	return err
}

// revision writes the next revision to its procedure's history.
func (b *bundle) revision(revision *cmhostv1.TokenProcedure) error {
	if b == nil {
		return nil
	}
	item, err := encode("json", revision)
	if err != nil {
		return err
	}
	path, begun := b.histories[revision.Name]
	if begun {
		return appendTo(path, append([]byte(",\n"), item...))
	}
	path = filepath.Join(b.folder, "history-"+objectName(revision.Name, b.taken)+".json")
	b.histories[revision.Name] = path
	file, err := createNew(path)
	if err != nil {
		return err
	}
	head, _, err := b.frame(revision.Name)
	if err == nil {
		_, err = file.Write(append(head, item...))
	}
	return errors.Join(err, file.Close())
}

// frame is what stands before and behind the items of a history.
func (b *bundle) frame(procedure string) (head, tail []byte, err error) {
	empty := &History{Audience: b.audience, Procedure: procedure, Items: []cmhostv1.TokenProcedure{}}
	empty.stamp()
	encoded, err := encode("json", empty)
	if err != nil {
		return nil, nil, err
	}
	at := bytes.LastIndex(encoded, []byte("[]")) + 1
	return encoded[:at:at], encoded[at:], nil
}

// close ends all files.
func (b *bundle) close() error {
	if b == nil {
		return nil
	}
	problems := b.log.Close()
	for procedure, path := range b.histories {
		_, tail, err := b.frame(procedure)
		if err == nil {
			err = appendTo(path, tail)
		}
		problems = errors.Join(problems, err)
	}
	return problems
}

func appendTo(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}

// say tells how to check the bundle.
func (b *bundle) say(s *session) {
	s.note("check the bundle offline: the log by itself, %s by the officers' certificates:\n  kubectl tokenproc verify --log %s\n", counted(len(b.histories), "history file"), b.log.Name())
	for _, procedure := range slices.Sorted(maps.Keys(b.histories))[:min(len(b.histories), 3)] {
		s.note("  kubectl tokenproc verify --history %s --officers FOLDER\n", b.histories[procedure])
	}
	if len(b.histories) > 3 {
		s.note("  … and so on\n")
	}
}

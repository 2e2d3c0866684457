package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// folder is .local of a checkout: what any client of the local stack needs.
type folder struct{ root string }

func (f folder) path(elements ...string) string {
	return filepath.Join(append([]string{f.root}, elements...)...)
}

// private makes a file that only its owner reads: keys and what holds them.
func (f folder) private(content []byte, elements ...string) error {
	return os.WriteFile(f.path(elements...), content, 0o600)
}

func (f folder) public(content []byte, elements ...string) error {
	return os.WriteFile(f.path(elements...), content, 0o644)
}

// line makes a file of one line, which ends in a newline.
func (f folder) line(content string, elements ...string) error {
	return f.public([]byte(content+"\n"), elements...)
}

// renew claims the folder for this process and empties it. The claim ends with the process, however it ends, so that a
// folder that a killed stack left behind is free again.
func (f folder) renew() (release func() error, err error) {
	if err := os.MkdirAll(f.root, 0o755); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(f.path("lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("a local stack runs in %s already: end it first, or use another checkout", f.root), lock.Close())
	}
	entries, err := os.ReadDir(f.root)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	for _, entry := range entries {
		if entry.Name() == "lock" {
			continue
		}
		if err := os.RemoveAll(f.path(entry.Name())); err != nil {
			return nil, errors.Join(err, lock.Close())
		}
	}
	for _, directory := range []string{"host", "officers", "log", "pid"} {
		if err := os.Mkdir(f.path(directory), 0o755); err != nil {
			return nil, errors.Join(err, lock.Close())
		}
	}
	if err := os.Mkdir(f.path("controlplane"), 0o700); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock.Close, nil
}

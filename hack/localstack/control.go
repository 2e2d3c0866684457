package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// control is how another shell asks the running stack to start a part again: so every part stays a child of one program,
// which ends them all. It is a socket in a directory that only this user can open, whose path .local/control holds; sockets
// cannot have paths as long as those of a checkout.
type control struct {
	server    *http.Server
	directory string
	address   string // the file that says where the socket is
}

func listen(f folder, parts map[string]*process) (*control, error) {
	directory, err := os.MkdirTemp("", "tp-")
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(directory, "control")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(directory))
	}
	c := &control{directory: directory, address: f.path("control"), server: &http.Server{Handler: starter(parts), ReadHeaderTimeout: time.Second}}
	go func() {
		if err := c.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fmt.Println("make up-cmhost and make up-manager do not work any more:", err)
		}
	}()
	return c, f.line(socket, "control")
}

func (c *control) close() error {
	return errors.Join(c.server.Close(), os.RemoveAll(c.directory), os.Remove(c.address))
}

func starter(parts map[string]*process) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /start/{part}", func(w http.ResponseWriter, r *http.Request) {
		part, known := parts[r.PathValue("part")]
		if !known {
			http.Error(w, "there is no such part", http.StatusNotFound)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), 25*time.Second)
		defer cancel()
		if err := part.ensure(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	return mux
}

// askToStart asks the stack that runs in a checkout to start one of its parts, and returns once the part serves.
func askToStart(ctx context.Context, root, part string) error {
	socket, err := os.ReadFile(filepath.Join(root, ".local", "control"))
	if err != nil {
		return fmt.Errorf("no local stack runs in this checkout: start one with `make up` (%w)", err)
	}
	var dialer net.Dialer
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", strings.TrimSpace(string(socket)))
	}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localstack/start/"+part, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("the local stack of this checkout does not answer: start one with `make up` (%w)", err)
	}
	answer, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("starting %s: %s", part, bytes.TrimSpace(answer))
	}
	return nil
}

// Package postgrestest starts a PostgreSQL server for tests: on loopback, on a free port, in a temporary folder, as an
// unprivileged user, with a password of its own. Only tests may import it.
package postgrestest

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// startTimeout bounds how long the server may take to answer.
const startTimeout = 60 * time.Second

// Server is a running PostgreSQL server.
type Server struct {
	folder   string
	port     int
	password string
	process  *process
	output   bytes.Buffer
	next     atomic.Int64
}

// Start starts a server. Nothing is weakened: what it acknowledges is on disk.
func Start() (*Server, error) {
	initdb, err := find("initdb")
	if err != nil {
		return nil, err
	}
	postgres, err := find("postgres")
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "postgrestest-")
	if err != nil {
		return nil, err
	}
	s := &Server{folder: folder, password: rand.Text()}
	if err := s.start(initdb, postgres); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// find looks for a program of PostgreSQL on the PATH, then where Debian has it.
func find(program string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	versions, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + program)
	if err != nil || len(versions) == 0 {
		return "", fmt.Errorf("%s is needed for this test and neither on the PATH nor in /usr/lib/postgresql: install Debian's package postgresql", program)
	}
	return versions[len(versions)-1], nil
}

func (s *Server) start(initdb, postgres string) error {
	owner, err := unprivileged()
	if err != nil {
		return err
	}
	passwordFile := filepath.Join(s.folder, "password")
	if err := os.WriteFile(passwordFile, []byte(s.password+"\n"), 0o600); err != nil {
		return err
	}
	for _, path := range []string{s.folder, passwordFile} {
		if err := owner.give(path); err != nil {
			return err
		}
	}
	data := filepath.Join(s.folder, "data")
	initialise := exec.Command(initdb, "-D", data, "-U", "test", "-A", "scram-sha-256", "--pwfile="+passwordFile, "-E", "UTF8", "--locale=C", "--no-sync")
	initialise.SysProcAttr, initialise.Dir = owner.attributes(), s.folder
	if output, err := initialise.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, output)
	}
	if s.port, err = freePort(); err != nil {
		return err
	}
	command := exec.Command(postgres, "-D", data, "-p", fmt.Sprint(s.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200")
	command.SysProcAttr, command.Dir = owner.attributes(), s.folder
	command.Stdout, command.Stderr = &s.output, &s.output
	if s.process, err = run(command); err != nil {
		return err
	}
	return s.waitUntilItAnswers()
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return port, listener.Close()
}

func (s *Server) waitUntilItAnswers() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-s.process.ended:
			return fmt.Errorf("postgres ended:\n%s", s.output.String())
		case <-ctx.Done():
			return fmt.Errorf("postgres does not answer: %w", err)
		case <-ticker.C:
		}
	}
}

func (s *Server) url(database string) string {
	return fmt.Sprintf("postgres://test:%s@127.0.0.1:%d/%s?sslmode=disable", s.password, s.port, database)
}

// NewDatabase makes an empty database and returns its URL. options are added to CREATE DATABASE.
func (s *Server) NewDatabase(ctx context.Context, options ...string) (string, error) {
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	name := fmt.Sprintf("test%d", s.next.Add(1))
	if _, err := db.ExecContext(ctx, "CREATE DATABASE "+name+" "+strings.Join(options, " ")); err != nil {
		return "", err
	}
	return s.url(name), nil
}

// DropDatabase removes a database, whoever uses it.
func (s *Server) DropDatabase(ctx context.Context, address string) error {
	parsed, err := url.Parse(address)
	if err != nil {
		return err
	}
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(ctx, "DROP DATABASE "+strings.TrimPrefix(parsed.Path, "/")+" WITH (FORCE)")
	return err
}

// Dump is what pg_dump makes of a database.
func (s *Server) Dump(ctx context.Context, address string) ([]byte, error) {
	program, err := find("pg_dump")
	if err != nil {
		return nil, err
	}
	return runTool(exec.CommandContext(ctx, program, "--format=custom", "--dbname="+address))
}

// Restore lets pg_restore replace what is in a database by a dump.
func (s *Server) Restore(ctx context.Context, address string, dump []byte) error {
	program, err := find("pg_restore")
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, program, "--clean", "--if-exists", "--single-transaction", "--dbname="+address)
	command.Stdin = bytes.NewReader(dump)
	_, err = runTool(command)
	return err
}

// runTool runs a program and returns what it prints.
func runTool(command *exec.Cmd) ([]byte, error) {
	var said bytes.Buffer
	command.Stderr = &said
	printed, err := command.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", filepath.Base(command.Path), err, said.String())
	}
	return printed, err
}

// Stop ends the server and removes its folder.
func (s *Server) Stop() error {
	if s.process != nil {
		if err := s.process.signal(syscall.SIGINT); err != nil { // fast shutdown
			return err
		}
		<-s.process.ended
	}
	return os.RemoveAll(s.folder)
}

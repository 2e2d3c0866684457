package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// program is a running program. Its log is a file.
type program struct {
	name    string
	command *exec.Cmd
	log     string
	started time.Time
	ended   chan error
}

func startProgram(name, path, log string, environment []string, arguments ...string) (*program, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	command := exec.Command(path, arguments...)
	command.Env = append(os.Environ(), environment...)
	command.Stdout, command.Stderr = file, file
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := &program{name: name, command: command, log: log, started: time.Now(), ended: make(chan error, 1)}
	if err := errors.Join(command.Start(), file.Close()); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() { p.ended <- command.Wait() }()
	return p, nil
}

// stop ends the program as a system does that shuts down.
func (p *program) stop() error {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-p.ended:
		if err != nil {
			return fmt.Errorf("%s ended with %w; see %s", p.name, err, p.log)
		}
		return nil
	case <-time.After(30 * time.Second):
		return errors.Join(fmt.Errorf("%s did not end within 30 s", p.name), p.command.Process.Kill())
	}
}

// check tells why the program does not run any more.
func (p *program) check() error {
	select {
	case err := <-p.ended:
		p.ended <- err
		return fmt.Errorf("%s has ended: %w; see %s", p.name, errors.Join(err, errors.New("expected it to run")), p.log)
	default:
		return nil
	}
}

// memory is what the program occupies now, in bytes.
func (p *program) memory() (int64, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.SplitSeq(string(content), "\n") {
		if value, found := strings.CutPrefix(line, "VmRSS:"); found {
			kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(value, "kB")), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, errors.New("/proc/PID/status has no VmRSS: this system's memory use cannot be read")
}

// cpu is how long the program has computed so far.
func (p *program) cpu() (time.Duration, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(content), ") ")
	fields := strings.Fields(after)
	if len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat has another form than expected")
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux
	return time.Duration(user+system) * tick, err
}

// until asks again and again until the answer is yes.
func until(ctx context.Context, what string, patience, pace time.Duration, answer func() (bool, error)) error {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for {
		if yes, err := answer(); err != nil || yes {
			return err
		}
		select {
		case <-limited.Done():
			return fmt.Errorf("waited %s for %s: %w", patience, what, limited.Err())
		case <-ticker.C:
		}
	}
}

// freeAddress is an address on loopback that nobody listens on.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// fetch gets a page from a program on loopback.
func fetch(ctx context.Context, url string) (status int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

// growingFile reads what has been added to a file of lines.
type growingFile struct {
	path   string
	offset int64
}

// lines calls visit for every whole line that is new.
func (g *growingFile) lines(visit func([]byte) error) (err error) {
	file, err := os.Open(g.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.Seek(g.offset, io.SeekStart); err != nil {
		return err
	}
	reader := bufio.NewReaderSize(file, 1<<20)
	for {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		g.offset += int64(len(line))
		if err := visit(bytes.TrimSpace(line)); err != nil {
			return err
		}
	}
}

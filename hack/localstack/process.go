package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// process is one part of the stack: a program that can be started, killed by anybody, and started again.
type process struct {
	name    string
	program string
	args    []string
	serves  func(context.Context) error // nil once the program serves
	folder  folder

	starting sync.Mutex // one start at a time; whoever comes second finds it running

	mu     sync.Mutex
	cmd    *exec.Cmd
	ended  chan struct{} // closed when cmd has ended
	wanted bool          // false once the stack is being ended
}

// launches runs every start on one thread that lives as long as this program: where the system can end a child with its
// parent, it means the thread that started it.
var launches = make(chan func())

func init() {
	go func() {
		runtime.LockOSThread()
		for launch := range launches {
			launch()
		}
	}()
}

// running returns a channel that is closed when the program ends, or nil where it does not run.
func (p *process) running() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended == nil {
		return nil
	}
	select {
	case <-p.ended:
		return nil
	default:
		return p.ended
	}
}

// ensure starts the program where it does not run and returns once it serves. A program that is just ending is awaited
// and started again.
func (p *process) ensure(ctx context.Context) error {
	p.starting.Lock()
	defer p.starting.Unlock()
	if ended := p.running(); ended != nil {
		if p.awaitService(ctx, ended) == nil && !endsWithin(ended, time.Second) {
			return nil
		}
		if p.running() != nil {
			return fmt.Errorf("%s runs but does not serve: look into %s", p.name, p.folder.path("log", p.name+".log"))
		}
	}
	if err := p.launch(); err != nil {
		return err
	}
	return p.awaitService(ctx, p.running())
}

func endsWithin(ended chan struct{}, patience time.Duration) bool {
	select {
	case <-ended:
		return true
	case <-time.After(patience):
		return false
	}
}

func (p *process) launch() error {
	log, err := os.OpenFile(p.folder.path("log", p.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := exec.Command(p.program, p.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = apart()
	started := make(chan error)
	launches <- func() { started <- cmd.Start() }
	if err := errors.Join(<-started, log.Close()); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	p.mu.Lock()
	ended := make(chan struct{})
	p.cmd, p.ended, p.wanted = cmd, ended, true
	p.mu.Unlock()
	go p.attend(cmd, ended)
	return p.folder.line(strconv.Itoa(cmd.Process.Pid), "pid", p.name+".pid")
}

// attend says so when the program ends without being asked to.
func (p *process) attend(cmd *exec.Cmd, ended chan struct{}) {
	outcome := cmd.Wait()
	p.mu.Lock()
	wanted := p.wanted
	p.mu.Unlock()
	close(ended)
	if wanted {
		fmt.Printf("%s ended (%v) and is not started again by itself\n", p.name, cmp.Or(outcome, errors.New("exit status 0")))
	}
}

// awaitService returns once the program serves, and an error when it ends or the context does before that.
func (p *process) awaitService(ctx context.Context, ended chan struct{}) error {
	var last error
	for {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		last = p.serves(attempt)
		cancel()
		if last == nil {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("%s ended instead of serving; the end of its log:\n%s", p.name, p.logTail())
		case <-ctx.Done():
			return fmt.Errorf("%s does not serve: %w; the end of its log:\n%s", p.name, last, p.logTail())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (p *process) logTail() string {
	content, err := os.ReadFile(p.folder.path("log", p.name+".log"))
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-15):], []byte("\n")))
}

// stop ends the program: politely first, by force when it has not ended within the patience.
func (p *process) stop(patience time.Duration) error {
	p.starting.Lock()
	defer p.starting.Unlock()
	p.mu.Lock()
	cmd := p.cmd
	p.wanted = false
	p.mu.Unlock()
	if cmd == nil {
		return nil
	}
	pidFile := p.folder.path("pid", p.name+".pid")
	ended := p.running()
	if ended == nil {
		return os.RemoveAll(pidFile)
	}
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := syscall.Kill(-cmd.Process.Pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("ending %s: %w", p.name, err)
		}
		if endsWithin(ended, patience) {
			break
		}
	}
	return os.RemoveAll(pidFile)
}

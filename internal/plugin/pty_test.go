//go:build linux

package plugin_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// screen is a terminal with a program on it.
type screen struct {
	*desk
	master  *os.File
	command *exec.Cmd
	lock    sync.Mutex
	shown   bytes.Buffer
	changed chan struct{}
	ended   chan struct{}
}

// terminal runs a command of a shell on a terminal of its own.
func (d *desk) terminal(line string) *screen {
	d.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		d.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		d.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		d.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		d.Fatal(err)
	}
	defer slave.Close() //nolint:errcheck // the program has it
	s := &screen{desk: d, master: master, changed: make(chan struct{}, 1), ended: make(chan struct{})}
	s.command = exec.Command("bash", "-c", line)
	s.command.Dir, s.command.Env = d.folder, append(d.env, "TERM=xterm-256color")
	s.command.Stdin, s.command.Stdout, s.command.Stderr = slave, slave, slave
	s.command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.command.Start(); err != nil {
		d.Fatal(err)
	}
	go s.watch()
	d.Cleanup(func() { master.Close() }) //nolint:errcheck // a second time
	return s
}

func (s *screen) watch() {
	buffer := make([]byte, 4096)
	for {
		n, err := s.master.Read(buffer)
		s.lock.Lock()
		s.shown.Write(buffer[:n])
		s.lock.Unlock()
		select {
		case s.changed <- struct{}{}:
		default:
		}
		if err != nil { // the program has closed its end
			s.command.Wait() //nolint:errcheck // the exit code is looked at
			close(s.ended)
			return
		}
	}
}

func (s *screen) text() string {
	s.lock.Lock()
	defer s.lock.Unlock()
	return strings.ReplaceAll(s.shown.String(), "\r\n", "\n")
}

// expect waits until a text is on the screen, and takes everything up to it away.
func (s *screen) expect(text string) {
	s.Helper()
	deadline := time.After(30 * time.Second)
	for {
		s.lock.Lock()
		at := strings.Index(s.shown.String(), text)
		if at >= 0 {
			s.shown.Next(at + len(text))
		}
		s.lock.Unlock()
		if at >= 0 {
			return
		}
		select {
		case <-s.changed:
		case <-deadline:
			s.Fatalf("%q did not appear; the screen has:\n%s", text, s.text())
		}
	}
}

func (s *screen) answer(text string) {
	s.Helper()
	if _, err := s.master.WriteString(text + "\n"); err != nil {
		s.Fatal(err)
	}
}

// echoes tells whether the terminal shows what is typed.
func (s *screen) echoes() bool {
	s.Helper()
	mode, err := unix.IoctlGetTermios(int(s.master.Fd()), unix.TCGETS)
	if err != nil {
		s.Fatal(err)
	}
	return mode.Lflag&unix.ECHO != 0
}

// secret answers a question that was just seen and whose answer must not be.
func (s *screen) secret(text string) {
	s.Helper()
	if s.echoes() {
		s.Error("the terminal echoes what is typed")
	}
	s.answer(text)
}

// end waits for the end of the program.
func (s *screen) end(code int) {
	s.Helper()
	select {
	case <-s.ended:
	case <-time.After(30 * time.Second):
		s.Fatalf("the program did not end; the screen has:\n%s", s.text())
	}
	if got := s.command.ProcessState.ExitCode(); got != code {
		s.Errorf("the program ended with %d, want %d; the screen has:\n%s", got, code, s.text())
	}
}

const signOffline = "kubectl-tokenproc sign -f card.yaml --audience cm.example.com "

func TestSigningOnATerminal(t *testing.T) {
	d := newDesk(t)
	d.officer("officer-1")
	d.write("card.yaml", employeeCard)
	d.write("pass", "open sesame")
	d.must("openssl pkcs12 -export -in officer-1.crt -inkey officer-1.key -passout file:pass -out officer.p12")

	t.Run("each is confirmed, and no means no", func(*testing.T) {
		s := d.terminal(signOffline + "--key file:officer-1.key --cert officer-1.crt --out refused.yaml")
		s.expect("cm.example.com")
		s.expect("Employee card")
		s.expect("Sign this request for cm.example.com? [y/N]")
		s.answer("n")
		s.expect("not signed, as you said")
		s.end(4)
		if _, err := os.Stat(filepath.Join(d.folder, "refused.yaml")); err == nil {
			t.Error("a refused request was signed")
		}
	})
	t.Run("pressing enter means no", func(*testing.T) {
		s := d.terminal(signOffline + "--key file:officer-1.key --cert officer-1.crt")
		s.expect("[y/N]")
		s.answer("")
		s.end(4)
	})
	t.Run("the passphrase is asked for and never shown", func(*testing.T) {
		s := d.terminal(signOffline + "--key pkcs12:officer.p12 --out signed.yaml")
		s.expect("Passphrase or PIN of the PKCS#12 file officer.p12:")
		s.secret("open sesame\nyes") // the next answer may be typed ahead, and is not lost
		shown := s.until("Request 1 of 1")
		s.expect("[y/N]")
		s.end(0)
		if strings.Contains(shown+s.text(), "sesame") {
			t.Error("the passphrase is on the screen")
		}
		if !strings.Contains(d.read("signed.yaml"), "kind: ProcedureSignature") {
			t.Error("no signature was written")
		}
	})
	t.Run("a wrong passphrase", func(*testing.T) {
		s := d.terminal(signOffline + "--key pkcs12:officer.p12")
		s.expect("officer.p12:")
		s.secret("open window")
		s.expect("the passphrase of officer.p12 is wrong")
		s.end(3)
	})
	t.Run("ended at the question, the terminal echoes again", func(*testing.T) {
		s := d.terminal(signOffline + "--key pkcs12:officer.p12")
		s.expect("officer.p12:")
		if s.echoes() {
			t.Error("the terminal echoes at the question")
		}
		if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		s.expect("no answer was given")
		s.end(4)
		if !s.echoes() {
			t.Error("the terminal was left without echo")
		}
	})
	t.Run("manifests through a pipe, the answer from the terminal", func(*testing.T) {
		s := d.terminal("cat card.yaml | kubectl-tokenproc sign -f - --audience cm.example.com --key file:officer-1.key --cert officer-1.crt > piped.yaml")
		s.expect("[y/N]")
		s.answer("y")
		s.end(0)
		if !strings.Contains(d.read("piped.yaml"), "kind: ProcedureSignature") {
			t.Error("no signature was written")
		}
	})
	t.Run("a passphrase from a file", func(*testing.T) {
		d.must(signOffline + "--key pkcs12:officer.p12 --pin-file pass --yes")
		d.must("cat pass | " + signOffline + "--key pkcs12:officer.p12 --pin-file - --yes")
	})
}

func TestNewOnATerminal(t *testing.T) {
	d := newDesk(t)
	d.must("cp " + repository(t) + "/config/samples/host/catalog.yaml .")
	s := d.terminal("kubectl-tokenproc new --catalog catalog.yaml --cmhost local --out card.yaml")
	for _, c := range []struct{ question, answer string }{
		{"Procedure name:", ""},
		{"Procedure name:", "Employee card"},
		{"Domain (optional, Enter: Root) (number or name):", "1"},
		{"Visible in subdomain (optional, Enter: no) (yes or no):", "perhaps"},
		{"Visible in subdomain (optional, Enter: no) (yes or no):", "no"},
		{"Storage profile (number or name):", "SmartCard"},
		{"Card serial number range (FROM-TO, or none):", "9-1"},
		{"Card serial number range (FROM-TO, or none):", "100000-199999"},
		{"PIN procedure (number or name):", "1"},
		{"Key procedures (optional) (numbers or names, with commas between):", ""},
		{"Issuer certificates (number or name):", "StoreAll"},
		{"CAs for recovered certificates (number or name):", "1"},
		{"Attribute certificate procedures (optional) (numbers or names, with commas between):", ""},
		{"Certificate procedures, in order (numbers or names, with commas between):", "Authentication, Signature"},
		{"Input view (optional, Enter: the default view) (number or name):", ""},
	} {
		s.expect(c.question)
		s.answer(c.answer)
	}
	s.expect("wrote card.yaml")
	s.end(0)
	d.golden("new-on-a-terminal", "cat card.yaml", "kubectl-tokenproc lint -f card.yaml --catalog catalog.yaml --strict")
}

// TestColours keeps colours to terminals.
func TestColours(t *testing.T) {
	d := newDesk(t)
	d.write("bad.yaml", badFolder)
	s := d.terminal("kubectl-tokenproc lint -f bad.yaml")
	s.expect("\x1b[31merror\x1b[0m")
	s.end(1)
	if done := d.run("kubectl-tokenproc lint -f bad.yaml"); strings.Contains(done.stdout+done.stderr, "\x1b") {
		t.Errorf("colours without a terminal: %q", done.stdout)
	}
	s = d.terminal("NO_COLOR=1 kubectl-tokenproc lint -f bad.yaml")
	s.expect(": error: ")
	s.end(1)
}

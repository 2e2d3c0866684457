// Package e2e uses the product as a person does: it runs the local stack that `make up` runs and speaks to it with kubectl,
// openssl and the plugin. It imports nothing of the product.
package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// programs is where this test built the product's programs; assets is where the control plane's are.
var programs, assets string

func TestMain(m *testing.M) {
	code, err := prepared(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, "preparing the test:", err)
		code = 1
	}
	os.Exit(code)
}

func prepared(run func() int) (code int, err error) {
	for _, program := range []string{"openssl", "jq", "bash", "curl", "sqlite3"} {
		if _, err := exec.LookPath(program); err != nil {
			return 0, fmt.Errorf("install the Debian package %s: %w", program, err)
		}
	}
	if programs, err = os.MkdirTemp("", "e2e-bin-"); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(programs)) }()
	build := exec.Command("go", "build", "-o", programs, "./cmd/...", "./hack/localstack")
	build.Dir = "../.."
	if output, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("building the programs: %w\n%s", err, output)
	}
	if err := os.Symlink("kubectl-tokenproc", filepath.Join(programs, "kubectl_complete-tokenproc")); err != nil {
		return 0, err
	}
	controlPlane := exec.Command("../../hack/controlplane/build.sh")
	controlPlane.Stderr = os.Stderr
	directory, err := controlPlane.Output()
	if err != nil {
		return 0, fmt.Errorf("building the control plane: %w", err)
	}
	assets = strings.TrimSpace(string(directory))
	return run(), nil
}

// checkout makes a folder that looks like a checkout where everything is built: every test has its own .local.
func checkout(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	if err := os.CopyFS(filepath.Join(root, "config"), os.DirFS("../../config")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(programs, filepath.Join(root, "bin")); err != nil {
		t.Fatal(err)
	}
	return root
}

// stack is a local stack that runs.
type stack struct {
	*WithT
	t       *testing.T
	root    string
	command *exec.Cmd
	ended   chan error
	said    []string // before ready
}

// up does what `make up` does and returns once it has printed ready.
func up(t *testing.T) *stack {
	t.Helper()
	s := &stack{WithT: NewWithT(t), t: t, root: checkout(t), ended: make(chan error, 1)}
	s.SetDefaultEventuallyTimeout(40 * time.Second)
	s.SetDefaultEventuallyPollingInterval(100 * time.Millisecond)
	s.command = exec.Command(filepath.Join(programs, "localstack"), "up", "--root", s.root, "--assets", assets)
	output, err := s.command.StdoutPipe()
	s.Expect(err).NotTo(HaveOccurred())
	s.command.Stderr = os.Stderr
	s.Expect(s.command.Start()).To(Succeed())
	ready := make(chan []string, 1)
	go func() {
		lines := bufio.NewScanner(output)
		var said []string
		for lines.Scan() {
			t.Log(lines.Text())
			said = append(said, lines.Text())
			if lines.Text() == "ready" {
				ready <- said
			}
		}
		s.ended <- s.command.Wait()
	}()
	t.Cleanup(s.end)
	select {
	case s.said = <-ready:
	case err := <-s.ended:
		s.ended <- err
		t.Fatalf("the local stack ended before it was ready: %v", err)
	case <-time.After(3 * time.Minute):
		t.Fatal("the local stack was not ready within three minutes")
	}
	return s
}

// end interrupts the stack as a person does and waits for its end.
func (s *stack) end() {
	if err := s.command.Process.Signal(os.Interrupt); errors.Is(err, os.ErrProcessDone) {
		return
	}
	select {
	case err := <-s.ended:
		s.Expect(err).NotTo(HaveOccurred(), "an interruption is a good end")
	case <-time.After(time.Minute):
		s.t.Error("the local stack did not end within a minute of being interrupted")
		s.Expect(s.command.Process.Kill()).To(Succeed())
	}
}

func (s *stack) file(elements ...string) string {
	return filepath.Join(append([]string{s.root, ".local"}, elements...)...)
}

func (s *stack) read(elements ...string) string {
	s.t.Helper()
	content, err := os.ReadFile(s.file(elements...))
	s.Expect(err).NotTo(HaveOccurred())
	return string(content)
}

// pid reads the file that says which process a part is.
func (s *stack) pid(part string) int {
	s.t.Helper()
	pid, err := strconv.Atoi(strings.TrimSuffix(s.read("pid", part+".pid"), "\n"))
	s.Expect(err).NotTo(HaveOccurred())
	return pid
}

func (s *stack) kill(part string) {
	s.t.Helper()
	s.Expect(syscall.Kill(s.pid(part), syscall.SIGKILL)).To(Succeed())
}

// runs says whether there is a process with that id that has not ended.
func runs(pid int) bool {
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err == nil {
		_, after, _ := strings.Cut(string(state), ") ")
		return !strings.HasPrefix(after, "Z")
	}
	return syscall.Kill(pid, 0) == nil
}

// start does what `make up-PART` does in another shell.
func (s *stack) start(part string) error {
	output, err := exec.Command(filepath.Join(programs, "localstack"), "start", part, "--root", s.root).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}

// sh runs a command in a shell at the top of the checkout, with kubectl and the plugin at hand.
func (s *stack) sh(command string) (string, error) {
	shell := exec.Command("bash", "-euo", "pipefail", "-c", command)
	shell.Dir = s.root
	shell.Env = append(os.Environ(), "KUBECONFIG="+s.file("kubeconfig"), "PATH="+assets+":"+programs+":"+os.Getenv("PATH"))
	output, err := shell.CombinedOutput()
	if err != nil {
		return string(output), fmt.Errorf("%w: %s", err, output)
	}
	return string(output), nil
}

// do runs a command that has to succeed.
func (s *stack) do(command string) string {
	s.t.Helper()
	output, err := s.sh(command)
	s.Expect(err).NotTo(HaveOccurred(), command)
	return output
}

// apply applies a manifest.
func (s *stack) apply(manifest string) {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "manifest.yaml")
	s.Expect(os.WriteFile(path, []byte(manifest), 0o600)).To(Succeed())
	s.do("kubectl apply -n pki -f " + path)
}

// condition returns a function that tells the status and reason of a condition, as in "True UpToDate".
func (s *stack) condition(object, kind string) func() string {
	return func() string {
		output, err := s.sh(fmt.Sprintf(`kubectl get -n pki %s -o json |
  jq -r '.metadata.generation as $g | .status.conditions[]? | select(.type=="%s" and .observedGeneration==$g) | .status + " " + .reason'`, object, kind))
		if err != nil {
			return err.Error()
		}
		return strings.TrimSpace(output)
	}
}

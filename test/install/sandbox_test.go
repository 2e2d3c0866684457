package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// nobody is the user of the images.
const nobody = 65532

// sandbox is a file system as a container of our images has it: one static program and what is mounted, not to be written
// but for volumes. What runs in it is the images' user, without any privilege.
type sandbox struct {
	t    *testing.T
	root string
}

func newSandbox(t *testing.T, program string) *sandbox {
	t.Helper()
	s := &sandbox{t: t, root: t.TempDir()}
	s.must(os.Link(filepath.Join(programs, program), filepath.Join(s.root, program)))
	s.must(os.Chmod(s.root, 0o755))
	t.Cleanup(func() { s.must(os.Chmod(s.root, 0o755)) }) // so that it can be removed
	return s
}

func (s *sandbox) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// write makes a file that everybody may read.
func (s *sandbox) write(path string, content []byte) {
	s.t.Helper()
	s.must(os.MkdirAll(filepath.Join(s.root, filepath.Dir(path)), 0o755))
	s.must(os.WriteFile(filepath.Join(s.root, path), content, 0o644))
}

// volume makes a folder that everybody may write.
func (s *sandbox) volume(path string) {
	s.t.Helper()
	s.must(os.MkdirAll(filepath.Join(s.root, path), 0o755))
	s.must(os.Chmod(filepath.Join(s.root, path), 0o777))
}

// command is what a container of a pod runs. Who is root becomes nobody; anybody else is nobody in a user namespace.
func (s *sandbox) command(program, arguments []string) *exec.Cmd {
	s.t.Helper()
	s.must(os.Chmod(s.root, 0o555))
	command := exec.Command(program[0], append(program[1:], arguments...)...)
	command.Dir, command.Env = "/", []string{}
	command.SysProcAttr = &syscall.SysProcAttr{Chroot: s.root, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if os.Getuid() != 0 {
		command.SysProcAttr = &syscall.SysProcAttr{
			Chroot: s.root, Cloneflags: syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getgid(), Size: 1}},
		}
	}
	return command
}

// The sandbox is what it says: a program in it is nobody and can write nothing but volumes.
func TestProgramsRunAsNobodyOnAReadOnlyFileSystem(t *testing.T) {
	s := newSandbox(t, "cmhost")
	s.volume("/data")
	s.write("/catalog/catalog.yaml", catalog(t))
	load := func(database string) *exec.Cmd {
		return s.command([]string{"/cmhost"}, []string{"load", "--database=" + database, "--catalog=/catalog/catalog.yaml"})
	}
	if output, err := load("/data/host.db").CombinedOutput(); err != nil {
		t.Errorf("expected the host to write its volume, found %v\n%s", err, output)
	}
	for _, elsewhere := range []string{"/host.db", "/catalog/host.db"} {
		if output, err := load(elsewhere).CombinedOutput(); err == nil {
			t.Errorf("expected %s not to be written, found\n%s", elsewhere, output)
		}
	}
	owner, err := os.Stat(filepath.Join(s.root, "data", "host.db"))
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 && owner.Sys().(*syscall.Stat_t).Uid != nobody {
		t.Errorf("expected the program to run as %d, found that it wrote as %d", nobody, owner.Sys().(*syscall.Stat_t).Uid)
	}
}

func catalog(t *testing.T) []byte {
	t.Helper()
	content, err := os.ReadFile("../../config/samples/host/catalog.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return content
}

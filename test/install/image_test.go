package install

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// `make image` puts each program alone into an image, and starts both as the images' user on nothing but the images' files.
// The images go to a storage of the test's own.
func TestImages(t *testing.T) {
	folder := t.TempDir()
	copies := map[string]string{"Dockerfile": "../../Dockerfile", "hack/image.sh": "../../hack/image.sh"}
	for _, program := range []string{"manager", "cmhost"} {
		copies[fmt.Sprintf("dist/%s-linux-%s", program, runtime.GOARCH)] = filepath.Join(programs, program)
	}
	for to, from := range copies {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		to = filepath.Join(folder, to)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, content, 0o755); err != nil { //nolint:gosec // programs
			t.Fatal(err)
		}
	}
	storage := filepath.Join(folder, "storage.conf")
	if err := os.WriteFile(storage, fmt.Appendf(nil, "[storage]\ndriver = \"vfs\"\nrunroot = %q\ngraphroot = %q\n", filepath.Join(folder, "run"), filepath.Join(folder, "graph")), 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), filepath.Join(folder, "hack/image.sh"))
	build.Env = append(os.Environ(), "CONTAINERS_STORAGE_CONF="+storage)
	output, err := build.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for image, program := range map[string]string{"token-procedure-operator:latest": "manager", "token-procedure-operator-cmhost:latest": "cmhost"} {
		if want := fmt.Sprintf("%s has ./%s \n", image, program); !strings.Contains(string(output), want) {
			t.Errorf("expected %q in\n%s", want, output)
		}
	}
}

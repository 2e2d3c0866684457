package plugin_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/controllers"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/hosttest"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing/signingtest"
)

// bin holds the built plugin, called as kubectl calls it.
var bin string

func TestMain(m *testing.M) {
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

func runTests(m *testing.M) (int, error) {
	folder, err := os.MkdirTemp("", "kubectl-tokenproc-*")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a temporary folder
	bin = folder
	build := exec.Command("go", "build", "-o", filepath.Join(folder, "kubectl-tokenproc"), "../../cmd/kubectl-tokenproc")
	if output, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("the plugin does not build: %w\n%s", err, output)
	}
	if err := os.Symlink("kubectl-tokenproc", filepath.Join(folder, "kubectl_complete-tokenproc")); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// desk is a folder in which somebody works: a home without configuration, files, and perhaps a cluster.
type desk struct {
	testing.TB
	folder string
	env    []string
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	folder := t.TempDir()
	return &desk{TB: t, folder: folder, env: []string{
		"HOME=" + filepath.Join(folder, "home"), "PATH=" + bin + ":" + os.Getenv("PATH"), "KUBECONFIG=" + filepath.Join(folder, "none"), "TERM=dumb",
	}}
}

func (d *desk) write(name, content string) {
	d.Helper()
	path := filepath.Join(d.folder, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		d.Fatal(err)
	}
}

func (d *desk) read(name string) string {
	d.Helper()
	content, err := os.ReadFile(filepath.Join(d.folder, name))
	if err != nil {
		d.Fatal(err)
	}
	return string(content)
}

// result is what a command did.
type result struct {
	line, stdout, stderr string
	code                 int
}

// run runs a command of a shell without a terminal, within a minute.
func (d *desk) run(line string) result {
	d.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "bash", "-c", line)
	command.Dir, command.Env = d.folder, d.env
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		d.Fatalf("%s: %v", line, err)
	}
	return result{line, stdout.String(), stderr.String(), command.ProcessState.ExitCode()}
}

// must is run for a command that has to succeed.
func (d *desk) must(line string) {
	d.Helper()
	if done := d.run(line); done.code != 0 {
		d.Fatalf("%s\nended with %d\n%s%s", line, done.code, done.stdout, done.stderr)
	}
}

// golden runs commands and compares everything that they print with a file; UPDATE_GOLDEN=1 writes it anew.
func (d *desk) golden(name string, lines ...string) {
	d.Helper()
	var all strings.Builder
	for _, line := range lines {
		done := d.run(line)
		fmt.Fprintf(&all, "$ %s\n%s", line, done.stdout)
		if done.stdout != "" && !strings.HasSuffix(done.stdout, "\n") {
			all.WriteString("[no newline]\n")
		}
		for text := range strings.SplitSeq(strings.TrimSuffix(done.stderr, "\n"), "\n") {
			if done.stderr != "" {
				fmt.Fprintf(&all, "2> %s\n", text)
			}
		}
		fmt.Fprintf(&all, "[exit %d]\n\n", done.code)
	}
	d.compare(name+".txt", all.String())
}

// compare compares a text with a golden file.
func (d *desk) compare(name, text string) {
	d.Helper()
	got, path := d.stable(text), filepath.Join("testdata", "golden", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			d.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		d.Fatal(err)
	}
	if got != string(want) {
		d.Errorf("%s differs (UPDATE_GOLDEN=1 go test ./internal/plugin writes it anew):\n%s", path, firstDifference(got, string(want)))
	}
}

// firstDifference shows the first line that differs, and the command that it belongs to.
func firstDifference(got, want string) string {
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(want, "\n")
	command := ""
	for i := range min(len(gotLines), len(wantLines)) {
		if strings.HasPrefix(wantLines[i], "$ ") {
			command = wantLines[i]
		}
		if gotLines[i] != wantLines[i] {
			return fmt.Sprintf("%s\n got: %s\nwant: %s", command, gotLines[i], wantLines[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(gotLines), len(wantLines))
}

var unstable = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "2026-01-01T00:00:00Z"},
	{regexp.MustCompile(`https://127\.0\.0\.1:\d+`), "https://cm.test:8443"},
	{regexp.MustCompile(`dial tcp 127\.0\.0\.1:\d+`), "dial tcp 127.0.0.1:8443"},
	{regexp.MustCompile(`-r(\d+)-[0-9a-f]{8}`), "-r$1-00000000"},
	{regexp.MustCompile(`MII[A-Za-z0-9+/=]{60,}`), "MII…"},
	{regexp.MustCompile(`(head |"hash": "|"logHead": "|"previous": ")sha256:[0-9a-f]{64}`), "${1}sha256:…"},
	{regexp.MustCompile(`"(from|to)": "2\d\d\d-[^"]*"`), `"$1": "…"`},
	{regexp.MustCompile(`certificate ([0-9A-F]{2}:){31}[0-9A-F]{2}`), "certificate 00:…"},
	{regexp.MustCompile(`client certificate sha256:[0-9a-f]{64}`), "client certificate sha256:…"},
	{regexp.MustCompile(`go1\.[0-9.]+`), "go1"},
}

// stable takes out what differs from run to run.
func (d *desk) stable(text string) string {
	text = strings.ReplaceAll(text, d.folder, "/desk")
	for _, u := range unstable {
		text = u.pattern.ReplaceAllString(text, u.instead)
	}
	return text
}

// officer writes the files of a new officer.
func (d *desk) officer(id string) signingtest.Officer {
	d.Helper()
	officer := signingtest.New(d.TB, id)
	officer.WriteFiles(d.TB, d.folder, id)
	return officer
}

// officers makes officer-1 and officer-2. Signatures of the same second are in the order of their names, which begin with
// the fingerprint: officer-1 has the lower one, so that what is printed is the same in every run.
func (d *desk) officers() (first, second signingtest.Officer) {
	d.Helper()
	for {
		first, second = d.officer("officer-1"), d.officer("officer-2")
		one, two := sha256.Sum256(first.Certificate.Raw), sha256.Sum256(second.Certificate.Raw)
		if bytes.Compare(one[:], two[:]) < 0 {
			return first, second
		}
	}
}

// site is a desk that can reach a CM host: $HOST has the flags for a reader, ${HOST//reader/submitter} for a submitter.
type site struct {
	*desk
	host *hosttest.Host
}

func newSite(d *desk, options hosttest.Options) *site {
	d.Helper()
	started, err := hosttest.Start(d.TempDir(), options)
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() {
		if err := started.Stop(); err != nil {
			d.Error(err)
		}
	})
	for name, content := range map[string][]byte{"ca.crt": started.CA, "reader.crt": started.Reader.Certificate, "reader.key": started.Reader.Key,
		"submitter.crt": started.Submitter.Certificate, "submitter.key": started.Submitter.Key} {
		d.write(name, string(content))
	}
	d.env = append(d.env, "HOST=--host "+started.URL+" --host-ca ca.crt --host-cert reader.crt --host-key reader.key")
	return &site{d, started}
}

// cluster is a control plane, a CM host and the operator, with two officers and one of another domain.
type cluster struct {
	*site
	k8s         client.Client
	environment *envtest.Environment
}

const namespace = "pki"

func newCluster(t testing.TB) *cluster {
	t.Helper()
	d := newDesk(t)
	other := d.officer("officer-emea")
	other.Domain = "Emea"
	elsewhere := signingtest.Procedure("Visitor card")
	elsewhere.CardSerialNumber.Range = &request.SerialNumberRange{From: "150000", To: "250000"}
	first, second := d.officers()
	c := &cluster{site: newSite(d, hosttest.Options{
		Officers: signingtest.Officers(first, second, other), Procedures: []request.Procedure{elsewhere},
	})}
	c.startControlPlane()
	return c
}

// startControlPlane starts an API server with our kinds and the operator, and the objects that say how to reach the host.
func (c *cluster) startControlPlane() {
	c.Helper()
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		output, err := exec.Command("../../hack/controlplane/build.sh").Output()
		if err != nil {
			c.Fatalf("hack/controlplane/build.sh could not build the control plane: %v", err)
		}
		assets = strings.TrimSpace(string(output))
	}
	environment := &envtest.Environment{CRDDirectoryPaths: []string{"../../config/crd/bases"}, ErrorIfCRDPathMissing: true, BinaryAssetsDirectory: assets, ControlPlaneStartTimeout: 3 * time.Minute}
	config, err := environment.Start()
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			c.Error(err)
		}
	})
	c.environment = environment
	c.user("kubeconfig", envtest.User{Name: "officer", Groups: []string{"system:masters"}})
	c.env = append(c.env, "KUBECONFIG="+filepath.Join(c.folder, "kubeconfig"), "PATH="+bin+":"+assets+":"+os.Getenv("PATH"))

	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		c.Fatal(err)
	}
	ctrl.SetLogger(logr.Discard())
	mgr, err := ctrl.NewManager(config, ctrl.Options{Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, Cache: controllers.CacheOptions(nil), Client: controllers.ClientOptions()})
	if err != nil {
		c.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	options := controllers.DefaultOptions()
	options.SkipNameValidation = true
	if err := controllers.Setup(ctx, mgr, options); err != nil {
		c.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	c.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			c.Error(err)
		}
	})
	if c.k8s, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		c.Fatal(err)
	}
	c.connect(namespace)
}

// user writes the kubeconfig of a new user.
func (c *cluster) user(file string, who envtest.User) {
	c.Helper()
	user, err := c.environment.AddUser(who, nil)
	if err != nil {
		c.Fatal(err)
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		c.Fatal(err)
	}
	c.write(file, string(kubeconfig))
}

// connect makes a namespace with the objects that say how to reach the host.
func (c *cluster) connect(namespace string) {
	c.Helper()
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: namespace, Name: name} }
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&corev1.Secret{ObjectMeta: meta("cm-client"), Type: corev1.SecretTypeTLS,
			Data: map[string][]byte{"tls.crt": c.host.Submitter.Certificate, "tls.key": c.host.Submitter.Key, "ca.crt": c.host.CA}},
		&v1alpha1.CMHost{ObjectMeta: meta("local"), Spec: v1alpha1.CMHostSpec{URL: c.host.URL, Audience: c.host.Audience, TLSSecretRef: v1alpha1.SecretReference{Name: "cm-client"}}},
	} {
		if err := c.k8s.Create(context.Background(), object); err != nil {
			c.Fatal(err)
		}
	}
}

package install

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/docs"
	"github.com/tokenprocedures/token-procedure-operator/test/tokenproctest"
)

const crd = "tokenprocedures.cm.tokenprocedures.dev"

// Every section of the page on installing is followed in a cluster of its own. Objects that are there after the section's
// first part are there, unchanged, after upgrading and uninstalling, and the CRDs with them.
func TestInstalling(t *testing.T) {
	for _, section := range sections(t, "install.md") {
		t.Run(section.name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			desk := newDesk(t, c)
			desk.sh(section.parts[0].script)
			if len(section.parts) == 1 {
				return
			}
			kept := c.leaveObjects(t)
			// An earlier version would have had fewer columns.
			c.must(t, "patch", "crd", crd, "--type=json", `--patch=[{"op":"remove","path":"/spec/versions/0/additionalPrinterColumns"}]`)
			for _, part := range section.parts[1:] {
				desk.sh(part.script)
				c.checkKept(t, kept)
				columns := c.must(t, "get", "crd", crd, "-o", "jsonpath={.spec.versions[0].additionalPrinterColumns[*].name}")
				if !strings.Contains(columns, "Signatures") {
					t.Errorf("%s: expected the new CRD, found the columns %q", part.name, columns)
				}
			}
			if last := section.parts[len(section.parts)-1].name; last != "Uninstalling" {
				t.Errorf("expected the section to end with Uninstalling, found %s", last)
			}
			if left := c.must(t, "get", "clusterrole,clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding",
				"-o", "name"); strings.Contains(left, "token-procedure") || strings.Contains(left, "procedure-signer") {
				t.Errorf("expected nothing but the CRDs to be left, found\n%s", left)
			}
		})
	}
}

type section struct {
	name  string
	parts []part
}

type part struct{ name, script string }

// sections are what can be run of a page.
func sections(t *testing.T, page string) (found []section) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../../docs", page))
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range docs.Blocks(string(content)) {
		if block.NotRun != "" {
			continue
		}
		if len(found) == 0 || found[len(found)-1].name != block.Section {
			found = append(found, section{name: block.Section})
		}
		last := &found[len(found)-1]
		if len(last.parts) == 0 || last.parts[len(last.parts)-1].name != block.Part {
			last.parts = append(last.parts, part{name: block.Part})
		}
		last.parts[len(last.parts)-1].script += block.Script
	}
	if len(found) == 0 {
		t.Fatalf("expected docs/%s to have shell blocks that can be run", page)
	}
	return found
}

// desk is a folder that looks like a checkout, with kubectl and helm at hand.
type desk struct {
	t      *testing.T
	folder string
	env    []string
}

func newDesk(t *testing.T, c *cluster) *desk {
	t.Helper()
	d := &desk{t: t, folder: t.TempDir()}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config", "charts"} {
		if err := os.CopyFS(filepath.Join(d.folder, name), os.DirFS(filepath.Join(root, name))); err != nil {
			t.Fatal(err)
		}
	}
	bin := filepath.Join(d.folder, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	helm := fmt.Sprintf("#!/bin/sh\nexec go -C %q tool -modfile=hack/helm/go.mod helm \"$@\"\n", root)
	if err := os.WriteFile(filepath.Join(bin, "helm"), []byte(helm), 0o755); err != nil {
		t.Fatal(err)
	}
	d.env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig, "PATH="+bin+":"+os.Getenv("KUBEBUILDER_ASSETS")+":"+os.Getenv("PATH"),
		"HELM_CACHE_HOME="+d.folder, "HELM_CONFIG_HOME="+d.folder, "HELM_DATA_HOME="+d.folder)
	return d
}

func (d *desk) sh(script string) {
	d.t.Helper()
	shell := exec.Command("bash", "-euo", "pipefail", "-c", script)
	shell.Dir, shell.Env = d.folder, d.env
	if output, err := shell.CombinedOutput(); err != nil {
		d.t.Fatalf("%v\n%s\n%s", err, script, output)
	}
}

// leaveObjects makes one object of each kind, as people would have left them.
func (c *cluster) leaveObjects(t *testing.T) (kept []client.Object) {
	t.Helper()
	one := tokenproctest.NewOfficer(t, "officer-1")
	host := tokenproctest.StartHost(t, one)
	procedure := tokenproctest.Procedure("pki", "employee-card", "production")
	kept = append(host.Objects("pki", "production"), procedure, one.Sign(t, host, procedure))
	c.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "pki"}})
	c.create(t, kept...)
	return kept
}

// checkKept looks whether objects are there as they were.
func (c *cluster) checkKept(t *testing.T, kept []client.Object) {
	t.Helper()
	for _, before := range kept {
		now := before.DeepCopyObject().(client.Object)
		if err := c.admin.Get(context.Background(), client.ObjectKeyFromObject(before), now); err != nil {
			t.Errorf("expected %T %s to be kept: %v", before, before.GetName(), err)
			continue
		}
		now.GetObjectKind().SetGroupVersionKind(before.GetObjectKind().GroupVersionKind())
		if !equality.Semantic.DeepEqual(before, now) {
			t.Errorf("expected %T %s to be unchanged, found\n%+v\nwhich was\n%+v", before, before.GetName(), now, before)
		}
	}
}

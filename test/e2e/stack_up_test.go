package e2e

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

const procedure = `
apiVersion: cm.tokenprocedures.dev/v1alpha1
kind: TokenProcedure
metadata: {name: visitor-card}
spec:
  cmHostRef: {name: local}
  revision: 1
  procedure:
    name: Visitor card
    state: Active
    storageProfile: SmartCard
    cardSerialNumber: {enabled: false}
    pinProcedure: User PIN
    issuerCertificates: {policy: StoreNone}
    certificateProcedures: [Authentication]
    inputView: Visitor
`

// sign signs with the plugin and applies the signature.
func sign(officer string) string {
	return "kubectl tokenproc sign visitor-card -n pki --audience cm.local --yes --apply --key file:.local/officers/" +
		officer + ".key --cert .local/officers/" + officer + ".crt"
}

func TestFolderHoldsWhatClientsNeed(t *testing.T) {
	s := up(t)
	s.Expect(s.read("host", "url")).To(MatchRegexp(`^https://127\.0\.0\.1:[0-9]+\n$`))
	s.Expect(s.read("host", "audience")).To(Equal("cm.local\n"))
	for _, name := range []string{"ca.crt", "client.crt", "client.key", "reader.crt", "reader.key", "host.db"} {
		s.Expect(s.file("host", name)).To(BeARegularFile())
	}
	for _, part := range []string{"etcd", "kube-apiserver", "cmhost", "manager"} {
		s.Expect(s.read("pid", part+".pid")).To(MatchRegexp(`^[0-9]+\n$`))
		program, err := os.Readlink("/proc/" + s.read("pid", part+".pid")[:len(s.read("pid", part+".pid"))-1] + "/exe")
		s.Expect(err).NotTo(HaveOccurred())
		s.Expect(filepath.Base(program)).To(Equal(part), "the pid has to be the program's own")
		s.Expect(s.file("log", part+".log")).To(BeARegularFile())
	}
	one, second := s.certificate("officer-1"), s.certificate("officer-1b")
	s.Expect(second.RawSubject).To(Equal(one.RawSubject))
	s.Expect(second.RawSubjectPublicKeyInfo).NotTo(Equal(one.RawSubjectPublicKeyInfo))
	s.Expect(s.certificate("officer-5").NotAfter).To(BeTemporally("<", time.Now()))
	for _, name := range []string{"officer-1", "officer-1b", "officer-2", "officer-3", "officer-4", "officer-6", "stranger"} {
		s.Expect(s.certificate(name).NotAfter).To(BeTemporally(">", time.Now()), name)
		s.Expect(s.file("officers", name+".key")).To(BeARegularFile())
	}
	s.Expect(s.condition("cmhost/local", "Ready")()).To(HavePrefix("True "))
	s.Expect(s.do(`curl -sf --cacert .local/host/ca.crt --cert .local/host/reader.crt --key .local/host/reader.key \
  "$(cat .local/host/url)/v1/host" | jq -r .audience`)).To(Equal("cm.local\n"))
}

// What make up prints before ready is all that somebody needs who knows nothing: the lines are pasted into a shell elsewhere,
// which has neither a kubectl nor a kubeconfig.
func TestUpSaysHowToUseIt(t *testing.T) {
	s := up(t)
	var pasted []string
	for _, line := range s.said {
		if command, indented := strings.CutPrefix(line, "  "); indented {
			pasted = append(pasted, command)
		}
	}
	s.Expect(pasted).NotTo(BeEmpty(), "%q", s.said)
	s.apply(procedure)
	shell := exec.Command("bash", "-euo", "pipefail", "-c", strings.Join(pasted, "\n")+"\nkubectl __complete tokenproc status -n pki ''")
	shell.Dir, shell.Env = t.TempDir(), []string{"PATH=" + t.TempDir(), "HOME=" + t.TempDir()}
	output, err := shell.CombinedOutput()
	s.Expect(err).NotTo(HaveOccurred(), string(output))
	s.Expect(string(output)).To(ContainSubstring("cm.local"))
	s.Expect(string(output)).To(ContainSubstring("From an empty directory"))
	s.Expect(string(output)).To(ContainSubstring("visitor-card\tVisitor card"), "kubectl completes the plugin's arguments")
	all := strings.Join(s.said, "\n")
	s.Expect(all).To(ContainSubstring(s.file("officers", "officer-1.key")))
	s.Expect(all).To(MatchRegexp(`Ctrl-C here, or: kill %d\b`, s.command.Process.Pid))
}

func (s *stack) certificate(name string) *x509.Certificate {
	s.t.Helper()
	block, _ := pem.Decode([]byte(s.read("officers", name+".crt")))
	s.Expect(block).NotTo(BeNil())
	certificate, err := x509.ParseCertificate(block.Bytes)
	s.Expect(err).NotTo(HaveOccurred())
	return certificate
}

// Killing the operator or the CM host in the middle of it, and starting it again, leads to the same end.
func TestPartsCanBeKilled(t *testing.T) {
	s := up(t)
	url := s.read("host", "url")
	s.apply(procedure)
	s.Eventually(s.condition("tp/visitor-card", "Signed")).Should(Equal("False AwaitingSignatures"))
	s.do(sign("officer-1"))

	s.kill("manager")
	s.do(sign("officer-2"))
	s.kill("cmhost")
	s.Expect(s.start("manager")).To(Succeed())
	s.Consistently(s.condition("tp/visitor-card", "Active"), time.Second).ShouldNot(HavePrefix("True"))

	// Several shells ask at once: one starts the host, all return once it serves.
	outcomes := make(chan error, 3)
	for range 3 {
		go func() { outcomes <- s.start("cmhost") }()
	}
	for range 3 {
		s.Expect(<-outcomes).To(Succeed())
	}
	s.Expect(s.read("host", "url")).To(Equal(url))
	s.do(`curl -sf --cacert .local/host/ca.crt --cert .local/host/reader.crt --key .local/host/reader.key "$(cat .local/host/url)/v1/host"`)
	s.Eventually(s.condition("tp/visitor-card", "Ready")).Should(Equal("True UpToDate"))
	s.Expect(s.condition("tp/visitor-card", "Active")()).To(Equal("True ActiveAtHost"))

	before := []int{s.pid("cmhost"), s.pid("manager")}
	s.Expect(s.start("cmhost")).To(Succeed())
	s.Expect(s.start("manager")).To(Succeed())
	s.Expect([]int{s.pid("cmhost"), s.pid("manager")}).To(Equal(before), "what runs is not started again")
}

func TestInterruptionEndsEverything(t *testing.T) {
	s := up(t)
	pids := s.pids()
	s.end()
	for part, pid := range pids {
		s.Expect(runs(pid)).To(BeFalse(), part)
	}
	s.Expect(s.start("cmhost")).To(MatchError(ContainSubstring("make up")))
}

// Even a stack that is killed outright leaves nothing running where the system can see to that.
func TestKillingTheStackEndsEverything(t *testing.T) {
	s := up(t)
	pids := s.pids()
	s.Expect(s.command.Process.Signal(syscall.SIGKILL)).To(Succeed())
	s.Eventually(s.ended).Should(Receive(HaveOccurred()))
	s.Eventually(func() (running []string) {
		for part, pid := range pids {
			if runs(pid) {
				running = append(running, part)
			}
		}
		return running
	}).Should(BeEmpty())
}

func (s *stack) pids() map[string]int {
	pids := map[string]int{}
	for _, part := range []string{"etcd", "kube-apiserver", "cmhost", "manager"} {
		pids[part] = s.pid(part)
	}
	return pids
}

func TestDemo(t *testing.T) {
	demo := exec.Command(filepath.Join(programs, "localstack"), "demo", "--root", checkout(t), "--assets", assets)
	output, err := demo.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	NewWithT(t).Expect(string(output)).To(ContainSubstring("steps were seen"))
}

func TestSecondStackInOneCheckoutIsRefused(t *testing.T) {
	s := up(t)
	output, err := exec.Command(filepath.Join(programs, "localstack"), "up", "--root", s.root, "--assets", assets).CombinedOutput()
	s.Expect(err).To(HaveOccurred())
	s.Expect(string(output)).To(ContainSubstring("runs in " + s.file() + " already"))
	s.Expect(s.condition("cmhost/local", "Ready")()).To(HavePrefix("True "), "the first one goes on")
}

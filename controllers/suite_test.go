package controllers_test

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// Everything here runs against a real API server and the real reference host.
var (
	environment *envtest.Environment
	restConfig  *rest.Config
	k8s         client.Client
	scheme      = runtime.NewScheme()
	buildFolder string // for programs that are built, until the suite ends
)

func TestControllers(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "controllers")
}

var _ = BeforeSuite(func(ctx context.Context) {
	ctrl.SetLogger(logr.FromSlogHandler(slog.NewTextHandler(GinkgoWriter, &slog.HandlerOptions{Level: slog.LevelDebug})))
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	buildFolder = GinkgoTB().TempDir()
	environment = &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
		BinaryAssetsDirectory: controlPlane(ctx),
		// An API server waits for the watches on it to end, until it is killed.
		ControlPlaneStopTimeout: 3 * time.Second,
	}
	// Folders that outlive the processes, so that these can be started again.
	environment.ControlPlane.Etcd = &envtest.Etcd{DataDir: GinkgoTB().TempDir()}
	environment.ControlPlane.APIServer = &envtest.APIServer{CertDir: GinkgoTB().TempDir()}
	var err error
	restConfig, err = environment.Start()
	Expect(err).NotTo(HaveOccurred(), "the control plane did not start")
	restConfig.QPS = -1
	k8s, err = client.New(restConfig, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
})

var _ = AfterSuite(func() {
	if environment != nil {
		Expect(stopped(environment.Stop())).To(Succeed())
	}
})

// stopped is the error of stopping a process, unless that is only that the process had to be killed.
func stopped(err error) error {
	if err != nil && strings.Contains(err.Error(), "timeout waiting for process") {
		return nil
	}
	return err
}

// controlPlane is the folder with etcd and kube-apiserver, which are built once on a machine.
func controlPlane(ctx context.Context) string {
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" {
		return assets
	}
	command := exec.CommandContext(ctx, filepath.Join("..", "hack", "controlplane", "build.sh"))
	command.Stderr = GinkgoWriter
	output, err := command.Output()
	Expect(err).NotTo(HaveOccurred(), "hack/controlplane/build.sh could not build the control plane")
	return strings.TrimSpace(string(output))
}

// Package rules holds the static rules against the real API server: whatever it accepts or refuses, the evaluation in
// process accepts or refuses too.
//
// It needs the control plane of hack/controlplane, which it builds where KUBEBUILDER_ASSETS does not name one.
package rules

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// server is a client of the real API server with our custom resource definitions.
var server client.Client

func TestMain(m *testing.M) {
	status, err := runWithServer(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "API server for the tests:", err)
		status = 1
	}
	os.Exit(status)
}

func runWithServer(m *testing.M) (status int, err error) {
	assets, err := exec.Command("../../hack/controlplane/build.sh").Output()
	if err != nil {
		return 1, fmt.Errorf("hack/controlplane/build.sh: %w", err)
	}
	environment := &envtest.Environment{
		BinaryAssetsDirectory: strings.TrimSpace(string(assets)),
		CRDDirectoryPaths:     []string{"../../config/crd/bases"},
		ErrorIfCRDPathMissing: true,
	}
	config, err := environment.Start()
	if err != nil {
		return 1, err
	}
	defer func() {
		if stopErr := environment.Stop(); err == nil {
			err = stopErr
		}
	}()
	config.QPS = -1
	if server, err = client.New(config, client.Options{}); err != nil {
		return 1, err
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "pki"}}
	if err := server.Create(context.Background(), namespace); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

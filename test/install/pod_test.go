package install

import (
	"context"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The namespace enforces the Pod Security Standard restricted: a pod of the operator passes it, and one as root does not.
func TestPodIsRestricted(t *testing.T) {
	ctx := context.Background()
	deployment := &appsv1.Deployment{}
	if err := shared.admin.Get(ctx, client.ObjectKey{Namespace: operatorNamespace, Name: "token-procedure-operator-controller-manager"}, deployment); err != nil {
		t.Fatal(err)
	}
	pod := func(name string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: operatorNamespace}, Spec: *deployment.Spec.Template.Spec.DeepCopy()}
	}
	if err := shared.admin.Create(ctx, pod("operator"), client.DryRunAll); err != nil {
		t.Errorf("expected a pod of the operator to be admitted, found %v", err)
	}
	root := pod("root")
	root.Spec.SecurityContext = nil
	if err := shared.admin.Create(ctx, root, client.DryRunAll); err == nil {
		t.Error("expected a pod that runs as root to be refused: is the namespace labelled?")
	}
	container := deployment.Spec.Template.Spec.Containers[0].SecurityContext
	if container == nil || container.ReadOnlyRootFilesystem == nil || !*container.ReadOnlyRootFilesystem {
		t.Error("expected a read-only file system")
	}
}

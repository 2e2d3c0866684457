// Package gitops checks what Argo CD and Flux make of our statuses, with the engines that they use: Lua for Argo CD's
// health checks and the kstatus library for Flux.
package gitops

import (
	"os"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	cmv1 "github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/test/gitops/argohealth"
)

const (
	healthy     = "Healthy"
	progressing = "Progressing"
	suspended   = "Suspended"
	degraded    = "Degraded"
)

// condition is a condition as the cases below write it: type, status, reason.
type condition [3]string

func (c condition) observed(generation int64) map[string]any {
	return map[string]any{
		"type": c[0], "status": c[1], "reason": c[2], "message": "what to do",
		"observedGeneration": generation, "lastTransitionTime": "2026-01-02T03:04:05Z",
	}
}

// object is a custom resource of generation 2 whose status was made for the observed generation.
func object(kind string, observed int64, conditions ...condition) *unstructured.Unstructured {
	list := []any{}
	for _, c := range conditions {
		list = append(list, c.observed(observed))
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": cmv1.GroupVersion.String(),
		"kind":       kind,
		"metadata":   map[string]any{"name": "x", "namespace": "pki", "generation": int64(2)},
		"status":     map[string]any{"observedGeneration": observed, "conditions": list},
	}}
}

func deleted(u *unstructured.Unstructured) *unstructured.Unstructured {
	u.Object["metadata"].(map[string]any)["deletionTimestamp"] = "2026-01-02T03:04:05Z"
	return u
}

func ready(status, reason string) condition { return condition{cmv1.ConditionReady, status, reason} }
func stalled(reason string) condition       { return condition{cmv1.ConditionStalled, "True", reason} }
func reconciling(reason string) condition {
	return condition{cmv1.ConditionReconciling, "True", reason}
}

var cases = []struct {
	name    string
	object  *unstructured.Unstructured
	kstatus status.Status
	argo    string
}{
	{"a procedure that the operator has not seen", object("TokenProcedure", -1), status.InProgressStatus, progressing},
	{"a draft", object("TokenProcedure", 2, ready("False", cmv1.ReasonDraft)), status.InProgressStatus, suspended},
	{"a procedure that waits for officers", object("TokenProcedure", 2, ready("False", cmv1.ReasonAwaitingSignatures)), status.InProgressStatus, suspended},
	{"a procedure that is up to date", object("TokenProcedure", 2, ready("True", cmv1.ReasonUpToDate)), status.CurrentStatus, healthy},
	{"a procedure that was up to date before it was changed", object("TokenProcedure", 1, ready("True", cmv1.ReasonUpToDate)), status.InProgressStatus, progressing},
	{"a procedure whose earlier generation was stalled", object("TokenProcedure", 1, ready("False", cmv1.ReasonInvalid), stalled(cmv1.ReasonInvalid)), status.InProgressStatus, progressing},
	{"a procedure that never was Ready, while the host is down", object("TokenProcedure", 2, ready("Unknown", cmv1.ReasonHostUnavailable), reconciling(cmv1.ReasonHostUnavailable)), status.InProgressStatus, progressing},
	{"an invalid procedure", object("TokenProcedure", 2, ready("False", cmv1.ReasonInvalid), stalled(cmv1.ReasonInvalid)), status.FailedStatus, degraded},
	{"a procedure with an unknown reference", object("TokenProcedure", 2, ready("False", cmv1.ReasonUnknownReference), stalled(cmv1.ReasonUnknownReference)), status.FailedStatus, degraded},
	{"a procedure with a closed reference", object("TokenProcedure", 2, ready("False", cmv1.ReasonClosedReference), stalled(cmv1.ReasonClosedReference)), status.FailedStatus, degraded},
	{"a procedure that refers to another domain's object", object("TokenProcedure", 2, ready("False", cmv1.ReasonNotVisibleInDomain), stalled(cmv1.ReasonNotVisibleInDomain)), status.FailedStatus, degraded},
	{"a procedure that the host refused", object("TokenProcedure", 2, ready("False", cmv1.ReasonRefusedByHost), stalled(cmv1.ReasonRefusedByHost)), status.FailedStatus, degraded},
	{"a procedure behind the host's revision", object("TokenProcedure", 2, ready("False", cmv1.ReasonStaleRevision), stalled(cmv1.ReasonStaleRevision)), status.FailedStatus, degraded},
	{"a procedure that was changed at the host", object("TokenProcedure", 2, ready("False", cmv1.ReasonDrifted), stalled(cmv1.ReasonDrifted)), status.FailedStatus, degraded},
	{"a procedure whose name is taken", object("TokenProcedure", 2, ready("False", cmv1.ReasonNameConflict), stalled(cmv1.ReasonNameConflict)), status.FailedStatus, degraded},
	{"a procedure that is being closed", deleted(object("TokenProcedure", 2, ready("False", cmv1.ReasonAwaitingSignatures), reconciling(cmv1.ReasonClosing))), status.TerminatingStatus, progressing},

	{"a signature that the operator has not seen", object("ProcedureSignature", -1), status.InProgressStatus, progressing},
	{"a signature that counts", object("ProcedureSignature", 2, ready("True", cmv1.ReasonCounted)), status.CurrentStatus, healthy},
	{"a signature over an earlier revision", object("ProcedureSignature", 2, ready("True", cmv1.ReasonSuperseded)), status.CurrentStatus, healthy},
	{"a second signature of the same officer", object("ProcedureSignature", 2, ready("False", cmv1.ReasonSameOfficer)), status.InProgressStatus, healthy},
	{"a signature of an officer without a role", object("ProcedureSignature", 2, ready("False", cmv1.ReasonMissingRole)), status.InProgressStatus, healthy},
	{"a forged signature", object("ProcedureSignature", 2, ready("False", cmv1.ReasonBadSignature), stalled(cmv1.ReasonBadSignature)), status.FailedStatus, degraded},

	{"a CM host that the operator has not seen", object("CMHost", -1), status.InProgressStatus, progressing},
	{"a CM host that answers", object("CMHost", 2, ready("True", cmv1.ReasonConnected)), status.CurrentStatus, healthy},
	{"a CM host that answered before it was changed", object("CMHost", 1, ready("True", cmv1.ReasonConnected)), status.InProgressStatus, progressing},
	{"a CM host that cannot be reached", object("CMHost", 2, ready("False", cmv1.ReasonUnreachable), reconciling(cmv1.ReasonUnreachable)), status.InProgressStatus, progressing},
	{"a CM host that calls itself something else", object("CMHost", 2, ready("False", cmv1.ReasonAudienceMismatch), stalled(cmv1.ReasonAudienceMismatch)), status.FailedStatus, degraded},
}

func TestArgoCDHealth(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := health(t, c.object); got.Status != c.argo {
				t.Errorf("Argo CD: expected %s, found %v", c.argo, got)
			}
		})
	}
}

func TestKstatus(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := status.Compute(c.object)
			if err != nil {
				t.Fatal(err)
			}
			if got.Status != c.kstatus {
				t.Errorf("kstatus: expected %s, found %s (%s)", c.kstatus, got.Status, got.Message)
			}
		})
	}
}

// An object that Argo CD has just created has no status at all.
func TestArgoCDHealthWithoutStatus(t *testing.T) {
	for _, kind := range []string{"TokenProcedure", "ProcedureSignature", "CMHost"} {
		u := object(kind, 2)
		delete(u.Object, "status")
		if got := health(t, u); got.Status != progressing {
			t.Errorf("%s: expected %s, found %v", kind, progressing, got)
		}
	}
}

// health is what the script of the object's kind says of it.
func health(t *testing.T, u *unstructured.Unstructured) argohealth.Health {
	t.Helper()
	found, err := argohealth.Of("../../config/argocd/health", u)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// The ConfigMap that users apply holds exactly the scripts that are tested here.
func TestConfigMapNamesEveryScript(t *testing.T) {
	files, err := os.ReadDir("../../config/argocd/health")
	if err != nil {
		t.Fatal(err)
	}
	kustomization, err := os.ReadFile("../../config/argocd/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(argohealth.Scripts) {
		t.Errorf("expected %d scripts, found %d", len(argohealth.Scripts), len(files))
	}
	for kind, file := range argohealth.Scripts {
		key := "resource.customizations.health.cm.tokenprocedures.dev_" + kind + "=health/" + file
		if !strings.Contains(string(kustomization), "- "+key+"\n") {
			t.Errorf("expected config/argocd/kustomization.yaml to have %s", key)
		}
	}
}

package controllers

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmclient"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/test/gitops/argohealth"
)

// variant is one way in which a fact can be; nothing is the first one.
type variant = func(*facts)

func nothing(*facts) {}

// everything is every way in which facts about a procedure can be, dimension by dimension.
var everything = [][]variant{
	{ // the object
		nothing,
		func(f *facts) { draft := true; f.object.Spec.Draft = &draft },
		func(f *facts) { f.object.Spec.DeletionPolicy = v1alpha1.DeletionPolicyClose },
		deleting,
		func(f *facts) { deleting(f); f.object.Spec.DeletionPolicy = v1alpha1.DeletionPolicyRetain },
		func(f *facts) { far := int64(50_000); f.object.Spec.Revision = &far; _ = f.makeRequest() },
	},
	{ // the rules
		nothing,
		func(f *facts) { f.broken = []rules.Finding{{Reason: v1alpha1.ReasonInvalid, Message: "no"}} },
		func(f *facts) { f.host.state.Snapshot.Catalog.PINProcedures = nil },
		func(f *facts) { f.host.state.Snapshot.Catalog.PINProcedures[0].State = "Closed" },
		func(f *facts) { f.host.state.Snapshot.Catalog.PINProcedures[0].Domain = "Elsewhere" },
		func(f *facts) { f.host.state.Snapshot.Catalog.StorageProfiles = []string{"Data"} },
		func(f *facts) {
			f.own.Procedure.CertificateProcedures, f.own.Procedure.KeyProcedures = nil, []string{"Archive"}
			f.host.state.Snapshot.Catalog.KeyProcedures = []rules.KeyProcedure{{CatalogObject: rules.CatalogObject{Name: "Archive", State: "Active"}}}
		},
	},
	{ // what the host has
		nothing, held(0, otherPIN), held(1, otherPIN), held(2, nil), held(2, otherPIN), held(3, otherPIN),
		func(f *facts) { held(3, otherPIN)(f); f.host.historyHasOwn = true },
		held(2, closedState), held(60_000, closedState),
		func(f *facts) { f.object.Status.Host = &v1alpha1.HostProcedureStatus{State: v1alpha1.StateActive} },
	},
	{ // who signed
		nothing, signedBy(ownRequest, "one", "two"),
		func(f *facts) {
			if f.host.content != nil {
				signedBy(func(f *facts) request.Request { closing, _, _ := f.closing(); return closing }, "one", "two")(f)
			}
		},
	},
	{ // rivals
		nothing, func(f *facts) { f.rivals = []rival{{name: "z", uid: "z", created: decisionTime.Add(-1)}} },
	},
	{ // how a submission ended
		nothing,
		func(f *facts) { f.attempt = &attempt{refusal: &cmclient.Refusal{Type: "officer"}} },
		func(f *facts) { f.attempt = &attempt{failure: &cmclient.Failure{Reason: v1alpha1.ReasonUnreachable}} },
	},
	{ // the host itself
		nothing, hostIsDown, noHost,
	},
}

// combinations calls each with every combination of one variant of each dimension.
func combinations(dimensions [][]variant, each func([]variant)) {
	chosen := make([]variant, len(dimensions))
	var choose func(int)
	choose = func(dimension int) {
		if dimension == len(dimensions) {
			each(chosen)
			return
		}
		for _, chosen[dimension] = range dimensions[dimension] {
			choose(dimension + 1)
		}
	}
	choose(0)
}

// seen are statuses that can be, one for each set of conditions.
type seen map[string]seenStatus

type seenStatus struct {
	findings []namedFinding
	deleting bool
}

func (s seen) add(findings []namedFinding, deleting bool) {
	var parts []string
	for _, f := range findings {
		parts = append(parts, fmt.Sprintf("%s=%s/%s", f.conditionType, f.status, f.reason))
	}
	s[fmt.Sprintf("%s deleting=%v", strings.Join(parts, " "), deleting)] = seenStatus{findings, deleting}
}

// conditions are the "Type Status Reason" that were seen.
func (s seen) conditions() map[string]bool {
	found := map[string]bool{}
	for _, status := range s {
		for _, f := range status.findings {
			found[fmt.Sprintf("%s %s %s", f.conditionType, f.status, f.reason)] = true
		}
	}
	return found
}

// toolsSay is what kstatus and Argo CD make of a status that was made for the observed generation of an object at generation 3.
func toolsSay(t *testing.T, kind string, s seenStatus, observed int64) (kstatus status.Status, health string) {
	t.Helper()
	conditions, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&struct {
		Conditions []metav1.Condition `json:"conditions"`
	}{conditionsOf(s.findings, nil, observed, decisionTime)})
	if err != nil {
		t.Fatal(err)
	}
	metadata := map[string]any{"name": "x", "namespace": "pki", "generation": int64(3)}
	if s.deleting {
		metadata["deletionTimestamp"] = "2026-01-02T03:04:05Z"
	}
	conditions["observedGeneration"] = observed
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": kind, "metadata": metadata, "status": conditions,
	}}
	result, err := status.Compute(object)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := argohealth.Of("../config/argocd/health", object)
	if err != nil {
		t.Fatal(err)
	}
	return result.Status, shown.Status
}

// expect holds what tools say of every status that was seen against what people should be told. A status of an earlier
// generation says nothing of this one, whatever is in it.
func (s seen) expect(t *testing.T, kind string, expected func(seenStatus) (status.Status, string)) {
	t.Helper()
	for text, each := range s {
		kstatus, health := toolsSay(t, kind, each, 3)
		wantedStatus, wantedHealth := expected(each)
		if kstatus != wantedStatus || health != wantedHealth {
			t.Errorf("%s %s\n\tis %s for kstatus, expected %s; %s for Argo CD, expected %s", kind, text, kstatus, wantedStatus, health, wantedHealth)
		}
		if each.deleting {
			continue
		}
		if kstatus, health := toolsSay(t, kind, each, 2); kstatus != status.InProgressStatus || health != "Progressing" {
			t.Errorf("%s %s\n\tof an earlier generation is %s for kstatus and %s for Argo CD; expected InProgress and Progressing", kind, text, kstatus, health)
		}
	}
}

func (s seenStatus) ready() finding {
	return s.findings[slices.IndexFunc(s.findings, func(f namedFinding) bool { return f.conditionType == v1alpha1.ConditionReady })].finding
}

func (s seenStatus) stalled() bool {
	return slices.ContainsFunc(s.findings, func(f namedFinding) bool { return f.conditionType == v1alpha1.ConditionStalled && f.holds() })
}

func TestWhatToolsSayOfEveryProcedure(t *testing.T) {
	found := seen{}
	combinations(everything, func(variants []variant) {
		f := factsOf(t, variants...)
		if p := decide(f, decisionTime); !p.keep {
			found.add(p.findings, f.deleting())
		}
	})
	t.Logf("%d different statuses", len(found))
	for condition := range strings.SplitSeq(`Validated True RulesSatisfied,Validated False Draft,Validated False Invalid,Validated False UnknownReference,
Validated False ClosedReference,Validated False NotVisibleInDomain,Validated False CertificateProcedureRequired,Validated False StorageProfileNotOffered,
Validated Unknown CMHostNotFound,Validated Unknown HostUnavailable,Signed True TwoOfficersSigned,Signed Unknown NotValidated,Signed Unknown NotSubmittable,
Signed False AwaitingSignatures,Synced True UpToDate,Synced False NotValidated,Synced False NameConflict,Synced False HostUnavailable,Synced False StaleRevision,
Synced False Drifted,Synced False AwaitingSignatures,Synced False RefusedByHost,Active True ActiveAtHost,Closed True ClosedAtHost,Active Unknown NotAtHost,
Closed Unknown NotAtHost,Ready True UpToDate,Reconciling True Closing,Reconciling True HostUnavailable,Stalled True Drifted`, ",") {
		if !found.conditions()[strings.TrimSpace(condition)] {
			t.Errorf("the combinations never make %s: they do not show everything", strings.TrimSpace(condition))
		}
	}
	found.expect(t, "TokenProcedure", func(s seenStatus) (status.Status, string) {
		switch ready := s.ready(); {
		case s.deleting:
			return status.TerminatingStatus, "Progressing"
		case ready.status == metav1.ConditionTrue:
			return status.CurrentStatus, "Healthy"
		case ready.reason == v1alpha1.ReasonDraft, ready.reason == v1alpha1.ReasonAwaitingSignatures:
			return status.InProgressStatus, "Suspended"
		case ready.reason == v1alpha1.ReasonHostUnavailable, ready.reason == v1alpha1.ReasonCMHostNotFound:
			return status.InProgressStatus, "Progressing"
		}
		return status.FailedStatus, "Degraded"
	})
}

func TestWhatToolsSayOfEverySignature(t *testing.T) {
	found := seen{}
	standings := append(slices.Clone(everything[2]), func(f *facts) { held(5, nil)(f) })
	combinations([][]variant{everything[0][:4], standings, everything[4], everything[6]}, func(variants []variant) {
		for _, reason := range append(slices.Clone(verdictReasons), v1alpha1.ReasonRecordedByHost) {
			for _, revision := range []int64{1, 2, 3} {
				signed := func(f *facts) request.Request { return request.New(f.own.Audience, revision, f.own.Procedure) }
				f := factsOf(t, append(slices.Clone(variants), signedBy(signed, "one", "one"))...)
				for at := range f.signatures {
					f.signatures[at].verdict.Reason = reason
					found.add(decideSignature(f, at, decisionTime).findings, false)
				}
				found.add(decideOrphan(f.signatures[0].object, f.signatures[0].verdict).findings, false)
			}
		}
	})
	reasons := slices.Sorted(maps.Keys(found.conditions()))
	t.Logf("%d different statuses", len(found))
	for _, reason := range []string{
		"Verified True OfficerSignature", "Verified True RecordedByHost", "Verified False BadSignature", "Verified Unknown HostUnavailable", "Verified Unknown CMHostNotFound",
		"Verified Unknown ProcedureNotFound", "Counted True Counted", "Counted False NotVerified", "Counted False Superseded", "Counted False RevisionAhead",
		"Counted False ContentDiffers", "Counted False SameOfficer", "Stalled True OtherHost", "Stalled True Malformed",
	} {
		if !slices.Contains(reasons, reason) {
			t.Errorf("the combinations never make %s: they do not show everything", reason)
		}
	}
	found.expect(t, "ProcedureSignature", func(s seenStatus) (status.Status, string) {
		switch {
		case s.stalled():
			return status.FailedStatus, "Degraded"
		case s.ready().holds():
			return status.CurrentStatus, "Healthy"
		}
		return status.InProgressStatus, "Healthy"
	})
}

func TestWhatToolsSayOfEveryCMHost(t *testing.T) {
	found := seen{}
	found.add(decideHost(nil, nil), false)
	for _, reason := range hostReasons {
		if reason != reasonNotReported && reason != v1alpha1.ReasonConnected {
			found.add(decideHost(&cmclient.Failure{Reason: reason, Message: "gone"}, nil), false)
		}
	}
	found.expect(t, "CMHost", func(s seenStatus) (status.Status, string) {
		switch ready := s.ready(); {
		case ready.holds():
			return status.CurrentStatus, "Healthy"
		case ready.reason == v1alpha1.ReasonAudienceMismatch:
			return status.FailedStatus, "Degraded"
		}
		return status.InProgressStatus, "Progressing"
	})
}

package controllers_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

const (
	waiting = 15 * time.Second
	polling = 20 * time.Millisecond
)

// eventually waits until a procedure's conditions have these reasons, for its current generation, and say this; it checks
// what must hold of all conditions at any time.
func (w *world) eventually(ctx context.Context, name string, reasons map[string]string, says ...OmegaMatcher) *v1alpha1.TokenProcedure {
	GinkgoHelper()
	return w.eventuallyWithin(ctx, name, reasons, waiting, says...)
}

func (w *world) eventuallyWithin(ctx context.Context, name string, reasons map[string]string, patience time.Duration, says ...OmegaMatcher) *v1alpha1.TokenProcedure {
	GinkgoHelper()
	object := &v1alpha1.TokenProcedure{}
	Eventually(ctx, func(g Gomega) {
		g.Expect(k8s.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: name}, object)).To(Succeed())
		g.Expect(invariants(object)).To(BeEmpty())
		g.Expect(reasonsOf(object.Status.Conditions, object.Generation)).To(matchReasons(reasons), describe(object.Status.Conditions))
		g.Expect(describe(object.Status.Conditions)).To(And(says...))
	}).WithTimeout(patience).WithPolling(polling).Should(Succeed())
	return object
}

// eventuallySignature is the same for a signature.
func (w *world) eventuallySignature(ctx context.Context, name string, reasons map[string]string, says ...OmegaMatcher) *v1alpha1.ProcedureSignature {
	GinkgoHelper()
	object := &v1alpha1.ProcedureSignature{}
	Eventually(ctx, func(g Gomega) {
		g.Expect(k8s.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: name}, object)).To(Succeed())
		g.Expect(signatureInvariants(object)).To(BeEmpty())
		g.Expect(reasonsOf(object.Status.Conditions, object.Generation)).To(matchReasons(reasons), describe(object.Status.Conditions))
		g.Expect(describe(object.Status.Conditions)).To(And(says...))
	}).WithTimeout(waiting).WithPolling(polling).Should(Succeed())
	return object
}

// eventuallyHost is the same for the CMHost.
func (w *world) eventuallyHost(ctx context.Context, reason string) *v1alpha1.CMHost {
	GinkgoHelper()
	object := &v1alpha1.CMHost{}
	Eventually(ctx, func(g Gomega) {
		g.Expect(k8s.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: "host"}, object)).To(Succeed())
		g.Expect(reasonsOf(object.Status.Conditions, object.Generation)).To(HaveKeyWithValue(v1alpha1.ConditionReady, HaveSuffix(" "+reason)), describe(object.Status.Conditions))
	}).WithTimeout(waiting).WithPolling(polling).Should(Succeed())
	return object
}

// reasonsOf writes conditions of a generation as "True Reason" by type.
func reasonsOf(conditions []metav1.Condition, generation int64) map[string]string {
	reasons := map[string]string{}
	for _, condition := range conditions {
		if condition.ObservedGeneration == generation {
			reasons[condition.Type] = string(condition.Status) + " " + condition.Reason
		}
	}
	return reasons
}

// matchReasons wants each of these; "" wants the condition to be absent.
func matchReasons(wanted map[string]string) OmegaMatcher {
	var matchers []OmegaMatcher
	for conditionType, reason := range wanted {
		if reason == "" {
			matchers = append(matchers, Not(HaveKey(conditionType)))
		} else {
			matchers = append(matchers, HaveKeyWithValue(conditionType, reason))
		}
	}
	return And(matchers...)
}

func describe(conditions []metav1.Condition) string {
	var lines []string
	for _, c := range conditions {
		lines = append(lines, fmt.Sprintf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message))
	}
	return strings.Join(lines, "\n")
}

// invariants lists what must hold of a procedure's conditions at any time and does not.
func invariants(object *v1alpha1.TokenProcedure) []string {
	conditions := object.Status.Conditions
	broken := commonInvariants(conditions, object.Generation, object.Status.ObservedGeneration)
	if len(conditions) == 0 {
		return broken
	}
	truth := func(conditionType string) bool { return meta.IsStatusConditionTrue(conditions, conditionType) }
	ready := truth(v1alpha1.ConditionValidated) && truth(v1alpha1.ConditionSigned) && truth(v1alpha1.ConditionSynced)
	if truth(v1alpha1.ConditionReady) != ready {
		broken = append(broken, "Ready is not True exactly when Validated, Signed and Synced are")
	}
	if truth(v1alpha1.ConditionActive) && truth(v1alpha1.ConditionClosed) {
		broken = append(broken, "Active and Closed are both True")
	}
	for _, conditionType := range []string{"Ready", "Validated", "Signed", "Synced", "Active", "Closed"} {
		if meta.FindStatusCondition(conditions, conditionType) == nil {
			broken = append(broken, conditionType+" is missing")
		}
	}
	if reason := meta.FindStatusCondition(conditions, "Ready").Reason; !ready && reason != firstFault(conditions) {
		broken = append(broken, fmt.Sprintf("Ready's reason is %s, expected %s", reason, firstFault(conditions)))
	}
	return broken
}

// firstFault is the reason that Ready must have while it is not True.
func firstFault(conditions []metav1.Condition) string {
	switch synced := meta.FindStatusCondition(conditions, "Synced"); synced.Reason {
	case "NameConflict", "StaleRevision", "Drifted":
		return synced.Reason
	}
	for _, conditionType := range []string{"Validated", "Signed", "Synced"} {
		if c := meta.FindStatusCondition(conditions, conditionType); c.Status != metav1.ConditionTrue {
			return c.Reason
		}
	}
	return ""
}

func signatureInvariants(object *v1alpha1.ProcedureSignature) []string {
	conditions := object.Status.Conditions
	broken := commonInvariants(conditions, object.Generation, object.Status.ObservedGeneration)
	if len(conditions) == 0 {
		return broken
	}
	counted := meta.FindStatusCondition(conditions, "Counted")
	ready := meta.IsStatusConditionTrue(conditions, "Verified") && (counted.Status == metav1.ConditionTrue || counted.Reason == "Superseded")
	if meta.IsStatusConditionTrue(conditions, "Ready") != ready {
		broken = append(broken, "Ready is not True exactly when Verified is, and Counted is True or Superseded")
	}
	return broken
}

func commonInvariants(conditions []metav1.Condition, generation, observed int64) []string {
	var broken []string
	reconciling, stalled := meta.FindStatusCondition(conditions, "Reconciling"), meta.FindStatusCondition(conditions, "Stalled")
	if reconciling != nil && stalled != nil {
		broken = append(broken, "Reconciling and Stalled are both present")
	}
	for _, c := range conditions {
		if c.ObservedGeneration > generation || observed > generation {
			broken = append(broken, c.Type+" is of a generation that does not exist")
		}
		if (c.Type == "Reconciling" || c.Type == "Stalled") && (c.Status != metav1.ConditionTrue || meta.IsStatusConditionTrue(conditions, "Ready")) {
			broken = append(broken, c.Type+" is present beside Ready, or not True")
		}
	}
	if len(conditions) > 0 && observed < 1 {
		broken = append(broken, "there are conditions, but no observedGeneration")
	}
	return broken
}

// writeCounter counts the operator's writes to the API server by what they write.
type writeCounter struct {
	mu     sync.Mutex
	counts map[string]int
}

func (c *writeCounter) wrap(config *rest.Config) *rest.Config {
	wrapped := rest.CopyConfig(config)
	wrapped.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Method != http.MethodGet {
				c.mu.Lock()
				defer c.mu.Unlock()
				if c.counts == nil {
					c.counts = map[string]int{}
				}
				parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
				kind := "other"
				if len(parts) > 5 && parts[1] == "cm.tokenprocedures.dev" {
					kind = strings.Join(append([]string{parts[5]}, parts[min(len(parts), 7):]...), "/")
				} else if strings.Contains(r.URL.Path, "/events") {
					kind = "events"
				}
				c.counts[r.Method+" "+kind]++
			}
			return next.RoundTrip(r)
		})
	})
	return wrapped
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (c *writeCounter) snapshot() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	copied := map[string]int{}
	maps.Copy(copied, c.counts)
	return copied
}

// quiet is how long nothing must happen to be taken for nothing ever happening.
const quiet = 1500 * time.Millisecond

// currentHost is the CMHost as it is, reasonOf the reason of its Ready.
func (w *world) currentHost(ctx context.Context) *v1alpha1.CMHost {
	GinkgoHelper()
	host := &v1alpha1.CMHost{}
	Expect(k8s.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: "host"}, host)).To(Succeed())
	return host
}

func reasonOf(host *v1alpha1.CMHost) string {
	if ready := meta.FindStatusCondition(host.Status.Conditions, "Ready"); ready != nil {
		return ready.Reason
	}
	return ""
}

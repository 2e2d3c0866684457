package controllers

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

// maxMessage bounds what a condition says, in characters, so that nobody can make a status grow.
const maxMessage = 2048

// maxWarning bounds what a warning says, in characters, as its schema does.
const maxWarning = 1024

// finding is what a decision says of one condition.
type finding struct {
	status  metav1.ConditionStatus
	reason  string
	message string
}

func holds(reason, message string) finding { return finding{metav1.ConditionTrue, reason, message} }
func fails(reason, message string) finding { return finding{metav1.ConditionFalse, reason, message} }
func unknown(reason, message string) finding {
	return finding{metav1.ConditionUnknown, reason, message}
}

func (f finding) holds() bool { return f.status == metav1.ConditionTrue }

// namedFinding is a finding with the type of its condition.
type namedFinding struct {
	conditionType string
	finding
}

// conditionsOf turns findings into conditions, in their order. The transition time of a condition whose status stays is kept.
func conditionsOf(findings []namedFinding, before []metav1.Condition, generation int64, now time.Time) []metav1.Condition {
	conditions := make([]metav1.Condition, 0, len(findings))
	for _, f := range findings {
		condition := metav1.Condition{
			Type: f.conditionType, Status: f.status, ObservedGeneration: generation,
			LastTransitionTime: metav1.NewTime(now.Truncate(time.Second)), Reason: f.reason, Message: shorten(f.message, maxMessage),
		}
		if old := meta.FindStatusCondition(before, f.conditionType); old != nil && old.Status == f.status && !old.LastTransitionTime.After(now) {
			condition.LastTransitionTime = old.LastTransitionTime
		}
		conditions = append(conditions, condition)
	}
	return conditions
}

// readyReason is the reason of the condition Ready; empty if it is not there.
func readyReason(conditions []metav1.Condition) string {
	if ready := meta.FindStatusCondition(conditions, v1alpha1.ConditionReady); ready != nil {
		return ready.Reason
	}
	return ""
}

// hostDownReasons are the reasons for which a procedure or signature waits for its host.
var hostDownReasons = map[string]bool{v1alpha1.ReasonHostUnavailable: true, v1alpha1.ReasonCMHostNotFound: true}

// shorten cuts a text to a number of characters.
func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	runes := []rune(text)
	if len(runes) <= limit {
		return text
	}
	return string(runes[:limit-1]) + "…"
}

// list writes at most limit items, and how many more there are.
func list(items []string, limit int) string {
	if len(items) <= limit {
		return strings.Join(items, ", ")
	}
	return strings.Join(items[:limit], ", ") + " and " + plural(len(items)-limit, "more", "more")
}

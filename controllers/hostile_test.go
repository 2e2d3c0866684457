package controllers

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/request"
)

// messageOf is what a plan says in a condition.
func messageOf(p plan, conditionType string) string {
	for _, f := range p.findings {
		if f.conditionType == conditionType {
			return f.message
		}
	}
	return ""
}

func TestTheWayOutOfAClosingIsNotCutOffByWhatTheHostSays(t *testing.T) {
	p := decide(factsOf(t, deleting, held(2, func(p *request.Procedure) {
		var names []string
		for i := range 16 {
			names = append(names, fmt.Sprintf("/%d%s", i, strings.Repeat("x", 100)))
		}
		p.KeyProcedures, p.CertificateProcedures, p.AttributeCertificateProcedures = names, names, names
	})), decisionTime)
	shown := shorten(messageOf(p, v1alpha1.ConditionReconciling), maxMessage)
	if whole := messageOf(p, v1alpha1.ConditionValidated); len(whole) <= maxMessage {
		t.Fatalf("the host's content makes a message of %d bytes only", len(whole))
	}
	if !strings.HasSuffix(shown, wayOut) {
		t.Errorf("%q does not end with the way out", shown)
	}
}

func TestEveryDifferingFieldAndTheWayOutAreNamedHoweverLongTheFieldsAre(t *testing.T) {
	long := strings.Repeat("ü", 128)
	other := func(p *request.Procedure) {
		names := slices.Repeat([]string{long}, 16)
		p.Domain, p.PINProcedure, p.InputView, p.State = long, long, long, request.Closed
		p.KeyProcedures, p.CertificateProcedures, p.AttributeCertificateProcedures = names, names, names
	}
	for reason, inHistory := range map[string]bool{v1alpha1.ReasonStaleRevision: false, v1alpha1.ReasonDrifted: true} {
		f := factsOf(t, held(3, other), func(f *facts) { f.host.historyHasOwn = inHistory })
		p := decide(f, decisionTime)
		message := messageOf(p, v1alpha1.ConditionSynced)
		if shorten(message, maxMessage) != message {
			t.Errorf("%s: a message of %d characters is shortened", reason, utf8.RuneCountInString(message))
		}
		wanted := []string{"Apply a revision above 3", "apply revision 3 with exactly what the host has"}
		differences := request.Differences(f.own.Procedure, f.host.content.Procedure)
		for _, difference := range differences {
			wanted = append(wanted, difference.Label+":")
		}
		if len(differences) != 7 {
			t.Fatalf("%d fields differ; expected 7", len(differences))
		}
		for _, text := range wanted {
			if !strings.Contains(message, text) {
				t.Errorf("%s: %q does not say %q", reason, message, text)
			}
		}
		if shown := note(message); len(shown) > 1024 || !utf8.ValidString(shown) || !strings.Contains(shown, wanted[1]) {
			t.Errorf("%s: the event says %q in %d bytes; expected at most 1024, and the ways out", reason, shown, len(shown))
		}
	}
}

func TestWhatTheHostHasIsPrintable(t *testing.T) {
	p := decide(factsOf(t, held(7, func(p *request.Procedure) { p.PINProcedure = "PIN\u202eletter\nTrue" })), decisionTime)
	if message := messageOf(p, v1alpha1.ConditionSynced); !strings.Contains(message, "PIN") || strings.ContainsAny(message, "\u202e\n") {
		t.Errorf("%q; want the difference without what fools a terminal", message)
	}
}

func TestATransitionTimeOfTheFutureIsNotKept(t *testing.T) {
	for at, kept := range map[time.Time]bool{decisionTime.Add(-time.Hour): true, decisionTime.Add(time.Hour): false} {
		before := []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(at)}}
		after := conditionsOf([]namedFinding{{v1alpha1.ConditionReady, holds("Good", "good")}}, before, 1, decisionTime)
		if after[0].LastTransitionTime.Time.Equal(at) != kept {
			t.Errorf("%s became %s at %s", at, after[0].LastTransitionTime, decisionTime)
		}
	}
}

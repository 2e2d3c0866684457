package controllers

import (
	"testing"
	"time"
)

// However often something else wakes a CMHost, its Secret is read again within a minute of the last time.
func TestSecretIsDueAMinuteAfterItWasRead(t *testing.T) {
	for _, c := range []struct {
		why     string
		age     time.Duration
		refused bool
		want    time.Duration
	}{
		{"just read", 0, false, time.Minute},
		{"a pass in between does not prolong it", 50 * time.Second, false, 10 * time.Second},
		{"due by now", 61 * time.Second, false, time.Second},
		{"its certificates are refused", 0, true, 10 * time.Second},
	} {
		t.Run(c.why, func(t *testing.T) {
			if got := (&CMHostReconciler{refusedSecretAge: DefaultOptions().RefusedSecretAge}).secretDue(decisionTime, decisionTime.Add(c.age), c.refused); got != c.want {
				t.Errorf("expected to look again after %s, found %s", c.want, got)
			}
		})
	}
}

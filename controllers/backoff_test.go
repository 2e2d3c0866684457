package controllers

import (
	"testing"
	"time"

	"k8s.io/client-go/util/flowcontrol"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/internal/cmclient"
)

// A host that does not take a request is asked less and less often, and nothing of that outlives the object.
func TestPausesGrowAndAreForgotten(t *testing.T) {
	r := &TokenProcedureReconciler{
		gatherer: &gatherer{checks: newStaticChecks()}, refusals: newRefusals(), now: func() time.Time { return decisionTime },
		backOff: flowcontrol.NewBackOff(time.Second, longestBackOff),
	}
	f := factsOf(t)
	pause := func(failure *cmclient.Failure) time.Duration {
		f.attempt = &attempt{failure: failure}
		return r.next(f, plan{}).RequeueAfter
	}
	for _, wanted := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		if found := pause(&cmclient.Failure{}); found != wanted {
			t.Errorf("waits for %v; expected %v", found, wanted)
		}
	}
	if found := pause(&cmclient.Failure{RetryAfter: 20 * time.Second}); found < 20*time.Second {
		t.Errorf("waits for %v although the host asked for 20 s", found)
	}
	r.forget(client.ObjectKeyFromObject(f.object))
	if found := pause(&cmclient.Failure{}); found != time.Second {
		t.Errorf("an object that was made again waits for %v; expected 1 s, as if there had been none", found)
	}
}

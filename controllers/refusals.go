package controllers

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenprocedures/token-procedure-operator/internal/cmclient"
)

// refusals remembers what the host refused, so that the same is not sent again before something changes. It only saves
// asking: without it the host refuses once more.
type refusals struct {
	mu   sync.Mutex
	last map[types.NamespacedName]remembered
}

type remembered struct {
	uid         types.UID
	fingerprint string
	refusal     *cmclient.Refusal
}

func newRefusals() *refusals { return &refusals{last: map[types.NamespacedName]remembered{}} }

// known is the refusal of exactly this submission; nil if it was not refused.
func (r *refusals) known(object client.Object, fingerprint string) *cmclient.Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, found := r.last[client.ObjectKeyFromObject(object)]
	if !found || last.uid != object.GetUID() || last.fingerprint != fingerprint {
		return nil
	}
	return last.refusal
}

func (r *refusals) remember(object client.Object, fingerprint string, refusal *cmclient.Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last[client.ObjectKeyFromObject(object)] = remembered{uid: object.GetUID(), fingerprint: fingerprint, refusal: refusal}
}

func (r *refusals) forget(key types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, key)
}

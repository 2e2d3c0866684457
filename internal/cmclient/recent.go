package cmclient

import (
	"sync"

	"k8s.io/utils/lru"
)

// recent keeps what was used last, up to a total size.
type recent struct {
	mu   sync.Mutex
	kept *lru.Cache
	size int // of all that is kept, in bytes
	most int
}

type sized struct {
	value any
	size  int
}

func newRecent(most int) *recent {
	r := &recent{most: most}
	r.kept = lru.NewWithEvictionFunc(0, func(_ lru.Key, value any) { r.size -= value.(sized).size })
	return r
}

func (r *recent) get(key any) (any, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, hit := r.kept.Get(key)
	if !hit {
		return nil, false
	}
	return found.(sized).value, true
}

// add keeps a value, and gives up what was not used for longest to have room for it.
func (r *recent) add(key, value any, size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept.Remove(key)
	r.kept.Add(key, sized{value, size})
	for r.size += size; r.size > r.most; {
		r.kept.RemoveOldest()
	}
}

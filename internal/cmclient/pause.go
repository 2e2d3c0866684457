package cmclient

import (
	"math/rand/v2"
	"time"
)

// pause is the time between attempts: short after the first failure, doubled after each one up to the longest, always
// with jitter, so that many clients of a host that comes back do not come back together.
type pause struct {
	longest time.Duration
	// calm is how long an attempt must have lasted to be forgotten as a failure.
	calm   time.Duration
	failed int
}

func newPause(longest time.Duration) *pause {
	return &pause{longest: longest, calm: min(2*time.Second, longest)}
}

// held notes that an attempt succeeded and lasted for some time: a feed that breaks again and again is taken up again
// every second or two, one that was calm at once.
func (p *pause) held(lasted time.Duration) {
	const restless = 4
	p.failed = min(p.failed, restless)
	if lasted > p.calm {
		p.failed = 0
	}
}

// next is the time to wait now, at least what the host asked for.
func (p *pause) next(asked time.Duration) time.Duration {
	const first = 100 * time.Millisecond
	wait := p.longest
	if p.failed < 16 {
		wait = min(first<<p.failed, p.longest)
	}
	p.failed++
	// Between half of it and all of it.
	wait = wait/2 + rand.N(wait/2+1)
	return max(wait, asked)
}

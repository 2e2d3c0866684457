package cmclient

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
)

// Config says how to reach a host and whom to tell of changes.
type Config struct {
	// URL and Audience are those of the CMHost.
	URL, Audience string
	// TLS holds the client certificate and the CAs that the host's certificate must come from.
	TLS *tls.Config
	// Remembered is the head of the host's log as it was known before this connection; zero if it was not.
	Remembered LogHead
	// AcceptedHead is the log head of a restored host that a person accepts; empty if there is none.
	AcceptedHead string
	// Notify hears of every change, with how the connection stands then. It must not block.
	Notify func(State, Change)
	// Observe hears of every call; nobody does if nil.
	Observe Observe
	// Log is for people who look for a fault. It never sees keys or answers. Nothing is logged if nil.
	Log *slog.Logger
	// LongestBackOff bounds the time between two attempts; 30 s if zero.
	LongestBackOff time.Duration
	// FirstAnswer is how long a host may take to say everything for the first time before it counts as one that cannot be
	// used, so that nobody waits for it; 20 s if zero. It is still read then.
	FirstAnswer time.Duration
	// LargestList bounds the memory that the list of the host's procedures may take, in bytes; 64 MiB if zero, which is
	// enough for 100,000.
	LargestList int
}

// State is how a connection stands. It is immutable.
type State struct {
	// Tried is false until the first attempt has ended, whatever the end was.
	Tried bool
	// Failure says why the host cannot be used; nil if it can.
	Failure *Failure
	// Snapshot is what the host says; nil while the connection never had it.
	Snapshot *Snapshot
}

// Available tells whether the host can be used.
func (s State) Available() bool { return s.Tried && s.Failure == nil }

// Connection is the live connection to one host with one set of certificates.
type Connection struct {
	config Config
	client *Client
	index  *index

	state       atomic.Pointer[State]
	established atomic.Bool  // the feed is followed now: what is submitted is seen
	contact     atomic.Int64 // when the host last answered, in Unix seconds
	retry       chan struct{}
	forbade     chan string // the name of a procedure whose submission was not permitted

	// Only run and what it calls use these.
	cursor     string
	unreported Change

	mu           sync.Mutex
	remembered   LogHead
	acceptedHead string
	busyUntil    time.Time
	forbidden    *Failure // the client may read, but not submit
	breakFeed    context.CancelFunc

	recent *recent            // contents and histories
	reads  singleflight.Group // of them

	life    context.Context // ends with Close
	cancel  context.CancelFunc
	overdue *time.Timer
	working sync.WaitGroup
}

// Connect begins to connect. The connection lives until Close.
func Connect(config Config) (*Connection, error) {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Observe == nil {
		config.Observe = func(string, string, time.Duration) {}
	}
	if config.LongestBackOff == 0 {
		config.LongestBackOff = 30 * time.Second
	}
	if config.FirstAnswer == 0 {
		config.FirstAnswer = 20 * time.Second
	}
	if config.LargestList == 0 {
		config.LargestList = 64 << 20
	}
	c := &Connection{
		config:       config,
		index:        newIndex(),
		retry:        make(chan struct{}, 1),
		remembered:   config.Remembered,
		acceptedHead: config.AcceptedHead,
		forbade:      make(chan string, 1),
		recent:       newRecent(maxRecent),
	}
	client, err := NewClient(config.URL, config.TLS, func(operation, result string, took time.Duration) {
		if result != resultOK && result != ProblemNotFound {
			config.Log.Debug("call to the CM host", "operation", operation, "result", result, "took", took)
		} else {
			c.contact.Store(time.Now().Unix())
		}
		config.Observe(operation, result, took)
	})
	if err != nil {
		return nil, err
	}
	c.client = client
	c.state.Store(&State{})
	c.life, c.cancel = context.WithCancel(context.Background())
	c.overdue = time.AfterFunc(config.FirstAnswer, c.notTriedYet)
	c.working.Go(func() { c.run(c.life) })
	c.working.Go(func() { c.awaitPermission(c.life) })
	return c, nil
}

// notTriedYet reports a host that is not read to its end.
func (c *Connection) notTriedYet() {
	c.mu.Lock()
	if c.State().Tried {
		c.mu.Unlock()
		return
	}
	failure := &Failure{Reason: v1alpha1.ReasonUnreachable, Message: fmt.Sprintf(
		"the CM host has not said everything within %v and is still being read: check the host and the network", c.config.FirstAnswer)}
	state := State{Tried: true, Failure: failure}
	c.swap(state)
	c.mu.Unlock()
	c.config.Notify(state, Change{Availability: true, Host: true})
}

// Close ends the connection and waits for it.
func (c *Connection) Close() {
	c.cancel()
	c.overdue.Stop()
	c.working.Wait()
	c.client.Close()
}

// State is how the connection stands now.
func (c *Connection) State() State { return *c.state.Load() }

// Entry is what the host holds under a procedure's name.
func (c *Connection) Entry(name string) (Entry, bool) { return c.index.get(name) }

// SerialRanges are the card serial numbers that the host's Active procedures use.
func (c *Connection) SerialRanges() *rules.SerialRanges { return c.index.ranges }

// WatchRange lets a procedure be among those of Change.Ranges although the host does not have it, or not with this range.
// Without a range that ends.
func (c *Connection) WatchRange(name string, r rules.SerialRange) { c.index.watched.Set(name, r) }

// Procedures is the number of procedures that the host has.
func (c *Connection) Procedures() int { return c.index.length() }

// LastContact is when the host last answered; zero if it never did.
func (c *Connection) LastContact() time.Time {
	if seconds := c.contact.Load(); seconds != 0 {
		return time.Unix(seconds, 0)
	}
	return time.Time{}
}

// RememberedLog is the log head that the host's log must continue.
func (c *Connection) RememberedLog() LogHead {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.remembered
}

// AcceptHead sets the log head of a restored host that a person accepts, and tries again at once if it is another one.
func (c *Connection) AcceptHead(head string) {
	c.mu.Lock()
	changed := c.acceptedHead != head
	c.acceptedHead = head
	c.mu.Unlock()
	if changed && !c.State().Available() {
		c.Retry()
	}
}

// Retry makes a connection that waits for its next attempt try at once.
func (c *Connection) Retry() {
	select {
	case c.retry <- struct{}{}:
	default:
	}
}

// answered publishes what the host says, and tells whether the host became available by it.
func (c *Connection) answered(snapshot Snapshot) (availability bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.swap(State{Tried: true, Failure: c.forbidden, Snapshot: &snapshot})
}

// failed publishes why the host cannot be used. It tells whether the host became unavailable by it or for another reason,
// and whether the failure is another one than before.
func (c *Connection) failed(failure *Failure) (availability, another bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.State()
	another = before.Failure == nil || *before.Failure != *failure
	reason := before.Failure != nil && before.Failure.Reason != failure.Reason
	return c.swap(State{Tried: true, Failure: failure, Snapshot: before.Snapshot}) || reason, another
}

func (c *Connection) swap(state State) (availability bool) {
	before := c.state.Swap(&state)
	return !before.Tried || before.Available() != state.Available()
}

// run keeps the connection: one session after the other, with growing, jittered pauses while they fail.
func (c *Connection) run(ctx context.Context) {
	pause := newPause(c.config.LongestBackOff)
	for ctx.Err() == nil {
		started := time.Now()
		err := c.breakableSession(ctx)
		wasEstablished := c.established.Swap(false)
		if ctx.Err() != nil {
			return
		}
		failure := AsFailure(err)
		if wasEstablished {
			pause.held(time.Since(started))
		} else {
			// A feed that breaks is no outage: only when it cannot be taken up again the host is reported down.
			c.publishFailure(failure)
		}
		c.sleep(ctx, pause.next(failure.RetryAfter))
	}
}

// breakableSession is a session that ends when a caller of Put could not find out what the host holds.
func (c *Connection) breakableSession(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.mu.Lock()
	c.breakFeed = cancel
	c.mu.Unlock()
	return c.session(ctx)
}

func (c *Connection) publishFailure(failure *Failure) {
	availability, another := c.failed(failure)
	if availability {
		c.config.Log.Info("CM host unavailable", "reason", failure.Reason, "message", failure.Message)
	}
	c.unreported.add(Change{Availability: availability, Host: availability || another})
	c.report()
}

// awaitPermission asks a host that takes no submission of this client whether it would take one now, with growing pauses.
func (c *Connection) awaitPermission(ctx context.Context) {
	pause := newPause(c.config.LongestBackOff)
	permitted := time.Now()
	for {
		var name string
		select {
		case <-ctx.Done():
			return
		case name = <-c.forbade:
		}
		if time.Since(permitted) > c.config.LongestBackOff { // else it says one thing and does another
			pause = newPause(c.config.LongestBackOff)
		}
		for asked := time.Duration(0); c.isForbidden(); {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause.next(asked)):
			}
			var permits bool
			if permits, asked = c.permits(ctx, name); permits {
				permitted = time.Now()
				c.permit()
			}
		}
	}
}

// sleep waits, unless somebody asks to try at once.
func (c *Connection) sleep(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-c.retry:
	case <-timer.C:
	}
}

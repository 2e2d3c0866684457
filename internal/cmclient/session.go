package cmclient

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/api/v1alpha1"
)

const (
	// longPoll is how long the host may wait before it answers that nothing changed.
	longPoll = 50 * time.Second
	// gather is the shortest time between two answers of the feed: changes that come close together come in one answer.
	gather = 100 * time.Millisecond
	// headAge is how long the log head may be unknown after a change.
	headAge = time.Second
	// maxPages bounds a listing whose pages are nearly empty.
	maxPages = 20_000
	// maxCatchUp bounds how many pages of changes are caught up with: what changed more than that is listed.
	maxCatchUp = 64
	// restless is the pause before a feed is asked again that says at once that nothing changed, instead of waiting.
	restless = time.Second
)

// sessions counts those of all connections.
var sessions atomic.Int64

// session reads everything that changed since the last session, or all of it, and then follows the feed until it breaks.
// It always returns an error.
func (c *Connection) session(ctx context.Context) error {
	if err := c.catchUp(ctx); err != nil {
		return err
	}
	c.established.Store(true)
	c.config.Log.Info("connected to the CM host", "url", c.config.URL, "procedures", c.index.length())
	c.report()
	return c.follow(ctx)
}

// report tells the owner what has changed since the last report.
func (c *Connection) report() {
	change := c.unreported
	c.unreported = Change{}
	if change.concernsAnything() {
		c.config.Notify(c.State(), change)
	}
}

// catchUp brings everything that is known of the host up to date, and makes it available.
func (c *Connection) catchUp(ctx context.Context) error {
	before := c.State()
	snapshot := Snapshot{}
	if before.Snapshot != nil {
		snapshot = *before.Snapshot
	}
	snapshot, err := c.checkHost(ctx, snapshot)
	if err != nil {
		return err
	}
	// The policy comes last: what changes after it was read is behind the cursor.
	if err := c.readProcedures(ctx); err != nil {
		return err
	}
	snapshot, changed, err := c.readPolicy(ctx, snapshot)
	if err != nil {
		return err
	}
	snapshot.Session = sessions.Add(1)
	c.mu.Lock()
	c.forbidden = nil
	c.mu.Unlock()
	changed.Everything, changed.Host = before.Snapshot == nil || before.Snapshot.MaxSignatureAge != snapshot.MaxSignatureAge, true
	changed.Availability = c.answered(snapshot)
	c.unreported.add(changed)
	return nil
}

// checkHost asks who the host is, and whether its log continues the one that is remembered.
func (c *Connection) checkHost(ctx context.Context, snapshot Snapshot) (Snapshot, error) {
	host, err := c.client.host(ctx)
	if err != nil {
		return snapshot, err
	}
	if host.Audience != c.config.Audience {
		return snapshot, &Failure{Reason: v1alpha1.ReasonAudienceMismatch, Message: fmt.Sprintf(
			"expected a CM host with the audience %q, found %q: correct spec.url, or create another CMHost for that audience", c.config.Audience, Clean(host.Audience))}
	}
	if snapshot, err = snapshot.withHost(host); err != nil {
		return snapshot, err
	}
	return snapshot, c.checkLog(ctx, snapshot.Log)
}

// emptyLog is how a person accepts the head of a log without entries.
const emptyLog = "empty"

// checkLog refuses a host whose log does not continue the remembered one: it was restored from a backup, and what it
// forgot would be submitted to it as if it were new.
func (c *Connection) checkLog(ctx context.Context, found LogHead) error {
	c.mu.Lock()
	remembered, accepted := c.remembered, c.acceptedHead
	c.mu.Unlock()
	continues := found == remembered || remembered.Length == 0
	if !continues && found.Length > remembered.Length {
		entry, there, err := c.client.logEntry(ctx, remembered.Length)
		if err != nil {
			return err
		}
		continues = there && entry.Hash == remembered.Head
	}
	head := cmp.Or(found.Head, emptyLog)
	if !continues && accepted != head {
		return &Failure{Reason: v1alpha1.ReasonHistoryRewound, Message: fmt.Sprintf(
			"the CM host's log does not continue the one that was seen: expected entry %d with hash %s, found a log of %d entries with head %s. "+
				"The host was restored from a backup, or spec.url leads to another one; nothing is submitted. If that is right, set the annotation %s: %s on this CMHost",
			remembered.Length, remembered.Head, found.Length, head, v1alpha1.AnnotationAcceptLogHead, head)}
	}
	c.mu.Lock()
	c.remembered = found
	c.mu.Unlock()
	return nil
}

// readPolicy reads the register and the catalogue where they are not the known ones any more.
func (c *Connection) readPolicy(ctx context.Context, snapshot Snapshot) (Snapshot, Change, error) {
	var change Change
	list, officersTag, officersChanged, err := c.client.officers(ctx, snapshot.officersTag)
	if err != nil {
		return snapshot, change, err
	}
	if err := validOfficers(list.Items); err != nil {
		return snapshot, change, err
	}
	catalog, catalogTag, catalogChanged, err := c.client.catalog(ctx, snapshot.catalogTag)
	if err != nil {
		return snapshot, change, err
	}
	officers, offered := snapshot.officers, snapshot.Catalog
	if officersChanged {
		change.Officers = changedOfficers(officers, list.Items)
		officers = list.Items
	}
	if catalogChanged {
		change.Catalog, change.Domains, change.StorageProfiles = changedCatalog(offered, &catalog)
		offered = &catalog
	}
	if offered == nil {
		return snapshot, change, wrongContent("getCatalog", "status 304 without a known catalogue")
	}
	snapshot.officersTag, snapshot.catalogTag = officersTag, catalogTag
	if len(change.Officers)+len(change.Catalog) > 0 || change.StorageProfiles || snapshot.Register == nil {
		snapshot = snapshot.withPolicy(officers, offered)
	}
	return snapshot, change, nil
}

// readProcedures catches up from the cursor, or reads the whole list where there is none or the host has forgotten it.
func (c *Connection) readProcedures(ctx context.Context) error {
	for pages := 0; c.cursor != "" && pages < maxCatchUp; pages++ {
		page, err := c.changes(ctx, 0)
		if IsRefusal(err, ProblemCursorGone) {
			break
		}
		if err != nil {
			return err
		}
		if err := c.refresh(ctx, page.Items); err != nil {
			return err
		}
		c.cursor = page.Next
		if len(page.Items) == 0 {
			return nil
		}
	}
	c.cursor = ""
	return c.readList(ctx)
}

// changes asks what changed behind the cursor. A host whose cursor leads nowhere is none.
func (c *Connection) changes(ctx context.Context, wait time.Duration) (cmhostv1.Changes, error) {
	page, err := c.client.changes(ctx, c.cursor, wait)
	if err == nil && (page.Next == "" || page.Next == c.cursor && len(page.Items) > 0) {
		err = wrongContent("watchChanges", "%d changes, and the cursor %q after %q", len(page.Items), page.Next, c.cursor)
	}
	return page, err
}

// readList reads the whole list and begins to follow the feed from before it.
func (c *Connection) readList(ctx context.Context) error {
	since := c.index.now()
	now, err := c.client.changes(ctx, "", 0)
	if err == nil && now.Next == "" {
		err = wrongContent("watchChanges", "no cursor")
	}
	if err != nil {
		return err
	}
	listing, size := map[string]Entry{}, 0
	after := ""
	for range maxPages {
		page, err := c.client.procedures(ctx, after)
		if err != nil {
			return err
		}
		if len(page.Items) > pageSize {
			return wrongContent("listTokenProcedures", "%d procedures in a page of at most %d", len(page.Items), pageSize)
		}
		for _, summary := range page.Items {
			entry := entryOfSummary(summary)
			if !entry.valid() || len(summary.Name) > maxName {
				return wrongContent("listTokenProcedures", "procedure %q with revision %d, digest %q, state %q", summary.Name, summary.Revision, summary.Digest, summary.State)
			}
			listing[summary.Name] = entry
			if size += entry.size(summary.Name); size > c.config.LargestList {
				return c.tooMany(len(listing))
			}
		}
		if page.Next == "" {
			c.cursor = now.Next
			c.unreported.Procedures = append(c.unreported.Procedures, c.index.replace(listing, since)...)
			return nil
		}
		if page.Next <= after {
			return wrongContent("listTokenProcedures", "next %q after %q", page.Next, after)
		}
		after = page.Next
	}
	return wrongContent("listTokenProcedures", "more than %d pages", maxPages)
}

// tooMany is the failure of a host that has more procedures than one host may take memory for.
func (c *Connection) tooMany(found int) *Failure {
	return &Failure{Reason: v1alpha1.ReasonUnreachable, Message: fmt.Sprintf(
		"the CM host has more procedures than one CM host may have: those found by now, %d, take more than %d KiB of memory; check spec.url", found, c.config.LargestList>>10)}
}

// follow keeps one long poll open and takes over what it brings. It ends with the error that breaks it.
func (c *Connection) follow(ctx context.Context) error {
	headUnknown := false
	headSeen := time.Now()
	for {
		wait := longPoll
		if headUnknown {
			wait = headAge
		}
		asked, submitted := time.Now(), c.index.now()
		page, err := c.changes(ctx, wait)
		if IsRefusal(err, ProblemCursorGone) {
			c.cursor = ""
			return &Failure{Reason: v1alpha1.ReasonUnreachable, Message: "the CM host has forgotten where we were in its changes: everything is read again"}
		}
		if err != nil {
			return err
		}
		answered := time.Now()
		if err := c.takeOver(ctx, page, submitted); err != nil {
			return err
		}
		headUnknown = headUnknown || len(page.Items) > 0
		if headUnknown && time.Since(headSeen) >= headAge {
			if err := c.readHead(ctx); err != nil {
				return err
			}
			headUnknown, headSeen = false, time.Now()
		}
		c.report()
		switch {
		case len(page.Items) > 0: // a host that never stops to change has us at work half of the time
			c.sleep(ctx, max(gather, time.Since(answered)))
		case answered.Sub(asked) < wait/2:
			c.sleep(ctx, restless)
		}
	}
}

// takeOver reads again what a page of changes names. submitted is a stamp from before the page was asked for.
func (c *Connection) takeOver(ctx context.Context, page cmhostv1.Changes, submitted uint64) error {
	if slices.ContainsFunc(page.Items, func(item cmhostv1.Change) bool { return item.Kind != cmhostv1.ChangeKindTokenProcedure }) {
		before := c.State().Snapshot
		snapshot, changed, err := c.readPolicy(ctx, before.without(page.Items))
		if err != nil {
			return err
		}
		c.answered(snapshot)
		changed.Host = snapshot.Policy != before.Policy
		c.unreported.add(changed)
	}
	if err := c.refresh(ctx, page.Items); err != nil {
		return err
	}
	if len(page.Items) == 0 {
		if err := c.refreshAll(ctx, c.index.unseen(submitted)); err != nil {
			return err
		}
	}
	c.unreported.Ranges = append(c.unreported.Ranges, c.index.takeOverlapping()...)
	c.cursor = page.Next
	return nil
}

// readHead learns the log head after changes, so that a later rewind is noticed.
func (c *Connection) readHead(ctx context.Context) error {
	before := *c.State().Snapshot
	snapshot, err := c.checkHost(ctx, before)
	if err != nil {
		return err
	}
	c.answered(snapshot)
	c.unreported.add(Change{Host: true, Everything: before.MaxSignatureAge != snapshot.MaxSignatureAge})
	return nil
}

// refresh reads again the procedures among some changes. Our own submissions are known already: a host has exactly one
// change for each revision that it accepts, so taking one away for each stored answer leaves those of everybody else.
func (c *Connection) refresh(ctx context.Context, items []cmhostv1.Change) error {
	names := map[string]bool{}
	for _, item := range items {
		if item.Kind == cmhostv1.ChangeKindTokenProcedure && !c.index.echo(item.Name) {
			names[item.Name] = true
		}
	}
	// Reading page by page is cheaper than one by one when a good part of the list has changed.
	if len(names) > 16+c.index.length()/50 {
		return c.readList(ctx)
	}
	return c.refreshAll(ctx, slices.Sorted(maps.Keys(names)))
}

// refreshAll reads some procedures again.
func (c *Connection) refreshAll(ctx context.Context, names []string) error {
	for _, name := range names {
		changed, err := c.refreshOne(ctx, name)
		if err != nil {
			return err
		}
		if changed {
			c.unreported.Procedures = append(c.unreported.Procedures, name)
		}
	}
	if c.index.memory() > c.config.LargestList {
		return c.tooMany(c.index.length())
	}
	return nil
}

// refreshOne reads one procedure until nothing newer came in while it was read.
func (c *Connection) refreshOne(ctx context.Context, name string) (changed bool, err error) {
	for fresh := false; !fresh; {
		since := c.index.now()
		procedure, _, err := c.client.procedure(ctx, name)
		if IsRefusal(err, ProblemNotFound) {
			changed, fresh = c.index.store(name, nil, since)
			continue
		}
		if err != nil {
			return false, err
		}
		entry := entryOfProcedure(procedure)
		if procedure.Name != name || !entry.valid() {
			return false, wrongContent("getTokenProcedure", "procedure %q with revision %d, digest %q, state %q", procedure.Name, entry.Revision, entry.Digest, entry.State)
		}
		changed, fresh = c.index.store(name, &entry, since)
	}
	return changed, nil
}

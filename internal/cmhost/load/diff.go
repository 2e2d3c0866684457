package load

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// objectList is one list of the catalogue, with the common part of its objects.
type objectList struct {
	label   string
	objects []rules.CatalogObject
}

func listsOf(c rules.Catalog) []objectList {
	keys := make([]rules.CatalogObject, 0, len(c.KeyProcedures))
	for _, key := range c.KeyProcedures {
		keys = append(keys, key.CatalogObject)
	}
	certificates := make([]rules.CatalogObject, 0, len(c.CertificateProcedures))
	for _, certificate := range c.CertificateProcedures {
		certificates = append(certificates, certificate.CatalogObject)
	}
	return []objectList{
		{"PIN procedure", c.PINProcedures}, {"key procedure", keys}, {"certificate procedure", certificates},
		{"attribute certificate procedure", c.AttributeCertificateProcedures}, {"input view", c.InputViews},
	}
}

// Change is one object that a load adds, changes or removes.
type Change struct {
	Kind   cmhostv1.ChangeKind
	Name   string
	Action cmhostv1.LogEntryAction
	// Before and After are the object's members, nil where there is none.
	Before, After map[string]any
}

// String says for people what changes.
func (c Change) String() string {
	text := fmt.Sprintf("%s %s %q", map[cmhostv1.LogEntryAction]string{
		cmhostv1.LogEntryActionAdded: "+", cmhostv1.LogEntryActionChanged: "~",
		cmhostv1.LogEntryActionRemoved: "-", cmhostv1.LogEntryActionImported: "+",
	}[c.Action], c.Kind, c.Name)
	if c.Action != cmhostv1.LogEntryActionChanged {
		return text
	}
	return text + ": " + strings.Join(c.members(), "; ")
}

// members are the changed members, shortened.
func (c Change) members() []string {
	names := map[string]bool{}
	for _, side := range []map[string]any{c.Before, c.After} {
		for name := range side {
			names[name] = true
		}
	}
	var changed []string
	for name := range names {
		if reflect.DeepEqual(c.Before[name], c.After[name]) {
			continue
		}
		if name == "certificates" {
			changed = append(changed, fmt.Sprintf("certificates (%d -> %d)", countOf(c.Before[name]), countOf(c.After[name])))
			continue
		}
		changed = append(changed, fmt.Sprintf("%s %s -> %s", name, shown(c.Before[name]), shown(c.After[name])))
	}
	slices.Sort(changed)
	return changed
}

func countOf(list any) int {
	items, _ := list.([]any)
	return len(items)
}

func shown(value any) string {
	if value == nil {
		return "(none)"
	}
	plain, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(plain)
}

// entry is the log's entry for a change.
func (c Change) entry(now time.Time) cmhostv1.LogEntry {
	return cmhostv1.LogEntry{Time: now, Kind: c.Kind, Name: c.Name, Action: c.Action, Object: c.After}
}

// object is an object of the register or the catalogue as its members.
type object struct {
	kind    cmhostv1.ChangeKind
	name    string
	members map[string]any
}

// diff lists what changes between two sets of objects, in the order of kinds, then of names.
func diff(before, after []object) []Change {
	old := make(map[[2]string]object, len(before))
	for _, o := range before {
		old[[2]string{string(o.kind), o.name}] = o
	}
	var changes []Change
	for _, o := range after {
		key := [2]string{string(o.kind), o.name}
		was, known := old[key]
		delete(old, key)
		switch {
		case !known:
			changes = append(changes, Change{Kind: o.kind, Name: o.name, Action: cmhostv1.LogEntryActionAdded, After: o.members})
		case !reflect.DeepEqual(was.members, o.members):
			changes = append(changes, Change{Kind: o.kind, Name: o.name, Action: cmhostv1.LogEntryActionChanged, Before: was.members, After: o.members})
		}
	}
	for _, o := range old {
		changes = append(changes, Change{Kind: o.kind, Name: o.name, Action: cmhostv1.LogEntryActionRemoved, Before: o.members})
	}
	slices.SortFunc(changes, func(a, b Change) int {
		return strings.Compare(string(a.Kind)+"\x00"+a.Name, string(b.Kind)+"\x00"+b.Name)
	})
	return changes
}

// objects are all objects of a register and a catalogue.
func objects(officers []signing.Officer, c rules.Catalog) ([]object, error) {
	var all []object
	var failed error
	add := func(kind cmhostv1.ChangeKind, name string, content any) {
		members, err := membersOf(content)
		if err != nil && failed == nil {
			failed = err
		}
		all = append(all, object{kind, name, members})
	}
	for _, officer := range officers {
		add(cmhostv1.ChangeKindOfficer, officer.ID, officer)
	}
	for _, profile := range c.StorageProfiles {
		add(cmhostv1.ChangeKindStorageProfile, profile, map[string]any{"name": profile})
	}
	for _, domain := range c.Domains {
		add(cmhostv1.ChangeKindDomain, domain.Name, domain)
	}
	for _, pin := range c.PINProcedures {
		add(cmhostv1.ChangeKindPINProcedure, pin.Name, pin)
	}
	for _, key := range c.KeyProcedures {
		add(cmhostv1.ChangeKindKeyProcedure, key.Name, key)
	}
	for _, certificate := range c.CertificateProcedures {
		add(cmhostv1.ChangeKindCertificateProcedure, certificate.Name, certificate)
	}
	for _, attribute := range c.AttributeCertificateProcedures {
		add(cmhostv1.ChangeKindAttributeCertificateProcedure, attribute.Name, attribute)
	}
	for _, view := range c.InputViews {
		add(cmhostv1.ChangeKindInputView, view.Name, view)
	}
	return all, failed
}

func membersOf(content any) (map[string]any, error) {
	plain, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	var members map[string]any
	return members, json.Unmarshal(plain, &members)
}

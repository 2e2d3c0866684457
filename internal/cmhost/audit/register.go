package audit

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/domains"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// register is who may sign, as the log says it from its beginning.
type register struct {
	officers map[string]signing.Officer
	tree     domains.Tree
	indexed  *signing.Register // nil after a change
}

// apply notes a change of the register or of the tree of domains.
func (r *register) apply(entry cmhostv1.LogEntry) error {
	if r.officers == nil {
		r.officers, r.tree = map[string]signing.Officer{}, domains.Tree{}
	}
	switch entry.Kind {
	case cmhostv1.ChangeKindOfficer:
		return change(r, r.officers, entry)
	case cmhostv1.ChangeKindDomain:
		return change(r, r.tree, entry)
	}
	return nil
}

func change[T any](r *register, all map[string]T, entry cmhostv1.LogEntry) error {
	r.indexed = nil
	if entry.Action == cmhostv1.LogEntryActionRemoved {
		delete(all, entry.Name)
		return nil
	}
	plain, err := json.Marshal(entry.Object)
	if err != nil {
		return err
	}
	var object T
	if err := json.Unmarshal(plain, &object); err != nil {
		return fmt.Errorf("the object cannot be read: %w", err)
	}
	all[entry.Name] = object
	return nil
}

// current is the register after the entries so far.
func (r *register) current() *signing.Register {
	if r.indexed == nil {
		r.indexed = signing.NewRegister(slices.Collect(maps.Values(r.officers)), r.tree)
	}
	return r.indexed
}

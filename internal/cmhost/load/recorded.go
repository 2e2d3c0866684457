package load

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/rules"
	"github.com/tokenprocedures/token-procedure-operator/internal/signing"
)

// Recorded is the register and the catalogue as the entries of a log say them, by kind and name.
type Recorded map[[2]string]object

// Note notes what the next entry of the log, JSON, changes.
func (r Recorded) Note(plain []byte) error {
	var entry cmhostv1.LogEntry
	if err := json.Unmarshal(plain, &entry); err != nil {
		return fmt.Errorf("read a log entry: %w", err)
	}
	key := [2]string{string(entry.Kind), entry.Name}
	switch {
	case entry.Kind == cmhostv1.ChangeKindTokenProcedure:
	case entry.Action == cmhostv1.LogEntryActionRemoved:
		delete(r, key)
	default:
		r[key] = object{entry.Kind, entry.Name, entry.Object}
	}
	return nil
}

// Check refuses a stored register or catalogue that is another one than the log says.
func (r Recorded) Check(officers []signing.Officer, catalog rules.Catalog) error {
	stored, err := objects(officers, catalog)
	if err != nil {
		return err
	}
	differences := diff(slices.Collect(maps.Values(r)), stored)
	if len(differences) == 0 {
		return nil
	}
	var lines strings.Builder
	for _, difference := range differences {
		lines.WriteString("\n  " + difference.String())
	}
	return fmt.Errorf("the stored register or catalogue is another one than the log says (+ is only stored, ~ is stored otherwise, - is only in the log):%s", lines.String())
}

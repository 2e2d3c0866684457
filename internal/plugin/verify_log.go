package plugin

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
	"github.com/tokenprocedures/token-procedure-operator/internal/cmhost/audit"
)

// loggedTimes are the times at which a host's log has accepted requests, by digest.
type loggedTimes map[string]time.Time

// checkLogs checks exports of a host's log without asking anybody: each entry has the certificates that it was judged
// with. It returns what the good part of the logs has accepted, or nil if there are no logs.
func (o *verifyOptions) checkLogs(report *VerifyReport) (loggedTimes, error) {
	if len(o.logs) == 0 {
		return nil, nil //nolint:nilnil // no logs is a good answer
	}
	logged := loggedTimes{}
	for _, path := range o.logs {
		file, err := os.Open(path)
		if err != nil {
			return nil, usagef("--log: %w", err)
		}
		var auditor audit.Auditor
		err = errors.Join(audit.Read(file, func(plain []byte) error {
			if err := auditor.Check(plain); err != nil {
				return err
			}
			return logged.note(plain)
		}), file.Close())
		checked := VerifiedLog{Where: path, Good: err == nil, Entries: auditor.Head.Length, Head: auditor.Head.Hash, Accepted: auditor.Accepted}
		if err != nil {
			checked.Message = err.Error()
			report.Good = false
		}
		report.Logs = append(report.Logs, checked)
	}
	return logged, nil
}

// note remembers an entry that was checked, if it is an accepted request.
func (l loggedTimes) note(plain []byte) error {
	var entry cmhostv1.LogEntry
	if err := json.Unmarshal(plain, &entry); err != nil {
		return err
	}
	if entry.Action == cmhostv1.LogEntryActionAccepted {
		l[entry.Digest] = entry.Time
	}
	return nil
}

// acceptance says in words when the host accepted a revision and who says so, and whether the log, where there is one,
// agrees.
func (l loggedTimes) acceptance(revision *cmhostv1.TokenProcedure) (words string, good bool) {
	said := timestamp(revision.AcceptedAt)
	at, found := l[revision.Digest]
	switch {
	case l == nil:
		return "accepted " + said + ", as the export says: --log checks it", true
	case !found:
		return "the export says accepted " + said + ", but the log has no such request", false
	case !at.Equal(revision.AcceptedAt):
		return fmt.Sprintf("the export says accepted %s, the log %s", revision.AcceptedAt.UTC().Format(time.RFC3339Nano), at.UTC().Format(time.RFC3339Nano)), false
	}
	return "accepted " + said + ", as in the log", true
}

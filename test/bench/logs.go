package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// counts are how often something was done.
type counts map[string]int

func (c counts) String() string {
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(c)) {
		texts = append(texts, fmt.Sprintf("%d × %s", c[key], key))
	}
	if len(texts) == 0 {
		return "nothing"
	}
	return strings.Join(texts, ", ")
}

// sum adds up those whose key has a prefix.
func (c counts) sum(prefix string) (total int) {
	for key, count := range c {
		if strings.HasPrefix(key, prefix) {
			total += count
		}
	}
	return total
}

// tally is what the API server has answered to the operator, or the host to its submitter, since the last reset.
type tally struct {
	file growingFile
	read func(line []byte) (what string, at time.Time, err error)

	counted counts
	last    map[string]time.Time // when each was done last
}

func (t *tally) reset() error {
	err := t.update()
	t.counted, t.last = counts{}, map[string]time.Time{}
	return err
}

func (t *tally) update() error {
	return t.file.lines(func(line []byte) error {
		what, at, err := t.read(line)
		if err != nil || what == "" {
			return err
		}
		t.counted[what]++
		if at.After(t.last[what]) {
			t.last[what] = at
		}
		return nil
	})
}

// now is what has been counted by now.
func (t *tally) now() (counts, error) {
	err := t.update()
	return maps.Clone(t.counted), err
}

// lastOf is when something was done last.
func (t *tally) lastOf(whats ...string) (last time.Time) {
	for _, what := range whats {
		if t.last[what].After(last) {
			last = t.last[what]
		}
	}
	return last
}

const operatorUser = "bench-operator"

// What the operator writes to the API server, as readAudit names it.
const (
	procedureStatus = "patch tokenprocedures/status"
	signatureStatus = "patch proceduresignatures/status"
	hostStatus      = "patch cmhosts/status"
)

// auditPolicy logs the writes of the operator and of the floor alike, so that both pay for it.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: None
  verbs: [get, list, watch]
- level: Metadata
  users: [bench-operator, bench-floor]
- level: None
`

// readAudit reads a write of the operator from the API server's audit log.
func readAudit(line []byte) (string, time.Time, error) {
	var entry struct {
		Verb string `json:"verb"`
		User struct {
			Username string `json:"username"`
		} `json:"user"`
		ObjectRef struct {
			Resource    string `json:"resource"`
			Subresource string `json:"subresource"`
		} `json:"objectRef"`
		StageTimestamp time.Time `json:"stageTimestamp"`
	}
	if err := json.Unmarshal(line, &entry); err != nil {
		return "", time.Time{}, fmt.Errorf("the audit log has a line that is none: %w", err)
	}
	if entry.User.Username != operatorUser {
		return "", time.Time{}, nil
	}
	what := entry.Verb + " " + entry.ObjectRef.Resource
	if entry.ObjectRef.Subresource != "" {
		what += "/" + entry.ObjectRef.Subresource
	}
	return what, entry.StageTimestamp, nil
}

const (
	putCall     = "PUT /v1/token-procedures/{name}"
	listCall    = "GET /v1/token-procedures"
	changesCall = "GET /v1/changes"
)

// readAccess reads a call from the host's access log.
func readAccess(line []byte) (string, time.Time, error) {
	var entry struct {
		Time time.Time `json:"time"`
		Msg  string    `json:"msg"`
		Call string    `json:"call"`
	}
	if err := json.Unmarshal(line, &entry); err != nil {
		return "", time.Time{}, fmt.Errorf("the host's log has a line that is none: %w", err)
	}
	if entry.Msg != "call" {
		return "", time.Time{}, nil
	}
	return entry.Call, entry.Time, nil
}

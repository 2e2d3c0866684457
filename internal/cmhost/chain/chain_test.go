package chain

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
)

func entries(t *testing.T, count int) [][]byte {
	t.Helper()
	var head Head
	var all [][]byte
	for i := range count {
		entry := cmhostv1.LogEntry{
			Time: time.Date(2026, 11, 22, 9, 30, i, 125e6, time.UTC), Kind: cmhostv1.ChangeKindPINProcedure, Name: `PIN "letter" <é> "index":`,
			Action: cmhostv1.LogEntryActionAdded, Object: map[string]any{"name": "PIN letter", "hash": "not ours", "index": 1.5},
		}
		next, stored, err := Link(head, entry)
		if err != nil {
			t.Fatal(err)
		}
		head = next
		all = append(all, []byte(stored))
	}
	return all
}

func verify(all [][]byte) (Head, error) {
	var head Head
	for _, entry := range all {
		next, err := Verify(head, entry)
		if err != nil {
			return head, err
		}
		head = next
	}
	return head, nil
}

func TestVector(t *testing.T) {
	_, stored, err := Link(Head{}, cmhostv1.LogEntry{
		Time: time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC), Kind: cmhostv1.ChangeKindPINProcedure, Name: "PIN letter",
		Action: cmhostv1.LogEntryActionAdded, Object: map[string]any{"state": "Active", "name": "PIN letter"},
	})
	// The hash is what `printf %s '{…}' | sha256sum` prints for the entry without it.
	const want = `{"action":"Added","hash":"sha256:b570b97163aa0a81f5d9fe249071273c44dc2088500fd6564bd9a4f2cced8dd5","index":1,"kind":"PINProcedure","name":"PIN letter","object":{"name":"PIN letter","state":"Active"},"previous":"","time":"2026-11-22T09:30:00Z"}`
	if err != nil || stored != want {
		t.Errorf("got  %s, %v\nwant %s", stored, err, want)
	}
}

// TestTheContractsExampleIsAChain lets whoever writes a gateway try their own hashes on the contract's example.
func TestTheContractsExampleIsAChain(t *testing.T) {
	contract, err := cmhostv1.GetSpec()
	if err != nil {
		t.Fatal(err)
	}
	plain, err := json.Marshal(contract.Components.Examples["Log"].Value.Value)
	if err != nil {
		t.Fatal(err)
	}
	var page struct{ Items []json.RawMessage }
	if err := json.Unmarshal(plain, &page); err != nil || len(page.Items) == 0 {
		t.Fatalf("%d entries, %v", len(page.Items), err)
	}
	head := Head{}
	for _, entry := range page.Items {
		if head, err = Verify(head, entry); err != nil {
			t.Fatal(err)
		}
	}
	host, err := json.Marshal(contract.Components.Examples["Host"].Value.Value)
	if err != nil || !strings.Contains(string(host), head.Hash) {
		t.Errorf("the example of a host is %s, %v; the example of its log ends with %s", host, err, head.Hash)
	}
}

func TestLinkedEntriesAreCanonicalAndVerify(t *testing.T) {
	all := entries(t, 3)
	if head, err := verify(all); err != nil || head.Length != 3 {
		t.Errorf("%+v, %v; want three good entries", head, err)
	}
}

func TestVerifyFindsEveryChange(t *testing.T) {
	for name, change := range map[string]func([][]byte) [][]byte{
		"a changed value": func(all [][]byte) [][]byte { return replace(all, 1, "PIN letter", "PIN ladder") },
		"a changed time":  func(all [][]byte) [][]byte { return replace(all, 1, "09:30", "09:31") },
		"a new member":    func(all [][]byte) [][]byte { return replace(all, 2, `{"action"`, `{"aaa":1,"action"`) },
		"a member twice":  func(all [][]byte) [][]byte { return replace(all, 1, `{"action"`, `{"action":"Removed","action"`) },
		"a member of a member twice": func(all [][]byte) [][]byte {
			return replace(all, 1, `"object":{`, `"object":{"name":"PIN ladder",`)
		},
		"an entry left out":  func(all [][]byte) [][]byte { return append(all[:1:1], all[2]) },
		"the first left out": func(all [][]byte) [][]byte { return all[1:] },
		"entries swapped":    func(all [][]byte) [][]byte { return [][]byte{all[0], all[2], all[1]} },
		"an entry repeated":  func(all [][]byte) [][]byte { return [][]byte{all[0], all[0]} },
		"no object":          func([][]byte) [][]byte { return [][]byte{[]byte("[]")} },
		"no JSON":            func([][]byte) [][]byte { return [][]byte{[]byte("entry")} },
	} {
		if _, err := verify(change(entries(t, 3))); err == nil {
			t.Errorf("%s: not found", name)
		}
	}
}

func replace(all [][]byte, at int, old, with string) [][]byte {
	all[at] = bytes.Replace(all[at], []byte(old), []byte(with), 1)
	return all
}

// FuzzVerify asserts that an entry with one byte changed never verifies, unless it still means the same.
func FuzzVerify(f *testing.F) {
	f.Add(10, byte('x'))
	f.Add(60, byte(' '))
	f.Fuzz(func(t *testing.T, at int, with byte) {
		entry := entries(t, 1)[0]
		at = ((at % len(entry)) + len(entry)) % len(entry)
		if entry[at] == with || with <= ' ' {
			return // the same bytes, or white space
		}
		changed := bytes.Clone(entry)
		changed[at] = with
		if _, err := Verify(Head{}, changed); err == nil && !strings.ContainsRune(string(changed), '\\') {
			t.Errorf("verified with byte %d changed: %s", at, changed)
		}
	})
}

// Package chain links the entries of the CM host's append-only log by their hashes, and checks such chains.
//
// It is pure and knows only the interface's types: whoever has the entries as JSON can check them with it, or with any
// other implementation of RFC 8785 and SHA-256.
package chain

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	strictjson "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	cmhostv1 "github.com/tokenprocedures/token-procedure-operator/api/cmhost/v1"
)

// Head is the end of a chain: the index and the hash of its last entry, zero for an empty one.
type Head struct {
	Length int64
	Hash   string
}

// noHash is the hash of an entry that has none yet, where RFC 8785 has it. Of all members of an entry only action and
// digest come before it; their values hold no quotation marks, so the first such text is the member.
const noHash = `"hash":"",`

// Link makes an entry the next one of a chain: it sets index, previous and hash, and returns the entry's canonical JSON.
func Link(head Head, entry cmhostv1.LogEntry) (Head, string, error) {
	entry.Index, entry.Previous, entry.Hash = head.Length+1, head.Hash, ""
	unlinked, err := canonical(entry)
	if err != nil {
		return Head{}, "", fmt.Errorf("serialise log entry %d: %w", entry.Index, err)
	}
	before, after, _ := bytes.Cut(unlinked, []byte(noHash))
	hash := hashOf(before, after)
	return Head{Length: entry.Index, Hash: hash}, string(before) + `"hash":"` + hash + `",` + string(after), nil
}

// Verify checks that an entry, JSON, is the next one of a chain, and returns the chain's new head. Members that are not
// known to this program count as well; none may be there twice, for another program could read the other one.
func Verify(head Head, entry []byte) (Head, error) {
	var members map[string]jsontext.Value
	if err := strictjson.Unmarshal(entry, &members); err != nil {
		return Head{}, fmt.Errorf("entry %d is not a JSON object with each member once: %w", head.Length+1, err)
	}
	var links struct {
		Index    int64  `json:"index"`
		Previous string `json:"previous"`
		Hash     string `json:"hash"`
	}
	if err := strictjson.Unmarshal(entry, &links); err != nil {
		return Head{}, fmt.Errorf("entry %d has no index, previous and hash as expected: %w", head.Length+1, err)
	}
	if links.Index != head.Length+1 {
		return Head{}, fmt.Errorf("entry %d is missing: the entry that follows %d has the index %d", head.Length+1, head.Length, links.Index)
	}
	if links.Previous != head.Hash {
		return Head{}, fmt.Errorf("entry %d follows an entry with the hash %q; the entry before it has %q", links.Index, links.Previous, head.Hash)
	}
	delete(members, "hash")
	unhashed, err := canonical(members)
	if err != nil {
		return Head{}, fmt.Errorf("entry %d: %w", links.Index, err)
	}
	if found := hashOf(unhashed); found != links.Hash {
		return Head{}, fmt.Errorf("entry %d was changed: its content has the hash %s, it says %s", links.Index, found, links.Hash)
	}
	return Head{Length: links.Index, Hash: links.Hash}, nil
}

// canonical is RFC 8785 of an entry or of its members.
func canonical(entry any) ([]byte, error) {
	plain, err := json.Marshal(entry)
	if err != nil {
		return nil, err
	}
	value := jsontext.Value(plain)
	return value, value.Canonicalize()
}

// hashOf is the hash of a text in parts.
func hashOf(parts ...[]byte) string {
	sum := sha256.New()
	for _, part := range parts {
		sum.Write(part)
	}
	return "sha256:" + hex.EncodeToString(sum.Sum(nil))
}

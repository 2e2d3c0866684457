package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// addManifestFormat adds -o to a command that writes manifests.
func addManifestFormat(command *cobra.Command, into *string) {
	*into = "yaml"
	addFormat(command, into, []string{"yaml", "json"}, "yaml or json")
}

// writeManifests writes objects as manifests, without status and empty times: YAML documents, or JSON, where several are
// a List as kubectl writes it.
func writeManifests(s *session, objects []any, file, format string) error {
	var all bytes.Buffer
	plain := make([]any, len(objects))
	for i, object := range objects {
		one, err := plainObject(object)
		if err != nil {
			return err
		}
		plain[i] = one
		if format == "json" {
			continue
		}
		encoded, err := encodeManifest("yaml", one)
		if err != nil {
			return err
		}
		if i > 0 {
			all.WriteString("---\n")
		}
		all.Write(encoded)
	}
	if format == "json" {
		encoded, err := encode("json", listOf(plain))
		if err != nil {
			return err
		}
		all.Write(encoded)
	}
	return writeOut(s, file, all.Bytes())
}

// listOf is one object itself, and several as a List.
func listOf(objects []any) any {
	if len(objects) == 1 {
		return objects[0]
	}
	return map[string]any{"apiVersion": "v1", "kind": "List", "items": objects}
}

// signatureComments explain the fields of a ProcedureSignature, which has others than a procedure.
var signatureComments = map[string]string{"signature": "What an officer signed. Leave it as it is: nothing of it can be changed."}

// encodeManifest writes a manifest in the order in which people write it, if YAML can be safe on a terminal.
func encodeManifest(format string, plain map[string]any) ([]byte, error) {
	if format == "yaml" {
		if text, err := ordered(plain, signatureComments); err != nil || !unsafeLines(text) {
			return text, err
		}
	}
	return encode(format, plain)
}

// plainObject is an object as in git: without status, and without what the API machinery adds to metadata.
func plainObject(object any) (map[string]any, error) {
	encoded, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var plain map[string]any
	if err := json.Unmarshal(encoded, &plain); err != nil {
		return nil, err
	}
	delete(plain, "status")
	if metadata, found := plain["metadata"].(map[string]any); found {
		delete(metadata, "creationTimestamp")
	}
	return plain, nil
}

// writeOut writes to a file, or without one to the standard output. An existing file is not overwritten.
func writeOut(s *session, file string, content []byte) error {
	if file == "" || file == "-" {
		_, err := s.Out.Write(content)
		return err
	}
	created, err := createNew(file)
	if err != nil {
		return err
	}
	if _, err := created.Write(content); err != nil {
		created.Close() //nolint:errcheck,gosec // the write's error says more
		return fmt.Errorf("%s: %w", file, err)
	}
	return created.Close()
}

// createNew creates a file, and refuses to overwrite one.
func createNew(file string) (*os.File, error) {
	created, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if os.IsExist(err) {
		return nil, usagef("%s exists already: name another file, or remove it", file)
	}
	return created, usage(err)
}

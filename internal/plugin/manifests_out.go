package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// writeManifests writes objects as manifests, without status and empty times: YAML documents, or JSON.
func writeManifests(s *session, objects []any, file, format string) error {
	if format == "" {
		format = "yaml"
	}
	var all bytes.Buffer
	for i, object := range objects {
		plain, err := plainObject(object)
		if err != nil {
			return err
		}
		encoded, err := encodeManifest(format, plain)
		if err != nil {
			return err
		}
		if i > 0 && format == "yaml" {
			all.WriteString("---\n")
		}
		all.Write(encoded)
	}
	return writeOut(s, file, all.Bytes())
}

// encodeManifest writes a manifest in the order in which people write it, if YAML can be safe on a terminal.
func encodeManifest(format string, plain map[string]any) ([]byte, error) {
	if format == "yaml" {
		if text, err := ordered(plain, nil); err != nil || !unsafeLines(text) {
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
	created, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if os.IsExist(err) {
		return usagef("%s exists already: name another file, or remove it", file)
	}
	if err != nil {
		return usage(err)
	}
	if _, err := created.Write(content); err != nil {
		created.Close() //nolint:errcheck,gosec // the write's error says more
		return fmt.Errorf("%s: %w", file, err)
	}
	return created.Close()
}

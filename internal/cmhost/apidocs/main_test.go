package main

import (
	"bytes"
	"os"
	"testing"
)

func TestDocumentationIsFresh(t *testing.T) {
	var fresh bytes.Buffer
	if err := write(&fresh); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile("../../../docs/host-api.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(written, fresh.Bytes()) {
		t.Error("docs/host-api.md is not what the contract says: run go generate ./api/cmhost/v1")
	}
}

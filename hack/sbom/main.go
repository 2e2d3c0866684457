// Command sbom writes a CycloneDX bill of materials for each program named, beside it as NAME.cdx.json, from what the Go
// linker wrote into the program itself. The same program always gets the same bytes: there is no time and no random number.
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
)

type bom struct {
	Format     string      `json:"bomFormat"`
	Version    string      `json:"specVersion"`
	Revision   int         `json:"version"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type    string `json:"type"`
	Ref     string `json:"bom-ref,omitempty"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	PURL    string `json:"purl,omitempty"`
	Hashes  []hash `json:"hashes,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

func main() {
	for _, program := range os.Args[1:] {
		if err := write(program); err != nil {
			fmt.Fprintln(os.Stderr, "sbom:", err)
			os.Exit(1)
		}
	}
}

func write(program string) error {
	content, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	build, err := buildinfo.ReadFile(program)
	if err != nil {
		return fmt.Errorf("reading the modules of %s, which has to be a Go program: %w", program, err)
	}
	sum := sha256.Sum256(content)
	described := bom{
		Format: "CycloneDX", Version: "1.6", Revision: 1,
		Metadata: metadata{component{
			Type: "application", Ref: build.Path, Name: filepath.Base(program), Version: build.Main.Version,
			Hashes: []hash{{"SHA-256", hex.EncodeToString(sum[:])}},
		}},
		Components: []component{{Type: "library", Name: "std", Version: build.GoVersion, PURL: "pkg:golang/std@" + build.GoVersion}},
	}
	for _, module := range build.Deps {
		described.Components = append(described.Components, library(module))
	}
	encoded, err := json.MarshalIndent(described, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(program+".cdx.json", append(encoded, '\n'), 0o644)
}

func library(module *debug.Module) component {
	if module.Replace != nil {
		module = module.Replace
	}
	purl := "pkg:golang/" + module.Path + "@" + module.Version
	return component{Type: "library", Ref: purl, Name: module.Path, Version: module.Version, PURL: purl}
}

// Package manifest reads Kubernetes manifests from files, with the line of every field, the way kubectl reads them:
// several documents in a file, lists of objects, folders, the standard input.
//
// It knows YAML and JSON and nothing of clusters or token procedures. What it returns is exactly what kubectl would send:
// a document that two YAML parsers could read differently is refused.
package manifest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// MaxFileBytes bounds one file.
const MaxFileBytes = 16 << 20

// Object is one object of a manifest.
type Object struct {
	// File is the file as the user named it; "-" is the standard input.
	File string
	// Content is the object as JSON decodes it.
	Content map[string]any

	node  *yamlv3.Node
	shift int // lines before the document in its file
}

// Problem is a place in a file that cannot be read.
type Problem struct {
	File    string
	Line    int
	Message string
}

func (p Problem) Error() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", p.File, p.Message)
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
}

// Read reads all objects of files and folders ("-" is stdin). Problems are what cannot be read inside a file; an error
// means that a file itself cannot be read.
func Read(paths []string, recursive bool, stdin io.Reader) ([]Object, []Problem, error) {
	var objects []Object
	var problems []Problem
	for _, path := range paths {
		files, err := expand(path, recursive)
		if err != nil {
			return nil, nil, err
		}
		for _, file := range files {
			content, err := readFile(file, stdin)
			if err != nil {
				return nil, nil, err
			}
			found, wrong := Parse(file, content)
			objects, problems = append(objects, found...), append(problems, wrong...)
		}
	}
	return objects, problems, nil
}

func expand(path string, recursive bool) ([]string, error) {
	if path == "-" {
		return []string{path}, nil
	}
	found, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, errors.Unwrap(err))
	}
	if !found.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && file != path && (!recursive || strings.HasPrefix(entry.Name(), ".")):
			return filepath.SkipDir
		case entry.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(file)):
			return nil
		case !entry.Type().IsRegular():
			return fmt.Errorf("%s is no regular file but a link, pipe or the like: what it leads to may be another file elsewhere; name that file itself", file)
		}
		files = append(files, file)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("the folder %s has no .yaml, .yml or .json file; -R looks into its subfolders", path)
	}
	return files, nil
}

func readFile(file string, stdin io.Reader) ([]byte, error) {
	in := stdin
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer opened.Close() //nolint:errcheck // read only
		in = opened
	}
	content, err := io.ReadAll(io.LimitReader(in, MaxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", file, err)
	}
	if len(content) > MaxFileBytes {
		return nil, fmt.Errorf("%s is larger than %d MiB: that is no manifest", file, MaxFileBytes>>20)
	}
	return content, nil
}

// Parse reads all objects of a file's content.
func Parse(file string, content []byte) ([]Object, []Problem) {
	var objects []Object
	var problems []Problem
	for _, document := range split(content) {
		found, err := parseDocument(file, document)
		if err != nil {
			problems = append(problems, problemOf(file, document.shift, err))
		}
		objects = append(objects, found...)
	}
	return objects, problems
}

type document struct {
	text  []byte
	shift int
}

// split separates the documents of a stream at its `---` lines.
func split(content []byte) []document {
	documents := []document{{}}
	lines := bufio.NewReader(bytes.NewReader(content))
	for number := 0; ; number++ {
		line, err := lines.ReadBytes('\n')
		rest, isSeparator := bytes.CutPrefix(line, []byte("---"))
		if rest = bytes.TrimSpace(rest); isSeparator && (len(rest) == 0 || rest[0] == '#') {
			documents = append(documents, document{shift: number + 1})
		} else {
			last := &documents[len(documents)-1]
			last.text = append(last.text, line...)
		}
		if err != nil {
			return documents
		}
	}
}

func parseDocument(file string, d document) ([]Object, error) {
	decoder := yamlv3.NewDecoder(bytes.NewReader(d.text))
	var root yamlv3.Node
	if err := decoder.Decode(&root); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if err := decoder.Decode(new(yamlv3.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is a second document without a line `---` before it: write `---` on a line of its own")
	}
	if len(root.Content) != 1 || isNull(root.Content[0]) {
		return nil, nil
	}
	var content map[string]any
	if err := yaml.UnmarshalStrict(d.text, &content); err != nil {
		return nil, err
	}
	return flatten(Object{File: file, Content: content, node: root.Content[0], shift: d.shift})
}

// flatten takes the objects out of a list such as `kubectl get -o yaml` prints.
func flatten(object Object) ([]Object, error) {
	if object.String("apiVersion") == "" || object.String("kind") == "" {
		return nil, errors.New("not a Kubernetes object: apiVersion and kind are expected at the top")
	}
	items, isList := object.Content["items"].([]any)
	if !isList || !strings.HasSuffix(object.String("kind"), "List") {
		return []Object{object}, nil
	}
	var objects []Object
	for i, item := range items {
		content, isObject := item.(map[string]any)
		node := find(object.node, []string{"items", fmt.Sprint(i)})
		if !isObject || node == nil {
			return nil, fmt.Errorf("items[%d] is not an object", i)
		}
		found, err := flatten(Object{File: object.File, Content: content, node: node, shift: object.shift})
		if err != nil {
			return nil, fmt.Errorf("items[%d]: %w", i, err)
		}
		objects = append(objects, found...)
	}
	return objects, nil
}

// String returns the text at a path of member names, or nothing.
func (o Object) String(path ...string) string {
	var value any = o.Content
	for _, name := range path {
		members, isObject := value.(map[string]any)
		if !isObject {
			return ""
		}
		value = members[name]
	}
	text, _ := value.(string)
	return text
}

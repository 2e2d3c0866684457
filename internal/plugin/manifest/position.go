package manifest

import (
	"regexp"
	"strconv"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
)

// Line is the line of a field such as spec.procedure.certificateProcedures[2] in the object's file. Where the field is
// missing it is the line of the innermost member above it that is there.
func (o Object) Line(field string) int {
	node, line := o.node, o.node.Line
	for _, step := range steps(field) {
		key, value := member(node, step)
		if value == nil {
			break
		}
		node, line = value, key.Line
	}
	return o.shift + line
}

func isNull(node *yamlv3.Node) bool {
	if node.Kind == yamlv3.AliasNode {
		node = node.Alias
	}
	return node.Kind == yamlv3.ScalarNode && node.ShortTag() == "!!null"
}

var index = regexp.MustCompile(`\[(\d+)\]`)

func steps(field string) []string {
	if field == "" {
		return nil
	}
	return strings.Split(index.ReplaceAllString(field, ".$1"), ".")
}

func find(node *yamlv3.Node, path []string) *yamlv3.Node {
	for _, step := range path {
		if _, node = member(node, step); node == nil {
			return nil
		}
	}
	return node
}

// member returns a member of an object, or an entry of a list, and the node whose line stands for it.
func member(node *yamlv3.Node, step string) (key, value *yamlv3.Node) {
	if node.Kind == yamlv3.AliasNode {
		node = node.Alias
	}
	switch node.Kind {
	case yamlv3.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == step {
				return node.Content[i], node.Content[i+1]
			}
		}
	case yamlv3.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i], node.Content[i]
		}
	}
	return nil, nil
}

var yamlLine = regexp.MustCompile(`^(?:yaml|error converting YAML to JSON): (?:yaml: )?(?:unmarshal errors:\s+)?(?:line (\d+): )?`)

// problemOf gives a parser's error its place in the file.
func problemOf(file string, shift int, err error) Problem {
	message := err.Error()
	line := 0
	if found := yamlLine.FindStringSubmatch(message); found != nil {
		line, _ = strconv.Atoi(found[1])
		message = "not YAML: " + strings.TrimPrefix(message, found[0])
	}
	return Problem{File: file, Line: shift + max(line, 1), Message: message}
}

package manifest

import (
	"bytes"
	"slices"
	"strconv"

	yamlv3 "go.yaml.in/yaml/v3"
)

// Edited is the object as YAML with its comments, with other values for some fields of spec, and without everything that
// is not in git: of the object apiVersion, kind, metadata and spec stay, of its metadata the members in keep. The object
// itself is changed; the caller reads the result again, since what aliases stand for is changed everywhere at once.
func (o Object) Edited(keep []string, cmHost string, revision int64) ([]byte, error) {
	only(o.node, []string{"apiVersion", "kind", "metadata", "spec"})
	if metadata := find(o.node, []string{"metadata"}); metadata != nil {
		only(metadata, keep)
	}
	if name := find(o.node, []string{"spec", "cmHostRef", "name"}); name != nil {
		name.Value = cmHost
	}
	if number := find(o.node, []string{"spec", "revision"}); number != nil {
		number.Value = strconv.FormatInt(revision, 10)
	} else if spec := find(o.node, []string{"spec"}); spec != nil {
		before := max(slices.IndexFunc(spec.Content, func(n *yamlv3.Node) bool { return n.Value == "procedure" }), 0)
		spec.Content = slices.Insert(spec.Content, before,
			&yamlv3.Node{Kind: yamlv3.ScalarNode, Value: "revision"}, &yamlv3.Node{Kind: yamlv3.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(revision, 10)})
	}
	var text bytes.Buffer
	encoder := yamlv3.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(o.node); err != nil {
		return nil, err
	}
	return text.Bytes(), encoder.Close()
}

// only leaves the members with these names in an object.
func only(node *yamlv3.Node, names []string) {
	if node.Kind != yamlv3.MappingNode {
		return
	}
	var kept []*yamlv3.Node
	for i := 0; i+1 < len(node.Content); i += 2 {
		if slices.Contains(names, node.Content[i].Value) {
			kept = append(kept, node.Content[i], node.Content[i+1])
		}
	}
	node.Content = kept
}

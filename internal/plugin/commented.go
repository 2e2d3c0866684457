package plugin

import (
	"bytes"
	"encoding/json"
	"slices"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// fieldComments explain the fields of a new manifest, by the member's name.
var fieldComments = map[string]string{
	"cmHostRef":                      "The CMHost in the same namespace. It cannot be changed.",
	"draft":                          "A draft may be incomplete and nobody signs it. Remove this line to submit it for signing, for good.",
	"revision":                       "What officers sign is numbered: raise this with every change below (not yet while it is a draft).",
	"procedure":                      "Exactly what two officers sign, and what the CM host stores.",
	"name":                           "Procedure name. It cannot be changed later.",
	"state":                          "Active or Closed. Nothing is ever deleted: Closed ends a procedure.",
	"domain":                         "Domain",
	"visibleInSubdomain":             "Visible in subdomain",
	"storageProfile":                 "Storage profile: it decides which other fields there are.",
	"cardSerialNumber":               "Card serial number: yes or no, and the range, both ends included.",
	"pinProcedure":                   "PIN procedure: how the PIN reaches the person.",
	"keyProcedures":                  "Key procedures, for archiving or recovery.",
	"issuerCertificates":             "Issuer certificates: what of the CA chain goes onto the token.",
	"attributeCertificateProcedures": "Attribute certificate procedures",
	"certificateProcedures":          "Certificate procedures. Order matters: for each key the first that matches is used.",
	"inputView":                      "Input view",
}

// memberOrder is how people write the members, where that is not the order of the alphabet.
var memberOrder = []string{
	"apiVersion", "kind", "metadata", "spec", "procedureRef", "signature",
	"cmHostRef", "draft", "deletionPolicy", "revision", "procedure",
	"name", "namespace", "labels", "annotations", "state", "domain", "visibleInSubdomain", "storageProfile", "cardSerialNumber", "enabled", "range", "from", "to",
	"pinProcedure", "keyProcedures", "issuerCertificates", "policy", "recoveredCertificates",
	"attributeCertificateProcedures", "certificateProcedures", "inputView",
}

// commented writes an object as YAML in the order in which people write it, with a comment for each field of spec.
func commented(object map[string]any) ([]byte, error) { return ordered(object, fieldComments) }

// ordered writes an object as YAML in the order in which people write it.
func ordered(object map[string]any, comments map[string]string) ([]byte, error) {
	plain, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	var root yamlv3.Node
	if err := yamlv3.Unmarshal(plain, &root); err != nil {
		return nil, err
	}
	arrange(root.Content[0])
	for _, explained := range []*yamlv3.Node{memberOf(root.Content[0], "spec"), memberOf(root.Content[0], "spec", "procedure")} {
		for i := 0; explained != nil && i < len(explained.Content); i += 2 {
			explained.Content[i].HeadComment = comments[explained.Content[i].Value]
		}
	}
	var text bytes.Buffer
	encoder := yamlv3.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(&root); err != nil {
		return nil, err
	}
	return text.Bytes(), encoder.Close()
}

// arrange orders the members of objects and undoes JSON's style.
func arrange(node *yamlv3.Node) {
	node.Style &^= yamlv3.FlowStyle
	if node.Kind == yamlv3.ScalarNode && plainIsSafe(node.Value) {
		node.Style = 0
	}
	if node.Kind == yamlv3.MappingNode {
		sortMembers(node)
	}
	for _, child := range node.Content {
		arrange(child)
	}
}

// plainIsSafe tells whether text without quotation marks is still that text for kubectl, whose YAML takes `no` for false.
func plainIsSafe(text string) bool {
	var read any
	return yaml.Unmarshal([]byte(text), &read) == nil && read == text
}

func memberOf(node *yamlv3.Node, path ...string) *yamlv3.Node {
	for _, name := range path {
		var found *yamlv3.Node
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == name {
				found = node.Content[i+1]
			}
		}
		if found == nil {
			return nil
		}
		node = found
	}
	return node
}

func sortMembers(node *yamlv3.Node) {
	type member struct{ key, value *yamlv3.Node }
	members := make([]member, 0, len(node.Content)/2)
	for i := 0; i+1 < len(node.Content); i += 2 {
		members = append(members, member{node.Content[i], node.Content[i+1]})
	}
	slices.SortStableFunc(members, func(a, b member) int {
		return slices.Index(memberOrder, a.key.Value) - slices.Index(memberOrder, b.key.Value)
	})
	for i, m := range members {
		node.Content[2*i], node.Content[2*i+1] = m.key, m.value
	}
}

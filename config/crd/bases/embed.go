// Package bases embeds the generated custom resource definitions, so that programs evaluate the very files that are
// installed in a cluster.
//
// It imports nothing else and knows nothing about what is inside the files.
package bases

import "embed"

// FS holds the generated custom resource definitions, one YAML file for each kind.
//
//go:embed *.yaml
var FS embed.FS

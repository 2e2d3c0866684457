// Package host embeds the sample catalogue of the local stack's CM host, for tests that run a host of their own.
package host

import _ "embed"

// Catalog is catalog.yaml, the form that `cmhost load --catalog` reads.
//
//go:embed catalog.yaml
var Catalog []byte

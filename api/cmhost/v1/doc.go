// Package cmhostv1 is the CM host's interface: the contract in openapi.yaml, and the client and server generated from it.
//
// Procedures, officers and the catalogue have the types of the packages that judge them, so that what is judged is what
// is on the wire. The package holds no behaviour of its own.
package cmhostv1

//go:generate go tool -modfile=../../../hack/tools/go.mod oapi-codegen -config oapi-codegen.yaml openapi.yaml
//go:generate go run ../../../internal/cmhost/apidocs ../../../docs/host-api.md

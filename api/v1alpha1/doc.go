// Package v1alpha1 holds the custom resources TokenProcedure, ProcedureSignature and CMHost.
//
// Every rule about a single object is written here, as schema or CEL beside the field that it
// guards, and nowhere else: internal/rules evaluates the generated CustomResourceDefinitions in
// process. No field of a spec has a default and nothing changes a spec after it was applied, so
// what is in git is what is in the cluster.
//
// Field comments are wrapped at 76 columns, for kubectl explain shows them line by line.
//
// The package may import apimachinery only, so that other programs can use the types cheaply.
//
// +kubebuilder:object:generate=true
// +kubebuilder:ac:generate=true
// +groupName=cm.tokenprocedures.dev
package v1alpha1

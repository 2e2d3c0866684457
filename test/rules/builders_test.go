package rules

import (
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
)

// change alters the spec of an object.
type change func(spec map[string]any)

// procedureOf is a TokenProcedure with the smallest procedure that a storage profile allows, after some changes.
func procedureOf(profile string, changes ...change) map[string]any {
	procedure := map[string]any{"name": "Card", "state": "Active", "storageProfile": profile}
	switch profile {
	case "SmartCard", "PKCS12":
		procedure["pinProcedure"] = "PIN letter"
		procedure["issuerCertificates"] = map[string]any{"policy": "StoreNone"}
	}
	switch profile {
	case "SmartCard":
		procedure["cardSerialNumber"] = map[string]any{"enabled": false}
	case "AttributeCertificateFile":
		procedure["attributeCertificateProcedures"] = list("Attribute")
	}
	if profile != "AttributeCertificateFile" {
		procedure["certificateProcedures"] = list("Signature")
	}
	return tokenProcedure(map[string]any{
		"cmHostRef": map[string]any{"name": "local"}, "revision": int64(1), "procedure": procedure,
	}, changes...)
}

func tokenProcedure(spec map[string]any, changes ...change) map[string]any {
	for _, change := range changes {
		change(spec)
	}
	return object("TokenProcedure", spec)
}

func object(kind string, spec map[string]any) map[string]any {
	return map[string]any{
		"apiVersion": "cm.tokenprocedures.dev/v1alpha1", "kind": kind,
		"metadata": map[string]any{"name": "under-test", "namespace": "pki"}, "spec": spec,
	}
}

func list(names ...string) []any {
	entries := make([]any, len(names))
	for i, name := range names {
		entries[i] = name
	}
	return entries
}

// set puts a value at a path below spec; objects on the way are made.
func set(path string, value any) change {
	return func(spec map[string]any) {
		at := spec
		steps := strings.Split(path, ".")
		for _, step := range steps[:len(steps)-1] {
			if _, there := at[step].(map[string]any); !there {
				at[step] = map[string]any{}
			}
			at = at[step].(map[string]any)
		}
		at[steps[len(steps)-1]] = runtime.DeepCopyJSONValue(value)
	}
}

// unset takes a field below spec away.
func unset(path string) change {
	return func(spec map[string]any) {
		at := spec
		steps := strings.Split(path, ".")
		for _, step := range steps[:len(steps)-1] {
			next, there := at[step].(map[string]any)
			if !there {
				return
			}
			at = next
		}
		delete(at, steps[len(steps)-1])
	}
}

func draft(spec map[string]any) { spec["draft"] = true }

func all(changes ...change) change {
	return func(spec map[string]any) {
		for _, change := range changes {
			change(spec)
		}
	}
}

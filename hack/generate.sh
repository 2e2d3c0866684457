#!/usr/bin/env bash
# Makes everything generated anew in a checkout: what is made, and from what, is listed here and nowhere else.
set -euo pipefail
cd "${1:?usage: generate.sh CHECKOUT}"
export GOWORK=off
tool() { go tool -modfile=hack/tools/go.mod "$@"; }

# Custom resources: deep copies, apply configurations, CRDs with their CEL rules.
tool controller-gen object applyconfiguration crd paths=./api/v1alpha1/... output:crd:dir=config/crd/bases

# The operator's roles, from the markers beside the code that needs them.
tool controller-gen rbac:roleName=manager-role paths=./controllers/... output:rbac:dir=config/rbac

# The reference of the custom resources, from the comments of their types.
tool crd-ref-docs --source-path=api/v1alpha1 --config=docs/reference/crd-ref-docs.yaml --renderer=markdown --log-level=ERROR \
  --output-path=docs/reference/api.md

# The Helm chart, from config/default.
go run ./hack/chart config/default charts/token-procedure-operator

# Everything else says itself how it is made, beside the code: the CM host's client and server, queries, commands, references.
go generate ./...

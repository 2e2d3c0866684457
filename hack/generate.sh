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

# Everything else says itself how it is made, beside the code: the CM host's client and server, queries, commands, references.
go generate ./...

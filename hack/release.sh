#!/usr/bin/env bash
# Builds what is released into dist/: static programs, a bill of materials for each, and checksums of all. The same commit
# with the same version of Go gives the same bytes in every directory; `release.sh --check` builds in another one and compares.
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0 GOWORK=off GOFLAGS=-mod=readonly GOAMD64=v1 GOARM64=v8.0

programs=( # program, system, architecture
  'manager linux amd64' 'manager linux arm64'
  'cmhost linux amd64' 'cmhost linux arm64'
  'kubectl-tokenproc linux amd64' 'kubectl-tokenproc linux arm64'
  'kubectl-tokenproc darwin amd64' 'kubectl-tokenproc darwin arm64'
  'kubectl-tokenproc windows amd64'
)

build_all() { # output directory
  local output=$1 name program os arch
  mkdir -p "$output"
  for target in "${programs[@]}"; do
    read -r program os arch <<<"$target"
    name=$program-$os-$arch
    [ "$os" != windows ] || name+=.exe
    echo "building $name" >&2
    GOOS=$os GOARCH=$arch go build -trimpath -buildvcs=false -ldflags '-s -w -buildid=' -o "$output/$name" "./cmd/$program"
  done
  go run ./hack/sbom "$output"/*
  (cd "$output" && LC_ALL=C sha256sum -- * >"$output.sums" && mv "$output.sums" SHA256SUMS)
}

rm -rf dist
build_all "$PWD/dist"
if [ "${1:-}" = --check ]; then
  copy=$(mktemp -d)
  trap 'rm -rf "$copy"' EXIT
  hack/copy.sh "$copy"
  released=$PWD/dist/SHA256SUMS
  cd "$copy"
  build_all "$copy/dist"
  diff "$released" "$copy/dist/SHA256SUMS"
  echo "built in two directories, the same bytes" >&2
fi

#!/usr/bin/env bash
# Builds what is released: static programs, a bill of materials for each, and checksums of all. The same commit with the same
# version of Go gives the same bytes in every directory; with --check another one is built in and compared.
#   release.sh [--check] [--only SYSTEM/ARCHITECTURE] [--output DIRECTORY]   (all of them, into dist/)
set -euo pipefail
cd "$(dirname "$0")/.."
export CGO_ENABLED=0 GOWORK=off GOFLAGS=-mod=readonly GOAMD64=v1 GOARM64=v8.0

targets=( # program, system/architecture
  'manager linux/amd64' 'manager linux/arm64'
  'cmhost linux/amd64' 'cmhost linux/arm64'
  'kubectl-tokenproc linux/amd64' 'kubectl-tokenproc linux/arm64'
  'kubectl-tokenproc darwin/amd64' 'kubectl-tokenproc darwin/arm64'
  'kubectl-tokenproc windows/amd64'
)

check=false only='' output=$PWD/dist
while [ $# -gt 0 ]; do
  case $1 in
    --check) check=true ;;
    --only) only=${2:?--only needs a system and an architecture, such as linux/amd64}; shift ;;
    --output) output=${2:?--output needs a directory}; shift ;;
    *) echo "unknown argument $1; see the beginning of $0" >&2; exit 2 ;;
  esac
  shift
done

build_all() { # output directory
  local output=$1 name program platform
  mkdir -p "$output"
  for target in "${targets[@]}"; do
    read -r program platform <<<"$target"
    if [ -n "$only" ] && [ "$only" != "$platform" ]; then continue; fi
    name=$program-${platform/\//-}
    [[ $platform != windows/* ]] || name+=.exe
    echo "building $name" >&2
    GOOS=${platform%/*} GOARCH=${platform#*/} \
      go build -trimpath -buildvcs=false -ldflags '-s -w -buildid=' -o "$output/$name" "./cmd/$program"
  done
  go run ./hack/sbom "$output"/*
  (cd "$output" && LC_ALL=C sha256sum -- * >"$output.sums" && mv "$output.sums" SHA256SUMS)
}

mkdir -p "$output"
output=$(cd "$output" && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
if $check; then hack/copy.sh "$copy"; fi
rm -rf "$output"
build_all "$output"
if $check; then
  cd "$copy"
  build_all "$copy/dist"
  diff "$output/SHA256SUMS" "$copy/dist/SHA256SUMS"
  echo "built in two directories, the same bytes" >&2
fi

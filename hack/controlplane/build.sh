#!/usr/bin/env bash
# Prints the directory that holds etcd, kube-apiserver and kubectl, in the layout of KUBEBUILDER_ASSETS.
# They are built from Go modules once per version and kept in the user's cache directory,
# where every checkout on this machine finds them. Progress goes to stderr.
set -euo pipefail

if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
  for program in etcd kube-apiserver kubectl; do
    [ -x "$KUBEBUILDER_ASSETS/$program" ] && continue
    echo "KUBEBUILDER_ASSETS is $KUBEBUILDER_ASSETS, which has no program $program: correct it, or unset it to build one" >&2
    exit 1
  done
  echo "$KUBEBUILDER_ASSETS"
  exit 0
fi

cd "$(dirname "$0")"
export GOWORK=off GOFLAGS=-mod=readonly
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
etcd_version=$(go list -m -f '{{.Version}}' go.etcd.io/etcd/server/v3)
recipe=$(cat go.mod go.sum "$(basename "$0")" | git hash-object --stdin | cut -c1-12)
case $(go env GOHOSTOS) in
darwin) cache=${XDG_CACHE_HOME:-$HOME/Library/Caches} ;;
*) cache=${XDG_CACHE_HOME:-$HOME/.cache} ;;
esac
assets=$cache/token-procedure-operator/controlplane/$version-$recipe-$(go env GOHOSTOS)-$(go env GOHOSTARCH)
if [ -d "$assets" ]; then
  echo "$assets"
  exit 0
fi

mkdir -p "$(dirname "$assets")"
if command -v flock >/dev/null; then # without it two checkouts build at the same time, and the first to finish wins
  exec 9>"$assets.lock"
  if ! flock -n 9; then
    echo "waiting for another build of the control plane on this machine" >&2
    flock 9
  fi
  if [ -d "$assets" ]; then
    echo "$assets"
    exit 0
  fi
  rm -rf "$assets".building.* # left behind by a build that was killed
fi
# Built aside and moved into place whole, so that an interrupted build leaves nothing that looks finished.
building=$(mktemp -d "$assets.building.XXXXXX")
trap 'rm -rf "$building"; [ -z "${ticker:-}" ] || kill "$ticker" 2>/dev/null || true' EXIT

stamp=k8s.io/component-base/version
minor=${version#v1.}
minor=${minor%%.*}
build() { # name, package, expected duration
  local started=$SECONDS
  echo "building $1 (once on this machine; about $3 on two cores)" >&2
  (while sleep 15; do echo "  still building $1 (${SECONDS}s)"; done) >&2 9>&- &
  ticker=$!
  CGO_ENABLED=0 GOOS= GOARCH= go build -trimpath -o "$building/$1" \
    -ldflags "-s -w -X $stamp.gitVersion=$version -X $stamp.gitMajor=1 -X $stamp.gitMinor=$minor -X $stamp.gitTreeState=clean" "$2" >&2
  kill "$ticker" && wait "$ticker" 2>/dev/null || true
  ticker=
  echo "built $1 in $((SECONDS - started))s" >&2
}
build etcd go.etcd.io/etcd/server/v3 '1 minute'
build kubectl k8s.io/kubernetes/cmd/kubectl '1 minute'
build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver '6 minutes'

# Whoever finishes first wins; a second build of the same recipe is thrown away.
mv -T "$building" "$assets" 2>/dev/null || mv "$building" "$assets" 2>/dev/null || [ -d "$assets" ]
echo "control plane $version with etcd $etcd_version kept in $assets" >&2
echo "$assets"

#!/usr/bin/env bash
# Puts the operator and the reference CM host, as `make release` built them, into an image each, and starts both as a cluster
# would: as the image's user, with the image's files and nothing else, read-only.
set -euo pipefail
cd "$(dirname "$0")/.."
arch=$(go env GOARCH)
for program in manager cmhost; do
  [ -e "dist/$program-linux-$arch" ] || { echo "expected dist/$program-linux-$arch: run \`make release\` first" >&2; exit 1; }
done
for tool in buildah bwrap jq; do
  command -v "$tool" >/dev/null || { echo "expected the program $tool: install the Debian package ${tool/bwrap/bubblewrap}" >&2; exit 1; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
build() { # target, image
  buildah build --isolation chroot --build-arg "TARGETARCH=$arch" --target "$1" --iidfile "$work/$1" --tag "$2" .
  buildah push --quiet "$(cat "$work/$1")" "dir:$work/$1.image"
  mkdir "$work/$1.root"
  local layer
  for layer in $(jq -r '.layers[].digest | ltrimstr("sha256:")' "$work/$1.image/manifest.json"); do
    tar -C "$work/$1.root" -xf "$work/$1.image/$layer"
  done
  local config user
  config=$work/$1.image/$(jq -r '.config.digest | ltrimstr("sha256:")' "$work/$1.image/manifest.json")
  user=$(jq -r .config.User "$config")
  [ "$user" = 65532:65532 ] || { echo "expected the image $2 to run as 65532:65532, found \"$user\"" >&2; exit 1; }
  echo "$2 has $(cd "$work/$1.root" && find . -type f | tr '\n' ' ')" >&2
  bwrap --ro-bind "$work/$1.root" / --unshare-all --die-with-parent --new-session --cap-drop ALL \
    --uid "${user%:*}" --gid "${user#*:}" "$(jq -r '.config.Entrypoint[0]' "$config")" --help >"$work/help" 2>&1
  grep -q -- '-' "$work/help"
}
build manager token-procedure-operator:latest
build cmhost token-procedure-operator-cmhost:latest

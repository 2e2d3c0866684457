#!/usr/bin/env bash
# Makes everything generated anew in a copy of the checkout and fails where that differs from the checkout.
set -euo pipefail
cd "$(dirname "$0")/.."
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT

hack/copy.sh "$copy"
git -C "$copy" init -q
git -C "$copy" add -A
"$copy/hack/generate.sh" "$copy"
# Intending to add what is new makes it show in the difference.
git -C "$copy" add -A -N
if ! git -C "$copy" diff --stat --exit-code; then
  echo "generated files are stale: run \`make generate\` and commit what it changes" >&2
  exit 1
fi
echo "generated files are fresh"

#!/usr/bin/env bash
# Copies this checkout, as it is now and without what git ignores, to an empty directory.
set -euo pipefail
destination=${1:?usage: copy.sh DIRECTORY}
cd "$(dirname "$0")/.."
git ls-files -z -co --exclude-standard --deduplicate |
  while IFS= read -r -d '' file; do
    if [ -e "$file" ]; then printf '%s\0' "$file"; fi
  done | tar --null -T - -cf - | tar -xf - -C "$destination"

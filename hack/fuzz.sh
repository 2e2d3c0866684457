#!/usr/bin/env bash
# Runs every fuzz target of the module with so many inputs, one after the other: `go test` takes one at a time.
# A time works too, but up to Go 1.26 it can end in "context deadline exceeded" though no input failed
# (https://go.dev/issue/75804), so what has to pass counts inputs.
set -euo pipefail
amount=${1:?usage: fuzz.sh AMOUNT, for example 20000x or 10m}
cd "$(dirname "$0")/.."

targets=0
while IFS=: read -r file name; do
  echo "fuzzing $name in ${file%/*}: $amount"
  # Without a bound, making the first interesting inputs small takes up all the time and nothing else is tried.
  go test -run '^$' -fuzz "^$name\$" -fuzztime "$amount" -fuzzminimizetime 5x "./${file%/*}"
  targets=$((targets + 1))
done < <(git ls-files -co --exclude-standard '*_test.go' | xargs grep -HoE '^func Fuzz[A-Za-z0-9_]*' | sed 's/func //')
if [ "$targets" = 0 ]; then
  echo "no fuzz target found: expected at least the one of the CMS parser" >&2
  exit 1
fi
echo "$targets fuzz targets passed"

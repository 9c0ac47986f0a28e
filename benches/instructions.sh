#!/usr/bin/env bash
# Instructions and allocations of one iteration of each benchmark case, or of those named.
#
#   benches/instructions.sh [case ...]
#
# The same program runs few and many iterations under valgrind; the difference of the two counts, divided by that
# of the iterations, leaves out what preparing costs. Of cases that need a request, the column "added"
# leaves out what the request, or the inner service without the cache, costs as well.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly FEW=200 MANY=1200

if ! command -v valgrind >/dev/null; then
  echo "valgrind is missing: apt-get install valgrind, dnf install valgrind, or brew install valgrind" >&2
  exit 1
fi

# What `cargo bench` would run. Cargo prints where it is to standard error.
build() {
  cargo bench --bench instructions --no-run 2>&1 | tee /dev/stderr |
    sed -n 's/^ *Executable .*instructions.* (\(.*\))$/\1/p'
}

# Instructions of all of one run.
instructions() {
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$binary" "$@" 2>&1 >/dev/null |
    sed -n 's/^.*Collected : \([0-9]*\).*$/\1/p'
}

# Allocations of all of one run.
allocations() {
  valgrind --tool=memcheck --undef-value-errors=no "$binary" "$@" 2>&1 >/dev/null |
    sed -n 's/^.*total heap usage: \([0-9,]*\) allocs.*$/\1/p' | tr -d ,
}

# Of one iteration: $1 counts, $2 is the case.
each() {
  local few many
  few=$("$1" "$2" "$FEW")
  many=$("$1" "$2" "$MANY")
  echo $(((many - few + (MANY - FEW) / 2) / (MANY - FEW)))
}

binary=$(build)
cases=$("$binary")
declare -A found
# The count `$2` of the case `$1`, counted once.
remembered() {
  local key="$2 $1"
  [ -n "${found[$key]:-}" ] || found[$key]=$(each "$2" "$1")
  count=${found[$key]}
}

printf '| %-18s | %12s | %12s | %11s | %6s |\n' case instructions added allocations added
printf '|%s|%s:|%s:|%s:|%s:|\n' -------------------- ------------- ------------- ------------ -------
while read -r name without; do
  if [ "$#" -gt 0 ] && [[ " $* " != *" $name "* ]]; then continue; fi
  remembered "$name" instructions; total=$count
  remembered "$name" allocations; heap=$count
  added=$total heap_added=$heap
  if [ -n "$without" ]; then
    remembered "$without" instructions; added=$((total - count))
    remembered "$without" allocations; heap_added=$((heap - count))
  fi
  printf '| %-18s | %12d | %12d | %11d | %6d |\n' "$name" "$total" "$added" "$heap" "$heap_added"
done <<<"$cases"

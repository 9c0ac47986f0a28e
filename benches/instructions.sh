#!/usr/bin/env bash
# Instructions and allocations of one iteration of each benchmark case, or of those named.
#
#   benches/instructions.sh [case ...]   # a table of them
#   benches/instructions.sh --check      # fails if a hit path costs more than benches/instructions.baseline
#                                        # allows; writes target/instructions.json
#   benches/instructions.sh --bless      # writes that file
#   benches/instructions.sh --files case # the files of the crate that one iteration enters, and the instructions in each
#
# One program runs few and many iterations under valgrind; the difference of the two counts, divided by that
# of the iterations, leaves out what preparing costs. Of cases that need a request, the column "added"
# leaves out what the request, or the inner service without the cache, costs as well.
#
# With another compiler than the baseline's, --check tells the differences and does not fail: what a compiler
# makes of the same source is nobody's regression.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly FEW=200 MANY=1200
readonly BASELINE=benches/instructions.baseline
# The cases that a hit, or a request that passes the cache by, pays for. They may cost so many percent more.
readonly PATHS="unmatched hit near_hit match_and_key_500 decode_1k encode_1k verdict_6_tags verdict_32_tags"
readonly ALLOWED=5

mode=table
case ${1:-} in
--check | --bless | --files) mode=${1#--} && shift ;;
-*) sed -n '2,/^set/ { s/^# \{0,1\}//p }' "${BASH_SOURCE[0]}" >&2 && exit 2 ;;
esac

if ! command -v valgrind >/dev/null; then
  echo "valgrind is missing: apt-get install valgrind, dnf install valgrind, or brew install valgrind" >&2
  exit 1
fi

# What `cargo bench` would run. Cargo prints where it is to standard error. As a release build, whose dependencies
# are there if the program has been built.
build() {
  # shellcheck disable=SC2086
  cargo build ${CARGO_FLAGS:-} --release --bench instructions --message-format json-render-diagnostics |
    sed -n 's/.*"name":"instructions".*"executable":"\([^"]*\)".*/\1/p'
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

is_listed() { [[ " $1 " == *" $2 "* ]]; }

table() {
  printf '| %-18s | %12s | %12s | %11s | %6s |\n' case instructions added allocations added
  printf '|%s|%s:|%s:|%s:|%s:|\n' -------------------- ------------- ------------- ------------ -------
  local name without total heap added heap_added
  while read -r name without; do
    if [ "$#" -gt 0 ] && ! is_listed "$*" "$name"; then continue; fi
    remembered "$name" instructions; total=$count
    remembered "$name" allocations; heap=$count
    added=$total heap_added=$heap
    if [ -n "$without" ]; then
      remembered "$without" instructions; added=$((total - count))
      remembered "$without" allocations; heap_added=$((heap - count))
    fi
    printf '| %-18s | %12d | %12d | %11d | %6d |\n' "$name" "$total" "$added" "$heap" "$heap_added"
  done <<<"$cases"
}

# Instructions by file of the crate, of all of one run.
by_file() {
  local out
  out=$(mktemp)
  valgrind --tool=callgrind --callgrind-out-file="$out" "$binary" "$@" >/dev/null 2>&1
  # Dependencies have a folder `src` too, below one with their version.
  callgrind_annotate --threshold=100 --show-percs=no --auto=no "$out" | grep -v -e '/rustc/' -e '-[0-9.]*/src/' |
    sed -n 's/^ *\([0-9,]*\)  *\([^ ]*\/\)\{0,1\}src\/\([a-z_\/]*\.rs\):.*/\1 \3/p' | tr -d , |
    awk '{ sum[$2] += $1 } END { for (file in sum) print file, sum[file] }' | sort
  rm -f "$out"
}

# What one iteration of the case `$1` enters: the files in which many iterations count more than few.
files() {
  join <(by_file "$1" "$FEW") <(by_file "$1" "$MANY") |
    awk -v n=$((MANY - FEW)) '$3 - $2 >= n { printf "%8d src/%s\n", ($3 - $2) / n, $1 }'
}

# What the counts depend on beside this crate.
surroundings() {
  printf 'rustc %s, %s\n' "$(rustc --version | cut -d' ' -f2)" "$(rustc -vV | sed -n 's/^host: //p')"
}

bless() {
  local name without total
  {
    echo "# Written by \`benches/instructions.sh --bless\`; see there. Each line: case, instructions, allocations."
    echo "# $(surroundings)"
    while read -r name without; do
      remembered "$name" instructions; total=$count
      remembered "$name" allocations
      echo "$name $total $count"
    done <<<"$cases"
  } >"$BASELINE.new"
  mv "$BASELINE.new" "$BASELINE"
  cat "$BASELINE"
}

# Of each case on a hit path: what the baseline says, what it is, by how much that is more, and a verdict.
check() {
  local name before heap_before failed=() rows=()
  printf '| %-18s | %8s | %8s | %7s | %11s | %s\n' case baseline now change allocations verdict
  printf '|%s|%s:|%s:|%s:|%s:|%s\n' -------------------- --------- --------- -------- ------------ --------
  for name in $PATHS; do
    read -r before heap_before < <(sed -n "s/^$name //p" "$BASELINE") || true
    if ! is_listed "$(cut -d' ' -f1 <<<"$cases" | tr '\n' ' ')" "$name" || [ -z "${before:-}" ]; then
      echo "$name: no such case, or none in $BASELINE: benches/instructions.sh --bless" >&2
      return 1
    fi
    remembered "$name" instructions; local now=$count
    remembered "$name" allocations; local heap=$count verdict=""
    if [ $((now * 100)) -gt $((before * (100 + ALLOWED))) ]; then
      verdict="more than $ALLOWED % more"
    elif [ $((now * 100)) -lt $((before * (100 - ALLOWED))) ]; then
      verdict="better: bless it"
    fi
    if [ "$heap" -gt "$heap_before" ]; then
      verdict="${verdict:+$verdict, }allocates more"
    fi
    if [[ $verdict == *more* ]]; then failed+=("$name"); fi
    printf '| %-18s | %8d | %8d | %+6.1f%% | %11s | %s\n' "$name" "$before" "$now" \
      "$(awk "BEGIN { print ($now - $before) * 100 / $before }")" "$heap_before -> $heap" "$verdict"
    rows+=("{\"case\":\"$name\",\"baseline\":$before,\"instructions\":$now,\"allocations\":$heap}")
  done
  mkdir -p target
  (IFS=, && echo "[${rows[*]}]") >target/instructions.json
  [ "${#failed[@]}" -gt 0 ] || return 0
  local blessed
  blessed=$(sed -n '2s/^# //p' "$BASELINE")
  if [ "$blessed" != "$(surroundings)" ]; then
    echo "counted with $(surroundings), the baseline with $blessed: a warning only" >&2
    return 0
  fi
  echo "a hit path became dearer: ${failed[*]}" >&2
  echo "make it cheaper, or say in the commit why it has to be and run benches/instructions.sh --bless" >&2
  return 1
}

case $mode in
table | files) $mode "$@" ;;
*) $mode ;;
esac

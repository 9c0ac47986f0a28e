#!/usr/bin/env bash
# Runs the public suite of HTTP cache tests (https://github.com/http-tests/cache-tests) against the proxy,
# and prints how many tests of each kind hold and which do not.
#
#   scripts/conformance.sh DIR [TAGCACHE]
#
# DIR is a checkout of the suite after `npm install` there; it needs node 18 or newer. TAGCACHE is the program,
# built here if it is not given. Origin and proxy listen on free ports of the loopback and end with the script.
# The results as the suite writes them are left in target/conformance.json.
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
suite=${1:?"usage: $0 DIR [TAGCACHE]: a checkout of http-tests/cache-tests"}
suite=$(cd "$suite" && pwd)
target=${CARGO_TARGET_DIR:-$here/target}
[ -f "$suite/test-engine/cli.mjs" ] || { echo "$suite is no checkout of http-tests/cache-tests" >&2; exit 1; }
[ -d "$suite/node_modules/undici" ] || { echo "run \`npm install\` in $suite first" >&2; exit 1; }
if [ -n "${2:-}" ]; then
    program=$(realpath "$2")
else
    cargo build --quiet --manifest-path "$here/tagcache/Cargo.toml"
    program=$target/debug/tagcache
fi

free_port() {
    node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => {
        console.log(s.address().port); s.close() })'
}

work=$(mktemp -d)
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait "${pids[@]}" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

# Whoever answers there at all will do.
wait_for() {
    for _ in $(seq 300); do
        if curl --silent --output /dev/null --max-time 2 "$1"; then return; fi
        sleep 0.1
    done
    echo "nothing answers at $1" >&2
    cat "$work"/*.log >&2
    exit 1
}

origin=$(free_port)
(
    cd "$suite"
    exec env npm_config_protocol=http npm_config_port="$origin" npm_config_pidfile="$work/origin.pid" \
        node test-engine/server/server.mjs
) >"$work/origin.log" 2>&1 &
pids+=($!)
wait_for "http://localhost:$origin/"

proxy=$(free_port)
# In an empty directory, so that no configuration is found.
(
    cd "$work"
    exec "$program" proxy --profile rfc9111 --upstream "http://localhost:$origin" --listen "127.0.0.1:$proxy"
) >"$work/proxy.log" 2>&1 &
pids+=($!)
wait_for "http://127.0.0.1:$proxy/"

mkdir -p "$target"
results=$target/conformance.json
(
    cd "$suite"
    npm_config_base="http://127.0.0.1:$proxy" npm_config_id="${TEST_ID:-}" npm_package_config_id="" \
        node --no-warnings test-engine/cli.mjs
) >"$results"

if [ -n "${TEST_ID:-}" ]; then
    cat "$results"
    exit
fi
node --no-warnings --input-type=module - "$suite" "$results" <<'SUMMARY'
import { readFileSync } from 'node:fs'
const [suite, file] = process.argv.slice(2)
const { default: suites } = await import(`${suite}/tests/index.mjs`)
const { determineTestResult, resultTypes } = await import(`${suite}/test-engine/lib/results.mjs`)
const results = JSON.parse(readFileSync(file, 'utf8'))
const held = [resultTypes.pass, resultTypes.yes]
const kinds = { required: [0, 0, []], optimal: [0, 0, []], check: [0, 0, []] }
for (const test of suites.flatMap(part => part.tests)) {
    if (results[test.id] === undefined) continue
    const kind = kinds[test.kind ?? 'required']
    // As the suite counts: what depends on a test that fails says nothing by itself.
    const result = determineTestResult(suites, test.id, results)
    kind[1] += 1
    if (held.includes(result)) kind[0] += 1
    else kind[2].push(`${test.id} ${result === resultTypes.dependency_fail ? '(depends on another)' : results[test.id]}`)
}
for (const [kind, [passed, all, failed]] of Object.entries(kinds)) {
    console.log(`${kind}: ${passed} of ${all}`)
    if (kind !== 'check') for (const line of failed) console.log(`  ${line}`)
}
SUMMARY

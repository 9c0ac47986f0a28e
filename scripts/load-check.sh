#!/usr/bin/env bash
# The auction system's scenario, end to end: a slow API, `tagcache proxy` before it, and curl, ab and wrk
# as the requirement document has them. Asserts on how often the API was asked; prints the times.
#
#   scripts/load-check.sh            # with TAGCACHE=path/to/tagcache, that program
#
# Everything listens on free loopback ports and is stopped at the end. Once without Redis (mode mock), and
# once with a private redis-server.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n==> %s\n' "$*"; }
fail() { printf 'load-check: %s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

install_tools() {
  local missing=()
  command -v curl >/dev/null || missing+=(curl)
  command -v ab >/dev/null || missing+=(apache2-utils)
  command -v wrk >/dev/null || missing+=(wrk)
  command -v jq >/dev/null || missing+=(jq)
  command -v python3 >/dev/null || missing+=(python3)
  command -v redis-server >/dev/null || missing+=(redis-server)
  [ "${#missing[@]}" -gt 0 ] || return 0
  command -v apt-get >/dev/null || fail "missing, and there is no apt-get: ${missing[*]}"
  as_root apt-get update || echo "going on with the package lists that are here" >&2
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# until WHAT COMMAND...: tries for ten seconds.
until_true() {
  local what=$1
  shift
  for _ in $(seq 100); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.1
  done
  fail "$what"
}

started=()
work=$(mktemp -d)
stop() {
  local pid
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
  started=()
}
trap 'stop; rm -rf "$work"' EXIT

# How often the API was asked for /auctions.
calls() { curl -sS "$api/calls" | jq '."/auctions" // 0'; }

# expect_calls MOST WHAT: not more have come since the last time.
asked=0
expect_calls() {
  local now
  now=$(calls)
  echo "the API was asked $((now - asked)) times: $2"
  [ $((now - asked)) -eq "$1" ] || fail "expected $1 calls: $2"
  asked=$now
}

# load NAME URL REQUESTS CONCURRENCY: requests a second.
load() {
  local report=$work/ab.txt
  ab -q -n "$3" -c "$4" "$2" >"$report" 2>&1 || { cat "$report"; fail "ab failed"; }
  grep -q '^Failed requests: *0$' "$report" || { cat "$report"; fail "$1: requests failed"; }
  if grep -q '^Non-2xx' "$report"; then cat "$report"; fail "$1: answers other than 2xx"; fi
  rate=$(awk '/^Requests per second/ { print $4 }' "$report")
  printf '%-28s %10s requests/s, 99 %% within %s ms\n' "$1" "$rate" "$(awk '$1 == "99%" { print $2 }' "$report")"
}

cache_status() { curl -sS -o /dev/null -D - "$1" | tr -d '\r' | sed -n 's/^cache-status: //Ip'; }

start_proxy() {
  local port log=$work/tagcache.log
  port=$(free_port)
  public=http://127.0.0.1:$port
  # A busy machine may not answer within 25 ms; the request then goes to the API, which is right, and
  # not what is counted here.
  sed -e '/^\[admin\]/,/^\[/ s/^listen .*/listen = "127.0.0.1:0"/' -e 's/^\[redis\]$/&\nread_timeout = "5s"/' \
    examples/deploy/tagcache.toml >"$work/tagcache.toml"
  env "$@" REDIS_CONNECTION_URI= CACHE_DEFAULT_TTL=300 \
    "$tagcache" proxy --config "$work/tagcache.toml" --listen "127.0.0.1:$port" --upstream "$api" >"$log" 2>&1 &
  started+=($!)
  until_true "the proxy does not answer: $(tail -5 "$log")" curl -sS -o /dev/null "$public/metrics"
}

scenario() {
  local direct cached
  asked=$(calls)
  say "$1: one request, twice"
  local first second
  first=$(cache_status "$public/auctions") second=$(cache_status "$public/auctions")
  echo "first:  $first"
  echo "second: $second"
  [[ $first == *fwd=* && $second == *hit* ]] || fail "expected a miss, then a hit"
  expect_calls 1 "a miss and a hit"
  curl -sS "$api/auctions" >"$work/api.json"
  curl -sS "$public/auctions" >"$work/public.json"
  cmp "$work/api.json" "$work/public.json" || fail "the cached response differs"
  asked=$(calls)

  say "$1: load"
  load "ab, the API itself" "$api/auctions" 40 10
  direct=$rate
  expect_calls 40 "without a cache"
  load "ab, through tagcache" "$public/auctions" 1000 10
  cached=$rate
  expect_calls 0 "1000 requests for what is cached"
  awk -v a="$cached" -v b="$direct" 'BEGIN { printf "%.0f times as many\n", a / b; exit !(a >= 10 * b) }' ||
    fail "less than ten times as fast"
  wrk -t1 -c10 -d2s --latency "$public/auctions" | grep -E '99%|Requests/sec|Non-2xx' || fail "wrk failed"
  expect_calls 0 "two seconds of wrk"

  say "$1: invalidation"
  curl -sS -f -X POST "$public/test/invalidate-cache" || fail "the test call was refused"
  load "ab, after the invalidation" "$public/auctions" 100 5
  expect_calls 1 "100 requests, the first of them a miss that the others share"

  say "$1: metrics"
  printf 'cache_hit_rate '
  curl -sS "$public/metrics" | jq '.cache_hit_rate'
  curl -sS "$public/metrics" | jq -e '.cache_hits >= 1100 and .cache_hit_rate > 0.99' >/dev/null || fail "that is not what was asked"
}

start_api() {
  rm -f "$work/port"
  python3 examples/deploy/origin.py --port 0 --delay 0.3 >"$work/port" &
  started+=($!)
  until_true "the API does not start" test -s "$work/port"
  api=http://127.0.0.1:$(cat "$work/port")
}

start_redis() {
  redis=$(free_port)
  redis-server --bind 127.0.0.1 --port "$redis" --save '' --appendonly no --dir "$work" >"$work/redis.log" 2>&1 &
  started+=($!)
  until_true "redis-server does not start" redis-cli -p "$redis" ping
}

install_tools
tagcache=${TAGCACHE:-target/release/tagcache}
if [ ! -x "$tagcache" ]; then
  cargo build --release -p tagcache
fi

start_api
start_proxy MODE=mock
scenario "in this process"
stop

start_api
start_redis
start_proxy MODE=dev DEV_REDIS_CONNECTION_URI="redis://127.0.0.1:$redis"
scenario "with Redis"
stop

say "all of it holds"

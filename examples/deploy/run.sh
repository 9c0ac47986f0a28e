#!/usr/bin/env bash
# Starts tagcache for the auction system, and a Redis if none answers.
#
#   ./run.sh [argument of `tagcache proxy` ...]
#
# Reads .env beside it. In mode `mock` no Redis is needed. One on another machine is never started: tagcache
# then serves without it until it comes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

say() { printf 'run.sh: %s\n' "$*" >&2; }

if [ -f .env ]; then
  set -a
  # shellcheck source=/dev/null
  . ./.env
  set +a
fi
export MODE=${MODE:-dev}

# The server that tagcache will use, by the same precedence.
redis_url() {
  local own=
  case $MODE in
    dev) own=${DEV_REDIS_CONNECTION_URI:-} ;;
    prod) own=${PROD_REDIS_CONNECTION_URI:-} ;;
  esac
  if [ -n "$own" ]; then
    echo "$own"
  elif [ -n "${REDIS_CONNECTION_URI:-}" ]; then
    echo "$REDIS_CONNECTION_URI"
  else
    echo "redis://${REDIS_HOST:-localhost}:${REDIS_PORT:-6379}"
  fi
}

# Whether anything that speaks Redis answers; one that asks for a password does.
answers() {
  local reply
  reply=$(
    exec 2>/dev/null 3<>"/dev/tcp/$1/$2" || exit 1
    printf 'PING\r\n' >&3
    IFS= read -r -t 2 line <&3 || exit 1
    printf '%s' "$line"
  ) || return 1
  [[ $reply == +PONG* || $reply == -* ]]
}

start_redis() {
  local port=$1
  if [ "$port" = 6379 ] && docker compose version >/dev/null 2>&1; then
    say "Redis does not answer, starting the container"
    docker compose up -d redis
  elif command -v redis-server >/dev/null; then
    say "Redis does not answer, starting redis-server on port $port; its data is in $PWD/redis-data"
    mkdir -p redis-data
    redis-server --bind 127.0.0.1 --port "$port" --dir "$PWD/redis-data" --appendonly yes \
      --daemonize yes --pidfile "$PWD/redis-data/redis.pid" --logfile "$PWD/redis-data/redis.log" >/dev/null
  else
    say "Redis does not answer, and neither docker compose nor redis-server is here to start one"
    return 1
  fi
}

check_redis() {
  [ "$MODE" != mock ] || return 0
  local url host port
  url=$(redis_url)
  host=${url#*://} && host=${host##*@} && host=${host%%/*}
  port=6379
  if [[ $host =~ :([0-9]+)$ ]]; then port=${BASH_REMATCH[1]} && host=${host%:*}; fi
  if answers "$host" "$port"; then
    return 0
  fi
  case $host in
    localhost | 127.0.0.1) start_redis "$port" || return 0 ;;
    *) say "Redis at $host:$port does not answer; going on without it" && return 0 ;;
  esac
  for _ in $(seq 100); do
    if answers "$host" "$port"; then
      say "Redis answers"
      return 0
    fi
    sleep 0.1
  done
  say "Redis at $host:$port still does not answer; going on without it"
}

# The program: the one that $TAGCACHE names, the one that was installed, or the one that was built here.
find_program() {
  local program
  for program in "${TAGCACHE:-tagcache}" ../../target/release/tagcache ../../target/debug/tagcache; do
    if command -v "$program"; then
      return 0
    fi
    if [ -n "${TAGCACHE:-}" ]; then
      say "TAGCACHE is $TAGCACHE, where no program is"
      return 1
    fi
  done
  say "tagcache is neither installed nor built. From the root of the repository:"
  say "  cargo build --release -p tagcache"
  return 1
}

if [ "${RUN_SH_ONLY_REDIS:-}" = 1 ]; then
  check_redis
  exit 0
fi
program=$(find_program)
check_redis
exec "$program" proxy --config tagcache.toml "$@"

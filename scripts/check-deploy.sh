#!/usr/bin/env bash
# Checks examples/deploy/ as far as that goes without a container engine: shell scripts by shellcheck, the
# unit by systemd-analyze, YAML, the configuration and the Dockerfile by what is here. What is missing is
# said and passed over.
#
#   scripts/check-deploy.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
deploy=examples/deploy
failed=0

say() { printf '%-14s %s\n' "$1" "$2"; }
check() {
  local what=$1
  shift
  if "$@"; then say "$what" ok; else
    say "$what" FAILED
    failed=1
  fi
}
has() { command -v "$1" >/dev/null; }

if has shellcheck; then
  check shellcheck shellcheck "$deploy"/run.sh scripts/load-check.sh scripts/check-deploy.sh
else
  say shellcheck "not here"
fi

# The program that it starts need not be installed: its place is taken by one that is.
# shellcheck disable=SC2317 # called by check
verify_unit() {
  local unit
  unit=$(mktemp -d)/tagcache.service
  sed 's,^ExecStart=/usr/bin/tagcache,ExecStart=/bin/true,' "$deploy"/tagcache.service >"$unit"
  systemd-analyze verify "$unit"
  rm -r "${unit%/*}"
}
if has systemd-analyze; then check systemd verify_unit; else say systemd "systemd-analyze is not here"; fi

if python3 -c 'import yaml' 2>/dev/null; then
  check yaml python3 - "$deploy" <<'PY'
import sys, yaml

deploy = sys.argv[1]
compose = yaml.safe_load(open(f"{deploy}/docker-compose.yml"))
services, volumes = compose["services"], compose["volumes"]
for name, service in services.items():
    assert "image" in service or "build" in service, name
    for needed in service.get("depends_on", {}):
        assert needed in services, f"{name} depends on {needed}"
    for mount in service.get("volumes", []):
        source = mount.split(":")[0]
        known = source in volumes if not source.startswith(".") else open if source == "./abis" else open(f"{deploy}/{source}")
        assert known, f"{name} mounts {source}"
assert services["redis"]["image"] == "redis:7-alpine"
assert "--appendonly" in services["redis"]["command"]

rindexer = yaml.safe_load(open(f"{deploy}/rindexer.yaml"))
assert "streams" not in rindexer, "streams at the top level are ignored by rindexer"
published = set()
for contract in rindexer["contracts"]:
    assert contract["details"], contract["name"]
    open(f"{deploy}/{contract['abi']}")
    for stream in contract["streams"]["redis"]["streams"]:
        published.add(stream["stream_name"])
        for event in stream["events"]:
            assert event["event_name"] in contract["include_events"], event
read = {line.split('"')[1] for line in open(f"{deploy}/tagcache.toml") if line.startswith("name") and '"auction_' in line}
read -= {"auction_details"}
assert read <= published, f"nobody publishes {read - published}"
assert rindexer["storage"]["postgres"]["enabled"]
PY
else
  say yaml "python3 with yaml is not here"
fi

if has docker && docker compose version >/dev/null 2>&1; then
  check compose docker compose -f "$deploy"/docker-compose.yml --env-file "$deploy"/.env.example config --quiet
else
  say compose "no docker compose: read as YAML only"
fi
if has hadolint; then check Dockerfile hadolint "$deploy"/Dockerfile; else say Dockerfile "no hadolint: not checked"; fi

tagcache=${TAGCACHE:-target/release/tagcache}
if [ -x "$tagcache" ]; then
  check tagcache.toml env MODE=dev "$tagcache" check --config "$deploy"/tagcache.toml
else
  say tagcache.toml "no program at $tagcache (TAGCACHE names another): not checked here"
fi
exit $failed

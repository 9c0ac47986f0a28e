#!/bin/sh
# Installs redis-server through the system's package manager. The tests start their own private
# servers; none needs to be running.
set -eu

say() {
	printf '%s\n' "install-redis: $*" >&2
}

has() {
	command -v "$1" >/dev/null 2>&1
}

# Runs a command as root: as it is when we are root, else through sudo.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif has sudo; then
		say "needs root, running: sudo $*"
		sudo "$@"
	else
		say "needs root, and there is no sudo: as root, run \`make redis-server\`, then go on as yourself"
		exit 1
	fi
}

if has redis-server; then
	exit 0
fi
say "redis-server is missing; the tests need it"

if has apt-get; then
	as_root apt-get update || say "going on with the package lists that are here"
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends redis-server
elif has brew; then
	brew install redis
elif has dnf; then
	as_root dnf install -y redis
elif has apk; then
	as_root apk add redis
else
	say "none of apt-get, brew, dnf and apk is here: install Redis 7.0 or newer, so that redis-server is in PATH"
	exit 1
fi

if ! has redis-server; then
	say "the package is installed, but redis-server is not in PATH ($PATH)"
	exit 1
fi
say "installed $(redis-server --version)"

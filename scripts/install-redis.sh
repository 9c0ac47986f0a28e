#!/bin/sh
# Installs redis-server through the system's package manager. The tests start their own private
# servers; none needs to be running.
set -eu

me=install-redis
target=redis-server
# shellcheck source=scripts/installing.sh
. "$(dirname "$0")/installing.sh"

if has redis-server; then
	exit 0
fi
say "redis-server is missing; the tests need it"

if has apt-get; then
	install_packages redis-server
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

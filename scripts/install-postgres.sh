#!/bin/sh
# Installs PostgreSQL through the system's package manager. The tests start a private server; none needs to be running.
set -eu

me=install-postgres
target=postgres
# shellcheck source=scripts/installing.sh
. "$(dirname "$0")/installing.sh"

if [ -n "${POSTGRES_BIN:-}" ] || has initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
	exit 0
fi
if ! has apt-get; then
	say "there is no apt-get: install PostgreSQL 15 or newer, and set POSTGRES_BIN to the directory of initdb and postgres"
	exit 1
fi
# Not a cluster of its own, which would be started at once.
as_root mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] ||
	printf 'create_main_cluster = false\n' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
install_packages postgresql

#!/bin/sh
# Installs Node.js with npm through the system's package manager, if it is missing.
set -eu

me=install-node
target=node
# shellcheck source=scripts/installing.sh
. "$(dirname "$0")/installing.sh"

if ! has node || ! has npm; then
	if ! has apt-get; then
		say "there is no apt-get: install Node.js 20.19 or newer with npm"
		exit 1
	fi
	install_packages nodejs npm
fi
version=$(node --version)
if ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)'; then
	say "Node.js is $version, and 20.19 is needed: install a newer one"
	exit 1
fi

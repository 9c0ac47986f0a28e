#!/bin/sh
# Installs what the browser tests need, through the system's package manager: Chromium, a font, Node.js with npm.
set -eu

say() {
	printf '%s\n' "install-chromium: $*" >&2
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
		say "needs root, and there is no sudo: as root, run \`make browser\`, then go on as yourself"
		exit 1
	fi
}

missing=
has chromium || has chromium-browser || missing="chromium fonts-noto-core"
has node || missing="$missing nodejs"
has npm || missing="$missing npm"
if [ -z "$missing" ]; then
	exit 0
fi
say "missing: $missing"

if has apt-get; then
	as_root apt-get update || say "going on with the package lists that are here"
	# shellcheck disable=SC2086 # several words
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
else
	say "there is no apt-get: install Chromium, and Node.js 20 or newer with npm, and set CHROMIUM to the browser's path"
	exit 1
fi

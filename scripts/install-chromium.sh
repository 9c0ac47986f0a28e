#!/bin/sh
# Installs what the browser tests need, through the system's package manager: Chromium, a font, Node.js with npm.
set -eu

me=install-chromium
target=browser
# shellcheck source=scripts/installing.sh
. "$(dirname "$0")/installing.sh"

missing=
has chromium || has chromium-browser || missing="chromium fonts-noto-core"
has node || missing="$missing nodejs"
has npm || missing="$missing npm"
if [ -z "$missing" ]; then
	exit 0
fi
say "missing: $missing"

if has apt-get; then
	# shellcheck disable=SC2086 # several words
	install_packages $missing
else
	say "there is no apt-get: install Chromium, and Node.js 20 or newer with npm, and set CHROMIUM to the browser's path"
	exit 1
fi

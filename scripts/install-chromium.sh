#!/bin/sh
# Installs what the browser tests need, through the system's package manager: Chromium and a font.
set -eu

me=install-chromium
target=browser
# shellcheck source=scripts/installing.sh
. "$(dirname "$0")/installing.sh"

if [ -x "${CHROMIUM:-/usr/bin/chromium}" ] || [ -x /usr/bin/chromium-browser ]; then
	exit 0
fi
if ! has apt-get; then
	say "there is no apt-get: install Chromium, and set CHROMIUM to its path"
	exit 1
fi
install_packages chromium fonts-noto-core

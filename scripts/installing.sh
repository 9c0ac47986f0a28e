# What the scripts that install something share: sourced, with `me` and `target` set.
# shellcheck shell=sh

say() {
	printf '%s\n' "$me: $*" >&2
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
		say "needs root, and there is no sudo: as root, run \`make $target\`, then go on as yourself"
		exit 1
	fi
}

# Debian's packages.
install_packages() {
	as_root apt-get update || say "going on with the package lists that are here"
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

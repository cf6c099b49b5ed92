#!/usr/bin/env bash
# Installs the commands that a make target needs and this machine lacks.
#
#   scripts/deps.sh test|try|bench...
#
# Silent when nothing is missing; never asks a question; needs root, or sudo
# without a password, only to install. Debian and its kin; elsewhere it says what
# to install by hand.
set -euo pipefail

# command:package of each group
group() {
	case "$1" in
	test) echo gcc:gcc strace:strace ffmpeg:ffmpeg ffprobe:ffmpeg mkfs.ext4:e2fsprogs mount:mount dkimverify:python3-dkim dkimverify:python3-nacl systemd-analyze:systemd chromium:chromium firefox-esr:firefox-esr pulseaudio:pulseaudio node:nodejs npm:npm nginx:nginx-light ;;
	try) echo ffmpeg:ffmpeg ;;
	bench) echo ffmpeg:ffmpeg nginx:nginx-light curl:curl postconf:postfix chromium:chromium node:nodejs npm:npm ;;
	*)
		echo "deps.sh: unknown group $1 (test, try, bench)" >&2
		exit 64
		;;
	esac
}

PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

if ! command -v go >/dev/null; then
	echo "Go 1.26 or newer is missing: see https://go.dev/doc/install" >&2
	exit 69
fi

missing=()
for name in "$@"; do
	needed=$(group "$name")
	for pair in $needed; do
		command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
	done
done
[ ${#missing[@]} -eq 0 ] && exit 0
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)

if ! command -v apt-get >/dev/null; then
	echo "please install: ${missing[*]}" >&2
	exit 69
fi
root=()
if [ "$(id -u)" -ne 0 ]; then
	if ! sudo -n true 2>/dev/null; then
		echo "please install, as root: apt-get install ${missing[*]}" >&2
		exit 69
	fi
	root=(sudo -n)
fi

echo "installing ${missing[*]} ..." >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# RUNLEVEL=1 keeps the maintainer scripts from starting services.
apt() {
	"${root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1 </dev/null
}
if ! { apt update && apt install -y --no-install-recommends "${missing[@]}"; }; then
	cat "$log" >&2
	echo "could not install ${missing[*]}" >&2
	exit 69
fi

#!/usr/bin/env bash
# The pages of docs/ that are generated from the program.
#
#   scripts/docs.sh update   writes them
#   scripts/docs.sh check    fails when one is old
#
# Each is held by a test named Test...IsUpToDate with a flag -update.
set -euo pipefail

pkgs=$(grep -rl --include='*_test.go' '^func Test.*IsUpToDate(' . | xargs -n 1 dirname | sort -u)
for pkg in $pkgs; do
	case "${1:-}" in
	update) go test -count=1 -run 'IsUpToDate$' "$pkg" -update ;;
	check) go test -count=1 -run 'IsUpToDate$' "$pkg" ;;
	*)
		echo "docs.sh: update or check" >&2
		exit 64
		;;
	esac
done

#!/usr/bin/env bash
# Runs every fuzz target of the given packages for the given time each.
#
#   scripts/fuzz.sh 60s ./...
#
# New inputs stay in Go's build cache; one that fails is written below the
# package's testdata/fuzz, belongs into the commit that mends the code, and is run
# by every later `go test`.
set -euo pipefail

time=${1:?a time such as 60s}
shift

dirs=$(go list -f '{{.Dir}}' "$@" | while read -r dir; do
	grep -ls '^func Fuzz' "$dir"/*_test.go >/dev/null 2>&1 && echo "$dir" || true
done)

count=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for dir in $dirs; do
	pkg=$(cd "$dir" && go list)
	targets=$(go test -list '^Fuzz' "$pkg" | grep '^Fuzz' || true)
	for target in $targets; do
		count=$((count + 1))
		if go test "$pkg" -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 20x -parallel 2 >"$log" 2>&1 </dev/null; then
			printf 'fuzz: %-50s %-28s %s\n' "$pkg" "$target" "$(grep -o 'execs: [0-9]*' "$log" | tail -n 1)"
			continue
		fi
		# Before Go 1.27 the engine sometimes reports the end of its own time as a
		# failure (golang/go#75804); then no input is written down.
		if grep -q 'context deadline exceeded' "$log" && ! grep -q 'Failing input written' "$log"; then
			printf 'fuzz: %-50s %-28s ended by its clock\n' "$pkg" "$target"
			continue
		fi
		failed=$((failed + 1))
		printf 'fuzz: %-50s %-28s FAILED\n' "$pkg" "$target"
		cat "$log"
	done
done
echo "fuzz: $count targets, $failed failed"
[ "$count" -gt 0 ] && [ "$failed" -eq 0 ]

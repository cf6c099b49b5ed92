#!/usr/bin/env bash
# Writes docs/try.svg: the terminal of a real run of `vam try --send`.
#
#   scripts/picture.sh FILE
set -euo pipefail
cd "$(dirname "$0")/.."
file=${1:?a video}

make --no-print-directory build >/dev/null
out=$(mktemp)
trap 'rm -f "$out"' EXIT
{
	echo "\$ vam try --send $(basename "$file")"
	bin/vam try --send "$file" 2>&1
} >"$out"

awk '
function esc(s) { gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s); gsub(/>/, "\\&gt;", s); return s }
{ line[NR] = $0; if (length($0) > width) width = length($0) }
END {
	w = int(width * 8.43) + 48; h = NR * 20 + 64
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" role=\"img\">\n", w, h, w, h
	print "<title>vam try sends a video from a.test to b.test over port 1398</title>"
	print "<style>text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,\"DejaVu Sans Mono\",monospace;fill:#d7dae0;white-space:pre}.c{fill:#8fd19e}.k{fill:#8b93a3}</style>"
	printf "<rect width=\"%d\" height=\"%d\" rx=\"10\" fill=\"#1b1e26\"/>\n", w, h
	print "<circle cx=\"22\" cy=\"20\" r=\"6\" fill=\"#e06c75\"/><circle cx=\"42\" cy=\"20\" r=\"6\" fill=\"#e5c07b\"/><circle cx=\"62\" cy=\"20\" r=\"6\" fill=\"#8fd19e\"/>"
	for (i = 1; i <= NR; i++) {
		class = (i == 1 || line[i] ~ /^  equal/) ? " class=\"c\"" : (line[i] ~ /^  /) ? "" : " class=\"k\""
		printf "<text x=\"24\" y=\"%d\"%s>%s</text>\n", i * 20 + 40, class, esc(line[i])
	}
	print "</svg>"
}' "$out" >docs/try.svg
echo "docs/try.svg"

#!/usr/bin/env bash
# Two domains on this machine and a real video from one to the other.
#
#   scripts/try.sh            stays up until Ctrl-C
#   scripts/try.sh --once     ends when the video has arrived
#
# Other flags go to `vam try`.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/deps.sh # Go itself
make --no-print-directory build >/dev/null

stay=--stay
flags=()
for arg in "$@"; do
	if [ "$arg" = --once ]; then stay=; else flags+=("$arg"); fi
done

video=../shared/media/bbb-480p-30s.mp4
if [ ! -r "$video" ]; then
	scripts/deps.sh try
	video=bin/sample.mp4
	if [ ! -s "$video" ]; then
		echo "making a sample video with ffmpeg ..." >&2
		ffmpeg -nostdin -v error -y -f lavfi -i testsrc2=size=854x480:rate=30:duration=30 \
			-f lavfi -i sine=frequency=440:duration=30 \
			-c:v libx264 -preset veryfast -pix_fmt yuv420p -c:a aac -movflags +faststart -shortest "$video"
	fi
fi
exec bin/vam try --send "$video" ${stay:+$stay} "${flags[@]}"

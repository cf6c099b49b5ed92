package hls_test

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/videoactivmail/vam/internal/hls"
)

func TestMediaPlaylist(t *testing.T) {
	whole := hls.Media{
		Map: "init.mp4", Independent: true,
		Segments: []hls.Segment{
			{URI: "0.m4s", Duration: 4004 * time.Millisecond},
			{URI: "1.m4s", Duration: 5500 * time.Millisecond},
			{URI: "2.m4s", Duration: 30 * time.Millisecond},
		},
	}
	want := `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:6
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-MAP:URI="init.mp4"
#EXTINF:4.00400,
0.m4s
#EXTINF:5.50000,
1.m4s
#EXTINF:0.03000,
2.m4s
#EXT-X-ENDLIST
`
	if diff := cmp.Diff(want, whole.String()); diff != "" {
		t.Error(diff)
	}
}

func TestMultivariantPlaylist(t *testing.T) {
	m := hls.Multivariant{
		Independent: true,
		Variants: []hls.Variant{
			{
				URI: "view/index.m3u8", Bandwidth: 5_200_000, Average: 4_000_000, Codecs: "avc1.64001f,mp4a.40.2",
				Width: 1280, Height: 720, FrameRate: 30000.0 / 1001, VideoRange: "SDR",
			},
			{URI: "sound.m3u8", Bandwidth: 0},
		},
	}
	want := `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-STREAM-INF:BANDWIDTH=5200000,AVERAGE-BANDWIDTH=4000000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=29.970,VIDEO-RANGE=SDR
view/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=1
sound.m3u8
`
	if diff := cmp.Diff(want, m.String()); diff != "" {
		t.Error(diff)
	}
}

// RFC 8216 section 4.3.3.1: each EXTINF, rounded to the nearest integer, is at most the
// target duration.
func TestNoSegmentIsLongerThanTheTarget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m hls.Media
		for _, ms := range rapid.SliceOf(rapid.IntRange(0, 90_000)).Draw(t, "durations") {
			m.Segments = append(m.Segments, hls.Segment{URI: "s", Duration: time.Duration(ms) * time.Millisecond})
		}
		text := m.String()
		target, err := strconv.Atoi(regexp.MustCompile(`TARGETDURATION:(\d+)\n`).FindStringSubmatch(text)[1])
		if err != nil || target < 1 {
			t.Fatalf("target %d, %v", target, err)
		}
		for _, f := range regexp.MustCompile(`EXTINF:([\d.]+),`).FindAllStringSubmatch(text, -1) {
			if s, err := strconv.ParseFloat(f[1], 64); err != nil || int(math.Round(s)) > target {
				t.Fatalf("a segment of %s s with the target %d, %v", f[1], target, err)
			}
		}
	})
}

// A name that a stranger chose, of a language or a track, adds no line and no attribute.
func TestNamesAddNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.String(), rapid.Just("x\"\n#EXT-X-ENDLIST\r\n")).Draw(t, "name")
		text := hls.Multivariant{Variants: []hls.Variant{{URI: name, Codecs: name}}}.String()
		if lines := strings.Count(text, "\n"); lines != 4 {
			t.Fatalf("%d lines in %q", lines, text)
		}
		if n := strings.Count(text, `"`); n%2 != 0 || n > 2 {
			t.Fatalf("%d quotes in %q", n, text)
		}
		s := hls.Media{Map: "m" + name, Segments: []hls.Segment{{URI: name}}}.String()
		if want := 9; strings.Count(s, "\n") != want {
			t.Fatalf("%d lines, want %d: %q", strings.Count(s, "\n"), want, s)
		}
	})
}

func ExampleMedia() {
	m := hls.Media{Map: "init.mp4", Independent: true, Segments: []hls.Segment{{URI: "0.m4s", Duration: 4 * time.Second}}}
	fmt.Print(m)
	// Output:
	// #EXTM3U
	// #EXT-X-VERSION:7
	// #EXT-X-TARGETDURATION:4
	// #EXT-X-MEDIA-SEQUENCE:0
	// #EXT-X-PLAYLIST-TYPE:VOD
	// #EXT-X-INDEPENDENT-SEGMENTS
	// #EXT-X-MAP:URI="init.mp4"
	// #EXTINF:4.00000,
	// 0.m4s
	// #EXT-X-ENDLIST
}

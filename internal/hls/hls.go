// Package hls writes playlists of HTTP Live Streaming (RFC 8216): text, and nothing else.
// Whoever serves them sends the type [Type].
package hls

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Type is the media type of a playlist (RFC 8216 section 10).
const Type = "application/vnd.apple.mpegurl"

// Segment is one segment of a media playlist.
type Segment struct {
	URI      string
	Duration time.Duration
}

// Media is a media playlist (RFC 8216 section 4.3.3): all segments of one rendition.
type Media struct {
	// Map is the init segment; "" is none.
	Map      string
	Segments []Segment
	// Independent says that each segment can be decoded by itself.
	Independent bool
}

// String is the playlist.
func (m Media) String() string {
	var w writer
	w.line("#EXTM3U")
	w.line("#EXT-X-VERSION:7")
	w.line("#EXT-X-TARGETDURATION:", strconv.FormatInt(m.target(), 10))
	w.line("#EXT-X-MEDIA-SEQUENCE:0")
	w.line("#EXT-X-PLAYLIST-TYPE:VOD")
	if m.Independent {
		w.line("#EXT-X-INDEPENDENT-SEGMENTS")
	}
	if m.Map != "" {
		w.begin("#EXT-X-MAP:")
		w.quoted("URI", m.Map)
		w.end()
	}
	for _, s := range m.Segments {
		w.line("#EXTINF:", strconv.FormatFloat(s.Duration.Seconds(), 'f', 5, 64), ",")
		w.line(clean(s.URI))
	}
	w.line("#EXT-X-ENDLIST")
	return w.b.String()
}

// target is in whole seconds; no segment, rounded, may be longer (RFC 8216 section 4.3.3.1).
func (m Media) target() int64 {
	var longest time.Duration
	for _, s := range m.Segments {
		longest = max(longest, s.Duration)
	}
	return max(int64(math.Round(longest.Seconds())), 1)
}

// Variant is one rendition of a multivariant playlist (RFC 8216 section 4.3.4.2).
type Variant struct {
	URI string
	// Bandwidth is the peak of any segment, Average the mean, in bits per second; Average
	// 0 is left out.
	Bandwidth, Average int64
	Codecs             string // RFC 6381; "" is left out
	Width, Height      int    // as shown; 0 is left out
	FrameRate          float64
	// VideoRange is "SDR", "PQ" or "HLG"; "" is left out.
	VideoRange string
}

// Multivariant is a multivariant playlist: the same content in several renditions, the one
// to begin with first.
type Multivariant struct {
	Variants    []Variant
	Independent bool
}

// String is the playlist.
func (m Multivariant) String() string {
	var w writer
	w.line("#EXTM3U")
	w.line("#EXT-X-VERSION:7")
	if m.Independent {
		w.line("#EXT-X-INDEPENDENT-SEGMENTS")
	}
	for _, v := range m.Variants {
		v.write(&w)
	}
	return w.b.String()
}

func (v Variant) write(w *writer) {
	w.begin("#EXT-X-STREAM-INF:")
	w.plain("BANDWIDTH", strconv.FormatInt(max(v.Bandwidth, 1), 10))
	if v.Average > 0 {
		w.plain("AVERAGE-BANDWIDTH", strconv.FormatInt(v.Average, 10))
	}
	if v.Codecs != "" {
		w.quoted("CODECS", v.Codecs)
	}
	if v.Width > 0 && v.Height > 0 {
		w.plain("RESOLUTION", strconv.Itoa(v.Width)+"x"+strconv.Itoa(v.Height))
	}
	if v.FrameRate > 0 {
		w.plain("FRAME-RATE", strconv.FormatFloat(v.FrameRate, 'f', 3, 64))
	}
	if v.VideoRange != "" {
		w.plain("VIDEO-RANGE", v.VideoRange)
	}
	w.end()
	w.line(clean(v.URI))
}

// A writer builds the text; attributes are written between begin and end.
type writer struct {
	b     strings.Builder
	first bool
}

func (w *writer) line(parts ...string) {
	for _, p := range parts {
		w.b.WriteString(p)
	}
	w.b.WriteByte('\n')
}

func (w *writer) begin(tag string) {
	w.b.WriteString(tag)
	w.first = true
}

func (w *writer) plain(name, value string) {
	if !w.first {
		w.b.WriteByte(',')
	}
	w.first = false
	w.b.WriteString(name + "=" + value)
}

func (w *writer) quoted(name, value string) { w.plain(name, `"`+clean(value)+`"`) }

func (w *writer) end() { w.b.WriteByte('\n') }

// clean takes out what would end a line or a quoted string (RFC 8216 section 4.2): a name
// that a stranger chose must not become another tag.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == '"' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

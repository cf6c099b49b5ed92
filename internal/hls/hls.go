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

// Range is a part of a resource; the zero value is the whole of it.
type Range struct{ Offset, Size int64 }

func (r Range) whole() bool { return r == Range{} }

func (r Range) String() string {
	return strconv.FormatInt(r.Size, 10) + "@" + strconv.FormatInt(r.Offset, 10)
}

// Segment is one segment of a media playlist.
type Segment struct {
	URI      string
	Range    Range
	Duration time.Duration
	// Discontinuity says that clocks or codings are not those of the segment before.
	Discontinuity bool
}

// Media is a media playlist (RFC 8216 section 4.3.3): the segments of one rendition.
type Media struct {
	// Map is the init segment; "" is none.
	Map      string
	MapRange Range
	Segments []Segment
	// Target is the least EXT-X-TARGETDURATION. It must not change while a playlist grows,
	// so that one which is not ended needs it; 0 takes that of the segments.
	Target time.Duration
	// Independent says that each segment can be decoded by itself.
	Independent bool
	// Ended says that there will be no more segments.
	Ended bool
	// First is the sequence number of the first segment.
	First int64
}

// String is the playlist. One that is ended is VOD, one that still grows is EVENT.
func (m Media) String() string {
	var w writer
	w.line("#EXTM3U")
	w.line("#EXT-X-VERSION:7")
	w.line("#EXT-X-TARGETDURATION:", strconv.FormatInt(m.target(), 10))
	w.line("#EXT-X-MEDIA-SEQUENCE:", strconv.FormatInt(m.First, 10))
	if m.Ended {
		w.line("#EXT-X-PLAYLIST-TYPE:VOD")
	} else {
		w.line("#EXT-X-PLAYLIST-TYPE:EVENT")
	}
	if m.Independent {
		w.line("#EXT-X-INDEPENDENT-SEGMENTS")
	}
	if m.Map != "" {
		w.begin("#EXT-X-MAP:")
		w.quoted("URI", m.Map)
		if !m.MapRange.whole() {
			w.quoted("BYTERANGE", m.MapRange.String())
		}
		w.end()
	}
	for _, s := range m.Segments {
		if s.Discontinuity {
			w.line("#EXT-X-DISCONTINUITY")
		}
		w.line("#EXTINF:", strconv.FormatFloat(s.Duration.Seconds(), 'f', 5, 64), ",")
		if !s.Range.whole() {
			w.line("#EXT-X-BYTERANGE:", s.Range.String())
		}
		w.line(clean(s.URI))
	}
	if m.Ended {
		w.line("#EXT-X-ENDLIST")
	}
	return w.b.String()
}

// target is in whole seconds; no segment, rounded, may be longer (RFC 8216 section 4.3.3.1).
func (m Media) target() int64 {
	longest := m.Target
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
	// Subtitles is the group of Text with the captions; "" is none.
	Subtitles string
}

// Text is a rendition of captions (EXT-X-MEDIA).
type Text struct {
	Group, Name, Language string
	URI                   string
	Default               bool
}

// Multivariant is a multivariant playlist: the same content in several renditions, the one
// to begin with first.
type Multivariant struct {
	Variants    []Variant
	Texts       []Text
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
	for _, t := range m.Texts {
		w.begin("#EXT-X-MEDIA:")
		w.plain("TYPE", "SUBTITLES")
		w.quoted("GROUP-ID", t.Group)
		w.quoted("NAME", t.Name)
		if t.Language != "" {
			w.quoted("LANGUAGE", t.Language)
		}
		yes := map[bool]string{true: "YES", false: "NO"}
		w.plain("DEFAULT", yes[t.Default])
		w.plain("AUTOSELECT", "YES")
		w.quoted("URI", t.URI)
		w.end()
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
	if v.Subtitles != "" {
		w.quoted("SUBTITLES", v.Subtitles)
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

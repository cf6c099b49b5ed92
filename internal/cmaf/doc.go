// Package cmaf computes a fragmented MP4 (ISO/IEC 14496-12, in the manner of CMAF, ISO/IEC
// 23000-19) from the index of a recording, without copying or decoding any of its media: an
// init segment, and segments that are heads made here with spans of the original between
// them. The same view is served as segments of HLS and as one file with a known size for a
// plain video element.
//
// One video and one audio track are shown, muxed. Edit lists are resolved into the times
// of samples, so that players which ignore them keep sound and picture together:
//
//   - the clock of the view begins with the first thing that is shown;
//   - sound before the first moment shown is dropped by whole frames, and what is left of
//     the first frame moves the picture, not the sound;
//   - pictures that are decoded but not shown, because the recording was cut between key
//     frames, pass within a few ticks of the clock before the first one that is shown, or
//     after the last;
//   - the one edit that is left takes away the delay of pictures that are decoded in another
//     order than they are shown in, which every player does.
package cmaf

import (
	"sort"
	"strings"
	"time"

	"github.com/videoactivmail/vam/internal/isobmff"
)

// Options choose what New makes. The zero value is what a player would pick.
type Options struct {
	// Video and Audio are numbers of tracks; 0 is the first one that is enabled and can be
	// shown, None leaves it out.
	Video, Audio int
	// Segment is the shortest a segment becomes where key frames allow it; by default 4 s.
	Segment time.Duration
	// Chunk is the length of one fragment within a segment; by default 500 ms.
	Chunk time.Duration
}

// None leaves a type of track out.
const None = -1

// Limits that no recording needs to pass; a view over one is refused as too large.
const (
	maxSegments = 65535   // what sidx can list
	maxSamples  = 1 << 24 // of one track, 77 hours at 60 frames a second
	maxCrowd    = 1 << 17 // samples of one track in one segment
	maxLength   = 30 * 24 * time.Hour
	maxPreroll  = 600              // pictures that are decoded and not shown
	maxLate     = 64               // pictures that are decoded, shown behind the end, and come before one that is not
	forcedCut   = 30 * time.Second // a segment ends here without a key frame
	forcedCount = 8192
)

// Segment is one segment of the view.
type Segment struct {
	Start, Duration time.Duration
	// Offset is where it stands in the progressive file; Size is in octets.
	Offset, Size int64
	// Independent says that it begins with a key frame.
	Independent bool
}

// View is a fragmented MP4 that exists as a computation. It is not changed after New and
// may be used from several goroutines at once.
type View struct {
	lanes    []*lane
	init     []byte
	head     []byte // init and, unless it would do harm, sidx
	segments []segment
	chunk    time.Duration
	size     int64
	length   time.Duration
}

// segment is a Segment with the places in the tracks where it begins.
type segment struct {
	Segment
	begin  [2]laneCursor
	count  [2]int64
	serial uint32 // of its first fragment
}

// New makes the view of a movie. It takes a few milliseconds for each hour.
// Errors: Invalid when there is nothing in it that can be shown without decoding, or an
// edit list that needs it; TooLarge over the limits of this package.
func New(m *isobmff.Movie, o Options) (*View, error) {
	if o.Segment <= 0 {
		o.Segment = 4 * time.Second
	}
	if o.Chunk <= 0 {
		o.Chunk = 500 * time.Millisecond
	}
	v := &View{chunk: o.Chunk}
	if err := v.choose(m, o); err != nil {
		return nil, err
	}
	if err := v.align(); err != nil {
		return nil, err
	}
	if err := v.cut(o.Segment); err != nil {
		return nil, err
	}
	if err := v.measure(m.Size); err != nil {
		return nil, err
	}
	return v, nil
}

// Init is the init segment: ftyp and moov.
func (v *View) Init() []byte { return v.init }

// Head is the beginning of the progressive file: Init and, where there is more than one
// segment and each begins with a key frame, an index of them.
func (v *View) Head() []byte { return v.head }

// Size is that of the progressive file, in octets.
func (v *View) Size() int64 { return v.size }

// Segments lists the segments in order.
func (v *View) Segments() []Segment {
	out := make([]Segment, len(v.segments))
	for i, s := range v.segments {
		out[i] = s.Segment
	}
	return out
}

// Independent reports whether every segment begins with a key frame
// (EXT-X-INDEPENDENT-SEGMENTS).
func (v *View) Independent() bool {
	for _, s := range v.segments {
		if !s.Independent {
			return false
		}
	}
	return true
}

// Codecs is the parameter of RFC 6381 for what is shown, such as "avc1.64001f,mp4a.40.2";
// "" when one of the tracks cannot be named.
func (v *View) Codecs() string {
	var names []string
	for _, l := range v.lanes {
		if l.coding.RFC6381 == "" {
			return ""
		}
		names = append(names, l.coding.RFC6381)
	}
	return strings.Join(names, ",")
}

// Bandwidth is in bits per second: the peak of any segment and the mean (RFC 8216 section
// 4.3.4.2).
func (v *View) Bandwidth() (peak, mean int64) {
	rate := func(octets int64, d time.Duration) int64 {
		return int64(float64(octets) * 8 / max(d, 100*time.Millisecond).Seconds())
	}
	var total int64
	for _, s := range v.segments {
		peak = max(peak, rate(s.Size, s.Duration))
		total += s.Size
	}
	return peak, rate(total, v.length)
}

// SegmentAt is the number of the segment that holds an octet of the progressive file; -1
// stands for what is before the first.
func (v *View) SegmentAt(offset int64) int {
	return sort.Search(len(v.segments), func(i int) bool { return v.segments[i].Offset > offset }) - 1
}

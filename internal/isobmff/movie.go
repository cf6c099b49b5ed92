package isobmff

import (
	"math"
	"math/bits"
	"time"
)

// Movie is the index of a file. It is not changed after Read has returned it and may be
// used from several goroutines at once.
type Movie struct {
	Size       int64 // of the file, in octets
	Brands     []FourCC
	Timescale  uint32 // units of a second in which edits have their lengths
	Tracks     []*Track
	Fragmented bool // there is a box mvex: samples come in fragments
	IndexLast  bool // the index stands behind media
	Chapters   int
	// Still says that the brands are those of still pictures and that there is no movie.
	Still bool
	// Missing is, for a file of fragments that is still arriving, what the next fragment
	// needs; nil when the file was read to its end.
	Missing *Missing
	// Truncated says that samples lie behind the end of the file; they are left out.
	Truncated bool
}

// Track finds a track by its number; nil when there is none.
func (m *Movie) Track(id int) *Track {
	for _, t := range m.Tracks {
		if t.ID == id {
			return t
		}
	}
	return nil
}

// Edit is one entry of an edit list (ISO/IEC 14496-12 section 8.6.6).
type Edit struct {
	Duration int64 // in the movie's timescale
	Start    int64 // in the track's timescale; -1 shows nothing for the duration
	Rate     int32 // 16.16; 1<<16 is as recorded
}

// Track is one track with its samples.
type Track struct {
	ID        int
	Handler   FourCC // "vide", "soun", "text", "meta" …
	Enabled   bool
	Timescale uint32 // units of a second in which samples have their times
	Language  string // ISO 639-2; "" is unknown
	Width     uint32 // of the presentation, 16.16
	Height    uint32
	Volume    int16 // 8.8
	Matrix    [9]int32
	Edits     []Edit
	Entries   []*Entry // sample descriptions; empty when there is no stsd
	// Chapters says that another track names this one as its chapters.
	Chapters bool
	// Used is the index in Entries of the description of all samples; -1 when samples
	// have different ones or one that is not there.
	Used int

	claimed int64 // length by mdhd, in the track's timescale
	table   table
	refs    []uint32 // numbers of the tracks with this one's chapters
}

// table is where the samples of a track are.
type table struct {
	n        int64 // samples
	size     series
	delta    series
	compose  series // zigzag; empty when all are 0
	sync     series // 1 for a sample that can be decoded by itself
	perChunk series
	chunk    offsets
	jumps    []jump
	// While fragments are read: the end of the last sample, and its start.
	end, lastStart int64
}

// A jump sets the clock of decoding where a fragment says so.
type jump struct{ sample, decode int64 }

// Len is the number of samples that lie in the file.
func (t *Track) Len() int64 { return t.table.n }

// Bytes is the size of all samples together.
func (t *Track) Bytes() int64 { return t.table.size.sum(t.table.n) }

// Ticks is the sum of the samples' durations in the track's timescale; math.MaxInt64
// when it is beyond that.
func (t *Track) Ticks() int64 {
	tb := &t.table
	if len(tb.jumps) == 0 {
		return tb.delta.sum(tb.n)
	}
	last := tb.jumps[len(tb.jumps)-1]
	before := tb.delta.sum(last.sample)
	return addCapped(last.decode, max(tb.delta.sum(tb.n)-before, 0)) - tb.begin()
}

// begin is the time of decoding of the first sample.
func (tb *table) begin() int64 {
	if len(tb.jumps) > 0 && tb.jumps[0].sample == 0 {
		return tb.jumps[0].decode
	}
	return 0
}

// Seconds turns a number of the track's units into a time.
func (t *Track) Seconds(ticks int64) time.Duration { return Scale(ticks, t.Timescale) }

// Scale is n units of 1/scale second as a time, at most some 292 years.
func Scale(n int64, scale uint32) time.Duration {
	if scale == 0 {
		return 0
	}
	return time.Duration(MulDiv(n, int64(time.Second), int64(scale)))
}

// MulDiv is a × b ÷ c rounded to the nearest, without overflow on the way; it stops at the
// greatest and least int64. b is not negative and c is positive.
func MulDiv(a, b, c int64) int64 {
	u := uint64(a)
	if a < 0 {
		u = -u
	}
	hi, lo := bits.Mul64(u, uint64(b))
	lo, carry := bits.Add64(lo, uint64(c)/2, 0)
	hi += carry
	out := uint64(math.MaxInt64)
	switch {
	case hi == 0:
		out = min(lo/uint64(c), math.MaxInt64)
	case hi < uint64(c):
		q, _ := bits.Div64(hi, lo, uint64(c))
		out = min(q, math.MaxInt64)
	}
	if a < 0 {
		return -int64(out)
	}
	return int64(out)
}

// Presentation is the part of a track's media that is shown, and when.
type Presentation struct {
	// Delay is how long nothing is shown first.
	Delay time.Duration
	// Start is the first moment of the media that is shown, in the track's timescale.
	Start int64
	// End is the moment after the last, math.MaxInt64 when all is shown.
	End int64
	// Simple says that one piece of the media is shown at its own speed. Otherwise the
	// other fields are of the first piece.
	Simple bool
}

// Presentation reads the edit list.
func (m *Movie) Presentation(t *Track) Presentation {
	p := Presentation{End: math.MaxInt64, Simple: true}
	seen := false
	for _, e := range t.Edits {
		switch {
		case e.Start < 0 && !seen:
			p.Delay += min(Scale(e.Duration, m.Timescale), math.MaxInt64-p.Delay)
		case e.Start < 0:
			// Nothing after the end is nothing to show.
		case !seen:
			seen = true
			p.Start = e.Start
			p.Simple = e.Rate == 1<<16
			if e.Duration > 0 && m.Timescale > 0 {
				p.End = addCapped(e.Start, MulDiv(e.Duration, int64(t.Timescale), int64(m.Timescale)))
			}
		case e.Start == p.End && e.Rate == 1<<16:
			p.End = addCapped(p.End, MulDiv(e.Duration, int64(t.Timescale), int64(m.Timescale)))
		default:
			p.Simple = false
		}
	}
	return p
}

// Rotation is how far the picture is turned clockwise to stand upright, in degrees.
func (t *Track) Rotation() int {
	switch a, b := t.Matrix[0], t.Matrix[1]; {
	case b > 0 && b >= max(a, -a):
		return 90
	case b < 0 && -b >= max(a, -a):
		return 270
	case a < 0:
		return 180
	}
	return 0
}

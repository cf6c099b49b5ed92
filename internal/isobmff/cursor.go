package isobmff

import "math"

// Sample is one sample of a track, in the order of decoding.
type Sample struct {
	Offset   int64  // in the file
	Size     uint32 // in octets
	Decode   int64  // in the track's timescale
	Duration uint32
	// Compose is added to Decode for the moment that the sample is shown.
	Compose int32
	// Sync says that decoding can begin here.
	Sync bool
}

// Shown is the moment in the media at which the sample is shown.
func (s Sample) Shown() int64 { return s.Decode + int64(s.Compose) }

// A Cursor steps through the samples of a track. It is small, and its copy goes on from
// the same place. It belongs to one goroutine.
type Cursor struct {
	t       *Track
	i       int64
	decode  int64
	offset  int64
	left    uint32 // of the chunk
	chunk   int
	jump    int
	size    seriesCursor
	delta   seriesCursor
	compose seriesCursor
	sync    seriesCursor
	per     seriesCursor
}

// Cursor is before the first sample.
func (t *Track) Cursor() Cursor {
	tb := &t.table
	c := Cursor{
		t: t, size: tb.size.cursor(), delta: tb.delta.cursor(), compose: tb.compose.cursor(),
		sync: tb.sync.cursor(), per: tb.perChunk.cursor(),
	}
	if c.decode = tb.begin(); len(tb.jumps) > 0 && tb.jumps[0].sample == 0 {
		c.jump = 1
	}
	return c
}

// Index is the number of the sample that Next gives, from 0.
func (c *Cursor) Index() int64 { return c.i }

// Next sets s to the next sample; false is behind the last, and leaves s as it was.
func (c *Cursor) Next(s *Sample) bool {
	tb := &c.t.table
	if c.i >= tb.n {
		return false
	}
	for c.left == 0 {
		c.left = c.per.next()
		c.offset = tb.chunk.at(c.chunk)
		c.chunk++
	}
	s.Offset, s.Size = c.offset, c.size.next()
	s.Decode, s.Duration, s.Compose = c.decode, c.delta.next(), 0
	s.Sync = c.sync.next() != 0
	if tb.compose.n > 0 {
		s.Compose = unzigzag(c.compose.next())
	}
	c.i++
	c.left--
	c.offset += int64(s.Size)
	c.decode += int64(s.Duration)
	if c.jump < len(tb.jumps) && tb.jumps[c.jump].sample == c.i {
		c.decode = tb.jumps[c.jump].decode
		s.Duration = uint32(min(c.decode-s.Decode, math.MaxUint32))
		c.jump++
	}
	return true
}

func zigzag(v int32) uint32   { return uint32(v<<1) ^ uint32(v>>31) }
func unzigzag(v uint32) int32 { return int32(v>>1) ^ -int32(v&1) }

package cmaf

import (
	"math"
	"time"

	"github.com/videoactivmail/vam/internal/isobmff"
)

// A Piece is a part of a segment: octets that are made here, or a span of the original.
type Piece struct {
	Data         []byte // nil for a span
	Offset, Size int64  // of the span; Size is also that of Data
}

// cut finds where segments begin: at key frames of the picture, where there is one, at the
// first that comes when the segment is long enough.
func (v *View) cut(least time.Duration) error {
	var seen time.Duration // when the picture ends
	if l := v.lanes[0]; l.video {
		if err := v.cutPicture(l, least); err != nil {
			return err
		}
		seen = l.end
	} else {
		v.segments = []segment{{Segment: Segment{Independent: true}}}
	}
	if l := v.lanes[len(v.lanes)-1]; !l.video {
		if err := v.cutSound(l, len(v.lanes)-1, seen, least); err != nil {
			return err
		}
	}
	for _, l := range v.lanes {
		v.length = max(v.length, l.end)
	}
	for i := range v.segments {
		end := v.length
		if i+1 < len(v.segments) {
			end = v.segments[i+1].Start
		}
		v.segments[i].Duration = max(end-v.segments[i].Start, 0)
	}
	return nil
}

// add begins another segment.
func (v *View) add(s Segment) (*segment, error) {
	if len(v.segments) == maxSegments {
		return nil, tooMuch("%d segments", maxSegments)
	}
	v.segments = append(v.segments, segment{Segment: s})
	return &v.segments[len(v.segments)-1], nil
}

func (v *View) cutPicture(l *lane, least time.Duration) error {
	var now *segment
	var start, end int64 // in units of the lane: of the segment, of what is shown
	short, long := l.ticks(least), l.ticks(forcedCut)
	c := l.cursor()
	var s sample
	for {
		before := c
		if !l.next(&c, &s) {
			l.end = l.time(end)
			return nil
		}
		end = max(end, l.zero+min(s.shown+int64(s.duration)-l.zero, l.stop))
		l.lead = max(l.lead, s.decode-s.shown)
		if old := s.shown - start; now == nil || s.sync && old >= short || old >= long || now.count[0] >= forcedCount {
			if now != nil {
				start = max(s.shown, start)
			}
			var err error
			if now, err = v.add(Segment{Start: l.time(start), Independent: s.sync}); err != nil {
				return err
			}
			now.begin[0] = before
		}
		now.count[0]++
	}
}

// cutSound spreads the sound over the segments, and begins more of them where there is no
// picture (any more).
func (v *View) cutSound(l *lane, k int, seen, least time.Duration) error {
	i := 0
	c := l.cursor()
	v.segments[0].begin[k] = c
	var end int64
	// bounds are, in units of the lane, where segment i ends, or may end if it is the last.
	bounds := func() (next, spare int64) {
		if i+1 < len(v.segments) {
			return l.ticks(v.segments[i+1].Start), math.MaxInt64
		}
		return math.MaxInt64, l.ticks(max(seen, v.segments[i].Start+least))
	}
	next, spare := bounds()
	crowded := l.ticks(seen)
	var s sample
	for {
		before := c
		if !l.next(&c, &s) {
			break
		}
		end = max(end, s.shown+int64(s.duration))
		for s.shown >= next {
			i++
			v.segments[i].begin[k] = before
			next, spare = bounds()
		}
		if s.shown >= spare || next == math.MaxInt64 && s.shown >= crowded && v.segments[i].count[k] >= forcedCount {
			now, err := v.add(Segment{Start: max(l.time(s.shown), v.segments[i].Start), Independent: true})
			if err != nil {
				return err
			}
			i++
			now.begin[k] = before
			for other, o := range v.lanes {
				if other != k {
					now.begin[other] = laneCursor{i: o.n}
				}
			}
			next, spare = bounds()
		}
		v.segments[i].count[k]++
	}
	l.end = l.time(end)
	// Segments behind the end of the sound have none.
	for i++; i < len(v.segments); i++ {
		v.segments[i].begin[k] = c
	}
	return nil
}

// measure computes the size of each segment, and makes the heads of the file.
func (v *View) measure(original int64) error {
	serial := uint32(1)
	var octets int64 // of media
	for i := range v.segments {
		s := &v.segments[i]
		s.serial = serial
		for k := range v.lanes {
			if s.count[k] > maxCrowd {
				return tooMuch("%d samples within %s", maxCrowd, s.Duration)
			}
		}
		var odd error
		v.chunks(i, func(c *chunk) {
			serial++
			s.Size += int64(c.headSize()) + c.octets
			octets += c.octets
			if c.odd || c.octets > math.MaxUint32-8 {
				odd = refuse("the clock of its samples makes no sense")
			}
		})
		if odd != nil {
			return odd
		}
		if octets > original {
			// A small file must not become an endless one.
			return refuse("its samples share octets")
		}
		if s.Size > math.MaxInt32 {
			return tooMuch("2 GiB in one segment")
		}
	}
	v.init = v.initSegment()
	v.head = v.init
	if len(v.segments) > 1 && v.Independent() {
		v.head = append(v.init[:len(v.init):len(v.init)], v.index()...)
	}
	v.size = int64(len(v.head))
	for i := range v.segments {
		v.segments[i].Offset = v.size
		v.size += v.segments[i].Size
	}
	return nil
}

// Pieces are what a segment is made of, in order.
func (v *View) Pieces(i int) []Piece {
	s := &v.segments[i]
	var out []Piece
	serial := s.serial
	v.chunks(i, func(c *chunk) {
		head := c.head(serial)
		serial++
		out = append(out, Piece{Data: head, Size: int64(len(head))})
		for k := range c.samples {
			for _, m := range c.samples[k] {
				last := &out[len(out)-1]
				switch {
				case m.size == 0:
				case last.Data == nil && last.Offset+last.Size == m.offset:
					last.Size += int64(m.size)
				default:
					out = append(out, Piece{Offset: m.offset, Size: int64(m.size)})
				}
			}
		}
	})
	return out
}

// index is sidx: where each segment is and how long it takes, so that a player can seek in
// the progressive file without reading all of its fragments.
//
// QUIRK: there is none over a single segment, which would help nobody, nor over segments
// that begin between key frames: Chromium 156 then hands its decoder packets that it cannot
// take.
func (v *View) index() []byte {
	l := v.lanes[0]
	w := &writer{}
	w.full("sidx", 1, 0, func() {
		w.u32(1)
		w.u32(l.scale)
		w.u64(0)
		w.u64(0)
		w.u16(0)
		w.u16(uint16(len(v.segments)))
		for _, s := range v.segments {
			w.u32(uint32(s.Size))
			end := isobmff.MulDiv(int64(s.Start+s.Duration), int64(l.scale), int64(time.Second))
			start := isobmff.MulDiv(int64(s.Start), int64(l.scale), int64(time.Second))
			w.u32(uint32(min(end-start, math.MaxUint32)))
			sap := uint32(0)
			if s.Independent {
				sap = 0x90000000 // begins with a sync sample
			}
			w.u32(sap)
		}
	})
	return w.b
}

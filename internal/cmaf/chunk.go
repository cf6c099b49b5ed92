package cmaf

import (
	"math"
	"time"
)

// A chunk is one fragment: moof and mdat.
type chunk struct {
	samples [2][]sample // by lane
	video   [2]bool
	lead    [2]int64
	octets  int64 // of media
	odd     bool  // a time does not fit where it is written
}

// chunks cuts a segment into fragments, each as long as v.chunk, so that a player which
// reads on and on has sound and picture near each other. The chunk is valid during the
// call.
func (v *View) chunks(i int, visit func(*chunk)) {
	s := &v.segments[i]
	var c chunk
	var readers [2]laneReader
	for k, l := range v.lanes {
		c.video[k], c.lead[k] = l.video, l.lead
		readers[k] = laneReader{l: l, c: s.begin[k], left: s.count[k]}
		readers[k].advance()
	}
	for {
		from, leader := time.Duration(math.MaxInt64), -1
		for k := range v.lanes {
			if r := &readers[k]; r.ok {
				if at := r.l.time(r.next.decode); at < from {
					from, leader = at, k
				}
			}
		}
		if leader < 0 {
			return
		}
		c.octets, c.odd = 0, false
		for k, l := range v.lanes {
			c.samples[k] = c.samples[k][:0]
			r := &readers[k]
			end := l.ticks(from + v.chunk)
			if k == leader {
				end = max(end, r.next.decode+1) // however coarse its clock is
			}
			for ; r.ok && r.next.decode < end; r.advance() {
				c.put(k, &r.next)
			}
		}
		visit(&c)
	}
}

// laneReader reads the samples of one lane in one segment, one ahead.
type laneReader struct {
	l    *lane
	c    laneCursor
	left int64
	next sample
	ok   bool
}

func (r *laneReader) advance() {
	if r.ok = r.left > 0; r.ok {
		r.left--
		r.ok = r.l.next(&r.c, &r.next)
	}
}

func (c *chunk) put(k int, s *sample) {
	c.samples[k] = append(c.samples[k], *s)
	c.octets += int64(s.size)
	if d := s.shown + c.lead[k] - s.decode; d != int64(int32(d)) || s.decode < 0 || s.duration == math.MaxUint32 {
		c.odd = true
	}
}

// Sizes of what a fragment's head consists of.
const (
	fragmentHead = 8 + 16 + 8        // moof, mfhd, head of mdat
	trackHead    = 8 + 16 + 20 + 20  // traf, tfhd, tfdt, trun
	pictureRow   = 16                // duration, size, flags, composition
	soundRow     = 8                 // duration, size
	flagsSync    = 0x02000000        // depends on no other
	flagsOther   = 0x01010000        // depends on others, cannot be decoded alone
	pictureFlags = 0x000001 | 0xf<<8 // offset of the data; all four fields
	soundFlags   = 0x000001 | 0x3<<8
)

func (c *chunk) headSize() int {
	n := fragmentHead
	for k, samples := range c.samples {
		if m := len(samples); m > 0 {
			row := soundRow
			if c.video[k] {
				row = pictureRow
			}
			n += trackHead + m*row
		}
	}
	return n
}

// head writes moof and the head of mdat.
func (c *chunk) head(serial uint32) []byte {
	size := c.headSize()
	w := &writer{b: make([]byte, 0, size)}
	data := size // of the track, from moof on
	w.box("moof", func() {
		w.full("mfhd", 0, 0, func() { w.u32(serial) })
		for k, samples := range c.samples {
			if len(samples) == 0 {
				continue
			}
			w.box("traf", func() {
				w.full("tfhd", 0, 0x020000, func() { w.u32(uint32(k + 1)) }) // offsets count from moof
				w.full("tfdt", 1, 0, func() { w.u64(uint64(samples[0].decode)) })
				w.run(c.video[k], data, c.lead[k], samples)
			})
			for _, s := range samples {
				data += int(s.size)
			}
		}
	})
	w.u32(uint32(c.octets + 8))
	w.b = append(w.b, "mdat"...)
	return w.b
}

// run writes trun.
func (w *writer) run(video bool, data int, lead int64, samples []sample) {
	flags := uint32(soundFlags)
	if video {
		flags = pictureFlags
	}
	w.full("trun", 1, flags, func() {
		w.u32(uint32(len(samples)))
		w.u32(uint32(data))
		for _, s := range samples {
			w.u32(s.duration)
			w.u32(s.size)
			if !video {
				continue
			}
			if s.sync {
				w.u32(flagsSync)
			} else {
				w.u32(flagsOther)
			}
			w.u32(uint32(s.shown + lead - s.decode))
		}
	})
}

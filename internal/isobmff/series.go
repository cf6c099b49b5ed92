package isobmff

import (
	"math"
)

// A series holds one number for each sample or chunk: as runs where neighbours are alike,
// else in an array as narrow as the numbers allow. It is built by add alone and is then
// read by any number of cursors at once.
//
// Memory stays in proportion to what was added: a run is never spread into an array that
// is longer than twice the number of calls.
type series struct {
	n     int64 // numbers in it
	calls int64
	runs  []run
	flat  bool // one of the arrays is used in place of runs
	u8    []uint8
	u16   []uint16
	u32   []uint32
	width int // octets of one number while flat
}

type run struct{ count, value uint32 }

// add appends count times value.
func (s *series) add(value uint32, count int64) {
	if count <= 0 {
		return
	}
	s.calls++
	if s.flat && s.n+count > 4*s.calls+1024 {
		s.fold()
	}
	s.n += count
	if s.flat {
		for range count {
			s.push(value)
		}
		return
	}
	s.addRun(value, count)
	// A run has eight octets, a number in an array four at most.
	if r := int64(len(s.runs)); r >= 256 && 2*r > s.n && s.n <= 4*s.calls {
		s.spread()
	}
}

func (s *series) addRun(value uint32, count int64) {
	if last := len(s.runs) - 1; last >= 0 && s.runs[last].value == value {
		more := min(count, math.MaxUint32-int64(s.runs[last].count))
		s.runs[last].count += uint32(more)
		count -= more
	}
	for count > 0 {
		c := min(count, math.MaxUint32)
		s.runs = append(s.runs, run{uint32(c), value})
		count -= c
	}
}

// spread goes over from runs to an array.
func (s *series) spread() {
	runs := s.runs
	s.runs, s.flat, s.width = nil, true, 1
	s.u8 = make([]uint8, 0, s.n)
	for _, r := range runs {
		for range r.count {
			s.push(r.value)
		}
	}
}

// fold goes back to runs, for a series that begins uneven and goes on even.
func (s *series) fold() {
	was := *s
	c := was.cursor()
	s.u8, s.u16, s.u32, s.flat = nil, nil, nil, false
	for range was.n {
		s.addRun(c.next(), 1)
	}
}

func (s *series) push(v uint32) {
	if s.width < 2 && v > math.MaxUint8 {
		s.widen(2)
	}
	if s.width < 4 && v > math.MaxUint16 {
		s.widen(4)
	}
	switch s.width {
	case 1:
		s.u8 = append(s.u8, uint8(v))
	case 2:
		s.u16 = append(s.u16, uint16(v))
	default:
		s.u32 = append(s.u32, v)
	}
}

// widen goes from one octet to two, or from two to four.
func (s *series) widen(to int) {
	s.width = to
	if to == 2 {
		s.u16 = make([]uint16, len(s.u8), cap(s.u8))
		for i, v := range s.u8 {
			s.u16[i] = uint16(v)
		}
		s.u8 = nil
		return
	}
	s.u32 = make([]uint32, len(s.u16), cap(s.u16))
	for i, v := range s.u16 {
		s.u32[i] = uint32(v)
	}
	s.u16 = nil
}

// truncate leaves the first n numbers.
func (s *series) truncate(n int64) {
	if n >= s.n {
		return
	}
	s.n = n
	if s.flat {
		s.u8, s.u16, s.u32 = cut(s.u8, n), cut(s.u16, n), cut(s.u32, n)
		return
	}
	for i := range s.runs {
		r := &s.runs[i]
		if int64(r.count) >= n {
			r.count = uint32(n)
			s.runs = cut(s.runs, int64(i)+min(n, 1))
			return
		}
		n -= int64(r.count)
	}
}

func cut[T any](s []T, n int64) []T { return s[:min(int64(len(s)), n)] }

// uniform gives the value that all numbers have; ok is false when they differ.
func (s *series) uniform() (v uint32, ok bool) {
	if s.flat || len(s.runs) == 0 {
		return 0, len(s.runs) == 0 && !s.flat
	}
	for _, r := range s.runs[1:] {
		if r.value != s.runs[0].value {
			return 0, false
		}
	}
	return s.runs[0].value, true
}

// sum adds up the first n numbers; it stops at math.MaxInt64.
func (s *series) sum(n int64) int64 {
	var total int64
	if s.flat {
		c := s.cursor()
		for range min(n, s.n) {
			total = addCapped(total, int64(c.next()))
		}
		return total
	}
	for _, r := range s.runs {
		k := min(n, int64(r.count))
		if k <= 0 {
			break
		}
		total = addCapped(total, mulCapped(k, int64(r.value)))
		n -= k
	}
	return total
}

// A seriesCursor steps through a series; its copy goes on from the same place. After the
// last number it repeats the last.
type seriesCursor struct {
	s    *series
	i    int // of the run, or of the number
	left uint32
	last uint32
}

func (s *series) cursor() seriesCursor {
	c := seriesCursor{s: s}
	if !s.flat && len(s.runs) > 0 {
		c.left = s.runs[0].count
	}
	return c
}

func (c *seriesCursor) next() uint32 {
	if c.s.flat {
		c.nextFlat()
		return c.last
	}
	for c.left == 0 {
		if c.i+1 >= len(c.s.runs) {
			return c.last
		}
		c.i++
		c.left = c.s.runs[c.i].count
	}
	c.left--
	c.last = c.s.runs[c.i].value
	return c.last
}

func (c *seriesCursor) nextFlat() {
	switch i := c.i; {
	case int64(i) >= c.s.n:
		return
	case c.s.width == 1:
		c.last = uint32(c.s.u8[i])
	case c.s.width == 2:
		c.last = uint32(c.s.u16[i])
	default:
		c.last = c.s.u32[i]
	}
	c.i++
}

// offsets holds the place of each chunk in the file, in five to six octets rather than
// eight.
type offsets struct {
	low  []uint32
	high []uint16 // nil while all are below 4 GiB
}

func (o *offsets) add(v int64) {
	if hi := uint16(v >> 32); hi != 0 && o.high == nil {
		o.high = make([]uint16, len(o.low), max(cap(o.low), 16))
	}
	o.low = append(o.low, uint32(v))
	if o.high != nil {
		o.high = append(o.high, uint16(v>>32))
	}
}

func (o *offsets) truncate(n int) {
	o.low = o.low[:n]
	if o.high != nil {
		o.high = o.high[:n]
	}
}

func (o *offsets) at(i int) int64 {
	v := int64(o.low[i])
	if o.high != nil {
		v |= int64(o.high[i]) << 32
	}
	return v
}

func addCapped(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func mulCapped(a, b int64) int64 {
	if b != 0 && a > math.MaxInt64/b {
		return math.MaxInt64
	}
	return a * b
}

package isobmff

import (
	"encoding/binary"
)

// trackRun reads trun.
func (p *parser) trackRun(r *trackRun, b box) error {
	raw, err := p.head(b, 8)
	if err != nil {
		return err
	}
	flags, n := binary.BigEndian.Uint32(raw)&0xffffff, int64(binary.BigEndian.Uint32(raw[4:]))
	version := raw[0]
	at := b.body + 8
	u32 := func() (uint32, error) {
		if b.end-at < 4 {
			return 0, broken(b, "there are %d octets", b.end-b.body)
		}
		raw, err := p.src.bytes(at, 4)
		if err != nil {
			return 0, p.within(b, err)
		}
		at += 4
		return binary.BigEndian.Uint32(raw), nil
	}
	offset := r.next
	if flags&1 != 0 {
		v, err := u32()
		if err != nil {
			return err
		}
		offset = r.base + int64(int32(v))
	}
	first := r.def.flags
	if flags&4 != 0 {
		if first, err = u32(); err != nil {
			return err
		}
	}
	if offset < 0 {
		return broken(b, "media is at octet %d", offset)
	}
	if r.t.table.n+n > p.lim.Samples {
		return over("%d samples in one track", p.lim.Samples)
	}
	s := runReader{r: r, flags: flags, version: version, first: first, offset: offset, room: p.src.size - offset}
	err = p.runSamples(&s, b, int(at-b.body), n)
	r.next = s.offset
	return err
}

// runReader enters the samples of one run into the track's table.
type runReader struct {
	r       *trackRun
	flags   uint32 // of trun
	version byte
	first   uint32 // flags of the first sample
	offset  int64  // of the next sample
	room    int64  // octets from there to the end of the file
	began   bool
}

func (p *parser) runSamples(s *runReader, b box, head int, n int64) error {
	width := 0
	for _, bit := range []uint32{0x100, 0x200, 0x400, 0x800} {
		if s.flags&bit != 0 {
			width += 4
		}
	}
	tb := &s.r.t.table
	start, from := s.offset, tb.n
	defer func() {
		if added := tb.n - from; added > 0 {
			tb.chunk.add(start)
			tb.perChunk.add(uint32(added), 1)
		}
	}()
	if width == 0 {
		return s.alike(p, n)
	}
	rows, err := p.entries(b, head, n, int64(width)*8)
	if err != nil {
		return err
	}
	for {
		row, err := rows.next()
		if row == nil || err != nil {
			return err
		}
		if !s.one(row) {
			p.m.Truncated = true
			return nil
		}
	}
}

// alike enters n samples that have nothing of their own.
func (s *runReader) alike(p *parser, n int64) error {
	if n > 0 && s.first != s.r.def.flags {
		if !s.put(s.r.def.duration, s.r.def.size, s.first, 0, 1) {
			p.m.Truncated = true
			return nil
		}
		n--
	}
	if v := int64(s.r.def.size); v > 0 && n > s.room/v {
		n = s.room / v
		p.m.Truncated = true
	}
	s.put(s.r.def.duration, s.r.def.size, s.r.def.flags, 0, n)
	return nil
}

// one enters the sample of a row; false when it does not lie in the file.
func (s *runReader) one(row []byte) bool {
	d, flags := s.r.def, s.r.def.flags
	var compose uint32
	take := func(bit uint32, into *uint32) {
		if s.flags&bit != 0 {
			*into, row = binary.BigEndian.Uint32(row), row[4:]
		}
	}
	take(0x100, &d.duration)
	take(0x200, &d.size)
	take(0x400, &flags)
	take(0x800, &compose)
	if !s.began && s.flags&4 != 0 {
		flags = s.first
	}
	return s.put(d.duration, d.size, flags, compose, 1)
}

func (s *runReader) put(duration, size, flags, compose uint32, n int64) bool {
	total := mulCapped(int64(size), n)
	if n <= 0 {
		return true
	}
	if total > s.room {
		return false
	}
	s.began = true
	s.room -= total
	s.offset += total
	tb := &s.r.t.table
	tb.size.add(size, n)
	tb.delta.add(duration, n)
	tb.compose.add(zigzag(int32(compose)), n)
	tb.sync.add(1-flags&nonSync/nonSync, n)
	tb.n += n
	tb.end = addCapped(tb.end, mulCapped(int64(duration), n))
	tb.lastStart = tb.end - int64(duration)
	return true
}

package isobmff

import (
	"encoding/binary"
	"math"
)

// chunks reads stco or co64, and stsc. It gives the number of samples that have a place.
func (p *parser) chunks(t *Track, in map[FourCC]box, samples int64) (int64, error) {
	count, err := p.chunkOffsets(&t.table, in)
	if err != nil || count == 0 {
		return 0, err
	}
	b, ok := in[CC("stsc")]
	if !ok {
		return 0, nil
	}
	r, err := p.table(b, 8, 12)
	if err != nil {
		return 0, err
	}
	var located int64
	var was struct {
		first    int64
		per, use uint32
	}
	used := -2 // none yet
	// put enters the chunks of was, up to the next entry's first.
	put := func(until int64) {
		if n := min(until, count+1) - was.first; n > 0 && was.per > 0 && located < samples {
			t.table.perChunk.add(was.per, n)
			located = addCapped(located, mulCapped(n, int64(was.per)))
			if i := int(was.use) - 1; used == -2 {
				used = i
			} else if used != i {
				used = -1
			}
		}
	}
	was.first = 1
	for {
		row, err := r.next()
		if err != nil {
			return 0, err
		}
		if row == nil {
			break
		}
		first := int64(binary.BigEndian.Uint32(row))
		if first < was.first || was.per == 0 && first != 1 {
			return 0, broken(b, "chunk %d follows chunk %d", first, was.first)
		}
		put(first)
		was.first, was.per, was.use = first, binary.BigEndian.Uint32(row[4:]), binary.BigEndian.Uint32(row[8:])
		if was.per == 0 {
			return 0, broken(b, "there are no samples in chunk %d", first)
		}
	}
	put(math.MaxInt64)
	t.Used = used
	if used < 0 || used >= len(t.Entries) {
		t.Used = -1
	}
	return located, nil
}

func (p *parser) chunkOffsets(tb *table, in map[FourCC]box) (int64, error) {
	b, ok := in[CC("co64")]
	width := 8
	if !ok {
		if b, ok = in[CC("stco")]; !ok {
			return 0, nil
		}
		width = 4
	}
	r, err := p.table(b, 8, width)
	if err != nil {
		return 0, err
	}
	inside := true
	err = r.each(func(row []byte) {
		var v uint64
		if width == 8 {
			v = binary.BigEndian.Uint64(row)
		} else {
			v = uint64(binary.BigEndian.Uint32(row))
		}
		// What lies behind the end of the file ends the track.
		if inside = inside && v <= uint64(p.src.size) && v < 1<<48; inside {
			tb.chunk.add(int64(v))
		} else {
			p.m.Truncated = true
		}
	})
	return int64(len(tb.chunk.low)), err
}

// clip ends the table before the first sample that does not lie in the file.
func (p *parser) clip(tb *table) {
	size, per := tb.size.cursor(), tb.perChunk.cursor()
	same, uniform := tb.size.uniform()
	var i int64
	for c := 0; c < len(tb.chunk.low) && i < tb.n; c++ {
		n := min(int64(per.next()), tb.n-i)
		room := p.src.size - tb.chunk.at(c)
		if uniform && same > 0 {
			if fit := room / int64(same); fit < n {
				i += fit
				p.m.Truncated = true
				break
			}
			i += n
			continue
		}
		for ; n > 0; n-- {
			if room -= int64(size.next()); room < 0 {
				break
			}
			i++
		}
		if n > 0 {
			p.m.Truncated = true
			break
		}
	}
	tb.n = min(tb.n, i)
}

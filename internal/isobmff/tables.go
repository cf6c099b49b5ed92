package isobmff

import (
	"encoding/binary"
	"math"
)

// A rows value reads the fixed-size entries of one table in pieces.
type rows struct {
	p     *parser
	b     box
	at    int64
	left  int64
	width int
	piece []byte
}

// table begins to read the table of a box: skip octets of head, whose last four are the
// number of entries of so many octets. What the box cannot hold is an error; the entries
// count against the limit. Errors: Invalid, TooLarge.
func (p *parser) table(b box, head int, width int) (*rows, error) {
	raw, err := p.head(b, head)
	if err != nil {
		return nil, err
	}
	n := int64(binary.BigEndian.Uint32(raw[head-4:]))
	return p.entries(b, head, n, int64(width)*8)
}

// entries is table where the count stands elsewhere; an entry has so many bits.
func (p *parser) entries(b box, head int, n, bits int64) (*rows, error) {
	octets := (n*bits + 7) / 8
	if octets > b.end-b.body-int64(head) {
		return nil, broken(b, "there are fewer entries than the %d that it announces", n)
	}
	if p.left -= n; p.left < 0 {
		return nil, over("%d entries in the tables of its samples", p.lim.Entries)
	}
	return &rows{p: p, b: b, at: b.body + int64(head), left: octets, width: int(bits+7) / 8}, nil
}

// next gives the next entry, nil after the last.
func (r *rows) next() ([]byte, error) {
	if len(r.piece) == 0 {
		if r.left == 0 {
			return nil, nil
		}
		// A few kilobytes fit any window; no row is cut.
		n := int(min(r.left, int64((24<<10)/r.width*r.width)))
		piece, err := r.p.src.bytes(r.at, n)
		if err != nil {
			return nil, r.p.within(r.b, err)
		}
		r.piece = piece
		r.at += int64(n)
		r.left -= int64(n)
	}
	row := r.piece[:r.width]
	r.piece = r.piece[r.width:]
	return row, nil
}

// head reads the first n octets of a box's content.
func (p *parser) head(b box, n int) ([]byte, error) {
	if b.end-b.body < int64(n) {
		return nil, broken(b, "there are fewer than %d octets", n)
	}
	raw, err := p.src.bytes(b.body, n)
	return raw, p.within(b, err)
}

// samples reads the tables of one track from the boxes of its stbl.
func (p *parser) samples(t *Track, in map[FourCC]box) error {
	tb := &t.table
	claimed, err := p.sizes(tb, in)
	if err != nil || claimed == 0 {
		return err
	}
	located, err := p.chunks(t, in, claimed)
	if err != nil {
		return err
	}
	tb.n = min(claimed, located)
	p.clip(tb)
	if err := p.times(tb, in); err != nil {
		return err
	}
	return p.syncs(tb, in)
}

// sizes reads stsz or stz2 and gives the number of samples.
func (p *parser) sizes(tb *table, in map[FourCC]box) (int64, error) {
	b, ok := in[CC("stsz")]
	if !ok {
		return p.narrowSizes(tb, in)
	}
	raw, err := p.head(b, 12)
	if err != nil {
		return 0, err
	}
	same, n := binary.BigEndian.Uint32(raw[4:]), int64(binary.BigEndian.Uint32(raw[8:]))
	if same != 0 {
		tb.size.add(same, n)
		return n, nil
	}
	r, err := p.entries(b, 12, n, 32)
	if err != nil {
		return 0, err
	}
	return n, r.each(func(row []byte) { tb.size.add(binary.BigEndian.Uint32(row), 1) })
}

// narrowSizes reads stz2 (ISO/IEC 14496-12 section 8.7.3.3).
func (p *parser) narrowSizes(tb *table, in map[FourCC]box) (int64, error) {
	b, ok := in[CC("stz2")]
	if !ok {
		return 0, nil
	}
	raw, err := p.head(b, 12)
	if err != nil {
		return 0, err
	}
	bits, n := int64(raw[7]), int64(binary.BigEndian.Uint32(raw[8:]))
	if bits != 4 && bits != 8 && bits != 16 {
		return 0, broken(b, "sizes have %d bits", bits)
	}
	r, err := p.entries(b, 12, n, bits)
	if err != nil {
		return 0, err
	}
	left := n
	return n, r.each(func(row []byte) {
		switch bits {
		case 4:
			tb.size.add(uint32(row[0]>>4), 1)
			if left--; left > 0 {
				tb.size.add(uint32(row[0]&15), 1)
				left--
			}
		case 8:
			tb.size.add(uint32(row[0]), 1)
		default:
			tb.size.add(uint32(binary.BigEndian.Uint16(row)), 1)
		}
	})
}

// each visits every row.
func (r *rows) each(visit func(row []byte)) error {
	for {
		row, err := r.next()
		if row == nil || err != nil {
			return err
		}
		visit(row)
	}
}

// times reads stts and ctts. Samples that stts leaves out last as long as the last one
// that it has.
func (p *parser) times(tb *table, in map[FourCC]box) error {
	b, ok := in[CC("stts")]
	if !ok {
		return nil
	}
	_, err := p.spans(b, tb.n, func(v uint32, n int64) {
		if v > math.MaxInt32 {
			v = 1 // what writers leave who computed a negative one
		}
		tb.delta.add(v, n)
	})
	if err != nil {
		return err
	}
	b, ok = in[CC("ctts")]
	if !ok {
		return nil
	}
	left, err := p.spans(b, tb.n, func(v uint32, n int64) { tb.compose.add(zigzag(int32(v)), n) })
	tb.compose.add(0, left)
	return err
}

// spans reads a table of (count, value) for n samples and gives how many are left.
func (p *parser) spans(b box, n int64, add func(v uint32, count int64)) (int64, error) {
	r, err := p.table(b, 8, 8)
	if err != nil {
		return 0, err
	}
	err = r.each(func(row []byte) {
		count := min(int64(binary.BigEndian.Uint32(row)), n)
		add(binary.BigEndian.Uint32(row[4:]), count)
		n -= count
	})
	return n, err
}

// syncs reads stss; without one every sample can be decoded by itself.
func (p *parser) syncs(tb *table, in map[FourCC]box) error {
	b, ok := in[CC("stss")]
	if !ok {
		tb.sync.add(1, tb.n)
		return nil
	}
	r, err := p.table(b, 8, 4)
	if err != nil {
		return err
	}
	var at int64 // samples entered
	err = r.each(func(row []byte) {
		next := int64(binary.BigEndian.Uint32(row)) - 1
		if next < at || next >= tb.n {
			return // twice, out of order, or of no sample
		}
		tb.sync.add(0, next-at)
		tb.sync.add(1, 1)
		at = next + 1
	})
	tb.sync.add(0, tb.n-at)
	return err
}

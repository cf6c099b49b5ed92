package isobmff

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/videoactivmail/vam"
)

// fragmentDefaults are those of trex, then of tfhd.
type fragmentDefaults struct{ description, duration, size, flags uint32 }

// nonSync is the bit of sample flags that says a sample needs others to be decoded.
const nonSync = 0x10000

// extends reads mvex.
func (p *parser) extends(b box) error {
	p.defaults = make(map[uint32]fragmentDefaults)
	return p.children(b, b.body, func(c box) error {
		if !c.is("trex") {
			return nil
		}
		raw, err := p.head(c, 24)
		if err != nil {
			return err
		}
		if len(p.defaults) >= p.lim.Tracks {
			return over("%d tracks", p.lim.Tracks)
		}
		p.defaults[binary.BigEndian.Uint32(raw[4:])] = fragmentDefaults{
			description: binary.BigEndian.Uint32(raw[8:]),
			duration:    binary.BigEndian.Uint32(raw[12:]),
			size:        binary.BigEndian.Uint32(raw[16:]),
			flags:       binary.BigEndian.Uint32(raw[20:]),
		}
		return nil
	})
}

// fragment reads a moof. What is damaged in it ends the recording there.
func (p *parser) fragment(b box) error {
	next := b.at // where media is that has no offset of its own
	return p.children(b, b.body, func(c box) error {
		if !c.is("traf") {
			return nil
		}
		return p.trackFragment(b, c, &next)
	})
}

// A trackRun is what one traf has been read to.
type trackRun struct {
	t    *Track
	def  fragmentDefaults
	base int64 // of the offsets of its runs
	next int64 // where the next run begins that names no offset
}

func (p *parser) trackFragment(moof, b box, next *int64) error {
	var r *trackRun
	return p.children(b, b.body, func(c box) error {
		switch {
		case c.is("tfhd"):
			var err error
			if r, err = p.fragmentHead(moof, c, *next); r != nil {
				r.next = r.base
			}
			return err
		case c.is("tfdt") && r != nil:
			return p.fragmentTime(r.t, c)
		case c.is("trun") && r != nil:
			err := p.trackRun(r, c)
			*next = r.next
			return err
		}
		return nil
	})
}

// fragmentHead reads tfhd; nil is a track that the index does not have.
func (p *parser) fragmentHead(moof, b box, next int64) (*trackRun, error) {
	raw, err := p.whole(b, 64)
	if err != nil {
		return nil, err
	}
	if len(raw) < 8 {
		return nil, broken(b, "there are %d octets", len(raw))
	}
	flags, id := binary.BigEndian.Uint32(raw)&0xffffff, binary.BigEndian.Uint32(raw[4:])
	t := p.m.Track(int(id))
	if t == nil {
		return nil, nil
	}
	r := &trackRun{t: t, def: p.defaults[id], base: next}
	if flags&0x020000 != 0 {
		r.base = moof.at
	}
	rest := raw[8:]
	short := false
	u32 := func(bit uint32, into *uint32) {
		if flags&bit == 0 {
			return
		}
		if len(rest) < 4 {
			short = true
			return
		}
		*into, rest = binary.BigEndian.Uint32(rest), rest[4:]
	}
	if flags&1 != 0 {
		if len(rest) < 8 {
			return nil, broken(b, "there are %d octets", len(raw))
		}
		base := binary.BigEndian.Uint64(rest)
		if base > uint64(p.src.size) {
			return nil, broken(b, "media is at octet %d, behind the end of the file", base)
		}
		r.base, rest = int64(base), rest[8:]
	}
	u32(2, &r.def.description)
	u32(8, &r.def.duration)
	u32(16, &r.def.size)
	u32(32, &r.def.flags)
	if short {
		return nil, broken(b, "there are %d octets", len(raw))
	}
	p.describe(t, r.def.description)
	return r, nil
}

// describe notes which description the samples that follow have.
func (p *parser) describe(t *Track, description uint32) {
	i := int(description) - 1
	if i < 0 || i >= len(t.Entries) || t.table.n > 0 && t.Used != i {
		i = -1
	}
	t.Used = i
}

// fragmentTime reads tfdt. A clock that goes back is not followed: the samples come one
// after the other.
func (p *parser) fragmentTime(t *Track, b box) error {
	raw, err := p.head(b, 8)
	if err != nil {
		return err
	}
	at := uint64(binary.BigEndian.Uint32(raw[4:]))
	if raw[0] == 1 {
		if raw, err = p.head(b, 12); err != nil {
			return err
		}
		at = binary.BigEndian.Uint64(raw[4:])
	}
	const most = 1 << 60
	if at > most {
		return broken(b, "the time is %d", at)
	}
	t.table.clock(int64(at))
	return nil
}

// clock sets the time of decoding of the sample that is added next.
func (tb *table) clock(at int64) {
	now, last := tb.now()
	if at == now && tb.n > 0 || at < last {
		return
	}
	if k := len(tb.jumps) - 1; k >= 0 && tb.jumps[k].sample == tb.n {
		tb.jumps = tb.jumps[:k]
	}
	tb.jumps = append(tb.jumps, jump{tb.n, at})
	tb.end, tb.lastStart = at, at
}

func (tb *table) now() (now, last int64) { return tb.end, tb.lastStart }

// trim leaves in a table what belongs to its n samples, so that those of fragments follow.
func (tb *table) trim() {
	for _, s := range []*series{&tb.size, &tb.delta, &tb.compose, &tb.sync} {
		s.truncate(tb.n)
	}
	if tb.n > 0 && tb.compose.n == 0 {
		tb.compose.add(0, tb.n)
	}
	was, per := tb.perChunk.cursor(), series{}
	chunks, left := 0, tb.n
	for left > 0 {
		k := min(int64(was.next()), left)
		per.add(uint32(k), 1)
		left -= k
		chunks++
	}
	tb.perChunk = per
	tb.chunk.truncate(chunks)
	tb.end = tb.delta.sum(tb.n)
	tb.lastStart = tb.delta.sum(tb.n - 1)
}

// settle ends the table of a track whose samples came in fragments.
func (p *parser) settle(t *Track) {
	if v, ok := t.table.compose.uniform(); ok && v == 0 {
		t.table.compose = series{}
	}
}

// damaged reports whether err says that the file itself is wrong.
func damaged(err error) bool {
	var e *vam.Error
	return errors.As(err, &e) && e.Kind == vam.Invalid || errors.Is(err, io.ErrUnexpectedEOF)
}

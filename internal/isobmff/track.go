package isobmff

import (
	"encoding/binary"
	"math"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/media"
)

// track reads a box trak.
func (p *parser) track(b box) error {
	if len(p.m.Tracks) >= p.lim.Tracks {
		return over("%d tracks", p.lim.Tracks)
	}
	t := &Track{Used: -1}
	// Descriptions stand deeper than the edit list and may come before it, so that the
	// boxes are collected first.
	err := p.children(b, b.body, func(c box) error {
		switch {
		case c.is("tkhd"):
			return p.trackHead(t, c)
		case c.is("edts"):
			return p.children(c, c.body, func(e box) error {
				if e.is("elst") {
					return p.editList(t, e)
				}
				return nil
			})
		case c.is("tref"):
			return p.children(c, c.body, func(r box) error {
				if r.is("chap") {
					return p.references(t, r)
				}
				return nil
			})
		case c.is("mdia"):
			return p.mediaOf(t, c)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if p.m.Track(t.ID) != nil {
		return broken(b, "the number %d is that of another track", t.ID)
	}
	p.m.Tracks = append(p.m.Tracks, t)
	return nil
}

func (p *parser) trackHead(t *Track, b box) error {
	raw, err := p.head(b, 84)
	if err != nil {
		return err
	}
	t.Enabled = raw[3]&1 != 0
	rest := raw[20:]
	t.ID = int(binary.BigEndian.Uint32(raw[12:]))
	if raw[0] == 1 {
		if raw, err = p.head(b, 96); err != nil {
			return err
		}
		t.ID = int(binary.BigEndian.Uint32(raw[20:]))
		rest = raw[32:]
	}
	// rest: duration, 8 reserved, layer, group, volume, 2 reserved, matrix, width, height.
	rest = rest[4:]
	t.Volume = int16(binary.BigEndian.Uint16(rest[12:]))
	for i := range t.Matrix {
		t.Matrix[i] = int32(binary.BigEndian.Uint32(rest[16+4*i:]))
	}
	t.Width = binary.BigEndian.Uint32(rest[52:])
	t.Height = binary.BigEndian.Uint32(rest[56:])
	return nil
}

func (p *parser) editList(t *Track, b box) error {
	raw, err := p.head(b, 8)
	if err != nil {
		return err
	}
	wide := raw[0] == 1
	width := 12
	if wide {
		width = 20
	}
	if n := binary.BigEndian.Uint32(raw[4:]); int64(n)+int64(len(t.Edits)) > int64(p.lim.Edits) {
		return over("%d entries in the edit list of one track", p.lim.Edits)
	}
	r, err := p.table(b, 8, width)
	if err != nil {
		return err
	}
	return r.each(func(row []byte) {
		var e Edit
		if wide {
			e.Duration = int64(min(binary.BigEndian.Uint64(row), math.MaxInt64))
			e.Start = int64(binary.BigEndian.Uint64(row[8:]))
		} else {
			e.Duration = int64(binary.BigEndian.Uint32(row))
			e.Start = int64(int32(binary.BigEndian.Uint32(row[4:])))
		}
		e.Start = max(e.Start, -1)
		e.Rate = int32(binary.BigEndian.Uint32(row[width-4:]))
		t.Edits = append(t.Edits, e)
	})
}

func (p *parser) references(t *Track, b box) error {
	raw, err := p.whole(b, 4*int64(p.lim.Tracks))
	if err != nil {
		return err
	}
	for i := 0; i+4 <= len(raw); i += 4 {
		t.refs = append(t.refs, binary.BigEndian.Uint32(raw[i:]))
	}
	return nil
}

func (p *parser) mediaOf(t *Track, b box) error {
	var minf box
	err := p.children(b, b.body, func(c box) error {
		switch {
		case c.is("mdhd"):
			return p.mediaHead(t, c)
		case c.is("hdlr"):
			raw, err := p.head(c, 12)
			if err == nil {
				t.Handler = FourCC(raw[8:])
			}
			return err
		case c.is("minf"):
			minf = c
		}
		return nil
	})
	if err != nil {
		return err
	}
	if t.Timescale == 0 {
		return broken(b, "a second has no units")
	}
	var dinf, stbl box
	err = p.children(minf, minf.body, func(c box) error {
		switch {
		case c.is("dinf"):
			dinf = c
		case c.is("stbl"):
			stbl = c
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.sampleTable(t, stbl, dinf)
}

func (p *parser) mediaHead(t *Track, b box) error {
	raw, err := p.head(b, 20)
	if err != nil {
		return err
	}
	rest := raw[12:]
	wide := raw[0] == 1
	if wide {
		if raw, err = p.head(b, 34); err != nil {
			return err
		}
		rest = raw[20:]
	} else if b.end-b.body >= 22 {
		if raw, err = p.head(b, 22); err != nil {
			return err
		}
		rest = raw[12:]
	}
	t.Timescale = binary.BigEndian.Uint32(rest)
	if wide {
		t.claimed = int64(min(binary.BigEndian.Uint64(rest[4:]), math.MaxInt64))
		rest = rest[12:]
	} else {
		t.claimed = int64(binary.BigEndian.Uint32(rest[4:]))
		rest = rest[8:]
	}
	if len(rest) >= 2 {
		t.Language = language(binary.BigEndian.Uint16(rest))
	}
	return nil
}

// language unpacks three letters of five bits; the codes of old QuickTime are left out.
func language(v uint16) string {
	var s [3]byte
	for i := range s {
		s[i] = byte(v>>(10-5*i))&31 + 0x60
		if s[i] < 'a' || s[i] > 'z' {
			return ""
		}
	}
	if string(s[:]) == "und" {
		return ""
	}
	return string(s[:])
}

// sampleTable reads stbl: the descriptions first, then the tables.
func (p *parser) sampleTable(t *Track, stbl, dinf box) error {
	in := make(map[FourCC]box)
	err := p.children(stbl, stbl.body, func(c box) error {
		if _, twice := in[c.kind]; !twice {
			in[c.kind] = c
		}
		return nil
	})
	if err != nil {
		return err
	}
	if b, ok := in[CC("stsd")]; ok {
		if err := p.descriptions(t, b); err != nil {
			return err
		}
	}
	if err := p.samples(t, in); err != nil {
		return err
	}
	return p.inside(t, dinf)
}

// inside refuses a track of picture or sound whose media is in another file: nobody may
// make this server, or whatever it hands the file to, open that.
func (p *parser) inside(t *Track, dinf box) error {
	if t.Handler != CC("vide") && t.Handler != CC("soun") {
		return nil
	}
	return p.children(dinf, dinf.body, func(c box) error {
		if !c.is("dref") || c.end-c.body < 8 {
			return nil
		}
		n := 0
		return p.children(c, c.body+8, func(ref box) error {
			raw, err := p.head(ref, 4)
			if err != nil {
				return err
			}
			n++
			for _, e := range t.Entries {
				if int(e.dataReference) == n && raw[3]&1 == 0 {
					return vam.Wrap(vam.Invalid, media.Refuse(media.Unsupported, nil),
						"the media of this recording is in another file, which the box %s at octet %d names: only what is in the file itself is read", ref.kind, ref.at)
				}
			}
			return nil
		})
	})
}

package isobmff

import (
	"encoding/binary"
	"math"
)

// Entry is one sample description (ISO/IEC 14496-12 section 8.5.2): what the samples are
// coded as.
type Entry struct {
	// Type is as it stands in the file; Format is what it is behind encryption, otherwise
	// the same.
	Type, Format FourCC
	// Raw is the whole box with its head of eight octets.
	Raw []byte
	// Scheme is that of the encryption, such as "cenc"; zero when there is none.
	Scheme FourCC

	Width, Height        int // in pixels as coded
	AspectX, AspectY     int // shape of one pixel; 0 is not known
	Channels, SampleRate int

	dataReference uint16
	parts         []part // boxes within, those of QuickTime's wave among them
	bits          int    // of one sample of sound
	pcmFlags      uint32 // of QuickTime's second version of sound
}

// A part is a box within an entry; raw is the whole of it.
type part struct {
	kind FourCC
	raw  []byte
}

// Part gives the whole box of a type within the entry, nil when there is none.
func (e *Entry) Part(kind string) []byte {
	for _, p := range e.parts {
		if string(p.kind[:]) == kind {
			return p.raw
		}
	}
	return nil
}

// content is Part without its head, and without version and flags when full is set.
func (e *Entry) content(kind string, full bool) []byte {
	head := 8
	if full {
		head = 12
	}
	if raw := e.Part(kind); len(raw) >= head {
		return raw[head:]
	}
	return nil
}

// descriptions reads stsd.
func (p *parser) descriptions(t *Track, b box) error {
	const most = 64 // descriptions of one track
	if _, err := p.head(b, 8); err != nil {
		return err
	}
	return p.children(b, b.body+8, func(c box) error {
		if len(t.Entries) == most {
			return over("%d sample descriptions in one track", most)
		}
		if p.described += c.end - c.at; p.described > p.lim.Descriptions {
			return over("%d octets of sample descriptions", p.lim.Descriptions)
		}
		raw, err := p.whole(box{kind: c.kind, at: c.at, body: c.at, end: c.end}, p.lim.Description)
		if err != nil {
			return err
		}
		if len(raw) < 16 {
			return broken(c, "there are %d octets", len(raw))
		}
		e := &Entry{Type: c.kind, Format: c.kind, Raw: raw, dataReference: binary.BigEndian.Uint16(raw[14:])}
		switch {
		case t.Handler == CC("vide"):
			e.picture()
		case t.Handler == CC("soun"):
			e.sound()
		}
		e.protection()
		t.Entries = append(t.Entries, e)
		return nil
	})
}

// picture reads a VisualSampleEntry; one that is too short stays unknown.
func (e *Entry) picture() {
	const head = 86
	if len(e.Raw) < head {
		return
	}
	e.Width = int(binary.BigEndian.Uint16(e.Raw[32:]))
	e.Height = int(binary.BigEndian.Uint16(e.Raw[34:]))
	e.split(e.Raw[head:], 0)
	if a := e.content("pasp", false); len(a) >= 8 {
		e.AspectX, e.AspectY = aspect(binary.BigEndian.Uint32(a), binary.BigEndian.Uint32(a[4:]))
	}
}

func aspect(x, y uint32) (int, int) {
	if x == 0 || y == 0 || x > math.MaxInt32 || y > math.MaxInt32 {
		return 0, 0
	}
	return int(x), int(y)
}

// sound reads an AudioSampleEntry, or QuickTime's sound description of version 1 or 2.
func (e *Entry) sound() {
	const head = 36
	if len(e.Raw) < head {
		return
	}
	e.Channels = int(binary.BigEndian.Uint16(e.Raw[24:]))
	e.bits = int(binary.BigEndian.Uint16(e.Raw[26:]))
	e.SampleRate = int(binary.BigEndian.Uint32(e.Raw[32:]) >> 16)
	at := head
	switch binary.BigEndian.Uint16(e.Raw[16:]) {
	case 1:
		// In ISO files the version 1 has no more fields; they are told apart by what follows.
		if !looksLikeBox(e.Raw[at:]) {
			at += 16
		}
	case 2:
		if len(e.Raw) < head+36 {
			return
		}
		rate := math.Float64frombits(binary.BigEndian.Uint64(e.Raw[40:]))
		if rate > 0 && rate < 1e7 {
			e.SampleRate = int(rate)
		}
		e.Channels = int(min(binary.BigEndian.Uint32(e.Raw[48:]), 256))
		e.bits = int(min(binary.BigEndian.Uint32(e.Raw[56:]), 64))
		e.pcmFlags = binary.BigEndian.Uint32(e.Raw[60:])
		at += 36
	}
	if at <= len(e.Raw) {
		e.split(e.Raw[at:], 0)
	}
	if s := e.content("srat", true); len(s) >= 4 {
		e.SampleRate = int(min(binary.BigEndian.Uint32(s), 1<<24))
	}
}

func looksLikeBox(raw []byte) bool {
	if len(raw) < 8 {
		return len(raw) == 0
	}
	n := binary.BigEndian.Uint32(raw)
	if n < 8 || int64(n) > int64(len(raw)) {
		return false
	}
	for _, c := range raw[4:8] {
		if c < ' ' {
			return false
		}
	}
	return true
}

// split notes the boxes in raw; QuickTime's wave, whose content counts as the entry's own,
// is looked into. What is damaged ends it: an entry that lacks what it needs is refused by
// whoever needs it.
func (e *Entry) split(raw []byte, depth int) {
	const most = 64
	for len(raw) >= 8 && len(e.parts) < most {
		n := binary.BigEndian.Uint32(raw)
		if n < 8 || int64(n) > int64(len(raw)) {
			return
		}
		kind := FourCC(raw[4:])
		if kind == CC("wave") && depth == 0 {
			e.split(raw[8:n], 1)
		} else {
			e.parts = append(e.parts, part{kind, raw[:n]})
		}
		raw = raw[n:]
	}
}

// protection reads sinf: the format behind the encryption, and its scheme.
func (e *Entry) protection() {
	switch e.Type.String() {
	case "encv", "enca", "enct", "encs", "drmi", "drms", "p608":
		e.Scheme = CC("????")
	}
	inner := Entry{}
	inner.split(e.content("sinf", false), 1)
	if f := inner.content("frma", false); len(f) >= 4 && e.Scheme != (FourCC{}) {
		e.Format = FourCC(f)
	}
	if s := inner.content("schm", true); len(s) >= 4 {
		e.Scheme = FourCC(s)
	}
}

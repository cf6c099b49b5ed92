package isobmff

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
)

// A parser reads one file. It belongs to one goroutine.
type parser struct {
	src       *source
	lim       Limits
	m         *Movie
	boxes     int   // that may still come
	left      int64 // entries that may still come
	described int64 // octets of sample descriptions so far
	fragments int
	defaults  map[uint32]fragmentDefaults // of mvex, by track
	media     bool                        // an mdat was seen
}

// Read reads the index of a file of size octets from r, which need not hold them all yet:
// where an error of kind Unavailable says that a range has not arrived, Read answers with
// a *Missing, or, once it has the index of a file of fragments, with a Movie as far as the
// fragments go. A file that was cut short gives the samples that it holds.
//
// Errors: NotFound for what is no ISO base media; Invalid for a damaged file, with the box
// and its offset, and for one whose media is elsewhere; TooLarge for one over a limit,
// which it names; *Missing (Unavailable); those of r.
func Read(r io.ReaderAt, size int64, lim Limits) (*Movie, error) {
	lim = lim.orDefaults()
	p := &parser{
		src: &source{r: r, size: size}, lim: lim, m: &Movie{Size: size},
		boxes: lim.Boxes, left: lim.Entries,
	}
	found, err := p.file()
	if err != nil {
		return nil, err
	}
	if !found {
		if still(p.m.Brands) {
			p.m.Still = true
			return p.m, nil
		}
		return nil, broken(box{kind: CC("moov"), at: size}, "there is nothing: the index of the recording is missing")
	}
	return p.m, p.finish()
}

// count takes one box off what may come.
func (p *parser) count() error {
	if p.boxes--; p.boxes < 0 {
		return over("%d boxes", p.lim.Boxes)
	}
	return nil
}

// beginnings are the boxes that a file may begin with.
const beginnings = "ftyp styp moov mdat free skip wide pnot moof sidx uuid prft emsg"

// begins refuses what is no ISO base media by its first octets.
func (p *parser) begins() error {
	const furthest = 1 << 48 // 256 TiB, and what offsets may be
	if p.src.size < 8 {
		return notHere()
	}
	if p.src.size > furthest {
		return over("%d octets", int64(furthest))
	}
	head, err := p.src.bytes(0, 8)
	if err == nil && !strings.Contains(beginnings, FourCC(head[4:]).String()) {
		return notHere()
	}
	return p.within(box{}, err)
}

// file goes through the boxes of the file; found says that there was an index.
func (p *parser) file() (found bool, err error) {
	if err := p.begins(); err != nil {
		return false, err
	}
	for at := int64(0); at < p.src.size; {
		b, err := p.src.box(at, p.src.size)
		if err != nil {
			var missing *Missing
			if errors.As(err, &missing) && p.media && !found {
				// The index comes behind the media, and in most files nothing behind that.
				missing.Size = p.src.size - missing.Offset
			}
			return found, p.stop(found, b, err)
		}
		if err := p.count(); err != nil {
			return found, err
		}
		if err := p.top(b, &found); err != nil {
			return found, p.stop(found, b, err)
		}
		if found && !p.m.Fragmented {
			return true, nil
		}
		at = b.end
	}
	return found, nil
}

// stop decides what an error in a box of the file means. Fragments end where they are
// damaged or have not arrived; everything else is refused.
func (p *parser) stop(found bool, b box, err error) error {
	if !found || !p.m.Fragmented {
		return p.within(b, err)
	}
	var missing *Missing
	if errors.As(err, &missing) {
		p.m.Missing = missing
		return nil
	}
	if damaged(err) {
		p.m.Truncated = true
		return nil
	}
	return err
}

// top reads one box of the file.
func (p *parser) top(b box, found *bool) error {
	switch {
	case b.is("ftyp"), b.is("styp"):
		if len(p.m.Brands) == 0 {
			return p.brands(b)
		}
	case b.is("mdat"):
		p.media = true
	case b.is("moov") && !*found:
		if b.end > p.src.size {
			return broken(b, "the size reaches beyond the end of the file")
		}
		if err := p.movie(b); err != nil {
			return p.needs(b, err)
		}
		if p.m.Fragmented {
			for _, t := range p.m.Tracks {
				t.table.trim()
			}
		}
		*found = true
		p.m.IndexLast = p.media
	case b.is("moof") && *found:
		if p.fragments++; p.fragments > p.lim.Fragments {
			return over("%d fragments", p.lim.Fragments)
		}
		p.boxes += 16 + 4*len(p.m.Tracks)
		if b.end > p.src.size {
			return broken(b, "the size reaches beyond the end of the file")
		}
		return p.fragment(b)
	}
	return nil
}

// needs makes the range of a missing error all of the box.
func (p *parser) needs(b box, err error) error {
	var missing *Missing
	if errors.As(err, &missing) {
		return &Missing{Offset: b.at, Size: b.end - b.at, Least: b.end - b.at, Cause: missing.Cause}
	}
	return err
}

func (p *parser) brands(b box) error {
	const most = 64 // far more than any writer lists
	raw, err := p.whole(b, 8+4*most)
	if err != nil {
		return err
	}
	for i := 0; i+4 <= len(raw); i += 4 {
		if cc := FourCC(raw[i:]); i != 4 && !slices.Contains(p.m.Brands, cc) {
			p.m.Brands = append(p.m.Brands, cc)
		}
	}
	return nil
}

// movie reads the box moov.
func (p *parser) movie(b box) error {
	return p.children(b, b.body, func(c box) error {
		switch {
		case c.is("mvhd"):
			return p.movieHead(c)
		case c.is("trak"):
			return p.track(c)
		case c.is("mvex"):
			p.m.Fragmented = true
			return p.extends(c)
		case c.is("udta"):
			p.chapterList(c)
		}
		return nil
	})
}

func (p *parser) movieHead(b box) error {
	raw, err := p.head(b, 24)
	if err != nil {
		return err
	}
	at := 12
	if raw[0] == 1 {
		at = 20
	}
	p.m.Timescale = binary.BigEndian.Uint32(raw[at:])
	return nil
}

// chapterList counts the chapters of a box chpl, which is no standard but common. It is no
// reason to refuse a file.
func (p *parser) chapterList(b box) {
	_ = p.children(b, b.body, func(c box) error {
		if c.is("chpl") {
			if raw, err := p.head(c, 9); err == nil {
				p.m.Chapters = int(raw[8])
			}
		}
		return nil
	})
}

// finish puts together what only the whole index tells.
func (p *parser) finish() error {
	for _, t := range p.m.Tracks {
		if p.m.Fragmented {
			p.settle(t)
		}
		for _, id := range t.refs {
			if c := p.m.Track(int(id)); c != nil && c != t {
				c.Chapters = true
				p.m.Chapters = max(p.m.Chapters, int(min(c.Len(), 1<<16)))
			}
		}
	}
	return nil
}

// still reports whether the brands are those of pictures (ISO/IEC 23008-12, AVIF).
func still(brands []FourCC) bool {
	return slices.ContainsFunc(brands, func(b FourCC) bool {
		switch b.String() {
		case "mif1", "mif2", "heic", "heix", "heim", "heis", "avif", "msf1", "miaf", "crx ":
			return true
		}
		return false
	})
}

package isobmff

import (
	"encoding/binary"
	"io"

	"github.com/videoactivmail/vam"
)

// FourCC is the type of a box, a brand, a handler or a sample entry: four octets.
type FourCC [4]byte

// CC makes a FourCC of the first four octets of s.
func CC(s string) FourCC {
	var f FourCC
	copy(f[:], s)
	return f
}

// String shows octets that are not printable as dots, so that it is safe in a log.
func (f FourCC) String() string {
	for i, c := range f {
		if c < ' ' || c > '~' {
			f[i] = '.'
		}
	}
	return string(f[:])
}

// A box is where a box stands in the file. Its content is [body, end).
type box struct {
	kind          FourCC
	at, body, end int64
}

func (b box) is(kind string) bool { return string(b.kind[:]) == kind }

// How much is read at a time: little after a jump, since a file of fragments is one jump
// after another, and much once reading goes straight on.
const (
	windowJump = 4 << 10
	windowMost = 64 << 10
)

// A source reads the file through one window, so that a million tiny boxes are not a
// million calls. It belongs to one goroutine.
type source struct {
	r    io.ReaderAt
	size int64
	buf  []byte // the octets of the window
	at   int64  // its offset
}

// bytes gives n octets at off, valid until the next call; n is at most windowMost.
// Errors: Missing, Invalid (io.ErrUnexpectedEOF) past the end of the file, those of the
// reader.
func (s *source) bytes(off int64, n int) ([]byte, error) {
	if i := off - s.at; i >= 0 && i+int64(n) <= int64(len(s.buf)) {
		return s.buf[i : i+int64(n)], nil
	}
	if off < 0 || int64(n) > s.size-off {
		return nil, io.ErrUnexpectedEOF
	}
	want := windowJump
	if i := off - s.at; i >= 0 && i <= int64(len(s.buf)) {
		want = min(2*max(len(s.buf), windowJump), windowMost)
	}
	want = int(min(int64(max(want, n)), s.size-off))
	if cap(s.buf) < want {
		s.buf = make([]byte, 0, windowMost)
	}
	got, err := s.read(off, want, n)
	if got < n {
		s.buf = s.buf[:0]
		return nil, s.failed(off, n, err)
	}
	s.at, s.buf = off, s.buf[:got]
	return s.buf[:n], nil
}

// read fills the window; where what lies ahead cannot be had, it asks for no more than
// what is needed.
func (s *source) read(off int64, want, need int) (int, error) {
	got, err := s.r.ReadAt(s.buf[:want], off)
	if got < need && want > need {
		got, err = s.r.ReadAt(s.buf[:need], off)
	}
	return got, err
}

func (s *source) failed(off int64, n int, err error) error {
	switch {
	case err == nil || err == io.EOF:
		return io.ErrUnexpectedEOF
	case vam.KindOf(err) == vam.Unavailable:
		return &Missing{Offset: off, Size: int64(n), Least: int64(n), Cause: err}
	}
	return err
}

// box reads the head of the box at off, whose parent ends at limit. A box that says it is
// longer than its parent has its end where it says: the caller decides. Errors: Invalid
// for a size that cannot be, those of bytes.
func (s *source) box(off, limit int64) (box, error) {
	b := box{at: off, body: off + 8, end: limit}
	if limit-off < 8 {
		return b, broken(b, "there are %d octets where another box would stand", limit-off)
	}
	head, err := s.bytes(off, 8)
	if err != nil {
		return b, err
	}
	size := int64(binary.BigEndian.Uint32(head))
	copy(b.kind[:], head[4:])
	switch size {
	case 0: // as far as what it stands in
		return b, nil
	case 1:
		long, err := s.bytes(off+8, 8)
		if err != nil {
			return b, err
		}
		b.body += 8
		wide := binary.BigEndian.Uint64(long)
		if wide > 1<<62 {
			wide = 1 << 62
		}
		size = int64(wide)
	}
	if size < b.body-b.at {
		return b, broken(b, "the size is %d octets, less than its own head", size)
	}
	b.end = off + min(size, 1<<62-off)
	return b, nil
}

// children calls visit for each box within parent; content begins at from. Errors:
// Invalid when a child is longer than its parent, TooLarge, those of box and visit.
func (p *parser) children(parent box, from int64, visit func(box) error) error {
	for at := from; at < parent.end; {
		// QuickTime ends some lists with four octets of zero.
		if parent.end-at < 8 {
			return nil
		}
		b, err := p.src.box(at, parent.end)
		if err != nil {
			return err
		}
		if b.end > parent.end {
			return broken(b, "the size reaches beyond the box %s that it stands in", parent.kind)
		}
		if err := p.count(); err != nil {
			return err
		}
		if err := visit(b); err != nil {
			return err
		}
		at = b.end
	}
	return nil
}

// whole reads the content of a small box into memory of its own. Errors: Invalid, TooLarge.
func (p *parser) whole(b box, most int64) ([]byte, error) {
	n := b.end - b.body
	if n > most {
		return nil, over("%d octets in the box %s at octet %d", most, b.kind, b.at)
	}
	out := make([]byte, 0, min(n, windowMost))
	for off := b.body; off < b.end; {
		step := int(min(b.end-off, windowMost))
		part, err := p.src.bytes(off, step)
		if err != nil {
			return nil, p.within(b, err)
		}
		out = append(out, part...)
		off += int64(step)
	}
	return out, nil
}

// within says of an early end which box it was.
func (p *parser) within(b box, err error) error {
	if err == io.ErrUnexpectedEOF {
		return broken(b, "the file ends")
	}
	return err
}

package cmaf

import (
	"io"
	"sort"
	"sync"
)

// Progressive is the whole view as one file. Its media is read from r, the original; an
// error of r passes through, behind the octets before it. It may be used from several
// goroutines only by ReadAt.
func (v *View) Progressive(r io.ReaderAt) *io.SectionReader {
	return io.NewSectionReader(&file{v: v, r: r, last: -1}, 0, v.size)
}

// Open is one segment as a file; see Progressive.
func (v *View) Open(r io.ReaderAt, segment int) *io.SectionReader {
	s := v.segments[segment]
	return io.NewSectionReader(&file{v: v, r: r, last: -1}, s.Offset, s.Size)
}

// file reads the progressive file. The pieces of the segment that was read last are kept,
// since the next read is most likely in it.
type file struct {
	v *View
	r io.ReaderAt

	mu     sync.Mutex
	last   int
	pieces []Piece
	starts []int64 // of the pieces, in the segment
}

// ReadAt implements io.ReaderAt.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	if off < int64(len(f.v.head)) {
		n = copy(p, f.v.head[off:])
	}
	for n < len(p) {
		at := off + int64(n)
		if at >= f.v.size {
			return n, io.EOF
		}
		i := f.v.SegmentAt(at)
		got, err := f.readSegment(i, p[n:], at-f.v.segments[i].Offset)
		n += got
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (f *file) of(i int) ([]Piece, []int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last != i {
		f.pieces = f.v.Pieces(i)
		f.starts = make([]int64, len(f.pieces))
		var at int64
		for k, p := range f.pieces {
			f.starts[k] = at
			at += p.Size
		}
		f.last = i
	}
	return f.pieces, f.starts
}

// readSegment fills p from octet at of a segment, at most to its end.
func (f *file) readSegment(i int, p []byte, at int64) (int, error) {
	pieces, starts := f.of(i)
	k := sort.Search(len(starts), func(k int) bool { return starts[k] > at }) - 1
	n := 0
	for ; k < len(pieces) && n < len(p); k++ {
		piece := pieces[k]
		within := at + int64(n) - starts[k]
		if piece.Data != nil {
			n += copy(p[n:], piece.Data[within:])
			continue
		}
		want := int(min(int64(len(p)-n), piece.Size-within))
		got, err := f.r.ReadAt(p[n:n+want], piece.Offset+within)
		n += got
		if got < want {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return n, err
		}
	}
	return n, nil
}

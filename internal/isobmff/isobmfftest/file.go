package isobmfftest

import (
	"io"
	"slices"
)

// File describes a file. The zero value with tracks is an MP4 whose index comes first.
type File struct {
	Brand     string // major brand; by default "isom"
	Timescale uint32 // of the movie; by default 1000
	Tracks    []Track
	IndexLast bool
	// Fragment is how many samples of each track come in one fragment; 0 is a file without
	// fragments.
	Fragment int
	// Start is the time of the first fragment, in each track's units.
	Start uint64
	// Extra are boxes within moov, behind the tracks.
	Extra []byte
}

// Track describes one track.
type Track struct {
	Video     bool
	Handler   string // by default "vide" or "soun"
	Timescale uint32 // by default 90000 or 48000
	Entry     []byte // by default AVC or AAC
	Samples   []Sample
	Edits     []Edit
	PerChunk  int // samples; by default all that come before another track's
	Wide      bool
	Matrix    [9]int32
	Disabled  bool
	Language  string
	Reference []byte // content of tref
	External  bool   // the media is in another file
}

// Sample describes one sample. Its octets are counted up from a number that differs from
// sample to sample.
type Sample struct {
	Size     int
	Duration uint32
	Compose  int32
	Other    bool // it needs others to be decoded
}

// Edit is one entry of an edit list.
type Edit struct {
	Duration uint64
	Start    int64
	Rate     uint32 // by default 1.0
}

// Upright, Turned90 and Turned180 are matrices.
func Upright() [9]int32 { return [9]int32{1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30} }

// Turned90 shows the picture turned clockwise by 90 degrees.
func Turned90() [9]int32 { return [9]int32{0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30} }

// chunk is a run of samples of one track in the file.
type chunk struct {
	track, from, n int
	offset         int64
}

// layout puts the chunks of all tracks one after the other, in turns; it gives the size of
// the media.
func (f *File) layout() ([]chunk, int64) {
	var out []chunk
	var at int64
	done := make([]int, len(f.Tracks))
	for more := true; more; {
		more = false
		for k, t := range f.Tracks {
			n := t.PerChunk
			if n == 0 {
				n = len(t.Samples)
			}
			n = min(n, len(t.Samples)-done[k])
			if n <= 0 {
				continue
			}
			more = true
			out = append(out, chunk{k, done[k], n, at})
			for _, s := range t.Samples[done[k] : done[k]+n] {
				at += int64(s.Size)
			}
			done[k] += n
		}
	}
	return out, at
}

// Media is the octets of one sample.
func (f *File) Media(track, sample int) []byte {
	out := make([]byte, f.Tracks[track].Samples[sample].Size)
	for i := range out {
		out[i] = byte(i + 31*sample + 101*track)
	}
	return out
}

// Bytes is the whole file.
func (f *File) Bytes() []byte {
	if f.Fragment > 0 {
		return f.fragmented()
	}
	index, chunks, media := f.index()
	var data []byte
	for _, c := range chunks {
		for i := range c.n {
			data = append(data, f.Media(c.track, c.from+i)...)
		}
	}
	if f.IndexLast {
		return slices.Concat(f.ftyp(), mdat(media), data, index)
	}
	return slices.Concat(f.ftyp(), index, mdat(media), data)
}

// Sparse is the file with octets of zero for its media, which take no memory, and its
// size. The index comes first.
func (f *File) Sparse() (io.ReaderAt, int64) {
	f.IndexLast = false
	index, _, media := f.index()
	head := slices.Concat(f.ftyp(), index, mdat(media))
	return &sparse{head}, int64(len(head)) + media
}

type sparse struct{ head []byte }

func (s *sparse) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(s.head)) {
		copy(p, s.head[off:])
	}
	return len(p), nil
}

func (f *File) ftyp() []byte {
	brand := f.Brand
	if brand == "" {
		brand = "isom"
	}
	return Box("ftyp", []byte(brand), U32(512), []byte(brand), []byte("mp41"))
}

// mdat is the head of the media, of a size that does not depend on it.
func mdat(media int64) []byte { return Long("mdat", uint64(16+media)) }

// index gives moov with the offsets that chunks have in the file.
func (f *File) index() (index []byte, chunks []chunk, media int64) {
	chunks, media = f.layout()
	base := int64(len(f.ftyp()) + 16)
	if !f.IndexLast {
		base += int64(len(f.moov(chunks)))
	}
	for i := range chunks {
		chunks[i].offset += base
	}
	return f.moov(chunks), chunks, media
}

func (f *File) timescale() uint32 {
	if f.Timescale == 0 {
		return 1000
	}
	return f.Timescale
}

func (f *File) moov(chunks []chunk) []byte {
	parts := [][]byte{Full("mvhd", 0, 0, U32(0, 0, f.timescale(), 0), make([]byte, 80))}
	for k := range f.Tracks {
		parts = append(parts, f.trak(k, chunks))
	}
	if f.Fragment > 0 {
		var trex [][]byte
		for k := range f.Tracks {
			trex = append(trex, Full("trex", 0, 0, U32(uint32(k+1), 1, 0, 0, 0)))
		}
		parts = append(parts, Box("mvex", trex...))
	}
	return Box("moov", append(parts, f.Extra)...)
}

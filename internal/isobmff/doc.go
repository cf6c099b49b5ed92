// Package isobmff reads the index of ISO base media files (ISO/IEC 14496-12): MP4,
// fragmented MP4, QuickTime movies and their kin, as strangers send them.
//
// It reads through an io.ReaderAt, needs no octet of the media itself, and is bounded
// everywhere: no allocation follows a count that the file claims without having the octets
// for it, boxes are looked for where they belong and not recursed into elsewhere, and each
// limit is named by the error that reports it. The tables of samples stay nearly as compact
// as they are in the file, so that a recording of ten hours needs a few tens of MiB.
//
// A file that is still arriving is read as far as it has come: [Missing] says which octets
// are needed next.
package isobmff

// Limits bound what Read holds and looks at. A zero field takes its default.
type Limits struct {
	// Boxes is how many boxes there may be outside of fragments; by default 65,536.
	Boxes int
	// Fragments is how many movie fragments there may be; by default 262,144.
	Fragments int
	// Tracks is how many tracks there may be; by default 32 (media.MaxTracks).
	Tracks int
	// Entries is how many entries the tables of all tracks may have together, where each
	// sample has several; by default 32 million, which is 24 hours at 60 frames a second.
	Entries int64
	// Samples is how many samples one track of fragments may have; by default 16 million.
	Samples int64
	// Description is the size in octets of one sample description; by default 1 MiB.
	Description int64
	// Descriptions is that of all sample descriptions together; by default 8 MiB.
	Descriptions int64
	// Edits is how many entries the edit list of one track may have; by default 16,384.
	Edits int
}

func (l Limits) orDefaults() Limits {
	fill(&l.Boxes, 1<<16)
	fill(&l.Fragments, 1<<18)
	fill(&l.Tracks, maxTracks)
	fill(&l.Entries, 32_000_000)
	fill(&l.Samples, 16_000_000)
	fill(&l.Description, 1<<20)
	fill(&l.Descriptions, 8<<20)
	fill(&l.Edits, 1<<14)
	return l
}

func fill[T int | int64](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

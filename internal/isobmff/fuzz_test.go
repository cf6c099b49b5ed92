package isobmff_test

import (
	"testing"

	box "github.com/videoactivmail/vam/internal/isobmff/isobmfftest"
)

// FuzzRead looks for files that are read without end, into too much memory, or to samples
// that are not in the file.
func FuzzRead(f *testing.F) {
	small := func() box.File {
		return box.File{Tracks: []box.Track{
			{Video: true, Samples: frames(4, 9, 3000), PerChunk: 2, Edits: []box.Edit{{Duration: 9, Start: -1}, {Start: 3}}},
			{Samples: frames(6, 2, 1024), PerChunk: 3, Wide: true},
		}}
	}
	progressive, fragmented, last := small(), small(), small()
	progressive.Tracks[0].Samples[1].Compose = 3000
	fragmented.Fragment = 2
	last.IndexLast, last.Brand = true, "qt  "
	for _, file := range []box.File{progressive, fragmented, last} {
		f.Add(file.Bytes())
	}
	for _, entry := range entries() {
		one := box.File{Tracks: []box.Track{{Video: entry.video, Entry: entry.raw, Samples: frames(1, 1, 1)}}}
		f.Add(one.Bytes())
	}
	f.Fuzz(func(t *testing.T, raw []byte) { check(t, raw) })
}

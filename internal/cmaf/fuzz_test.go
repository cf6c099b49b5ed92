package cmaf_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/cmaf"
	"github.com/videoactivmail/vam/internal/isobmff"
	box "github.com/videoactivmail/vam/internal/isobmff/isobmfftest"
)

// FuzzNew looks for movies whose view has not the size that it says, points out of the file,
// or is not read by our own reader.
func FuzzNew(f *testing.F) {
	small := func() box.File {
		return box.File{Tracks: []box.Track{
			{Video: true, Samples: frames(40, 10, 2, 9000), PerChunk: 4},
			{Samples: sound(160), PerChunk: 9},
		}}
	}
	progressive, fragmented, edited := small(), small(), small()
	fragmented.Fragment = 9
	edited.Tracks[0].Edits = []box.Edit{{Duration: 9, Start: -1}, {Duration: 2000, Start: 140000}}
	edited.Tracks[1].Edits = []box.Edit{{Duration: 2000, Start: 1698}}
	for _, file := range []box.File{progressive, fragmented, edited} {
		f.Add(file.Bytes())
	}
	f.Fuzz(func(t *testing.T, raw []byte) { check(t, raw) })
}

func check(t *testing.T, raw []byte) {
	m, err := isobmff.Read(bytes.NewReader(raw), int64(len(raw)), isobmff.Limits{})
	if err != nil {
		return
	}
	v, err := cmaf.New(m, cmaf.Options{Segment: 300 * time.Millisecond})
	if err != nil {
		if k := vam.KindOf(err); k != vam.Invalid && k != vam.TooLarge {
			t.Fatalf("%s: %v", k, err)
		}
		return
	}
	if v.Size() > int64(len(raw)+len(v.Head())+100*int(samplesOf(m))) {
		t.Fatalf("a file of %d octets became one of %d", len(raw), v.Size())
	}
	out, err := io.ReadAll(v.Progressive(bytes.NewReader(raw)))
	if err != nil || int64(len(out)) != v.Size() {
		t.Fatalf("%d octets of %d, %v", len(out), v.Size(), err)
	}
	got, err := isobmff.Read(bytes.NewReader(out), v.Size(), isobmff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Truncated || len(got.Tracks) == 0 {
		t.Fatalf("%d tracks, truncated %t", len(got.Tracks), got.Truncated)
	}
	at := time.Duration(0)
	for i, s := range v.Segments() {
		if s.Start < at || s.Duration < 0 {
			t.Fatalf("segment %d is %+v, behind one at %s", i, s, at)
		}
		at = s.Start
	}
}

func samplesOf(m *isobmff.Movie) (n int64) {
	for _, tr := range m.Tracks {
		n += tr.Len()
	}
	return n
}

// One number anywhere in the index is set to what it should not be.
func TestAnyNumberWrong(t *testing.T) {
	f := cutFilm(2, 1500*time.Millisecond, time.Second)
	f.Tracks[0].Samples, f.Tracks[1].Samples = f.Tracks[0].Samples[:90], f.Tracks[1].Samples[:120]
	raw := f.Bytes()
	end := bytes.LastIndex(raw, []byte("mdat"))
	for i := 0; i+4 <= end; i += 4 {
		for _, v := range [][]byte{{0xff, 0xff, 0xff, 0xff}, {0x7f, 0xff, 0xff, 0xff}, {0, 0, 0, 0}, {0x10, 0, 0, 0}} {
			bad := bytes.Clone(raw)
			copy(bad[i:], v)
			check(t, bad)
		}
	}
}

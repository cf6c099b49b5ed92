package isobmff_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/videoactivmail/vam/internal/isobmff"
	box "github.com/videoactivmail/vam/internal/isobmff/isobmfftest"
	"github.com/videoactivmail/vam/internal/media"
)

func read(t testing.TB, raw []byte) *isobmff.Movie {
	t.Helper()
	m, err := isobmff.Read(bytes.NewReader(raw), int64(len(raw)), isobmff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func samples(t *isobmff.Track) []isobmff.Sample {
	var out []isobmff.Sample
	var s isobmff.Sample
	for c := t.Cursor(); c.Next(&s); {
		out = append(out, s)
	}
	return out
}

// drawTrack makes tracks with tables of every shape: even and uneven sizes, durations and
// delays, in chunks of every length.
func drawTrack(t *rapid.T, video bool) box.Track {
	out := box.Track{Video: video, PerChunk: rapid.IntRange(0, 7).Draw(t, "chunk"), Wide: rapid.Bool().Draw(t, "wide")}
	n := rapid.SampledFrom([]int{1, 2, 20, 300, 700}).Draw(t, "samples")
	span := func(label string) func() int {
		most := rapid.SampledFrom([]int{0, 1, 200, 3000, 70000}).Draw(t, label)
		state := uint32(rapid.IntRange(1, 1<<20).Draw(t, label+" seed"))
		return func() int {
			state = state*1664525 + 1013904223
			return int(uint64(state) * uint64(most+1) >> 32)
		}
	}
	size, duration, compose := span("size"), span("duration"), span("compose")
	negative := rapid.Bool().Draw(t, "negative")
	group := rapid.IntRange(1, 30).Draw(t, "group")
	for i := range n {
		s := box.Sample{Size: size() / 128, Duration: uint32(duration()), Other: i%group != 0}
		if s.Compose = int32(compose()); negative {
			s.Compose = -s.Compose
		}
		out.Samples = append(out.Samples, s)
	}
	return out
}

func TestReadGivesTheSamplesOfTheTables(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := box.File{
			IndexLast: rapid.Bool().Draw(t, "index last"),
			Fragment:  rapid.SampledFrom([]int{0, 0, 1, 25}).Draw(t, "fragment"),
			Tracks:    []box.Track{drawTrack(t, true), drawTrack(t, false)},
		}
		if f.Fragment > 0 {
			f.Start = uint64(rapid.SampledFrom([]int{0, 1, 90000}).Draw(t, "start"))
		}
		raw := f.Bytes()
		m, err := isobmff.Read(bytes.NewReader(raw), int64(len(raw)), isobmff.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if m.IndexLast != (f.IndexLast && f.Fragment == 0) || m.Fragmented != (f.Fragment > 0) || m.Truncated || m.Missing != nil {
			t.Fatalf("index last %t, fragmented %t, truncated %t, missing %v", m.IndexLast, m.Fragmented, m.Truncated, m.Missing)
		}
		for k, want := range f.Tracks {
			got := samples(m.Tracks[k])
			if len(got) != len(want.Samples) {
				t.Fatalf("%d samples, want %d", len(got), len(want.Samples))
			}
			at := int64(f.Start)
			var octets int64
			for i, w := range want.Samples {
				g := got[i]
				w2 := isobmff.Sample{Offset: g.Offset, Size: uint32(w.Size), Decode: at, Duration: w.Duration, Compose: w.Compose, Sync: !w.Other}
				if g != w2 {
					t.Fatalf("sample %d of track %d: %+v, want %+v", i, k, g, w2)
				}
				if !bytes.Equal(raw[g.Offset:g.Offset+int64(g.Size)], f.Media(k, i)) {
					t.Fatalf("sample %d of track %d has other octets", i, k)
				}
				at += int64(w.Duration)
				octets += int64(w.Size)
			}
			if got := m.Tracks[k].Ticks(); got != at-int64(f.Start) {
				t.Fatalf("%d ticks, want %d", got, at-int64(f.Start))
			}
			if got := m.Tracks[k].Bytes(); got != octets {
				t.Fatalf("%d octets, want %d", got, octets)
			}
		}
	})
}

// A copy of a cursor goes on from where it was made.
func TestCursorsAreCopied(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := box.File{Tracks: []box.Track{drawTrack(t, true)}}
		raw := f.Bytes()
		m, err := isobmff.Read(bytes.NewReader(raw), int64(len(raw)), isobmff.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		all := samples(m.Tracks[0])
		c := m.Tracks[0].Cursor()
		for i := range all {
			mark := c
			if mark.Index() != int64(i) {
				t.Fatalf("at %d, want %d", mark.Index(), i)
			}
			var s isobmff.Sample
			if !mark.Next(&s) || s != all[i] {
				t.Fatalf("a copy gives %+v, want %+v", s, all[i])
			}
			c.Next(&s)
		}
	})
}

func frames(n, size int, duration uint32) []box.Sample {
	out := make([]box.Sample, n)
	for i := range out {
		out[i] = box.Sample{Size: size, Duration: duration, Other: i%30 != 0}
	}
	return out
}

func film() box.File {
	return box.File{Tracks: []box.Track{
		{Video: true, Samples: frames(60, 100, 3000), PerChunk: 5},
		{Samples: frames(94, 10, 1024), PerChunk: 7, Language: "deu"},
	}}
}

func TestInfo(t *testing.T) {
	f := film()
	f.Brand = "qt  "
	f.IndexLast = true
	f.Tracks[0].Matrix = box.Turned90()
	f.Tracks[0].Edits = []box.Edit{{Duration: 500, Start: -1}, {Duration: 1500, Start: 9000}}
	f.Extra = box.Box("udta", box.Full("chpl", 1, 0, box.U32(0), []byte{7}))
	got := read(t, f.Bytes()).Info()
	want := media.Info{
		Container: "mov", Brands: []string{"qt", "mp41"}, Size: int64(len(f.Bytes())), Duration: 2005333333, IndexLast: true, Chapters: 7,
		Tracks: []media.Track{
			{
				ID: 1, Type: media.Video, Codec: "h264", RFC6381: "avc1.64001f", Profile: "High", Width: 640, Height: 360,
				DisplayWidth: 360, DisplayHeight: 640, Rotation: 90, FrameRate: 30, PixelFormat: "yuv420p", BitDepth: 8,
				Default: true, Start: 500 * time.Millisecond, Duration: 1500 * time.Millisecond, BitRate: 32000,
			},
			{
				ID: 2, Type: media.Audio, Codec: "aac", RFC6381: "mp4a.40.2", Profile: "LC", Channels: 2, SampleRate: 48000,
				Language: "deu", Default: true, Duration: 2005333333, BitRate: 3750,
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPresentation(t *testing.T) {
	tests := map[string]struct {
		edits []box.Edit
		want  isobmff.Presentation
	}{
		"none":  {nil, isobmff.Presentation{End: 1<<63 - 1, Simple: true}},
		"delay": {[]box.Edit{{Duration: 40, Start: -1}, {Start: 0}}, isobmff.Presentation{Delay: 40 * time.Millisecond, End: 1<<63 - 1, Simple: true}},
		"cut": {
			[]box.Edit{{Duration: 1000, Start: 180000}},
			isobmff.Presentation{Start: 180000, End: 270000, Simple: true},
		},
		"two cuts that fit":        {[]box.Edit{{Duration: 1000, Start: 0}, {Duration: 500, Start: 90000}}, isobmff.Presentation{End: 135000, Simple: true}},
		"two cuts":                 {[]box.Edit{{Duration: 1000, Start: 0}, {Duration: 500, Start: 91000}}, isobmff.Presentation{End: 90000}},
		"slow":                     {[]box.Edit{{Duration: 1000, Start: 0, Rate: 1 << 15}}, isobmff.Presentation{End: 90000}},
		"nothing behind":           {[]box.Edit{{Duration: 1000, Start: 0}, {Duration: 500, Start: -1}}, isobmff.Presentation{End: 90000, Simple: true}},
		"an endless delay, hurray": {[]box.Edit{{Duration: 1 << 62, Start: -1}, {Duration: 1 << 62, Start: -1}, {}}, isobmff.Presentation{Delay: 1<<63 - 1, End: 1<<63 - 1, Simple: true}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := film()
			f.Tracks[0].Edits = tt.edits
			m := read(t, f.Bytes())
			if diff := cmp.Diff(tt.want, m.Presentation(m.Tracks[0])); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Times of fragments that leave a gap are followed, times that go back are not.
func TestClockOfFragments(t *testing.T) {
	f := film()
	f.Fragment = 30
	raw := f.Bytes()
	set := func(n int, at uint64) []byte {
		out := bytes.Clone(raw)
		i := 0
		for range n {
			i += bytes.Index(out[i:], []byte("tfdt")) + 4
		}
		copy(out[i+4:], box.U64(at))
		return out
	}
	const second = 3 // the third tfdt is that of the picture's second fragment
	gap := samples(read(t, set(second, 900000)).Tracks[0])
	if gap[29].Duration != 900000-29*3000 || gap[30].Decode != 900000 || gap[59].Decode != 900000+29*3000 {
		t.Errorf("a gap gives %+v, %+v, %+v", gap[29], gap[30], gap[59])
	}
	back := samples(read(t, set(second, 5)).Tracks[0])
	if back[29].Duration != 3000 || back[30].Decode != 90000 {
		t.Errorf("a clock that goes back gives %+v, %+v", back[29], back[30])
	}
	overlap := samples(read(t, set(second, 29*3000+10)).Tracks[0])
	if overlap[29].Duration != 10 || overlap[30].Decode != 29*3000+10 {
		t.Errorf("an overlap gives %+v, %+v", overlap[29], overlap[30])
	}
}

func TestChaptersAreNoTrackToShow(t *testing.T) {
	f := film()
	f.Tracks[0].Reference = box.Box("chap", box.U32(3))
	f.Tracks = append(f.Tracks, box.Track{Handler: "text", Timescale: 1000, Entry: box.Box("text", make([]byte, 50)), Samples: frames(4, 9, 1000)})
	i := read(t, f.Bytes()).Info()
	if i.Chapters != 4 || i.Tracks[2].Type != media.Data {
		t.Errorf("%d chapters, in a track of type %q", i.Chapters, i.Tracks[2].Type)
	}
}

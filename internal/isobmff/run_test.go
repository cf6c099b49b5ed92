package isobmff_test

import (
	"runtime"
	"slices"
	"testing"

	"github.com/videoactivmail/vam/internal/isobmff"
	box "github.com/videoactivmail/vam/internal/isobmff/isobmfftest"
)

// index is the beginning of a file of fragments with two tracks.
func index() []byte {
	f := box.File{Fragment: 1, Tracks: []box.Track{{Video: true}, {}}}
	return f.Bytes()
}

// alike is a moof for track 1 with samples that have nothing of their own but the place of
// their media, which is put behind it.
func alike(n, duration, size, firstFlags uint32, media []byte) []byte {
	moof := func(offset uint32) []byte {
		return box.Box("moof", box.Full("mfhd", 0, 0, box.U32(1)), box.Box("traf",
			box.Full("tfhd", 0, 0x020000|0x38, box.U32(1, duration, size, 0x01010000)),
			box.Full("trun", 0, 5, box.U32(n, offset, firstFlags))))
	}
	return slices.Concat(moof(uint32(len(moof(0))+8)), box.Box("mdat", media))
}

func TestRunsOfSamplesThatAreAlike(t *testing.T) {
	raw := slices.Concat(index(), alike(50, 3000, 20, 0x02000000, make([]byte, 1000)))
	for cut, want := range map[int]int{0: 50, 1: 49, 20: 49, 21: 48, 999: 0, 1000: 0} {
		m := read(t, raw[:len(raw)-cut])
		got := samples(m.Tracks[0])
		if len(got) != want || m.Truncated != (want < 50) {
			t.Fatalf("%d samples without the last %d octets, truncated %t; want %d", len(got), cut, m.Truncated, want)
		}
		for i, s := range got {
			if s.Sync != (i == 0) || s.Decode != int64(3000*i) || s.Size != 20 || s.Offset != int64(len(raw)-1000+20*i) {
				t.Fatalf("sample %d is %+v", i, s)
			}
		}
	}
}

// A run that does not say where its media is has it behind that of the run before.
func TestRunsOneBehindTheOther(t *testing.T) {
	head := index()
	moof := func(base uint64) []byte {
		row := func(sizes ...uint32) []byte {
			return box.Full("trun", 0, 0x200, box.U32(uint32(len(sizes))), box.U32(sizes...))
		}
		return box.Box("moof", box.Full("mfhd", 0, 0, box.U32(1)),
			box.Box("traf", box.Full("tfhd", 0, 1, box.U32(1), box.U64(base)), row(10, 11), row(12)),
			box.Box("traf", box.Full("tfhd", 0, 0, box.U32(2)), row(13)))
	}
	base := uint64(len(head) + len(moof(0)) + 8)
	m := read(t, slices.Concat(head, moof(base), box.Box("mdat", make([]byte, 46))))
	var got []int64
	for _, tr := range m.Tracks {
		for _, s := range samples(tr) {
			got = append(got, s.Offset-int64(base))
		}
	}
	if want := []int64{0, 10, 21, 33}; !slices.Equal(got, want) {
		t.Errorf("samples are at %v, want %v", got, want)
	}
}

// Uneven samples, and then millions without octets: what was uneven does not make the rest
// take memory.
func TestRunsAfterUnevenOnes(t *testing.T) {
	f := box.File{Fragment: 600, Tracks: []box.Track{{Video: true}}}
	for i := range 600 {
		f.Tracks[0].Samples = append(f.Tracks[0].Samples, box.Sample{Size: i % 5, Duration: uint32(i*37%1000 + 1), Compose: int32(i * 11 % 700), Other: i%3 > 0})
	}
	raw := slices.Concat(f.Bytes(), alike(12_000_000, 3000, 0, 0, nil))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m := read(t, raw)
	runtime.ReadMemStats(&after)
	if n := m.Tracks[0].Len(); n != 12_000_600 {
		t.Errorf("%d samples", n)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
		t.Errorf("%d octets for a file of %d", used, len(raw))
	}
	c := m.Tracks[0].Cursor()
	for i, w := range f.Tracks[0].Samples {
		var s isobmff.Sample
		if c.Next(&s); s.Size != uint32(w.Size) || s.Duration != w.Duration || s.Compose != w.Compose || s.Sync == w.Other {
			t.Fatalf("sample %d is %+v, want %+v", i, s, w)
		}
	}
}

// A duration that some writers computed as a negative one is no jump of hours.
func TestNegativeDuration(t *testing.T) {
	f := film()
	f.Tracks[0].Samples[9].Duration = 1<<32 - 20
	all := samples(read(t, f.Bytes()).Tracks[0])
	if all[9].Duration != 1 || all[10].Decode != 9*3000+1 {
		t.Errorf("%+v, %+v", all[9], all[10])
	}
}

// Samples that the table of delays leaves out have none.
func TestDelaysOfTheFirstOnly(t *testing.T) {
	f := film()
	for i := range f.Tracks[0].Samples {
		f.Tracks[0].Samples[i].Compose = 777
	}
	raw := replace(f.Bytes(), "ctts", 8, box.U32(25))
	for i, s := range samples(read(t, raw).Tracks[0]) {
		if want := map[bool]int32{true: 777}[i < 25]; s.Compose != want {
			t.Fatalf("sample %d has the delay %d, want %d", i, s.Compose, want)
		}
	}
}

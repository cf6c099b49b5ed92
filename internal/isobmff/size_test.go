package isobmff_test

import (
	"io"
	"runtime"
	"testing"

	"github.com/videoactivmail/vam/internal/isobmff"
	box "github.com/videoactivmail/vam/internal/isobmff/isobmfftest"
)

// long is a recording of so many hours as encoders write it: pictures out of order, sound
// of uneven sizes, and a chunk for each picture.
func long(hours int) (io.ReaderAt, int64) {
	pictures := make([]box.Sample, hours*3600*30)
	for i := range pictures {
		pictures[i] = box.Sample{Size: 2000 + i*7919%30000, Duration: 1001, Compose: int32(i % 4 * 1001), Other: i%250 != 0}
	}
	sound := make([]box.Sample, hours*3600*48000/1024)
	for i := range sound {
		sound[i] = box.Sample{Size: 300 + i*31%150, Duration: 1024}
	}
	f := box.File{Tracks: []box.Track{
		{Video: true, Timescale: 30000, Samples: pictures, PerChunk: 1, Wide: true},
		{Samples: sound, PerChunk: 2, Wide: true},
	}}
	return f.Sparse()
}

// Ten hours are to be held in 32 MiB; this is a fifth of that.
func TestMemoryOfTwoHours(t *testing.T) {
	r, size := long(2)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	m, err := isobmff.Read(r, size, isobmff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d samples take %d KiB", m.Tracks[0].Len()+m.Tracks[1].Len(), held>>10)
	if held > 32<<20/5 {
		t.Errorf("two hours take %d octets", held)
	}
	runtime.KeepAlive(r)
	runtime.KeepAlive(m)
}

func BenchmarkReadOneHour(b *testing.B) {
	r, size := long(1)
	for b.Loop() {
		m, err := isobmff.Read(r, size, isobmff.Limits{})
		if err != nil {
			b.Fatal(err)
		}
		m.Info()
	}
}

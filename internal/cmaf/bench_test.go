package cmaf_test

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/videoactivmail/vam/internal/cmaf"
	"github.com/videoactivmail/vam/internal/isobmff"
	box "github.com/videoactivmail/vam/internal/isobmff/isobmfftest"
)

// hour is the index of one hour of 30 pictures a second and 1 GiB, and media of zeros.
func hour() (io.ReaderAt, int64) {
	pictures := frames(3600*30, 250, 2, 3000)
	for i := range pictures {
		pictures[i].Size = 2000 + i*7919%15500
	}
	f := box.File{Tracks: []box.Track{
		{Video: true, Samples: pictures, PerChunk: 1},
		{Samples: sound(3600 * 48000 / 1024), PerChunk: 2},
	}}
	for i := range f.Tracks[1].Samples {
		f.Tracks[1].Samples[i].Size = 300 + i*31%150
	}
	return f.Sparse()
}

func makeView(b *testing.B, r io.ReaderAt, size int64) *cmaf.View {
	m, err := isobmff.Read(r, size, isobmff.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	v, err := cmaf.New(m, cmaf.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return v
}

// BenchmarkView is the whole way from a file to its playlist: 1 GiB, one hour.
func BenchmarkView(b *testing.B) {
	r, size := hour()
	for b.Loop() {
		v := makeView(b, r, size)
		_ = playlist(v).String()
	}
	b.ReportMetric(float64(size)/(1<<30), "GiB")
}

// BenchmarkNew is the view alone, of an index that has been read.
func BenchmarkNew(b *testing.B) {
	r, size := hour()
	m, err := isobmff.Read(r, size, isobmff.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := cmaf.New(m, cmaf.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSegment is the heads of one segment.
func BenchmarkSegment(b *testing.B) {
	r, size := hour()
	v := makeView(b, r, size)
	for i := 0; b.Loop(); i++ {
		v.Pieces(i % len(v.Segments()))
	}
}

// BenchmarkProgressive reads the view from front to back, in pieces as a server does.
func BenchmarkProgressive(b *testing.B) {
	r, size := hour()
	v := makeView(b, r, size)
	buf := make([]byte, 256<<10)
	b.SetBytes(64 << 20)
	for b.Loop() {
		p := v.Progressive(r)
		for n := 0; n < 64<<20; n += len(buf) {
			if _, err := p.Read(buf); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkFFmpeg is what people would run instead: ffmpeg -c copy to HLS, and this package
// on the same file, which is the corpus' ordinary recording over and over again.
func BenchmarkFFmpeg(b *testing.B) {
	source := filepath.Join(corpus, "bbb-480p-30s.mp4")
	if _, err := os.Stat(source); err != nil {
		b.Skip(err)
	}
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		b.Skip(err)
	}
	const loops = 260 // 1 GiB
	folder := b.TempDir()
	path := filepath.Join(folder, "original.mp4")
	run := func(args ...string) {
		if out, err := exec.CommandContext(b.Context(), "ffmpeg", append([]string{"-nostdin", "-v", "error"}, args...)...).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	run("-stream_loop", strconv.Itoa(loops-1), "-i", source, "-c", "copy", path)
	b.Run("copy to hls", func(b *testing.B) {
		for b.Loop() {
			run("-i", path, "-c", "copy", "-f", "hls", "-hls_time", "4", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4", "-y", filepath.Join(folder, "index.m3u8"))
		}
	})
	b.Run("view", func(b *testing.B) {
		file, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		defer file.Close()
		st, err := file.Stat()
		if err != nil {
			b.Fatal(err)
		}
		var heads bytes.Buffer
		for b.Loop() {
			v := makeView(b, file, st.Size())
			heads.Reset()
			heads.Write(v.Head())
			heads.WriteString(playlist(v).String())
		}
		b.ReportMetric(float64(st.Size())/(1<<30), "GiB")
		b.ReportMetric(float64(heads.Len()), "octets-made")
	})
}

package ffmpeg_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/ffmpeg"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/sandbox"
)

// ended fails unless the error is one of media.Refuse, or there is none. A claim of more
// memory than there may be is refused at once; a file that runs into a bound of time or disk
// has found a way to make work.
func ended(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var x *sandbox.Exit
	if media.ReasonOf(err) == "" || vam.KindOf(err).Temporary() || errors.As(err, &x) && x.Bound != "" {
		t.Errorf("%s: %v", what, err)
	}
}

// attempt probes the file and makes a poster of whatever it seems to be.
func attempt(t *testing.T, tool *ffmpeg.Tool, what, path string) {
	t.Helper()
	i, err := tool.Probe(t.Context(), path)
	ended(t, what+": Probe", err)
	if err != nil || i.Video() == nil {
		return
	}
	_, err = tool.Make(t.Context(), media.NewWork(media.Poster), i, path, t.TempDir(), nil)
	ended(t, what+": Make", err)
}

// TestDecoders: a codec with holes that nobody sends has no decoder here, although ffmpeg
// has one.
func TestDecoders(t *testing.T) {
	t.Parallel()
	tool := open(t)
	for _, codec := range []string{"magicyuv", "huffyuv", "ffv1", "cinepak"} {
		path := synthesize(t, "x.avi", args(picture(""), []string{"-frames:v", "2", "-c:v", codec})...)
		if i, err := tool.Probe(t.Context(), path); media.ReasonOf(err) != media.Unsupported || vam.KindOf(err).Temporary() {
			t.Errorf("%s: %+v, %v", codec, i, err)
		}
		i := media.Info{Container: "avi", Tracks: []media.Track{{Type: media.Video, Codec: codec, Width: 160, Height: 120, DisplayWidth: 160, DisplayHeight: 120}}}
		if _, err := tool.Make(t.Context(), media.NewWork(media.Poster), i, path, t.TempDir(), nil); err == nil {
			t.Errorf("%s was decoded", codec)
		}
	}
}

// movie is a small MP4 with its index at the end, so that the index may grow.
func movie(t *testing.T) []byte {
	t.Helper()
	return readFile(t, synthesize(t, "x.mp4", args(picture(""), sound(), []string{"-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"})...))
}

// TestHostileBoxes: what a parser of boxes may fall over.
func TestHostileBoxes(t *testing.T) {
	tool := open(t)
	whole := movie(t)
	ftyp := box("ftyp", []byte("isom\x00\x00\x02\x00isommp41"))
	nested := box("udta")
	for range 10_000 {
		nested = box("moov", nested)
	}
	duration := func(d uint32) []byte {
		out := whole
		for _, path := range [][]string{{"moov", "mvhd"}, {"moov", "trak", "tkhd"}, {"moov", "trak", "mdia", "mdhd"}} {
			out = edit(out, path, func(b []byte) []byte {
				at := map[string]int{"mvhd": 16, "tkhd": 20, "mdhd": 16}[path[len(path)-1]]
				binary.BigEndian.PutUint32(b[at:], d)
				return b
			})
		}
		return out
	}
	var bomb bytes.Buffer
	z := zlib.NewWriter(&bomb)
	for range 256 {
		_, _ = z.Write(make([]byte, 1<<20))
	}
	z.Close()
	for name, content := range map[string][]byte{
		"a million tiny boxes":       append(bytes.Clone(ftyp), bytes.Repeat(box("free"), 1_000_000)...),
		"boxes 10,000 deep":          append(bytes.Clone(ftyp), nested...),
		"zero duration":              duration(0),
		"endless duration":           duration(1<<32 - 1),
		"a box of zero octets":       append(bytes.Clone(ftyp), 0, 0, 0, 0, 'm', 'o', 'o', 'v'),
		"a box of 2^63 octets":       append(bytes.Clone(ftyp), "\x00\x00\x00\x01moov\x7f\xff\xff\xff\xff\xff\xff\xff"...),
		"2^32 samples":               edit(whole, []string{"moov", "trak", "mdia", "minf", "stbl", "stsz"}, func(b []byte) []byte { binary.BigEndian.PutUint32(b[8:], 1<<32-1); return b }),
		"2^32 times":                 edit(whole, []string{"moov", "trak", "mdia", "minf", "stbl", "stts"}, func(b []byte) []byte { binary.BigEndian.PutUint32(b[4:], 1<<32-1); return b }),
		"2^32 chunks":                edit(whole, []string{"moov", "trak", "mdia", "minf", "stbl", "stco"}, func(b []byte) []byte { binary.BigEndian.PutUint32(b[4:], 1<<32-1); return b }),
		"an index that is a bomb":    append(bytes.Clone(ftyp), box("moov", box("cmov", box("dcom", []byte("zlib")), box("cmvd", []byte{0xff, 0xff, 0xff, 0xff}, bomb.Bytes())))...),
		"an index, and nothing more": append(bytes.Clone(ftyp), whole[bytes.Index(whole, []byte("moov"))-4:]...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attempt(t, tool, name, file(t, "x.mp4", content))
		})
	}
}

// TestExternalReferences: an MP4 whose media lie in another file shows nothing of it.
func TestExternalReferences(t *testing.T) {
	t.Parallel()
	tool := open(t)
	other := synthesize(t, "other.mp4", args(picture(""), []string{"-c:v", "libx264", "-pix_fmt", "yuv420p"})...)
	whole := readFile(t, other)
	for _, entry := range [][]byte{
		box("url ", []byte{0, 0, 0, 0}, []byte("file://"+other+"\x00")),
		box("url ", []byte{0, 0, 0, 0}, []byte("http://127.0.0.1:1/x\x00")),
		box("alis", []byte{0, 0, 0, 0}, make([]byte, 150), []byte("\x00\x02\x00\x09other.mp4\x00")),
	} {
		moved := edit(whole, []string{"moov", "trak", "mdia", "minf", "dinf", "dref"}, func([]byte) []byte {
			return append([]byte{0, 0, 0, 0, 0, 0, 0, 1}, entry...)
		})
		// Without its own media.
		at := bytes.Index(moved, []byte("mdat"))
		size := int(binary.BigEndian.Uint32(moved[at-4:]))
		copy(moved[at+4:at-4+size], make([]byte, size))
		path := file(t, "x.mp4", moved)
		i, err := tool.Probe(t.Context(), path)
		if err != nil {
			continue // refused is fine
		}
		dir := t.TempDir()
		if files, err := tool.Make(t.Context(), media.NewWork(media.Poster), i, path, dir, nil); err == nil {
			if b := brightness(decode(t, filepath.Join(dir, files[0].Name))); b > 20 {
				t.Errorf("%q shows a picture", entry[4:8])
			}
		}
	}
}

// TestDamage cuts and flips a sound recording; a soak does it a hundred times as often.
func TestDamage(t *testing.T) {
	t.Parallel()
	tool := open(t)
	whole := movie(t)
	cuts, flips := 4, 4
	if os.Getenv("VAM_SOAK") == "1" {
		cuts, flips = 100, 1000
	}
	for n := range cuts {
		attempt(t, tool, "cut", file(t, "x.mp4", whole[:len(whole)*n/cuts]))
	}
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	index := bytes.Index(whole, []byte("moov"))
	for range flips {
		b := bytes.Clone(whole)
		for range 1 + r.IntN(8) {
			b[index+r.IntN(len(b)-index)] ^= 1 << r.IntN(8)
		}
		attempt(t, tool, "flip", file(t, "x.mp4", b))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestHugePicture: a frame that promises 16,000 × 16,000 pixels is stopped by the limit of
// pixels, before memory is taken.
func TestHugePicture(t *testing.T) {
	t.Parallel()
	tool := open(t)
	b := readFile(t, synthesize(t, "x.webm", args(picture(""), []string{"-frames:v", "1", "-c:v", "libvpx"})...))
	// The start code of a key frame, and its size (RFC 6386 section 9.1).
	at := bytes.Index(b, []byte{0x9d, 0x01, 0x2a})
	copy(b[at+3:], []byte{0x80, 0x3e, 0x80, 0x3e})
	path := file(t, "x.webm", b)
	attempt(t, tool, "huge", path)
	info := media.Info{Container: "webm", Tracks: []media.Track{{Type: media.Video, Codec: "vp8", Width: 160, Height: 120, DisplayWidth: 160, DisplayHeight: 120}}}
	if _, err := tool.Make(t.Context(), media.NewWork(media.Poster), info, path, t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "max pixel count") {
		t.Errorf("Make = %v, want ffmpeg's own refusal", err)
	}
}

// TestGrowingFile: a recording that still arrives while it is looked at.
func TestGrowingFile(t *testing.T) {
	t.Parallel()
	tool := open(t)
	whole := movie(t)
	path := file(t, "x.mp4", whole[:2000])
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer f.Close()
		for n := 0; n < 1<<27; n += len(whole) {
			select {
			case <-stop:
				return
			default:
				_, _ = f.Write(whole)
			}
		}
	}()
	attempt(t, tool, "growing", path)
	close(stop)
	<-done
}

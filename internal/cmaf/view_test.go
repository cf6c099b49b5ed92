package cmaf_test

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/cmaf"
	"github.com/videoactivmail/vam/internal/isobmff"
	box "github.com/videoactivmail/vam/internal/isobmff/isobmfftest"
	"github.com/videoactivmail/vam/internal/media"
)

type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func read(t fataler, raw []byte) *isobmff.Movie {
	t.Helper()
	m, err := isobmff.Read(bytes.NewReader(raw), int64(len(raw)), isobmff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func view(t fataler, raw []byte, o cmaf.Options) *cmaf.View {
	t.Helper()
	v, err := cmaf.New(read(t, raw), o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// whole is the progressive file, read from front to back.
func whole(t fataler, v *cmaf.View, raw []byte) []byte {
	t.Helper()
	out, err := io.ReadAll(v.Progressive(bytes.NewReader(raw)))
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(out)) != v.Size() {
		t.Fatalf("%d octets, and the size is %d", len(out), v.Size())
	}
	return out
}

func samples(t *isobmff.Track) []isobmff.Sample {
	var out []isobmff.Sample
	var s isobmff.Sample
	for c := t.Cursor(); c.Next(&s); {
		out = append(out, s)
	}
	return out
}

// frames are pictures with a key frame at every group; deep of them are decoded out of order.
func frames(n, group, deep int, duration uint32) []box.Sample {
	out := make([]box.Sample, n)
	for i := range out {
		out[i] = box.Sample{Size: 20 + i%7, Duration: duration, Other: i%group != 0}
		if deep > 0 {
			// In a mini group of one reference and its B pictures the reference comes first.
			switch k := (i % group) % (deep + 1); {
			case i%group == 0:
				out[i].Compose = int32(duration) * int32(deep)
			case k == 1 && i%group+deep < group && i+deep < n:
				out[i].Compose = int32(duration) * int32(2*deep)
			case k == 1:
				out[i].Compose = int32(duration) * int32(deep)
			default:
				out[i].Compose = int32(duration) * int32(deep-1)
				if tail := i % group; tail-((tail-1)%(deep+1))+deep >= group || i-((tail-1)%(deep+1))+deep >= n {
					out[i].Compose = int32(duration) * int32(deep)
				}
			}
		}
	}
	return out
}

func sound(n int) []box.Sample {
	out := make([]box.Sample, n)
	for i := range out {
		out[i] = box.Sample{Size: 5 + i%3, Duration: 1024}
	}
	return out
}

func film(seconds int) box.File {
	return box.File{Tracks: []box.Track{
		{Video: true, Samples: frames(seconds*30, 60, 0, 3000), PerChunk: 10, Matrix: box.Turned90(), Language: "deu"},
		{Samples: sound(seconds * 48000 / 1024), PerChunk: 12},
	}}
}

// shown are the moments of the view's samples, without the delay that its edit list takes away.
func shown(m *isobmff.Movie, t *isobmff.Track) []time.Duration {
	start := m.Presentation(t).Start
	var out []time.Duration
	for _, s := range samples(t) {
		out = append(out, t.Seconds(s.Shown()-start))
	}
	return out
}

// The view has the samples of the original, its octets and its times.
func TestViewIsTheOriginal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := box.File{
			IndexLast: rapid.Bool().Draw(t, "index last"),
			Fragment:  rapid.SampledFrom([]int{0, 0, 0, 37}).Draw(t, "fragment"),
			Tracks: []box.Track{
				{
					Video: true, Timescale: rapid.SampledFrom([]uint32{600, 30000, 90000}).Draw(t, "scale"),
					Samples: frames(rapid.IntRange(1, 500).Draw(t, "pictures"), rapid.SampledFrom([]int{1, 30, 100, 1000}).Draw(t, "group"),
						rapid.IntRange(0, 3).Draw(t, "deep"), uint32(rapid.SampledFrom([]int{1, 20, 1001, 3000, 9000}).Draw(t, "duration"))),
					PerChunk: rapid.IntRange(0, 9).Draw(t, "chunk"),
				},
				{Samples: sound(rapid.IntRange(1, 900).Draw(t, "sounds")), PerChunk: rapid.IntRange(0, 9).Draw(t, "chunk")},
			},
		}
		if f.Fragment > 0 {
			f.Start = uint64(rapid.IntRange(0, 100000).Draw(t, "start"))
		} else if delay := rapid.IntRange(0, 3000).Draw(t, "delay"); delay > 0 {
			f.Tracks[1].Edits = []box.Edit{{Duration: uint64(delay), Start: -1}, {Start: 0}}
		}
		raw := f.Bytes()
		original := read(t, raw)
		v := view(t, raw, cmaf.Options{Segment: time.Duration(rapid.IntRange(1, 6000).Draw(t, "segment")) * time.Millisecond})
		out := whole(t, v, raw)
		got := read(t, out)
		base := time.Duration(-1 << 62) // from the clock of the original to that of the view
		for k, want := range original.Tracks {
			a, b := samples(want), samples(got.Tracks[k])
			if len(a) != len(b) {
				t.Fatalf("%d samples of %d", len(b), len(a))
			}
			when, p := shown(got, got.Tracks[k]), original.Presentation(want)
			for i := range a {
				x, y := a[i], b[i]
				if x.Size != y.Size || x.Sync != y.Sync && k == 0 || !bytes.Equal(raw[x.Offset:x.Offset+int64(x.Size)], out[y.Offset:y.Offset+int64(y.Size)]) {
					t.Fatalf("sample %d of track %d is %+v of %+v", i, k, y, x)
				}
				if y.Compose < 0 {
					t.Fatalf("sample %d of track %d is shown before it is decoded", i, k)
				}
				off := when[i] - (p.Delay + want.Seconds(x.Shown()-p.Start))
				if base == -1<<62 {
					base = off
				}
				// One unit of either clock is lost to rounding.
				if d := (off - base).Abs(); d > 2*time.Second/600 {
					t.Fatalf("sample %d of track %d is %s off", i, k, d)
				}
			}
		}
		checkSegments(t, v, got)
		if diff := v.Duration() - got.Info().Duration; diff.Abs() > time.Second/100 {
			t.Fatalf("says %s and is %s long", v.Duration(), got.Info().Duration)
		}
	})
}

// checkSegments compares the list of segments with what the file says.
func checkSegments(t fataler, v *cmaf.View, got *isobmff.Movie) {
	t.Helper()
	at, next := time.Duration(0), int64(len(v.Head()))
	keys := map[int64]bool{}
	for _, s := range samples(got.Tracks[0]) {
		if s.Sync {
			keys[s.Offset] = true
		}
	}
	for i, s := range v.Segments() {
		if s.Start != at || s.Offset != next || s.Duration < 0 {
			t.Fatalf("segment %d is %+v, behind %s and octet %d", i, s, at, next)
		}
		at, next = at+s.Duration, next+s.Size
		var size int64
		for _, p := range v.Pieces(i) {
			if p.Data != nil && int64(len(p.Data)) != p.Size {
				t.Fatalf("a piece of %d octets says %d", len(p.Data), p.Size)
			}
			size += p.Size
		}
		if size != s.Size {
			t.Fatalf("segment %d has %d octets and says %d", i, size, s.Size)
		}
	}
	if at != v.Duration() || next != v.Size() {
		t.Fatalf("the segments end at %s and %d, the view at %s and %d", at, next, v.Duration(), v.Size())
	}
}

func TestSegmentsBeginWithKeyFrames(t *testing.T) {
	f := film(21) // a key frame every two seconds
	raw := f.Bytes()
	v := view(t, raw, cmaf.Options{})
	if !v.Independent() || len(v.Segments()) != 6 {
		t.Fatalf("%+v", v.Segments())
	}
	for i, s := range v.Segments() {
		m := read(t, slices.Concat(v.Init(), readAll(t, v.Open(bytes.NewReader(raw), i))))
		first := samples(m.Tracks[0])[0]
		if !first.Sync || m.Tracks[0].Seconds(first.Decode) != s.Start || s.Start != time.Duration(i)*4*time.Second {
			t.Errorf("segment %d begins with %+v at %s", i, first, s.Start)
		}
		// Sound is cut where the picture is, to a frame.
		if d := m.Tracks[1].Seconds(samples(m.Tracks[1])[0].Decode) - s.Start; d < 0 || d > 1024*time.Second/48000 {
			t.Errorf("sound of segment %d begins %s late", i, d)
		}
	}
}

func readAll(t fataler, r io.Reader) []byte {
	t.Helper()
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Without a key frame for very long, a segment ends all the same and says so.
func TestLongGroupsAreCut(t *testing.T) {
	f := film(70)
	f.Tracks[0].Samples = frames(70*30, 1<<20, 0, 3000)
	v := view(t, f.Bytes(), cmaf.Options{})
	var starts []time.Duration
	for _, s := range v.Segments() {
		starts = append(starts, s.Start)
	}
	if want := []time.Duration{0, 30 * time.Second, 60 * time.Second}; !slices.Equal(starts, want) || v.Independent() {
		t.Errorf("begin at %v, independent %t", starts, v.Independent())
	}
}

// Sound that goes on without a picture is cut as well.
func TestSoundBehindThePicture(t *testing.T) {
	f := film(30)
	f.Tracks[0].Samples = f.Tracks[0].Samples[:30]
	raw := f.Bytes()
	v := view(t, raw, cmaf.Options{})
	if n := len(v.Segments()); n < 7 || n > 9 || !v.Independent() {
		t.Errorf("%d segments: %v", n, v.Segments())
	}
	if n := read(t, whole(t, v, raw)).Tracks[1].Len(); n != int64(len(f.Tracks[1].Samples)) {
		t.Errorf("%d of %d sounds", n, len(f.Tracks[1].Samples))
	}
	voice := box.File{Tracks: []box.Track{{Samples: sound(1400)}}}
	v = view(t, voice.Bytes(), cmaf.Options{})
	if n := len(v.Segments()); n != 8 || !v.Independent() {
		t.Errorf("%d segments of sound alone: %v", n, v.Segments())
	}
}

// What is kept of the original's head: rotation, language, shape and colour of pixels.
func TestHead(t *testing.T) {
	f := film(1)
	f.Brand = "qt  "
	avc := box.AVC(640, 360)
	f.Tracks[0].Entry = box.Picture("avc1", 640, 360, avc[86:], box.Box("pasp", box.U32(4, 3)), box.Box("colr", []byte("nclc"), box.U16(9, 18, 9)),
		box.Box("clip", []byte("something of the writer's own")))
	raw := f.Bytes()
	v := view(t, raw, cmaf.Options{})
	out := whole(t, v, raw)
	got, want := read(t, out).Info(), read(t, raw).Info()
	if !bytes.HasPrefix(out, v.Head()) || !bytes.HasPrefix(v.Head(), v.Init()) {
		t.Error("the file does not begin with its head")
	}
	a, b := want.Tracks[0], got.Tracks[0]
	if a.Rotation != 90 || a.Rotation != b.Rotation || a.Language != b.Language || a.Colour != b.Colour || a.DisplayHeight != b.DisplayHeight ||
		a.DisplayWidth != b.DisplayWidth || a.RFC6381 != b.RFC6381 {
		t.Errorf("%+v became %+v", a, b)
	}
	if got.Container != "mp4" || !got.Fragmented || v.Codecs() != "avc1.64001f,mp4a.40.2" {
		t.Errorf("%+v, %q", got, v.Codecs())
	}
	if peak, mean := v.Bandwidth(); mean != int64(float64(v.Size()-int64(len(v.Head())))*8/v.Duration().Seconds()) || peak < mean {
		t.Errorf("%d and %d bits per second", peak, mean)
	}
}

func TestChoiceOfTracks(t *testing.T) {
	f := film(2)
	f.Tracks = append(f.Tracks, f.Tracks[1])
	f.Tracks[1].Disabled = true
	raw := f.Bytes()
	for want, o := range map[[2]int]cmaf.Options{
		{1, 3}: {}, {1, 2}: {Audio: 2}, {0, 3}: {Video: cmaf.None}, {1, 0}: {Audio: cmaf.None},
	} {
		video, audio := view(t, raw, o).Tracks()
		if got := [2]int{video, audio}; got != want {
			t.Errorf("%+v gives %v, want %v", o, got, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	with := func(change func(f *box.File)) []byte {
		f := film(2)
		f.Tracks = f.Tracks[:1]
		change(&f)
		return f.Bytes()
	}
	sinf := box.Box("sinf", box.Box("frma", []byte("avc1")), box.Full("schm", 0, 0, []byte("cenc"), box.U32(0x10000)))
	tests := map[string]struct {
		raw    []byte
		o      cmaf.Options
		kind   vam.ErrorKind
		reason media.Reason
		says   string
	}{
		"encrypted":      {with(func(f *box.File) { f.Tracks[0].Entry = box.Picture("encv", 9, 9, sinf) }), cmaf.Options{}, vam.Invalid, media.Encrypted, "encrypted"},
		"unknown coding": {with(func(f *box.File) { f.Tracks[0].Entry = box.Picture("vvc1", 9, 9) }), cmaf.Options{}, vam.Invalid, media.Unsupported, "vvc1"},
		"no description": {with(func(f *box.File) { f.Tracks[0].Entry = box.Picture("avc1", 9, 9) }), cmaf.Options{}, vam.Invalid, media.Unsupported, "avcC"},
		"no samples":     {with(func(f *box.File) { f.Tracks[0].Samples = nil }), cmaf.Options{}, vam.Invalid, media.Unsupported, "empty"},
		"two cuts": {with(func(f *box.File) {
			f.Tracks[0].Edits = []box.Edit{{Duration: 500, Start: 0}, {Duration: 500, Start: 90000}}
		}), cmaf.Options{}, vam.Invalid, media.Unsupported, "cuts"},
		"far from a key frame": {with(func(f *box.File) {
			f.Tracks[0].Samples = frames(1000, 2000, 0, 3000)
			f.Tracks[0].Edits = []box.Edit{{Duration: 5000, Start: 700 * 3000}}
		}), cmaf.Options{}, vam.Invalid, media.Unsupported, "key frame"},
		"nothing chosen": {with(func(*box.File) {}), cmaf.Options{Video: cmaf.None}, vam.Invalid, media.Unsupported, "neither"},
		"no such track":  {with(func(*box.File) {}), cmaf.Options{Video: 9}, vam.Invalid, media.Unsupported, "track 9"},
		"endless": {with(func(f *box.File) {
			f.Tracks[0].Timescale = 1
			f.Tracks[0].Samples = frames(3, 1, 0, 1<<30)
		}), cmaf.Options{}, vam.TooLarge, media.TooLarge, "30 days"},
		"too many segments": {with(func(f *box.File) {
			f.Tracks[0].Timescale = 1
			f.Tracks[0].Samples = frames(70_000, 1, 0, 30)
		}), cmaf.Options{}, vam.TooLarge, media.TooLarge, "65535 segments"},
		"samples that share octets": {func() []byte {
			raw := with(func(f *box.File) { f.Tracks[0].PerChunk = 1 })
			at := bytes.Index(raw, []byte("stco")) + 12
			for i := range 60 {
				copy(raw[at+4*i:], raw[at:at+4])
			}
			n := bytes.Index(raw, []byte("stsz"))
			for i := range 60 {
				copy(raw[n+16+4*i:], box.U32(1000))
			}
			return raw
		}(), cmaf.Options{}, vam.Invalid, media.Unsupported, "share octets"},
		"all at once": {with(func(f *box.File) {
			f.Tracks = append(f.Tracks, box.Track{Samples: make([]box.Sample, 200_000)})
		}), cmaf.Options{}, vam.TooLarge, media.TooLarge, "131072 samples"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := cmaf.New(read(t, tt.raw), tt.o)
			if err == nil || vam.KindOf(err) != tt.kind || media.ReasonOf(err) != tt.reason || !strings.Contains(vam.Public(err), tt.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

// The clock of a track may be coarser than a fragment is long.
func TestCoarseClock(t *testing.T) {
	f := box.File{Tracks: []box.Track{{Video: true, Timescale: 1, Samples: frames(12, 1, 0, 1)}, {Samples: sound(500)}}}
	raw := f.Bytes()
	got := read(t, whole(t, view(t, raw, cmaf.Options{Chunk: 100 * time.Millisecond}), raw))
	if a, b := got.Tracks[0].Len(), got.Tracks[1].Len(); a != 12 || b != 500 {
		t.Errorf("%d pictures and %d sounds", a, b)
	}
}

// A track that cannot be shown does not keep the other one from being shown.
func TestOneTrackOfTwo(t *testing.T) {
	f := film(2)
	f.Tracks[1].Entry = box.Sound("ipcm", 1, 48000)
	if video, audio := view(t, f.Bytes(), cmaf.Options{}).Tracks(); video != 1 || audio != 0 {
		t.Errorf("shows %d and %d", video, audio)
	}
}

func TestProgressiveIsAFile(t *testing.T) {
	f := film(9)
	raw := f.Bytes()
	v := view(t, raw, cmaf.Options{})
	content := whole(t, v, raw)
	if err := iotest.TestReader(v.Progressive(bytes.NewReader(raw)), content); err != nil {
		t.Error(err)
	}
	for i, s := range v.Segments() {
		if err := iotest.TestReader(v.Open(bytes.NewReader(raw), i), content[s.Offset:s.Offset+s.Size]); err != nil {
			t.Errorf("segment %d: %v", i, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.IntRange(0, len(content)).Draw(t, "from")
		n := rapid.IntRange(1, len(content)).Draw(t, "n")
		got := make([]byte, n)
		k, err := v.Progressive(bytes.NewReader(raw)).ReadAt(got, int64(from))
		want := content[from:min(from+n, len(content))]
		if !bytes.Equal(got[:k], want) || (err != nil) != (k < n) {
			t.Fatalf("%d of %d octets from %d, %v", k, n, from, err)
		}
	})
}

// arriving is an original of which the octets before here have come.
type arriving struct {
	raw  []byte
	here int64
}

var errLater = vam.Errorf(vam.Unavailable, "later")

func (a arriving) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	if off < a.here {
		n = copy(p, a.raw[off:a.here])
	}
	if n < len(p) {
		return n, errLater
	}
	return n, nil
}

// While the original arrives, the view can be read further and further; an error of the
// original passes through.
func TestArriving(t *testing.T) {
	f := film(20)
	raw := f.Bytes()
	v := view(t, raw, cmaf.Options{})
	last := 0
	for here := int64(0); here <= int64(len(raw)); here += 101 {
		got, err := io.ReadAll(v.Progressive(arriving{raw, here}))
		if whole := int64(len(got)) == v.Size(); len(got) < last || whole != (err == nil) || !whole && vam.KindOf(err) != vam.Unavailable {
			t.Fatalf("with %d octets of the original %d of the view can be read, after %d: %v", here, len(got), last, err)
		}
		last = len(got)
	}
	if got, err := io.ReadAll(v.Progressive(arriving{raw, int64(len(raw))})); int64(len(got)) != v.Size() || err != nil {
		t.Errorf("with all of the original %d octets of %d can be read: %v", len(got), v.Size(), err)
	}
}

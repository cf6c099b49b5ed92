package ffmpeg_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/ffmpeg"
	"github.com/videoactivmail/vam/internal/media"
)

// made probes the recording, does one work on it and returns the folder and its files.
func made(t *testing.T, tool *ffmpeg.Tool, path string, w media.Work) (media.Info, string, []ffmpeg.File) {
	t.Helper()
	i, err := tool.Probe(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files, err := tool.Make(t.Context(), w, i, path, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n, f := range files {
		info, err := os.Lstat(filepath.Join(dir, f.Name))
		if err != nil || vam.Bytes(info.Size()) != f.Size || f.Name != w.Files(i)[n] || f.Type == "" {
			t.Errorf("%+v is %v, %v on disk; the work promises %v", f, info, err, w.Files(i))
		}
	}
	return i, dir, files
}

// decode reads a picture that was made.
func decode(t *testing.T, path string) image.Image {
	t.Helper()
	m, err := jpeg.Decode(bytes.NewReader(readFile(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// at is the colour at a place in parts of the picture, in 8 bit.
func at(m image.Image, x, y float64) [3]int {
	b := m.Bounds()
	r, g, c, _ := m.At(b.Min.X+int(x*float64(b.Dx())), b.Min.Y+int(y*float64(b.Dy()))).RGBA()
	return [3]int{int(r >> 8), int(g >> 8), int(c >> 8)}
}

// near fails unless the colour is about the one wanted.
func near(t *testing.T, what string, got, want [3]int, within int) {
	t.Helper()
	for k := range got {
		if d := got[k] - want[k]; d < -within || d > within {
			t.Errorf("%s is %v, want %v", what, got, want)
			return
		}
	}
}

// TestPosterIsUpright: a picture that is red above and blue below, filmed with the phone on
// its side, stands as it should.
func TestPosterIsUpright(t *testing.T) {
	t.Parallel()
	tool := open(t)
	plain := synthesize(t, "plain.mp4", "-f", "lavfi", "-i", "color=red:size=320x90:duration=1:rate=5", "-f", "lavfi", "-i", "color=blue:size=320x90:duration=1:rate=5",
		"-filter_complex", "[0][1]vstack,format=yuv420p", "-c:v", "libx264", "-movflags", "+faststart")
	seen := map[int]bool{}
	for rotate, want := range map[string]image.Point{"0": {320, 180}, "90": {180, 320}, "180": {320, 180}, "270": {180, 320}} {
		path := synthesize(t, "turned.mp4", "-i", plain, "-c", "copy", "-metadata:s:v:0", "rotate="+rotate)
		i, dir, files := made(t, tool, path, media.NewWork(media.Poster))
		if files[0].Width != want.X || files[0].Height != want.Y || files[0].Type != "image/jpeg" {
			t.Errorf("rotate=%s: %+v; want %v", rotate, files[0], want)
			continue
		}
		// Where the upper edge comes to lie when the picture is turned clockwise.
		x, y := 0.5, 0.2
		turned := i.Video().Rotation
		seen[turned] = true
		switch turned {
		case 90:
			x, y = 0.8, 0.5
		case 180:
			x, y = 0.5, 0.8
		case 270:
			x, y = 0.2, 0.5
		}
		m := decode(t, filepath.Join(dir, media.PosterFile))
		near(t, "rotate="+rotate+": what was above", at(m, x, y), [3]int{254, 0, 0}, 12)
		near(t, "rotate="+rotate+": what was below", at(m, 1-x, 1-y), [3]int{0, 0, 254}, 12)
	}
	if len(seen) != 4 {
		t.Errorf("only %v were seen", seen)
	}
}

// TestPosterIsNotBlack: a recording that begins in the dark has a picture of later, however
// its key frames lie.
func TestPosterIsNotBlack(t *testing.T) {
	t.Parallel()
	tool := open(t)
	for name, tc := range map[string]struct {
		file  string
		light string // seconds
		args  []string
	}{
		"one key frame":         {"one.mp4", "0.7", []string{"-t", "1.9", "-c:v", "libx264", "-g", "100"}},
		"a key frame a second":  {"second.mp4", "3.5", []string{"-c:v", "libx264", "-g", "10", "-sc_threshold", "0"}},
		"key frames alone":      {"alone.mp4", "1", []string{"-c:v", "libx264", "-g", "1"}},
		"every picture decoded": {"every.webm", "1", []string{"-c:v", "libvpx-vp9", "-g", "100", "-deadline", "realtime"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := synthesize(t, tc.file, args([]string{"-f", "lavfi", "-i", "testsrc2=duration=5:size=160x120:rate=10", "-vf", "fade=in:st=" + tc.light + ":d=0.5", "-pix_fmt", "yuv420p"}, tc.args)...)
			_, dir, _ := made(t, tool, path, media.NewWork(media.Poster))
			if m := decode(t, filepath.Join(dir, media.PosterFile)); brightness(m) < 60 {
				t.Errorf("the brightness of the poster is %.0f", brightness(m))
			}
		})
	}
}

func brightness(m image.Image) float64 {
	var sum, n float64
	for y := range 20 {
		for x := range 20 {
			c := at(m, float64(x)/20, float64(y)/20)
			sum, n = sum+float64(c[0]+c[1]+c[2])/3, n+1
		}
	}
	return sum / n
}

// TestColours: the same colours, whatever the coding: full and narrow range, BT.601 and
// BT.709, PQ and HLG. Red, green, blue and a grey of the light of a page.
func TestColours(t *testing.T) {
	tool := open(t)
	bars := []string{"-f", "lavfi", "-i", "color=red:size=80x96:duration=0.4:rate=5", "-f", "lavfi", "-i", "color=0x00ff00:size=80x96:duration=0.4:rate=5", "-f", "lavfi", "-i", "color=gray:size=80x96:duration=0.4:rate=5"}
	for name, tc := range map[string]struct {
		filter string
		args   []string
		grey   [2]int // what is allowed
		pure   int    // of the strong component, at least
	}{
		"BT.601":     {"scale=out_color_matrix=bt601,format=yuv420p", []string{"-c:v", "libx264", "-colorspace", "smpte170m"}, [2]int{122, 134}, 240},
		"not said":   {"scale=out_color_matrix=bt601,format=yuv420p", []string{"-c:v", "libx264"}, [2]int{122, 134}, 240},
		"BT.709":     {"scale=out_color_matrix=bt709,format=yuv420p", []string{"-c:v", "libx264", "-colorspace", "bt709"}, [2]int{122, 134}, 240},
		"full range": {"scale=out_color_matrix=bt601:out_range=pc,format=yuvj420p", []string{"-c:v", "libx264", "-colorspace", "smpte170m", "-color_range", "pc"}, [2]int{122, 134}, 240},
		"PQ": {
			"format=gbrpf32le,zscale=tin=bt709:pin=bt709:min=gbr:t=smpte2084:p=bt2020:m=bt2020nc:npl=203:r=tv,format=yuv420p10le",
			[]string{"-c:v", "libx265", "-x265-params", "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"},
			[2]int{105, 145},
			190,
		},
		"HLG": {
			"format=gbrpf32le,zscale=tin=bt709:pin=bt709:min=gbr:t=arib-std-b67:p=bt2020:m=bt2020nc:npl=203:r=tv,format=yuv420p10le",
			[]string{"-c:v", "libx265", "-x265-params", "log-level=none:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc"},
			[2]int{90, 170},
			170,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := synthesize(t, "bars.mp4", args(bars, []string{"-filter_complex", "[0][1][2]hstack=3," + tc.filter}, tc.args)...)
			_, dir, _ := made(t, tool, path, media.NewWork(media.Poster))
			m := decode(t, filepath.Join(dir, media.PosterFile))
			red, green, grey := at(m, 1./6, 0.5), at(m, 0.5, 0.5), at(m, 5./6, 0.5)
			if red[0] < tc.pure || red[1] > 60 || red[2] > 60 || green[1] < tc.pure-10 || green[0] > 90 || green[2] > 60 {
				t.Errorf("red is %v and green %v", red, green)
			}
			for _, c := range grey {
				if c < tc.grey[0] || c > tc.grey[1] || c-grey[0] > 4 || grey[0]-c > 4 {
					t.Errorf("grey is %v, want it from %d to %d", grey, tc.grey[0], tc.grey[1])
					break
				}
			}
		})
	}
}

// TestStoryboard: the table and the picture agree, and go to the end.
func TestStoryboard(t *testing.T) {
	t.Parallel()
	i, dir, files := made(t, open(t), shared(t, "bbb-480p-30s.mp4"), media.NewWork(media.Storyboard))
	m := decode(t, filepath.Join(dir, media.StoryboardFile))
	table := string(readFile(t, filepath.Join(dir, media.StoryboardTableFile)))
	if m.Bounds().Dx() != 1600 || m.Bounds().Dy() != 176 || files[0].Width != 1600 || files[0].Height != 176 {
		t.Errorf("the picture is %v, and %+v", m.Bounds(), files[0])
	}
	if n := strings.Count(table, "-->"); n < 15 || n > 16 || !strings.HasPrefix(table, "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nstoryboard.jpg#xywh=0,0,160,88\n") {
		t.Errorf("%d cues in %s", n, table)
	}
	if !strings.Contains(table, "#xywh=640,88,160,88") || i.Duration < 30*time.Second {
		t.Errorf("the table ends early: %s", table)
	}
	if brightness(m) < 60 {
		t.Error("the picture is dark")
	}
}

// TestPreview: the first picture is the best one, and it stays small.
func TestPreview(t *testing.T) {
	t.Parallel()
	_, dir, files := made(t, open(t), shared(t, "bbb-480p-30s.mp4"), media.NewWork(media.Preview))
	if files[0].Size > 700_000 || files[0].Type != "image/gif" {
		t.Errorf("made %+v", files[0])
	}
	g, err := gif.DecodeAll(bytes.NewReader(readFile(t, filepath.Join(dir, media.PreviewFile))))
	if err != nil {
		t.Fatal(err)
	}
	if g.Config.Width != 400 || g.Config.Height != 224 || len(g.Image) < 5 || g.Delay[0] < 100 || g.LoopCount != 0 {
		t.Errorf("%d pictures of %d × %d, with delays %v", len(g.Image), g.Config.Width, g.Config.Height, g.Delay)
	}
	first := g.Image[0]
	near(t, "the play sign", at(first, 0.5, 0.5), [3]int{255, 255, 255}, 20)
	if dark := at(first, 0.862, 0.90); dark[0]+dark[1]+dark[2] > 300 {
		t.Errorf("the ground of the length is %v", dark)
	}
	if brightness(first) < 90 {
		t.Error("the first picture is dark")
	}
}

// TestPeaks: silence, a loud and a quiet part show as that.
func TestPeaks(t *testing.T) {
	t.Parallel()
	path := synthesize(t, "x.wav", "-f", "lavfi", "-i", "aevalsrc=sin(3000*t)*(0.9*between(t\\,1\\,2)+0.1*gte(t\\,2)):d=3:s=44100")
	_, dir, _ := made(t, open(t), path, media.NewWork(media.Peaks))
	var got struct {
		Duration float64
		Peaks    []int
	}
	if err := json.Unmarshal(readFile(t, filepath.Join(dir, media.PeaksFile)), &got); err != nil {
		t.Fatal(err)
	}
	n := len(got.Peaks)
	if got.Duration != 3 || n < 290 || n > 800 {
		t.Fatalf("%d values for %v s", n, got.Duration)
	}
	if a, b, c := got.Peaks[n/6], got.Peaks[n/2], got.Peaks[5*n/6]; a > 3 || b < 90 || b > 100 || c < 15 || c > 40 {
		t.Errorf("silence is %d, loud %d, quiet %d", a, b, c)
	}
}

// TestCaptions: what the container carries becomes WebVTT; a track of pictures does not
// shift the others.
func TestCaptions(t *testing.T) {
	t.Parallel()
	_, dir, files := made(t, open(t), shared(t, "sample_with_srt.mkv"), media.NewWork(media.Captions))
	if text := string(readFile(t, filepath.Join(dir, files[0].Name))); files[0].Type != "text/vtt" || !strings.HasPrefix(text, "WEBVTT") || !strings.Contains(text, "This is the first subtitle.") {
		t.Errorf("%+v is %q", files[0], text)
	}
}

// TestNothingToShow: pictures that cannot be decoded are a broken recording.
func TestNothingToShow(t *testing.T) {
	t.Parallel()
	tool := open(t)
	path := shared(t, "invalid-bitstream.webm")
	i, err := tool.Probe(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []media.WorkKind{media.Poster, media.Preview, media.Rendition} {
		if _, err := tool.Make(t.Context(), media.NewWork(k), i, path, t.TempDir(), nil); media.ReasonOf(err) != media.Broken || vam.KindOf(err).Temporary() {
			t.Errorf("%s: %v", k, err)
		}
	}
}

// TestDamagedBeginning: a recording whose first seconds cannot be decoded has a picture of
// later, and one without any is broken.
func TestDamagedBeginning(t *testing.T) {
	tool := open(t)
	whole := readFile(t, synthesize(t, "damaged.mp4", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=10:duration=20", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "20", "-bf", "0", "-movflags", "+faststart"))
	begin := bytes.Index(whole, []byte("mdat")) + 4
	for what, c := range map[string]struct {
		upTo   int // of the media
		broken bool
	}{"half": {len(whole[begin:]) / 2, false}, "all": {len(whole[begin:]), true}} {
		b := bytes.Clone(whole)
		clear(b[begin : begin+c.upTo])
		path := file(t, what+".mp4", b)
		info, err := tool.Probe(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tool.Make(t.Context(), media.NewWork(media.Poster), info, path, t.TempDir(), nil)
		if c.broken != (media.ReasonOf(err) == media.Broken) || !c.broken && err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestSoundBesideNoise: of a recording whose pictures are noise there is no poster, and a
// rendition of its sound.
func TestSoundBesideNoise(t *testing.T) {
	t.Parallel()
	tool := open(t)
	path := synthesize(t, "noise.mp4", args(picture(""), sound(), []string{"-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"})...)
	drown(t, path)
	info, err := tool.Probe(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tool.Make(t.Context(), media.NewWork(media.Poster), info, path, t.TempDir(), nil); media.ReasonOf(err) != media.Broken {
		t.Fatalf("its poster: %v", err)
	}
	info.NoPicture = true
	dir := t.TempDir()
	for _, w := range media.Plan(info, media.Judge(info)) {
		if _, err := tool.Make(t.Context(), w, info, path, dir, nil); err != nil {
			t.Errorf("%s: %v", w, err)
		}
	}
	made, err := tool.Probe(t.Context(), filepath.Join(dir, media.RenditionFile(0)))
	if err != nil || made.Kind() != vam.Voice || made.Duration < time.Second {
		t.Errorf("the rendition is %+v, %v", made, err)
	}
}

// drown overwrites all pictures of a recording with noise.
func drown(t *testing.T, path string) {
	t.Helper()
	list, err := exec.Command("ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "packet=size,pos", "-of", "csv=p=0", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	whole, noise := readFile(t, path), rand.NewChaCha8([32]byte{1})
	for _, line := range strings.Fields(string(list)) {
		var size, pos int
		if _, err := fmt.Sscanf(line, "%d,%d", &size, &pos); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		_, _ = noise.Read(whole[pos : pos+size])
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
}

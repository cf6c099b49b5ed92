package ffmpeg_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"math"
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

// TestPosterIsNotBlack: a recording that fades in has a picture of later.
func TestPosterIsNotBlack(t *testing.T) {
	path := synthesize(t, "fade.mp4", "-f", "lavfi", "-i", "testsrc2=duration=4:size=160x120:rate=10", "-vf", "fade=in:st=1:d=1", "-c:v", "libx264", "-g", "100", "-pix_fmt", "yuv420p")
	_, dir, _ := made(t, open(t), path, media.NewWork(media.Poster))
	if m := decode(t, filepath.Join(dir, media.PosterFile)); brightness(m) < 60 {
		t.Errorf("the brightness of the poster is %.0f", brightness(m))
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

// TestRenditionKeepsTime: flashes and beeps at 1 s and 5 s, in a recording whose pictures do
// not come evenly and whose sound starts late and has a gap, are together in the rendition.
func TestRenditionKeepsTime(t *testing.T) {
	const flash = "between(mod(%s,4),1,1.1)"
	path := synthesize(t, "flash.mkv",
		"-f", "lavfi", "-i", "color=black:size=160x120:duration=7:rate=30,geq=lum='if("+fmt.Sprintf(flash, "T")+",235,16)':cb=128:cr=128",
		"-f", "lavfi", "-i", "aevalsrc='0.8*sin(2*PI*1000*t)*"+fmt.Sprintf(flash, "t")+"':d=7:s=44100",
		"-filter_complex", "[0]select='not(mod(n\\,3))+between(n\\,40\\,90)',settb=1/1000[v];[1]atrim=start=0.5,aselect='not(between(t,2,3.7))'[a]", "-map", "[v]", "-map", "[a]",
		"-fps_mode", "passthrough", "-c:v", "mpeg4", "-q:v", "3", "-c:a", "pcm_s16le")
	tool := open(t)
	_, dir, files := made(t, tool, path, media.NewWork(media.Rendition))
	if files[0].Type != "video/mp4" || files[0].Width != 160 || files[0].Height != 120 {
		t.Errorf("made %+v", files[0])
	}
	rendition := filepath.Join(dir, files[0].Name)
	seen, heard := flashes(t, rendition), beeps(t, rendition)
	if len(seen) != 2 || len(heard) != 2 {
		t.Fatalf("flashes at %v, beeps at %v", seen, heard)
	}
	for n, want := range []float64{1, 5} {
		if skew := seen[n] - heard[n]; math.Abs(skew) > 0.040 || math.Abs(seen[n]-want) > 0.1 {
			t.Errorf("flash at %.3f s, beep at %.3f s, want both at %.0f s and 40 ms apart at most", seen[n], heard[n], want)
		}
	}
}

// flashes are the times at which the picture becomes light.
func flashes(t *testing.T, path string) []float64 {
	t.Helper()
	out, err := exec.Command("ffprobe", "-v", "error", "-f", "lavfi", "-i", "movie="+path+",signalstats", "-show_entries", "frame=pts_time:frame_tags=lavfi.signalstats.YAVG", "-of", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		Frames []struct {
			Time float64           `json:"pts_time,string"`
			Tags map[string]string `json:"tags"`
		} `json:"frames"`
	}
	if err := json.Unmarshal(out, &said); err != nil {
		t.Fatal(err)
	}
	var at []float64
	dark := true
	for _, f := range said.Frames {
		light := len(f.Tags["lavfi.signalstats.YAVG"]) >= 3 && f.Tags["lavfi.signalstats.YAVG"][:3] > "100"
		if light && dark {
			at = append(at, f.Time)
		}
		dark = !light
	}
	return at
}

// beeps are the times at which the sound becomes loud, for a player that plays its samples
// one after another.
func beeps(t *testing.T, path string) []float64 {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-i", path, "-map", "0:a", "-ac", "1", "-ar", "8000", "-f", "s16le", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	var at []float64
	last := -1.0
	for n := 0; n+1 < len(out); n += 2 {
		if v := int16(binary.LittleEndian.Uint16(out[n:])); v > 4000 || v < -4000 {
			now := float64(n) / 2 / 8000
			if last < 0 || now-last > 0.5 {
				at = append(at, now)
			}
			last = now
		}
	}
	return at
}

// TestRenditionCopies: what browsers take already is not touched.
func TestRenditionCopies(t *testing.T) {
	tool := open(t)
	path := shared(t, "sample.mkv") // H.264 and AC-3
	i, err := tool.Probe(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	plan := media.Plan(i, media.Judge(i))
	if plan[1].String() != "rendition;copy=video" {
		t.Fatalf("the plan is %v", plan)
	}
	_, dir, files := made(t, tool, path, plan[1])
	if before, after := frameSums(t, path), frameSums(t, filepath.Join(dir, files[0].Name)); before != after {
		t.Error("the pictures of the copy differ")
	}
	got, err := tool.Probe(t.Context(), filepath.Join(dir, files[0].Name))
	if err != nil || got.Audio().Codec != "aac" || !media.Judge(got).Everywhere() {
		t.Errorf("made %+v, %v", got, err)
	}
}

// frameSums is a sum of every decoded picture.
func frameSums(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-i", path, "-map", "0:v", "-fps_mode", "passthrough", "-f", "md5", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestRenditions: what comes out plays everywhere, upright and in the size that was asked.
func TestRenditions(t *testing.T) {
	tool := open(t)
	small := media.NewWork(media.Rendition)
	small.Short = 90
	for name, tc := range map[string]struct {
		path   func(*testing.T) string
		work   media.Work
		width  int
		height int
		sound  string
	}{
		"VP9 of odd size":   {func(t *testing.T) string { return shared(t, "bear-vp9-odd-dimensions.webm") }, media.NewWork(media.Rendition), 160, 120, ""},
		"HEVC HDR, turned":  {func(t *testing.T) string { return shared(t, "dolbyVision-hdr.MOV") }, media.NewWork(media.Rendition), 720, 1280, "aac"},
		"H.263 and AMR":     {func(t *testing.T) string { return shared(t, "bbb_176x144_128kbps_15fps_h263.3gp") }, media.NewWork(media.Rendition), 176, 144, ""},
		"a rung":            {func(t *testing.T) string { return shared(t, "sample_shorter_audio.mp4") }, small, 120, 90, "aac"},
		"wide pixels":       {wide, media.NewWork(media.Rendition), 240, 120, ""},
		"sound alone":       {func(t *testing.T) string { return shared(t, "sample_nb.amr") }, media.NewWork(media.Rendition), 0, 0, "aac"},
		"six channels":      {surround, media.NewWork(media.Rendition), 0, 0, "aac"},
		"240 a second":      {fast, media.NewWork(media.Rendition), 160, 120, ""},
		"transport stream":  {func(t *testing.T) string { return shared(t, "sd-hls0000000000.ts") }, mustWork("rendition;copy=video;copy=audio"), 640, 360, "aac"},
		"a copy that fails": {func(t *testing.T) string { return shared(t, "sample_nb.amr") }, mustWork("rendition;copy=audio"), 0, 0, "aac"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, dir, files := made(t, tool, tc.path(t), tc.work)
			after, err := tool.Probe(t.Context(), filepath.Join(dir, files[0].Name))
			if err != nil {
				t.Fatal(err)
			}
			if v := media.Judge(after); v.Play != media.PlayOriginal || !v.Everywhere() {
				t.Errorf("what was made is judged %+v: %+v", v, after)
			}
			if files[0].Width != tc.width || files[0].Height != tc.height {
				t.Errorf("made %+v, want %d × %d", files[0], tc.width, tc.height)
			}
			if v := after.Video(); v != nil && (v.Codec != "h264" || v.Rotation != 0 || v.PixelFormat != "yuv420p" || v.FrameRate > 61 || !tc.work.CopyVideo && v.Colour.Transfer != "bt709") {
				t.Errorf("the picture is %+v", v)
			}
			if a := after.Audio(); (a == nil) != (tc.sound == "") || a != nil && (a.Codec != tc.sound || a.Channels > 2) {
				t.Errorf("the sound is %+v, want %q", a, tc.sound)
			}
			if d := after.Duration - before.Duration; d < -150*time.Millisecond || d > 150*time.Millisecond {
				t.Errorf("it lasts %s, and lasted %s", after.Duration, before.Duration)
			}
		})
	}
}

func mustWork(s string) media.Work {
	w, err := media.ParseWork(s)
	if err != nil {
		panic(err)
	}
	return w
}

func wide(t *testing.T) string {
	return synthesize(t, "wide.mkv", args(picture(",setsar=3/2"), []string{"-c:v", "mpeg4"})...)
}

func surround(t *testing.T) string {
	return synthesize(t, "six.mkv", "-f", "lavfi", "-i", "aevalsrc=0.1*sin(900*t)|0|0.1*sin(700*t)|0|0|0:c=5.1:d=1", "-c:a", "ac3")
}

func fast(t *testing.T) string {
	return synthesize(t, "fast.avi", "-f", "lavfi", "-i", "testsrc2=duration=1:size=160x120:rate=240", "-c:v", "mpeg4")
}

// TestStoryboard: the table and the picture agree, and go to the end.
func TestStoryboard(t *testing.T) {
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

// TestPreview: the first picture is the finished poster, and it stays small.
func TestPreview(t *testing.T) {
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
	if dark := at(first, 0.872, 0.90); dark[0]+dark[1]+dark[2] > 300 {
		t.Errorf("the ground of the length is %v", dark)
	}
	if brightness(first) < 90 {
		t.Error("the first picture is dark")
	}
}

// TestPeaks: silence, a loud and a quiet part show as that.
func TestPeaks(t *testing.T) {
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
	_, dir, files := made(t, open(t), shared(t, "sample_with_srt.mkv"), media.NewWork(media.Captions))
	if text := string(readFile(t, filepath.Join(dir, files[0].Name))); files[0].Type != "text/vtt" || !strings.HasPrefix(text, "WEBVTT") || !strings.Contains(text, "This is the first subtitle.") {
		t.Errorf("%+v is %q", files[0], text)
	}
}

// TestNothingToShow: pictures that cannot be decoded are a broken recording.
func TestNothingToShow(t *testing.T) {
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

// TestProgress grows to the end.
func TestProgress(t *testing.T) {
	tool := open(t)
	path := synthesize(t, "x.avi", args(picture(""), []string{"-c:v", "mpeg4"})...)
	i, err := tool.Probe(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	last := -1.0
	if _, err := tool.Make(t.Context(), media.NewWork(media.Rendition), i, path, t.TempDir(), func(done float64) {
		if done < last || done > 1 {
			t.Errorf("%v after %v", done, last)
		}
		last = done
	}); err != nil {
		t.Fatal(err)
	}
	if last != 1 {
		t.Errorf("the last is %v", last)
	}
}

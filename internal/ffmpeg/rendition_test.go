package ffmpeg_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/videoactivmail/vam/internal/media"
)

// TestRenditionKeepsTime: flashes and beeps at 1 s and 5 s, in a recording whose pictures do
// not come evenly and whose sound starts late and has a gap, are together in the rendition.
func TestRenditionKeepsTime(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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

// TestScreenKeepsItsPixels: letters are not scaled, while a picture of a lens is.
func TestScreenKeepsItsPixels(t *testing.T) {
	t.Parallel()
	tool := open(t)
	const w, h = 1920, 1200
	raw := bytes.Repeat([]byte{0xf8}, w*h)
	for row := 20; row < h-40; row += 24 { // strokes of two pixels, as letters have
		for x := 20; x < w*2/3; x += 9 + row%4 {
			for y := row; y < row+8+x%7; y++ {
				raw[y*w+x], raw[y*w+x+1] = 0x20, 0x20
			}
		}
	}
	encode := []string{"-c:v", "libvpx", "-b:v", "2M", "-deadline", "realtime", "-cpu-used", "8"}
	screen := synthesize(t, "screen.webm", args([]string{"-f", "rawvideo", "-pixel_format", "gray", "-video_size", "1920x1200", "-framerate", "5", "-i", file(t, "raw", bytes.Repeat(raw, 2))}, encode)...)
	lens := synthesize(t, "lens.webm", args([]string{"-f", "lavfi", "-i", "gradients=size=1920x1200:duration=0.4:rate=5,noise=alls=12:allf=t,format=yuv420p"}, encode)...)
	if _, _, files := made(t, tool, screen, media.NewWork(media.Rendition)); len(files) != 1 || files[0].Width != w || files[0].Height != h {
		t.Errorf("a screen became %+v", files)
	}
	if _, _, files := made(t, tool, screen, mustWork("rendition;short=480")); len(files) != 0 {
		t.Errorf("a screen was made smaller: %+v", files)
	}
	if _, _, files := made(t, tool, lens, mustWork("rendition;short=480")); len(files) != 1 || files[0].Width != 768 || files[0].Height != 480 {
		t.Errorf("a picture became %+v", files)
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

// TestProgress grows to the end.
func TestProgress(t *testing.T) {
	t.Parallel()
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

package cmaf_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam/internal/cmaf"
	"github.com/videoactivmail/vam/internal/isobmff"
)

// corpus is where real recordings are; see CONTRIBUTING.md.
const corpus = "../../../shared/media"

// need skips without what a test stands on, and fails where it has to be there.
func need(t *testing.T, missing bool, what string) {
	t.Helper()
	if missing && os.Getenv("VAM_CI") == "1" {
		t.Fatal(what, " is needed")
	}
	if missing {
		t.Skip(what, " is not here")
	}
}

func needFFmpeg(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath("ffmpeg")
	need(t, err != nil, "ffmpeg")
}

func needCorpus(t *testing.T) {
	t.Helper()
	_, err := os.Stat(corpus)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("left out: the recordings are not at ", corpus) // a clone that is alone
	}
}

func ffmpeg(t *testing.T, args ...string) []byte {
	t.Helper()
	var out, diagnosis bytes.Buffer
	c := exec.CommandContext(t.Context(), "ffmpeg", append([]string{"-nostdin", "-v", "error", "-threads", "2"}, args...)...)
	c.Stdout, c.Stderr = &out, &diagnosis
	if err := c.Run(); err != nil {
		t.Fatalf("ffmpeg %s: %v\n%s", strings.Join(args, " "), err, diagnosis.String())
	}
	return out.Bytes()
}

// frame is one decoded picture or piece of sound.
type frame struct {
	at   time.Duration
	hash string
}

// decode gives the pictures that ffmpeg decodes of a file.
func decode(t *testing.T, path string, args ...string) []frame {
	t.Helper()
	return digests(t, append(args, "-copyts", "-i", path, "-map", "0:v:0", "-vsync", "passthrough", "-enc_time_base", "-1")...)["video"]
}

// packets gives the coded pieces of a file as they are: "video" and "audio".
func packets(t *testing.T, path string, video, audio bool) map[string][]frame {
	t.Helper()
	args := []string{"-copyts", "-i", path, "-c", "copy"}
	if video {
		args = append(args, "-map", "0:v:0")
	}
	if audio {
		args = append(args, "-map", "0:a:0")
	}
	return digests(t, args...)
}

// digests has ffmpeg write a digest of each piece, and sorts them by their type.
func digests(t *testing.T, args ...string) map[string][]frame {
	t.Helper()
	text := ffmpeg(t, append(args, "-f", "framemd5", "-")...)
	out := make(map[string][]frame)
	var units [2]struct{ num, den int64 }
	var kinds [2]string
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "#"); ok {
			var i int
			var num, den int64
			var kind string
			if n, _ := fmt.Sscanf(rest, "tb %d: %d/%d", &i, &num, &den); n == 3 && i < 2 {
				units[i].num, units[i].den = num, den
			}
			if n, _ := fmt.Sscanf(rest, "media_type %d: %s", &i, &kind); n == 2 && i < 2 {
				kinds[i] = kind
			}
			continue
		}
		fields := strings.Split(line, ",")
		if len(fields) < 6 {
			continue
		}
		i, err := strconv.Atoi(fields[0])
		pts, err2 := strconv.ParseInt(strings.TrimSpace(fields[2]), 10, 64)
		if err != nil || err2 != nil || i > 1 {
			t.Fatal(line)
		}
		at := time.Duration(float64(pts*units[i].num) / float64(units[i].den) * 1e9)
		out[kinds[i]] = append(out[kinds[i]], frame{at, strings.TrimSpace(fields[5])})
	}
	return out
}

// write makes the view of a file beside it.
func write(t *testing.T, path string) (string, *cmaf.View) {
	t.Helper()
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := isobmff.Read(in, st.Size(), isobmff.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := cmaf.New(m, cmaf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "view.mp4")
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, v.Progressive(in)); err != nil {
		t.Fatal(err)
	}
	return to, v
}

// compare holds a view against its original, as ffmpeg reads both: what is in them is the
// same, and what was together is together. A file that was cut has some more that is not
// shown; there ffmpeg puts the picture at the cut rather than behind it.
func compare(t *testing.T, original string, cut bool) string {
	t.Helper()
	made, v := write(t, original)
	video, audio := v.Tracks()
	want, got := packets(t, original, video != 0, audio != 0), packets(t, made, video != 0, audio != 0)
	var off [2]time.Duration
	if video != 0 {
		off[0] = compareStream(t, "video", want["video"], got["video"], cut)
	}
	if audio != 0 {
		off[1] = compareStream(t, "audio", want["audio"], got["audio"], cut)
	}
	most := 2 * time.Millisecond
	if cut {
		most = 40 * time.Millisecond
	}
	if skew := off[0] - off[1]; video != 0 && audio != 0 && skew.Abs() > most {
		t.Errorf("sound is %s off", skew)
	}
	return made
}

// compareStream gives the distance of the clocks of both.
func compareStream(t *testing.T, stream string, want, got []frame, cut bool) (off time.Duration) {
	t.Helper()
	at := make(map[string][]time.Duration)
	for _, f := range want {
		at[f.hash] = append(at[f.hash], f.at)
	}
	offs := make(map[time.Duration]int) // in milliseconds
	for _, f := range got {
		where := at[f.hash]
		if len(where) == 0 {
			t.Fatalf("what %s shows at %s is not in the original", stream, f.at)
		}
		if len(where) == 1 { // silence is the same everywhere
			d := f.at - where[0]
			if offs[d.Round(time.Millisecond)]++; offs[d.Round(time.Millisecond)] > offs[off.Round(time.Millisecond)] {
				off = d
			}
		}
	}
	const priming = 2 // pieces of sound that an encoder puts in front
	if !cut && len(got) < len(want)-priming {
		t.Errorf("%d pieces of %s, want %d", len(got), stream, len(want))
	}
	if !cut && len(offs) > 2 {
		t.Errorf("the clock of %s does not run like that of the original: %v", stream, offs)
	}
	return off
}

// compareDecoded holds the pictures of a view against those of the original.
func compareDecoded(t *testing.T, original, made string) {
	t.Helper()
	want, got := decode(t, original), decode(t, made)
	if len(want) != len(got) || !prefix(want, got) {
		t.Errorf("%d pictures, want %d; or they differ", len(got), len(want))
	}
}

func prefix(want, all []frame) bool {
	if len(all) < len(want) {
		return false
	}
	for i := range want {
		if want[i].hash != all[i].hash {
			return false
		}
	}
	return true
}

func TestCorpusThroughFFmpeg(t *testing.T) {
	needFFmpeg(t)
	needCorpus(t)
	type way struct {
		cut    bool
		decode bool // pictures as well; the largest are left to the test of the whole pipeline
	}
	files := map[string]way{
		"8k24fps_300ms.mp4": {}, "bbb-480p-30s.mp4": {}, "hdr10-av1.mp4": {}, "long_1080p_lowbitrate.mp4": {}, "portrait_4k60.mp4": {},
		"pixel7_videoOnly_cleaned.mp4": {}, "internal_emulator_transformer_output_270_rotated.mp4": {}, "sample_alac.mp4": {},
		"sample_audio_only_15s.mp4": {}, "sample_edit_list.mp4": {cut: true}, "dolbyVision-hdr.MOV": {cut: true},
		"sample_android_slow_motion.mp4": {decode: true}, "sample_fragmented.mp4": {decode: true}, "sample_ipcm_16be.mp4": {decode: true},
		"sample_mdat_too_long.mp4": {decode: true}, "sample_missing_stsd.mp4": {decode: true}, "sample_shorter_audio.mp4": {decode: true},
		"sample_with_chapters.mp4": {decode: true},
	}
	for name, way := range files {
		t.Run(name, func(t *testing.T) {
			original := filepath.Join(corpus, name)
			if made := compare(t, original, way.cut); way.decode {
				compareDecoded(t, original, made)
			}
		})
	}
}

// Files as ffmpeg and what is built on it write them.
func TestSynthesizedThroughFFmpeg(t *testing.T) {
	needFFmpeg(t)
	source := []string{
		"-f", "lavfi", "-i", "testsrc2=size=96x54:rate=25:duration=2", "-f", "lavfi", "-i", "aevalsrc='sin(440*t*t)|sin(300*t)':s=48000:d=2",
	}
	h264 := []string{"-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-bf", "3", "-b_strategy", "0", "-pix_fmt", "yuv420p"}
	aac := []string{"-c:a", "aac"}
	tests := map[string][]string{
		"pictures out of order": append(h264, aac...),
		"index first":           append(append(h264, aac...), "-movflags", "+faststart"),
		"fragments":             append(append(h264, aac...), "-movflags", "frag_keyframe+empty_moov"),
		"fragments of dash":     append(append(h264, aac...), "-movflags", "dash+frag_keyframe+delay_moov"),
		"no default base":       append(append(h264, aac...), "-movflags", "frag_keyframe+empty_moov+omit_tfhd_offset"),
		"uneven pictures":       append(append(h264, aac...), "-vf", "select='not(eq(mod(n,7),3))',setpts=PTS+0.003/TB*mod(N\\,3)", "-vsync", "vfr"),
		"opus":                  append(h264, "-c:a", "libopus"),
		"mp3":                   append(h264, "-c:a", "libmp3lame"),
		"flac":                  append(h264, "-c:a", "flac", "-strict", "-2"),
		"vp9":                   {"-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus"},
		"hevc":                  {"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error", "-tag:v", "hvc1", "-c:a", "aac"},
		"quicktime":             append(append(h264, aac...), "-f", "mov"),
		"sound alone":           {"-vn", "-c:a", "aac"},
		"picture alone":         append(h264, "-an"),
	}
	for name, args := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "original.mp4")
			ffmpeg(t, append(append(append([]string{}, source...), args...), "-y", path)...)
			if made := compare(t, path, false); !slices.Contains(args, "-vn") {
				compareDecoded(t, path, made)
			}
		})
	}
	t.Run("cut without encoding", func(t *testing.T) {
		folder := t.TempDir()
		path, cut := filepath.Join(folder, "original.mp4"), filepath.Join(folder, "cut.mp4")
		ffmpeg(t, append(append(append([]string{}, source...), append(h264, aac...)...), "-y", path)...)
		ffmpeg(t, "-ss", "0.7", "-i", path, "-t", "1", "-c", "copy", "-y", cut)
		made := compare(t, cut, true)
		want, got := decode(t, cut), decode(t, made)
		for len(got) > 0 && !prefix(want, got) {
			got = got[1:]
		}
		if len(got) < len(want) {
			t.Errorf("does not show the %d pictures of the cut", len(want))
		}
	})
}

// The segments and a playlist of the package hls are read by ffmpeg's own client of HLS.
func TestHLSThroughFFmpeg(t *testing.T) {
	needFFmpeg(t)
	folder := t.TempDir()
	original := filepath.Join(folder, "original.mp4")
	ffmpeg(t, "-f", "lavfi", "-i", "testsrc2=size=64x36:rate=25:duration=11", "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-bf", "2",
		"-b_strategy", "0", "-pix_fmt", "yuv420p", original)
	raw, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	v := view(t, raw, cmaf.Options{})
	if n := len(v.Segments()); n != 3 {
		t.Fatalf("%d segments", n)
	}
	save := func(name string, content []byte) {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save("init.mp4", v.Init())
	for i := range v.Segments() {
		save(fmt.Sprintf("%d.m4s", i), readAll(t, v.Open(bytes.NewReader(raw), i)))
	}
	save("index.m3u8", []byte(playlist(v).String()))
	want := decode(t, original)
	got := decode(t, filepath.Join(folder, "index.m3u8"), "-allowed_extensions", "ALL")
	if len(got) != len(want) || !prefix(want, got) {
		t.Errorf("%d pictures, want %d; or they differ", len(got), len(want))
	}
}

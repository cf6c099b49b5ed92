package corpus_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/videoactivmail/vam/e2e/watch"
	"github.com/videoactivmail/vam/internal/media"
)

// want is what is to become of a recording. width and height are those of the upright
// picture; a rendition may be smaller and keeps their form.
type want struct {
	play          media.Play
	reason        media.Reason
	width, height int
	seconds       float64
	sound         bool
	firefox       bool // it is in the sample that CI plays in Firefox
	still         bool // nothing moves in its first second
	broken        bool // its pictures are damaged: where a browser does not play them, the page says so
}

func (w want) pictures() bool { return w.width > 0 }

// expected is decided by what the recordings are, not by what the server says of them.
func expected() map[string]want {
	const o, v, r, n = media.PlayOriginal, media.PlayView, media.PlayRendition, media.PlayNone
	return map[string]want{
		"1024_incrementing_bytes.mp3":                          {play: n, reason: media.NotMedia},
		"8k24fps_300ms.mp4":                                    {play: v, width: 7680, height: 4320, seconds: 0.34, sound: true},
		"bbb-480p-30s.mp4":                                     {play: v, width: 854, height: 480, seconds: 30, sound: true, firefox: true},
		"bbb_176x144_128kbps_15fps_h263.3gp":                   {play: r, width: 176, height: 144, seconds: 1},
		"bbb_1920x1080_60fps_vp8.webm":                         {play: o, width: 1920, height: 1080, seconds: 1.012, sound: true, firefox: true},
		"bbb_2500ms.ts":                                        {play: r, width: 1920, height: 1080, seconds: 2.513, sound: true},
		"bear-vbr-xing-header.mp3":                             {play: o, seconds: 2.808, sound: true},
		"bear-vp9-odd-dimensions.webm":                         {play: o, width: 161, height: 121, seconds: 1.001, firefox: true},
		"bear_vorbis.ogg":                                      {play: o, seconds: 2.741, sound: true},
		"dolbyVision-hdr.MOV":                                  {play: v, width: 720, height: 1280, seconds: 0.107, sound: true},
		"hdr10-av1.mp4":                                        {play: v, width: 720, height: 1280, seconds: 4.238, sound: true},
		"internal_emulator_transformer_output_270_rotated.mp4": {play: v, width: 720, height: 1280, seconds: 4.972, sound: true, firefox: true},
		"invalid-bitstream.webm":                               {play: n, reason: media.Broken, firefox: true},
		"long_1080p_lowbitrate.mp4":                            {play: v, width: 1920, height: 1080, seconds: 362.767, sound: true, firefox: true, still: true},
		"pixel7_videoOnly_cleaned.mp4":                         {play: v, width: 1920, height: 1080, seconds: 1.206},
		"portrait_4k60.mp4":                                    {play: v, width: 2160, height: 3840, seconds: 0.313, sound: true},
		"roadtrip-vp92-10bit.webm":                             {play: r, width: 426, height: 240, seconds: 3.002},
		"sample.avi":                                           {play: r, width: 960, height: 400, seconds: 4.087, sound: true, firefox: true},
		"sample.flv":                                           {play: r, width: 1080, height: 720, seconds: 1.136, sound: true},
		"sample.mkv":                                           {play: r, width: 1080, height: 720, seconds: 1.072, sound: true, firefox: true},
		"sample_alac.mp4":                                      {play: v, seconds: 1.089, sound: true},
		"sample_android_slow_motion.mp4":                       {play: o, width: 1280, height: 720, seconds: 0.526},
		"sample_audio_only_15s.mp4":                            {play: v, seconds: 15.019, sound: true},
		"sample_av1.mkv":                                       {play: r, width: 720, height: 1280, seconds: 1},
		"sample_edit_list.mp4":                                 {play: v, width: 1080, height: 1920, seconds: 2.548, sound: true},
		"sample_fragmented.mp4":                                {play: v, width: 1080, height: 720, seconds: 1.1, sound: true, firefox: true},
		"sample_fragmented_clearkey.mp4":                       {play: n, reason: media.Encrypted},
		"sample_ima_adpcm.wav":                                 {play: r, seconds: 1.018, sound: true},
		"sample_ipcm_16be.mp4":                                 {play: r, width: 1080, height: 720, seconds: 1.089, sound: true},
		"sample_malformed_free_box.mp4":                        {play: n, reason: media.Broken},
		"sample_mdat_too_long.mp4":                             {play: o, width: 1080, height: 720, seconds: 1.024, sound: true},
		"sample_missing_stsd.mp4":                              {play: v, width: 1080, height: 720, seconds: 1.024},
		"sample_nb.amr":                                        {play: r, seconds: 4.36, sound: true},
		"sample_shorter_audio.mp4":                             {play: v, width: 320, height: 240, seconds: 1.2, sound: true},
		"sample_still_photo.heic":                              {play: n, reason: media.StillImage},
		"sample_vvc.mp4":                                       {play: n, reason: media.Unsupported},
		"sample_with_chapters.mp4":                             {play: v, width: 1080, height: 720, seconds: 1.089, sound: true},
		"sample_with_invalid_nalu.mp4":                         {play: o, width: 1080, height: 720, seconds: 1.001, broken: true},
		"sample_with_srt.mkv":                                  {play: r, width: 1080, height: 720, seconds: 1.072, sound: true},
		"sd-hls0000000000.ts":                                  {play: r, width: 640, height: 360, seconds: 2.5, sound: true},
		"subsample_encrypted_altref.webm":                      {play: n, reason: media.Encrypted},
	}
}

// generated are recordings that are made here, for a clone that is alone.
func generated(t *testing.T) (out []*sample) {
	t.Helper()
	dir := t.TempDir()
	const picture, tone = "testsrc2=size=640x360:rate=25", "sine=frequency=440:sample_rate=48000"
	both := []string{"-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone, "-t", "3"}
	for _, x := range []struct {
		name string
		args []string
		want want
	}{
		{"plain.mp4", []string{"-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", "+faststart"}, want{play: media.PlayOriginal, width: 640, height: 360, seconds: 3, sound: true, firefox: true}},
		{"index-last.mp4", []string{"-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"}, want{play: media.PlayView, width: 640, height: 360, seconds: 3, sound: true, firefox: true}},
		{"plain.webm", []string{"-c:v", "libvpx", "-c:a", "libopus"}, want{play: media.PlayOriginal, width: 640, height: 360, seconds: 3, sound: true}},
		{"old.avi", []string{"-c:v", "mpeg4", "-c:a", "mp3"}, want{play: media.PlayRendition, width: 640, height: 360, seconds: 3, sound: true, firefox: true}},
		{"sound.mkv", []string{"-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "ac3"}, want{play: media.PlayRendition, width: 640, height: 360, seconds: 3, sound: true}},
	} {
		path := filepath.Join(dir, x.name)
		args := append([]string{"-hide_banner", "-loglevel", "error", "-nostdin"}, both...)
		if msg, err := exec.Command("ffmpeg", append(append(args, x.args...), path)...).CombinedOutput(); err != nil {
			t.Fatalf("ffmpeg: %v\n%s", err, msg)
		}
		out = append(out, &sample{name: path, want: x.want, seen: map[string]watch.Result{}})
	}
	return out
}

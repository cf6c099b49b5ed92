package ffmpeg_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/ffmpeg"
	"github.com/videoactivmail/vam/internal/media"
)

// TestProbeCorpus holds what is said of recordings as cameras and phones made them.
func TestProbeCorpus(t *testing.T) {
	tool := open(t)
	for _, tc := range []struct {
		name, container, picture, sound string
		width, height                   int // as shown
		rotation                        int
		seconds                         float64
		play                            media.Play
		reason                          media.Reason
	}{
		{"bbb-480p-30s.mp4", "mp4", "h264", "aac", 854, 480, 0, 30.02, media.PlayOriginal, ""},
		{"dolbyVision-hdr.MOV", "mov", "hevc", "aac", 720, 1280, 90, 0.107, media.PlayView, ""},
		{"internal_emulator_transformer_output_270_rotated.mp4", "mp4", "h264", "aac", 720, 1280, 270, 4.972, media.PlayOriginal, ""},
		{"pixel7_videoOnly_cleaned.mp4", "mp4", "h264", "", 1920, 1080, 180, 1.206, media.PlayOriginal, ""},
		{"hdr10-av1.mp4", "mp4", "av1", "aac", 720, 1280, 0, 4.238, media.PlayOriginal, ""},
		{"roadtrip-vp92-10bit.webm", "matroska", "vp9", "", 426, 240, 0, 3.002, media.PlayRendition, ""},
		{"sample_fragmented.mp4", "mp4", "h264", "aac", 1080, 720, 0, 1.07, media.PlayOriginal, ""}, // ffprobe does not say that it is in fragments
		{"sample_with_srt.mkv", "matroska", "h264", "ac3", 1080, 720, 0, 1.234, media.PlayRendition, ""},
		{"sample_nb.amr", "amr", "", "amr_nb", 0, 0, 0, 4.36, media.PlayRendition, ""},
		{"bear-vbr-xing-header.mp3", "mp3", "", "mp3", 0, 0, 0, 2.808, media.PlayOriginal, ""},
		{"sample_still_photo.heic", "heif", "", "", 0, 0, 0, 0, media.PlayNone, media.StillImage},
		{"subsample_encrypted_altref.webm", "webm", "vp9", "", 360, 240, 0, 0.001, media.PlayNone, media.Encrypted},
		{"sample_vvc.mp4", "mp4", "", "", 320, 180, 0, 5, media.PlayNone, media.Unsupported},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			i, err := tool.Probe(t.Context(), shared(t, tc.name))
			if err != nil {
				t.Fatal(err)
			}
			var v, a media.Track
			if i.Video() != nil {
				v = *i.Video()
			}
			if i.Audio() != nil {
				a = *i.Audio()
			}
			if i.Container != tc.container || v.Codec != tc.picture || a.Codec != tc.sound || v.DisplayWidth != tc.width || v.DisplayHeight != tc.height || v.Rotation != tc.rotation {
				t.Errorf("Probe = %+v", i)
			}
			if d := i.Duration.Seconds() - tc.seconds; d < -0.05 || d > 0.05 {
				t.Errorf("it lasts %s, want %.3f s", i.Duration, tc.seconds)
			}
			if got := media.Judge(i); got.Play != tc.play || got.Reason != tc.reason {
				t.Errorf("Judge = %+v", got)
			}
		})
	}
}

// TestProbeRefuses: broken and foreign files end with a reason.
func TestProbeRefuses(t *testing.T) {
	t.Parallel()
	tool := open(t)
	for name, want := range map[string]media.Reason{
		"1024_incrementing_bytes.mp3":    media.NotMedia,
		"sample_malformed_free_box.mp4":  media.Broken,
		"sample_fragmented_clearkey.mp4": media.Encrypted,
	} {
		if _, err := tool.Probe(t.Context(), shared(t, name)); media.ReasonOf(err) != want || vam.KindOf(err).Temporary() {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if _, err := tool.Probe(t.Context(), t.TempDir()); media.ReasonOf(err) != media.NotMedia {
		t.Errorf("a folder: %v", err)
	}
	if _, err := tool.Probe(t.Context(), filepath.Join(t.TempDir(), "nonesuch")); vam.KindOf(err) != vam.Unavailable {
		t.Errorf("nothing: %v", err)
	}
}

// TestProbeColour: HDR, range and depth.
func TestProbeColour(t *testing.T) {
	i, err := open(t).Probe(t.Context(), shared(t, "dolbyVision-hdr.MOV"))
	if err != nil {
		t.Fatal(err)
	}
	if v := i.Video(); !v.Colour.HDR() || v.BitDepth != 10 || v.Colour.Primaries != "bt2020" || v.Colour.FullRange || len(i.Tracks) != 5 {
		t.Errorf("Probe = %+v", i)
	}
}

// TestProbeUnknownDuration: a stream that a browser recorded says nothing of its length; its
// packets do.
func TestProbeUnknownDuration(t *testing.T) {
	t.Parallel()
	path := synthesize(t, "live.webm", args(picture(""), sound(), []string{"-c:v", "libvpx", "-b:v", "200k", "-c:a", "libopus", "-live", "1", "-f", "webm"})...)
	i, err := open(t).Probe(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if d := i.Duration - 1500*time.Millisecond; d < -60*time.Millisecond || d > 60*time.Millisecond {
		t.Errorf("it lasts %s, want 1.5 s: %+v", i.Duration, i)
	}
}

// TestCoverArt: a picture on the sleeve is no video, and is not in the way.
func TestCoverArt(t *testing.T) {
	t.Parallel()
	tool := open(t)
	path := synthesize(t, "song.mp3", args(sound(), []string{"-f", "lavfi", "-i", "testsrc2=size=64x64:duration=0.1:rate=10"}, []string{"-map", "0", "-map", "1", "-frames:v", "1", "-c:v", "png", "-disposition:v", "attached_pic"})...)
	i, err := tool.Probe(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if i.Kind() != vam.Voice || i.Audio() == nil || len(i.Tracks) != 2 {
		t.Errorf("Probe = %+v", i)
	}
	if _, err := tool.Make(t.Context(), media.NewWork(media.Peaks), i, path, t.TempDir(), nil); err != nil {
		t.Error(err)
	}
}

func TestOpenErrors(t *testing.T) {
	if _, err := ffmpeg.Open(t.Context(), ffmpeg.Options{}); media.ReasonOf(err) != media.NoSandbox || vam.KindOf(err) != vam.Unavailable {
		t.Errorf("without a sandbox: %v", err)
	}
	tool := open(t)
	for _, o := range []ffmpeg.Options{{FFmpeg: "no-such-ffmpeg"}, {FFprobe: "no-such-ffprobe"}} {
		o.Box = tool.Box()
		if _, err := ffmpeg.Open(t.Context(), o); media.ReasonOf(err) != media.NoFFmpeg || vam.KindOf(err) != vam.NotFound {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := ffmpeg.Open(t.Context(), ffmpeg.Options{Box: tool.Box(), FFmpeg: script(t)}); vam.KindOf(err) != vam.Unavailable {
		t.Errorf("an ffmpeg that does not run: %v", err)
	}
	if tool.Version() == "" {
		t.Error("ffmpeg has no version")
	}
}

// TestCancel: the end of the context is temporary, for Probe and Make alike.
func TestCancel(t *testing.T) {
	t.Parallel()
	tool := open(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	path := synthesize(t, "x.avi", args([]string{"-f", "lavfi", "-i", "testsrc2=duration=60:size=640x480:rate=10"}, []string{"-c:v", "mpeg4"})...)
	i, err := tool.Probe(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tool.Make(ctx, media.NewWork(media.Rendition), i, path, t.TempDir(), func(float64) { cancel(enough) })
	if !errors.Is(err, enough) || vam.KindOf(err) != vam.Unavailable || media.ReasonOf(err) != "" {
		t.Errorf("Make = %v", err)
	}
	if _, err := tool.Probe(ctx, path); vam.KindOf(err) != vam.Unavailable {
		t.Errorf("Probe = %v", err)
	}
}

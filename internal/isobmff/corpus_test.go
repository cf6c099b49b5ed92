package isobmff_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/isobmff"
	"github.com/videoactivmail/vam/internal/media"
)

// corpus is where real recordings are; see CONTRIBUTING.md.
const corpus = "../../../shared/media"

// fact is what is known of a recording from other programs.
type fact struct {
	video, audio  string // codecs
	seconds       float64
	width, height int // as shown
	rotation      int
	encrypted     bool
	indexLast     bool
	others        int // tracks that are neither
	kind          vam.ErrorKind
	reason        media.Reason
}

func facts() map[string]fact {
	return map[string]fact{
		"8k24fps_300ms.mp4":                  {video: "hevc", audio: "aac", seconds: 0.34, width: 7680, height: 4320, indexLast: true},
		"bbb-480p-30s.mp4":                   {video: "h264", audio: "aac", seconds: 30, width: 854, height: 480, indexLast: true},
		"bbb_176x144_128kbps_15fps_h263.3gp": {video: "h263", seconds: 1, width: 176, height: 144, indexLast: true},
		"dolbyVision-hdr.MOV":                {video: "hevc", audio: "aac", seconds: 0.106667, width: 720, height: 1280, rotation: 90, indexLast: true, others: 3},
		"hdr10-av1.mp4":                      {video: "av1", audio: "aac", seconds: 4.238, width: 720, height: 1280, indexLast: true},
		"internal_emulator_transformer_output_270_rotated.mp4": {video: "h264", audio: "aac", seconds: 4.972, width: 720, height: 1280, rotation: 270, indexLast: true},
		"long_1080p_lowbitrate.mp4":                            {video: "h264", audio: "aac", seconds: 362.767, width: 1920, height: 1080, indexLast: true},
		"pixel7_videoOnly_cleaned.mp4":                         {video: "h264", seconds: 1.206, width: 1920, height: 1080, rotation: 180, indexLast: true},
		"portrait_4k60.mp4":                                    {video: "h264", audio: "aac", seconds: 0.3127, width: 2160, height: 3840, rotation: 90, indexLast: true},
		"sample_alac.mp4":                                      {audio: "alac", seconds: 1.089, indexLast: true},
		"sample_android_slow_motion.mp4":                       {video: "h264", seconds: 0.526, width: 1280, height: 720},
		"sample_audio_only_15s.mp4":                            {audio: "aac", seconds: 15.019, indexLast: true},
		"sample_edit_list.mp4":                                 {video: "hevc", audio: "aac", seconds: 2.548, width: 1080, height: 1920, rotation: 90, others: 2},
		"sample_fragmented.mp4":                                {video: "h264", audio: "aac", seconds: 1.1, width: 1080, height: 720},
		"sample_fragmented_clearkey.mp4":                       {video: "h264", audio: "aac", seconds: 1.1, width: 1080, height: 720, encrypted: true},
		"sample_ipcm_16be.mp4":                                 {video: "h264", audio: "pcm_s16be", seconds: 1.089, width: 1080, height: 720, indexLast: true},
		"sample_malformed_free_box.mp4":                        {kind: vam.Invalid, reason: media.Broken},
		"sample_mdat_too_long.mp4":                             {video: "h264", audio: "aac", seconds: 1.024, width: 1080, height: 720},
		"sample_missing_stsd.mp4":                              {video: "h264", seconds: 1.024, width: 1080, height: 720},
		"sample_shorter_audio.mp4":                             {video: "h264", audio: "aac", seconds: 1.2, width: 320, height: 240, indexLast: true},
		"sample_still_photo.heic":                              {},
		"sample_vvc.mp4":                                       {video: "vvc", seconds: 5, width: 320, height: 180, indexLast: true},
		"sample_with_chapters.mp4":                             {video: "h264", audio: "aac", seconds: 1.089, width: 1080, height: 720, indexLast: true, others: 1},
		"sample_with_invalid_nalu.mp4":                         {video: "h264", seconds: 1.001, width: 1080, height: 720},
		"sample.mkv":                                           {kind: vam.NotFound},
		"sample.avi":                                           {kind: vam.NotFound},
		"sd-hls0000000000.ts":                                  {kind: vam.NotFound},
		"bbb_1920x1080_60fps_vp8.webm":                         {kind: vam.NotFound},
		"1024_incrementing_bytes.mp3":                          {kind: vam.NotFound},
	}
}

// needCorpus leaves the test out in a clone that is alone; the others read files that are
// made here.
func needCorpus(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(corpus); errors.Is(err, fs.ErrNotExist) {
		t.Skip("left out: the recordings are not at ", corpus)
	}
}

func TestCorpus(t *testing.T) {
	needCorpus(t)
	for name, want := range facts() {
		t.Run(name, func(t *testing.T) {
			file, err := os.Open(filepath.Join(corpus, name))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			st, err := file.Stat()
			if err != nil {
				t.Fatal(err)
			}
			m, err := isobmff.Read(file, st.Size(), isobmff.Limits{})
			if err != nil {
				if want.kind == 0 || vam.KindOf(err) != want.kind || media.ReasonOf(err) != want.reason {
					t.Errorf("%s, %q: %v", vam.KindOf(err), media.ReasonOf(err), err)
				}
				return
			}
			i := m.Info()
			got := fact{encrypted: i.Encrypted, indexLast: i.IndexLast, seconds: want.seconds}
			for _, tr := range i.Tracks {
				if tr.Type != media.Video && tr.Type != media.Audio {
					got.others++
				}
			}
			if v := i.Video(); v != nil {
				got.video, got.width, got.height, got.rotation = v.Codec, v.DisplayWidth, v.DisplayHeight, v.Rotation
			}
			if a := i.Audio(); a != nil {
				got.audio = a.Codec
			}
			if got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
			if off := i.Duration - time.Duration(want.seconds*1e9); off.Abs() > 100*time.Millisecond {
				t.Errorf("is %s long, want %g s", i.Duration, want.seconds)
			}
		})
	}
}

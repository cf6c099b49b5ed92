package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam/internal/media"
)

// Keys are stable, and every duration is in seconds.
func TestRecordingKeys(t *testing.T) {
	got, err := json.Marshal(recordingOf(media.Info{
		Container: "mp4", Brands: []string{"isom", "mp42"}, Size: 1000, Duration: 90*time.Second + 40*time.Millisecond,
		Fragmented: true, IndexLast: true, Encrypted: true, Chapters: 3,
		Tracks: []media.Track{
			{
				ID: 1, Type: media.Video, Codec: "hevc", RFC6381: "hvc1.2", Profile: "Main 10", Width: 1920, Height: 1080,
				DisplayWidth: 1080, DisplayHeight: 1920, Rotation: 90, FrameRate: 29.97, VariableRate: true,
				PixelFormat: "yuv420p10le", BitDepth: 10,
				Colour:  media.Colour{Primaries: "bt2020", Transfer: "arib-std-b67", Matrix: "bt2020nc", FullRange: true},
				Default: true, Duration: 90 * time.Second, Start: -500 * time.Millisecond, BitRate: 4000,
			},
			{ID: 2, Type: media.Audio, Codec: "aac", Channels: 2, SampleRate: 48000, Language: "de"},
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"container":"mp4","brands":["isom","mp42"],"size":1000,"duration_seconds":90.04,"tracks":[` +
		`{"id":1,"type":"video","codec":"hevc","rfc6381":"hvc1.2","profile":"Main 10","width":1920,"height":1080,` +
		`"display_width":1080,"display_height":1920,"rotation":90,"frame_rate":29.97,"variable_rate":true,` +
		`"pixel_format":"yuv420p10le","bit_depth":10,` +
		`"colour":{"primaries":"bt2020","transfer":"arib-std-b67","matrix":"bt2020nc","full_range":true},` +
		`"default":true,"duration_seconds":90,"start_seconds":-0.5,"bit_rate":4000},` +
		`{"id":2,"type":"audio","codec":"aac","channels":2,"sample_rate":48000,"language":"de"}],` +
		`"fragmented":true,"index_last":true,"encrypted":true,"chapters":3}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

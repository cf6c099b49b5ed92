package media_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/media"
)

// recording puts one picture and one sound into a container; "" leaves either out.
func recording(container, picture, sound string) media.Info {
	i := media.Info{Container: container, Size: 5_000_000, Duration: 30 * time.Second}
	if picture != "" {
		i.Tracks = append(i.Tracks, media.Track{ID: 1, Type: media.Video, Codec: picture, Width: 1280, Height: 720, DisplayWidth: 1280, DisplayHeight: 720})
	}
	if sound != "" {
		i.Tracks = append(i.Tracks, media.Track{ID: 2, Type: media.Audio, Codec: sound, Channels: 2, SampleRate: 48000})
	}
	return i
}

// with changes a recording.
func with(i media.Info, change func(*media.Info)) media.Info {
	change(&i)
	return i
}

func ten(i *media.Info)    { i.Tracks[0].BitDepth, i.Tracks[0].PixelFormat = 10, "yuv420p10le" }
func hdr(i *media.Info)    { ten(i); i.Tracks[0].Colour.Transfer = "smpte2084" }
func last(i *media.Info)   { i.IndexLast = true }
func pieces(i *media.Info) { i.Fragmented = true }
func huge(i *media.Info)   { i.Tracks[0].Width, i.Tracks[0].Height = 100_000, 100_000 }
func long(i *media.Info)   { i.Duration = 13 * time.Hour }
func locked(i *media.Info) { i.Encrypted = true }
func crowd(i *media.Info) {
	for n := range 40 {
		i.Tracks = append(i.Tracks, media.Track{ID: 10 + n, Type: media.Data})
	}
}

// TestJudge holds the rules beside recordings as cameras, phones and browsers make them.
func TestJudge(t *testing.T) {
	all := []string{media.Chromium, media.Firefox, media.Safari}
	free := []string{media.Chromium, media.Firefox}
	for _, tc := range []struct {
		name     string
		info     media.Info
		play     media.Play
		browsers []string
		reason   media.Reason
	}{
		{"the ordinary case", recording("mp4", "h264", "aac"), media.PlayOriginal, all, ""},
		{"no sound", recording("mp4", "h264", ""), media.PlayOriginal, all, ""},
		{"Opus in MP4, as new browsers record", recording("mp4", "h264", "opus"), media.PlayOriginal, all, ""},
		{"MP3 in MP4", recording("mp4", "h264", "mp3"), media.PlayOriginal, all, ""},
		{"index at the end", with(recording("mp4", "h264", "aac"), last), media.PlayView, all, ""},
		{"fragments", with(recording("mp4", "h264", "aac"), pieces), media.PlayView, all, ""},
		{"QuickTime", recording("mov", "h264", "aac"), media.PlayView, all, ""},
		{"3GP with H.264", recording("3gp", "h264", "aac"), media.PlayView, all, ""},
		{"a track that nobody knows beside a picture", with(recording("mp4", "h264", "aac"), func(i *media.Info) { i.Tracks[1].Codec = "" }), media.PlayView, all, ""},
		{"H.264 with 10 bit", with(recording("mp4", "h264", "aac"), ten), media.PlayOriginal, []string{media.Chromium}, ""},
		{"H.264 4:2:2 by its profile alone", with(recording("mp4", "h264", "aac"), func(i *media.Info) { i.Tracks[0].Profile = "High 4:2:2" }), media.PlayOriginal, []string{media.Chromium}, ""},
		{"full range", with(recording("mp4", "h264", "aac"), func(i *media.Info) { i.Tracks[0].PixelFormat = "yuvj420p" }), media.PlayOriginal, all, ""},
		{"HEVC of an iPhone", with(recording("mov", "hevc", "aac"), hdr), media.PlayView, []string{media.Safari}, ""},
		{"HEVC with Opus", recording("mp4", "hevc", "opus"), media.PlayOriginal, []string{media.Safari}, ""},
		{"AV1", recording("mp4", "av1", "aac"), media.PlayOriginal, free, ""},
		{"AV1 HDR", with(recording("mp4", "av1", "aac"), hdr), media.PlayOriginal, []string{media.Chromium}, ""},
		{"AV1 with Apple's sound: no browser has both", recording("mp4", "av1", "alac"), media.PlayRendition, nil, ""},
		{"PCM in MP4", recording("mp4", "h264", "pcm_s16be"), media.PlayRendition, nil, ""},
		{"AC-3 in MP4", recording("mp4", "h264", "ac3"), media.PlayOriginal, []string{media.Safari}, ""},
		{"ALAC", recording("mp4", "", "alac"), media.PlayOriginal, []string{media.Safari}, ""},
		{"MPEG-4 part 2 in MP4", recording("mp4", "mpeg4", "aac"), media.PlayRendition, nil, ""},
		{"VP8, as browsers record", recording("webm", "vp8", "opus"), media.PlayOriginal, all, ""},
		{"VP9 and Vorbis", recording("webm", "vp9", "vorbis"), media.PlayOriginal, all, ""},
		{"VP9 profile 2", with(recording("webm", "vp9", ""), ten), media.PlayOriginal, free, ""},
		{"VP9 profile 2 by its name alone", with(recording("webm", "vp9", ""), func(i *media.Info) { i.Tracks[0].Profile = "Profile 2" }), media.PlayOriginal, free, ""},
		{"VP9 HDR", with(recording("webm", "vp9", ""), hdr), media.PlayOriginal, []string{media.Chromium}, ""},
		{"WebM with a sound that nobody knows", recording("webm", "vp9", "nonesuch"), media.PlayRendition, nil, ""},
		{"Matroska", recording("matroska", "h264", "ac3"), media.PlayRendition, nil, ""},
		{"transport stream", recording("mpegts", "h264", "aac"), media.PlayRendition, nil, ""},
		{"AVI", recording("avi", "mpeg4", "mp3"), media.PlayRendition, nil, ""},
		{"FLV", recording("flv", "h264", "aac"), media.PlayRendition, nil, ""},
		{"3GP of old phones", recording("3gp", "h263", "amr_nb"), media.PlayRendition, nil, ""},
		{"MP3", recording("mp3", "", "mp3"), media.PlayOriginal, all, ""},
		{"WAV", recording("wav", "", "pcm_s16le"), media.PlayOriginal, all, ""},
		{"WAV with ADPCM", recording("wav", "", "adpcm_ima_wav"), media.PlayRendition, nil, ""},
		{"FLAC", recording("flac", "", "flac"), media.PlayOriginal, all, ""},
		{"AAC", recording("adts", "", "aac"), media.PlayOriginal, all, ""},
		{"sound in MP4", recording("mp4", "", "aac"), media.PlayOriginal, all, ""},
		{"Ogg", recording("ogg", "", "vorbis"), media.PlayOriginal, free, ""},
		{"AMR", recording("amr", "", "amr_nb"), media.PlayRendition, nil, ""},

		{"nothing known", media.Info{}, media.PlayNone, nil, media.NotMedia},
		{"a container without tracks", recording("mp4", "", ""), media.PlayNone, nil, media.NotMedia},
		{"a photo", recording("heif", "hevc", ""), media.PlayNone, nil, media.StillImage},
		{"encrypted", with(recording("mp4", "h264", "aac"), locked), media.PlayNone, nil, media.Encrypted},
		{"a picture that nobody knows", with(recording("mp4", "vvc", "aac"), func(i *media.Info) { i.Tracks[0].Codec = "" }), media.PlayNone, nil, media.Unsupported},
		{"a picture with a name that nobody decodes", recording("mp4", "vvc", "aac"), media.PlayNone, nil, media.Unsupported},
		{"MagicYUV has no decoder here", recording("avi", "magicyuv", ""), media.PlayNone, nil, media.Unsupported},
		{"too large to convert", with(recording("avi", "mpeg4", ""), huge), media.PlayNone, nil, media.TooLarge},
		{"too long to convert", with(recording("avi", "mpeg4", ""), long), media.PlayNone, nil, media.TooLong},
		{"long, but nothing to convert", with(recording("mp4", "h264", "aac"), long), media.PlayOriginal, all, ""},
		{"too many tracks", with(recording("mp4", "h264", "aac"), crowd), media.PlayNone, nil, media.TooLarge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := media.Judge(tc.info)
			if got.Play != tc.play || got.Reason != tc.reason || !slices.Equal(got.Browsers, tc.browsers) {
				t.Errorf("Judge = %+v, want %s %v %s", got, tc.play, tc.browsers, tc.reason)
			}
			if got.Play != media.PlayNone && !got.Everywhere() && got.Detail == "" {
				t.Error("nothing says what decided")
			}
		})
	}
}

// TestPlan holds what is made, and in which order.
func TestPlan(t *testing.T) {
	small := func(i *media.Info) { i.Size, i.Duration = 100_000, 5*time.Second }
	for _, tc := range []struct {
		name string
		info media.Info
		want []string
	}{
		{"the ordinary case needs nothing to play", recording("mp4", "h264", "aac"), []string{"poster", "preview", "storyboard"}},
		{"short", with(recording("mp4", "h264", "aac"), small), []string{"poster", "preview"}},
		{"what plays comes before what is nice", recording("avi", "mpeg4", "mp3"), []string{"poster", "rendition", "preview", "storyboard", "rendition;short=480"}},
		{"copies what fits", with(recording("mpegts", "h264", "aac"), small), []string{"poster", "rendition;copy=video;copy=audio", "preview"}},
		{"copies the picture", with(recording("matroska", "h264", "ac3"), small), []string{"poster", "rendition;copy=video", "preview"}},
		{"copies the sound", with(recording("mov", "hevc", "aac"), small), []string{"poster", "rendition;copy=audio", "preview"}},
		{"six channels are mixed down", with(with(recording("mpegts", "h264", "aac"), small), func(i *media.Info) { i.Tracks[1].Channels = 6 }), []string{"poster", "rendition;copy=video", "preview"}},
		{"10 bit are not copied", with(with(recording("mpegts", "h264", "aac"), small), ten), []string{"poster", "rendition;copy=audio", "preview"}},
		{"captions", with(with(recording("mp4", "h264", "aac"), small), func(i *media.Info) { i.Tracks = append(i.Tracks, media.Track{ID: 3, Type: media.Text}) }), []string{"poster", "captions", "preview"}},
		{"WebM plays at once, and later on old telephones", with(recording("webm", "vp8", "opus"), small), []string{"poster", "preview", "rendition"}},
		{"4K", with(recording("mp4", "h264", "aac"), func(i *media.Info) {
			i.Tracks[0].DisplayWidth, i.Tracks[0].DisplayHeight, i.Size = 2160, 3840, 200_000_000
		}), []string{"poster", "preview", "storyboard", "rendition;copy=audio", "rendition;short=480;copy=audio"}},
		{"a screen keeps its pixels", with(recording("mp4", "h264", "aac"), func(i *media.Info) {
			i.Tracks[0].DisplayWidth, i.Tracks[0].DisplayHeight, i.Size, i.Screen = 3840, 2160, 40_000_000, true
		}), []string{"poster", "preview", "storyboard"}},
		{"voice", recording("mp3", "", "mp3"), []string{"peaks"}},
		{"voice of an old telephone", recording("amr", "", "amr_nb"), []string{"peaks", "rendition"}},
		{"the picture is too large to decode, and plays", with(recording("mp4", "h264", "aac"), huge), nil},
		{"very long, and plays", with(recording("mp4", "h264", "aac"), long), []string{"poster"}},
		{"nothing", media.Info{}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, w := range media.Plan(tc.info, media.Judge(tc.info)) {
				got = append(got, w.String())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// anyInfo draws recordings, sensible and not.
func anyInfo() *rapid.Generator[media.Info] {
	codecs := slices.Concat(media.Codecs(media.Video), media.Codecs(media.Audio), []string{"", "vvc"})
	track := rapid.Custom(func(t *rapid.T) media.Track {
		return media.Track{
			Type: rapid.SampledFrom([]media.TrackType{media.Video, media.Audio, media.Text, media.Data}).Draw(t, "type"), Codec: rapid.SampledFrom(codecs).Draw(t, "codec"),
			Width: rapid.IntRange(-1, 1<<31).Draw(t, "width"), Height: rapid.IntRange(-1, 1<<31).Draw(t, "height"),
			BitDepth: rapid.IntRange(0, 16).Draw(t, "depth"), Channels: rapid.IntRange(0, 64).Draw(t, "channels"),
			Default: rapid.Bool().Draw(t, "default"), Colour: media.Colour{Transfer: rapid.SampledFrom([]string{"", "bt709", "smpte2084"}).Draw(t, "transfer")},
		}
	})
	return rapid.Custom(func(t *rapid.T) media.Info {
		return media.Info{
			Container:  rapid.SampledFrom([]string{"", "mp4", "mov", "webm", "matroska", "ogg", "wav", "heif", "nonesuch"}).Draw(t, "container"),
			Tracks:     rapid.SliceOfN(track, 0, 40).Draw(t, "tracks"),
			Duration:   time.Duration(rapid.Int64().Draw(t, "duration")),
			Size:       rapid.Int64().Draw(t, "size"),
			Fragmented: rapid.Bool().Draw(t, "fragmented"), IndexLast: rapid.Bool().Draw(t, "last"),
			Encrypted: rapid.Bool().Draw(t, "encrypted"), Screen: rapid.Bool().Draw(t, "screen"),
		}
	})
}

// TestVerdictsAndPlansFit draws recordings and holds what each verdict promises.
func TestVerdictsAndPlansFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		i := anyInfo().Draw(t, "info")
		v := media.Judge(i)
		plan := media.Plan(i, v)
		seen := map[string]bool{}
		renditions := 0
		for _, w := range plan {
			for _, name := range w.Files(i) {
				if seen[name] {
					t.Fatalf("%s is made twice: %v", name, plan)
				}
				seen[name] = true
			}
			if w.Kind == media.Rendition {
				renditions++
			}
			if w.Class != w.Kind.Class() {
				t.Fatalf("the class of %s is %q", w, w.Class)
			}
		}
		switch v.Play {
		case media.PlayNone:
			if v.Reason == "" || len(v.Browsers) > 0 || len(plan) > 0 {
				t.Fatalf("nothing plays, with %+v and the plan %v", v, plan)
			}
		case media.PlayRendition:
			if renditions == 0 || len(v.Browsers) > 0 || v.Reason != "" {
				t.Fatalf("needs a rendition, with %+v and the plan %v", v, plan)
			}
		default:
			if len(v.Browsers) == 0 || v.Reason != "" {
				t.Fatalf("plays, with %+v", v)
			}
		}
	})
}

func TestKind(t *testing.T) {
	for _, tc := range []struct {
		info media.Info
		want vam.Kind
	}{
		{recording("mp4", "h264", "aac"), vam.Video},
		{recording("mp4", "h264", ""), vam.Video},
		{recording("mp4", "", "aac"), vam.Voice},
		{recording("heif", "hevc", ""), vam.File},
		{recording("mp4", "", ""), vam.File},
		{media.Info{}, vam.File},
	} {
		if got := tc.info.Kind(); got != tc.want {
			t.Errorf("%s with %d tracks is %s, want %s", tc.info.Container, len(tc.info.Tracks), got, tc.want)
		}
	}
}

// TestDefaultTrack: a player shows the track that is marked, else the first.
func TestDefaultTrack(t *testing.T) {
	i := media.Info{Container: "mp4", Tracks: []media.Track{{ID: 1, Type: media.Video}, {ID: 2, Type: media.Audio}, {ID: 3, Type: media.Audio, Default: true}}}
	if v, a := i.Video(), i.Audio(); v.ID != 1 || a.ID != 3 {
		t.Errorf("picture %d and sound %d, want 1 and 3", v.ID, a.ID)
	}
}

// TestLargestRendition: what a recording says of its length cannot fill a disk.
func TestLargestRendition(t *testing.T) {
	for d, want := range map[time.Duration]vam.Bytes{
		time.Second: 66 * vam.MiB, time.Minute: 184 * vam.MiB, 0: 64*vam.MiB + 1200*vam.MiB, -1: 64*vam.MiB + 1200*vam.MiB,
		1 << 62: 64*vam.MiB + 8*vam.GiB,
	} {
		if got := (media.Info{Duration: d}).LargestRendition(); got != want {
			t.Errorf("of %v: %v, want %v", d, got, want)
		}
	}
}

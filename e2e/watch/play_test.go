package watch_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/videoactivmail/vam/e2e/watch"
	"github.com/videoactivmail/vam/internal/grant"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/submission"
	"github.com/videoactivmail/vam/internal/web/webtest"
)

// ordinaryClip is the film of the shared recordings where they are, else one of the same
// form that is made here.
func ordinaryClip(t testing.TB) (data []byte, info media.Info) {
	t.Helper()
	if data, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "media", "bbb-480p-30s.mp4")); err == nil {
		return data, infoOf(854, 480, 30)
	}
	return mp4(t, "30", "854x480"), infoOf(854, 480, 30)
}

// wantPlays fails unless a page plays as a person would have it.
func wantPlays(t *testing.T, r watch.Result, width, height int, seconds float64) {
	t.Helper()
	p := r.Player
	if r.Error != "" || p == nil || r.Started.Ready != "plays" {
		t.Fatalf("%s in %s does not play: %q, %+v, %s", r.Name, r.Version, r.Started.Ready, p, r.Error)
	}
	if p.Reached-p.First < 0.5 && !p.Ended {
		t.Errorf("%s: the clock moved from %.2f to %.2f s", r.Name, p.First, p.Reached)
	}
	if math.Abs(p.Duration-seconds) > 0.1 {
		t.Errorf("%s: it is %.3f s long, want %.3f", r.Name, p.Duration, seconds)
	}
	if p.Width != width || p.Height != height {
		t.Errorf("%s: the picture has %d × %d pixels, want %d × %d", r.Name, p.Width, p.Height, width, height)
	}
	if width > 0 && (p.Pictures < 5 || p.Light < 10) {
		t.Errorf("%s: %d different pictures were seen, the lightest at %.0f", r.Name, p.Pictures, p.Light)
	}
	// Firefox says it of pictures alone.
	if r.Browser == watch.Chromium && p.AudioBytes <= 0 || r.Browser == watch.Firefox && width > 0 && (p.HasAudio == nil || !*p.HasAudio) {
		t.Errorf("%s: no sound was decoded", r.Name)
	}
	if r.Sound != nil && (r.Sound.Error != "" || math.Abs(r.Sound.Seconds-seconds) > 0.2 || r.Sound.Peak < 0.01) {
		t.Errorf("%s: the sound is %+v", r.Name, r.Sound)
	}
}

func TestPlayInChromium(t *testing.T) { playIn(t, watch.Chromium) }
func TestPlayInFirefox(t *testing.T)  { playIn(t, watch.Firefox) }

// playIn plays a film and a voice message by the sign on the picture, seeks, and looks
// whether that was counted as a view.
func playIn(t *testing.T, browser string) {
	d := webtest.New(t, webtest.Options{})
	film, info := ordinaryClip(t)
	video := d.Send(submission.Draft{Subject: "Big Buck Bunny", Name: "bbb.mp4"}, film)
	d.Know(video, info)
	voice := d.Send(submission.Draft{Kind: "voice", Name: "voice.mp3"}, clip(t, "voice.mp3", "-f", "lavfi", "-i", "sine=frequency=300:duration=5"))
	d.Know(voice, media.Info{Container: "mp3", Duration: info.Duration / 6, Tracks: []media.Track{{ID: 1, Type: media.Audio, Codec: "mp3", Default: true}}})
	// Its index stands at the end and its brand is QuickTime's: it is played as a view.
	mov := d.Send(submission.Draft{Subject: "From a phone", Name: "phone.mov"}, clip(t, "phone.mov", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25",
		"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "8", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"))
	videoLink, voiceLink, movLink := d.Link(video.Key, grant.Terms{}), d.Link(voice.Key, grant.Terms{}), d.Link(mov.Key, grant.Terms{})
	far := 25.0
	results := watch.Run(t, browser,
		watch.Job{Name: "video", URL: d.URL(videoLink, ""), Play: true, PlayMS: 2000, Seek: &far, Sound: true},
		watch.Job{Name: "voice", URL: d.URL(voiceLink, ""), Play: true, PlayMS: 2000, Sound: true},
		watch.Job{Name: "view", URL: d.URL(movLink, ""), Play: true, PlayMS: 2000, Sound: true},
	)
	wantPlays(t, results[0], 854, 480, 30)
	wantPlays(t, results[2], 320, 180, 8)
	if !strings.HasSuffix(results[2].Player.Src, "/play/view") {
		t.Errorf("the film of the phone is played from %s", results[2].Player.Src)
	}
	wantPlays(t, results[1], 0, 0, 5)
	if by := results[0].Started.By; by != "sign" {
		t.Errorf("the film was started by the %s, want the sign on the picture", by)
	}
	if at := results[0].Player.Sought; at == nil || math.Abs(*at-far) > 0.5 {
		t.Errorf("the seek to %.0f s led to %v", far, at)
	}
	for name, link := range map[string]grant.Link{"video": videoLink, "voice": voiceLink, "view": movLink} {
		if n := d.Plays(link); n != 1 {
			t.Errorf("%s: %d views were counted, want 1", name, n)
		}
	}
	for _, r := range results {
		for _, line := range r.Console {
			t.Errorf("%s: the browser says %s", r.Name, line)
		}
		t.Logf("%s %s: first after %.0f ms; %+v %+v", r.Version, r.Name, r.Started.FirstMS, *r.Player, r.Sound)
	}
}

// TestHLSPlays: Chromium plays the playlists by itself, in the place of Safari, which the
// tests have not.
func TestHLSPlays(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	m := d.Send(submission.Draft{Subject: "Segments", Name: "segments.mp4"}, mp4(t, "12", "320x180"))
	link := d.Link(m.Key, grant.Terms{})
	r := watch.Run(t, watch.Chromium, watch.Job{Name: "hls", URL: d.URL(link, ""), Evaluate: `(async () => {
		const v = document.createElement("video");
		v.muted = true;
		v.src = document.querySelector("source[type='application/vnd.apple.mpegurl']").src;
		document.body.append(v);
		await v.play();
		v.currentTime = 9;
		await new Promise((go) => { v.ontimeupdate = () => { if (v.currentTime > 9.3) go(); }; });
		return { seconds: Math.round(v.duration), width: v.videoWidth, at: Math.floor(v.currentTime), error: v.error };
	})()`})
	if got := string(r[0].Value); got != `{"seconds":12,"width":320,"at":9,"error":null}` {
		t.Errorf("%s %s %v", got, r[0].Error, r[0].Console)
	}
}

// TestKeyboard: everything can be reached and worked by keys, and the focus is seen.
func TestKeyboard(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	m := d.Send(submission.Draft{Subject: "Keys", Name: "keys.mp4"}, mp4(t, "12", "320x180"))
	d.Know(m, infoOf(320, 180, 12))
	link := d.Link(m.Key, grant.Terms{})
	r := watch.Run(t, watch.Chromium,
		watch.Job{Name: "tabs", URL: d.URL(link, ""), Tabs: 12},
		watch.Job{
			Name: "keys", URL: d.URL(link, ""), Play: true, PlayMS: 300, Keys: []string{"l", "k", "m", ">", ">"},
			Evaluate: `(() => { const p = document.getElementById("player"); return { t: p.currentTime, paused: p.paused, muted: p.muted, rate: p.playbackRate, focus: document.activeElement.id }; })()`,
		},
	)
	var ids []string
	for _, stop := range r[0].Tabs {
		if stop == nil {
			continue
		}
		ids = append(ids, stop.ID+stop.Tag)
		if stop.Outline < 2 && stop.Tag != "video" {
			t.Errorf("the focus on %+v cannot be seen", *stop)
		}
	}
	walk := strings.Join(ids, " ")
	at := 0
	for _, want := range []string{"startbutton", "backbutton", "aheadbutton", "speedselect", "summary", "downloada", "a"} {
		i := strings.Index(walk[at:], want)
		if i < 0 {
			t.Fatalf("Tab leads to %s; %s is not in its place", walk, want)
		}
		at += i
	}
	if got := string(r[1].Value); !strings.Contains(got, `"paused":true,"muted":true,"rate":1.5,"focus":"player"`) {
		t.Errorf("after the keys: %s", got)
	}
}

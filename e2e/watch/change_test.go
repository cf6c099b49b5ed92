package watch_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/videoactivmail/vam/e2e/watch"
	"github.com/videoactivmail/vam/internal/grant"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/playback"
	"github.com/videoactivmail/vam/internal/submission"
	"github.com/videoactivmail/vam/internal/web/webtest"
)

// onAsk calls do once, when the page behind it has asked for news.
func onAsk(do func()) func(http.Handler) http.Handler {
	var once sync.Once
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/state") {
				once.Do(do)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// TestWithoutScript: the page plays without its script.
func TestWithoutScript(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	m := d.Send(submission.Draft{Subject: "Plain", Name: "plain.mp4"}, mp4(t, "6", "320x180"))
	d.Know(m, infoOf(320, 180, 6))
	r := watch.Run(t, watch.Chromium, watch.Job{Name: "without script", URL: d.URL(d.Link(m.Key, grant.Terms{}), ""), NoScript: true, Play: true, PlayMS: 1500})
	wantPlays(t, r[0], 320, 180, 6)
	for _, q := range r[0].Requests {
		if strings.HasSuffix(q.URL, ".js") {
			t.Errorf("the script was fetched: %s", q.URL)
		}
	}
}

// TestPageFollows: a page that waits for a version that plays shows the player by itself
// as soon as there is one, and says before how far it has come.
func TestPageFollows(t *testing.T) {
	var finish func()
	d := webtest.New(t, webtest.Options{Wrap: onAsk(func() { finish() })})
	m := d.Send(submission.Draft{Subject: "Old film", Name: "old.avi"}, []byte(strings.Repeat("avi", 1000)))
	info := infoOf(320, 180, 6)
	info.Container, info.Tracks[0].Codec, info.Tracks[1].Codec = "avi", "mpeg4", "ac3"
	rendition := media.NewWork(media.Rendition)
	d.Know(m, info, rendition)
	d.WorkOn(m, rendition, 0.5)
	film := mp4(t, "6", "320x180")
	jobs, err := d.Playback.Jobs(t.Context(), playback.Filter{Media: m.Media})
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%v, %v", jobs, err)
	}
	finish = func() { d.Finish(m, jobs[0], map[string][]byte{"rendition.mp4": film}) }
	link := d.Link(m.Key, grant.Terms{})
	if page := d.Get(d.URL(link, "")).Body; strings.Contains(page, "<video") || !strings.Contains(page, "50 % are done") {
		t.Fatal("it is not being converted")
	}
	r := watch.Run(t, watch.Chromium, watch.Job{Name: "follows", URL: d.URL(link, ""), WaitFor: "#player", Play: true, PlayMS: 1500})
	wantPlays(t, r[0], 320, 180, 6)
}

// TestTakenBack: whoever has the page of a message open that is taken back reads so.
func TestTakenBack(t *testing.T) {
	var revoke func()
	d := webtest.New(t, webtest.Options{Wrap: onAsk(func() { revoke() })})
	m := d.Put(submission.Draft{Subject: "Never mind", Name: "x.bin", Size: 1 << 20})
	d.Append(m.Key, make([]byte, 1000))
	d.Go(m.Key)
	revoke = func() {
		if _, err := d.Submission.Revoke(context.Background(), d.Alice, m.Key); err != nil {
			t.Error(err)
		}
	}
	r := watch.Run(t, watch.Chromium, watch.Job{
		Name: "taken back", URL: d.URL(d.Link(m.Key, grant.Terms{}), ""), WaitFor: "main.plain", Evaluate: `document.querySelector("main").innerText`,
	})
	if got := string(r[0].Value); r[0].Error != "" || !strings.Contains(got, "The sender has taken this message back.") {
		t.Errorf("the page says %s %s", got, r[0].Error)
	}
}

// TestPlayWhileArriving: the first seconds are watched while the rest is still to come.
func TestPlayWhileArriving(t *testing.T) {
	film := mp4(t, "20", "640x360", "-b:v", "3M", "-minrate", "3M", "-maxrate", "3M", "-bufsize", "1M")
	x := webtest.NewTransfer(t, film, int64(len(film)/2))
	r := watch.Run(t, watch.Chromium, watch.Job{
		Name: "arriving", URL: x.URL(x.Grant, ""), Play: true, PlayMS: 2500, Evaluate: `document.getElementById("sentence").innerText`,
	})
	wantPlays(t, r[0], 640, 360, 20)
	if got := string(r[0].Value); !strings.Contains(got, "still arriving") {
		t.Errorf("the page says %s", got)
	}
}

// TestPlayLive: a recording that is still being made is watched from its beginning.
func TestPlayLive(t *testing.T) {
	film := mp4(t, "20", "640x360", "-movflags", "+frag_keyframe+empty_moov+default_base_moof")
	for _, browser := range []string{watch.Chromium, watch.Firefox} {
		d := webtest.New(t, webtest.Options{})
		m := d.Put(submission.Draft{Subject: "Now", Name: "now.mp4"})
		d.Append(m.Key, film[:len(film)/2])
		d.Go(m.Key)
		r := watch.Run(t, browser, watch.Job{
			Name: "live", URL: d.URL(d.Link(m.Key, grant.Terms{}), ""), Play: true, PlayMS: 2500, Evaluate: `document.getElementById("sentence").innerText`,
		})
		p := r[0].Player
		if r[0].Error != "" || p == nil || p.Reached < 1 || p.Pictures < 5 || p.Width != 640 || p.Error != "" {
			t.Errorf("%s: %+v %+v %s", browser, r[0].Started, p, r[0].Error)
		}
		if got := string(r[0].Value); !strings.Contains(got, "still being recorded") {
			t.Errorf("%s: the page says %s", browser, got)
		}
	}
}

package web_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/grant"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/playback"
	"github.com/videoactivmail/vam/internal/submission"
	"github.com/videoactivmail/vam/internal/web"
	"github.com/videoactivmail/vam/internal/web/webtest"
)

// TestPage is the ordinary case: the player, who sent what when, and the download.
func TestPage(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	m, link := sent(t, d, 1000)
	base := "/w/" + link.Token
	a := d.Get(d.URL(link, ""))
	wantStatus(t, a, http.StatusOK)
	wantWords(t, a,
		`<html lang="en" dir="ltr">`, "The secret workshop</h1>", "Dear Carol", "alice@b.example", "The mail server of b.example has signed this message.",
		`<source src="`+base+`/play/original" type="video/mp4; codecs=&#34;avc1.64001f, mp4a.40.2&#34;">`, `width="640" height="360"`,
		`href="`+base+`/original"`, "Werkstatt &amp; café.mp4, 1 kB", `>0:12<`, "12 seconds", `datetime="`+m.SentAt.UTC().Format(time.RFC3339)+`"`,
	)
	if strings.Contains(a.Body, "<noscript>") {
		t.Error("the page of a message that is all here is loaded again and again")
	}
	wantWords(t, d.Get(d.URL(link, ""), "Accept-Language", "de"), `<html lang="de"`, "Original herunterladen")
	wantWords(t, d.Get(d.URL(link, "")+"?lang=de"), `<html lang="de"`)

	head := d.Do(http.MethodHead, d.URL(link, ""), nil)
	if head.Status != http.StatusOK || head.Body != "" || head.Header.Get("Content-Length") != a.Header.Get("Content-Length") {
		t.Errorf("HEAD: %d, %q", head.Status, head.Header)
	}
}

// TestHeaders are those that keep a stranger's content and a link's secret where they
// belong.
func TestHeaders(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	_, link := sent(t, d, 1000)
	for _, below := range []string{"", "state", "original", "play/original", "poster.jpg", "nothing"} {
		a := d.Get(d.URL(link, below))
		for name, want := range map[string]string{
			"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Set-Cookie": "", "X-Frame-Options": "DENY",
			"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "X-Robots-Tag": "noindex, nofollow, noarchive",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", below, name, got, want)
			}
		}
		policy := a.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
			t.Errorf("%s: the policy is %q", below, policy)
		}
		if below != "" && !strings.HasPrefix(policy, "sandbox;") {
			t.Errorf("%s: what a stranger sent is not in a sandbox: %q", below, policy)
		}
		if cache := a.Header.Get("Cache-Control"); !strings.Contains(cache, "no-store") && !strings.Contains(cache, "private, no-cache") {
			t.Errorf("%s: Cache-Control is %q", below, cache)
		}
	}
	a := d.Get(d.URL(link, "original"))
	if got := a.Header.Get("Content-Disposition"); got != `attachment; filename*=utf-8''Werkstatt%20&%20caf%C3%A9.mp4` {
		t.Errorf("the download is named %q", got)
	}
	if got := a.Header.Get("Content-Type"); got != "application/octet-stream" {
		t.Errorf("the download has the type %q", got)
	}
}

// TestCard: where the link is unfurled nothing is told that it protects.
func TestCard(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	_, link := sent(t, d, 1000)
	page := d.Get(d.URL(link, "")).Body
	var card string
	for line := range strings.Lines(page) {
		if strings.Contains(line, "og:") || strings.Contains(line, "twitter:") || strings.Contains(line, `name="description"`) {
			card += line
		}
	}
	if !strings.Contains(card, `content="A video message for you"`) {
		t.Errorf("there is no card:\n%s", card)
	}
	for _, secret := range []string{"workshop", "Carol", "alice", "carol", link.Token, "café"} {
		if strings.Contains(card, secret) {
			t.Errorf("the card says %q:\n%s", secret, card)
		}
	}
	_, image, _ := strings.Cut(card, `og:image" content="`)
	image, _, _ = strings.Cut(image, `"`)
	if a := d.Get(image); a.Status != http.StatusOK || a.Header.Get("Content-Type") != "image/png" {
		t.Errorf("its picture %s: %d %s", image, a.Status, a.Header.Get("Content-Type"))
	}
}

// TestCardBehindProxy: the picture of the card is where links lead, whatever name a proxy asks
// this server by.
func TestCardBehindProxy(t *testing.T) {
	d := webtest.New(t, webtest.Options{Tune: func(o *web.Options) { o.URL = "https://video.b.example" }})
	_, link := sent(t, d, 1000)
	wantWords(t, d.Get(d.URL(link, "")), `og:image" content="https://video.b.example/-/card.`)
}

// TestStates is one sentence for each way in which a message does not play, and the
// download wherever there is something to download.
func TestStates(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	rendition := media.NewWork(media.Rendition)
	mute := ordinary()
	mute.NoPicture = true
	for name, tc := range map[string]struct {
		info media.Info
		then func(message.Message)
		want []string
	}{
		"looking":   {want: []string{"Having a look at the recording", `http-equiv="refresh"`}, then: func(m message.Message) {}},
		"not media": {info: media.Info{}, want: []string{"not a video or a sound recording"}},
		"encrypted": {info: media.Info{Container: "mp4", Encrypted: true}, want: []string{"is encrypted"}},
		"broken probe": {then: func(m message.Message) {
			d.Fail(m, media.NewWork(media.Probe), media.Broken)
		}, info: media.Info{Container: "mp4"}, want: []string{"not a video"}},
		"waiting":       {info: strange(), then: func(m message.Message) { d.Know(m, strange(), rendition) }, want: []string{"is being converted; the original can be downloaded now"}},
		"converting":    {info: strange(), then: func(m message.Message) { d.WorkOn(m, rendition, 0.43) }, want: []string{"43 % are done", `value="43"`, `http-equiv="refresh"`}},
		"failed":        {info: strange(), then: func(m message.Message) { d.Fail(m, rendition, media.Expensive) }, want: []string{"more time or memory to convert"}},
		"sound to come": {info: mute, then: func(m message.Message) { d.Know(m, mute, rendition) }, want: []string{"pictures of this recording are damaged; only its sound", `http-equiv="refresh"`}},
		"sound alone": {info: mute, then: func(m message.Message) {
			d.Make(m, rendition, map[string][]byte{"rendition.mp4": []byte("mp4")})
		}, want: []string{"pictures of this recording are damaged; only its sound", "<audio", `/play/rendition" type=`}},
		"no sound either": {info: mute, then: func(m message.Message) { d.Fail(m, rendition, media.Broken) }, want: []string{"damaged and cannot be played here"}},
		"made": {info: strange(), then: func(m message.Message) {
			d.Make(m, rendition, map[string][]byte{"rendition.mp4": []byte("mp4")})
		}, want: []string{`/play/rendition" type=`}},
	} {
		t.Run(name, func(t *testing.T) {
			m := d.Send(submission.Draft{Name: "x.bin"}, []byte(name))
			if name != "looking" {
				d.Know(m, tc.info)
			}
			if tc.then != nil {
				tc.then(m)
			}
			a := d.Get(d.URL(d.Link(m.Key, grant.Terms{}), ""))
			wantStatus(t, a, http.StatusOK)
			wantWords(t, a, tc.want...)
			wantWords(t, a, "Download the original", "x.bin, ")
		})
	}
}

// TestGone is what people read whose link does not work any more.
func TestGone(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	ctx := context.Background()
	m, link := sent(t, d, 1000)
	if _, err := d.Grants.Revoke(ctx, d.Alice.ID, link.ID); err != nil {
		t.Fatal(err)
	}
	taken, takenLink := sent(t, d, 1001)
	if _, err := d.Submission.Revoke(ctx, d.Alice, taken.Key); err != nil {
		t.Fatal(err)
	}
	short := d.Send(submission.Draft{Expires: d.Clock.Now().Add(2 * time.Hour).Truncate(time.Second)}, noise(1002))
	shortLink := d.Link(short.Key, grant.Terms{})
	brief := d.Link(m.Key, grant.Terms{Expires: d.Clock.Now().Add(time.Hour)})
	d.Clock.Advance(3 * time.Hour)
	unknown := link
	unknown.Token = strings.Repeat("x", len(link.Token))
	for _, tc := range []struct {
		name   string
		link   grant.Link
		status int
		en, de string
	}{
		{"link revoked", link, 410, "The sender has withdrawn this link.", "Der Absender hat diesen Link zurückgezogen."},
		{"message revoked", takenLink, 410, "The sender has taken this message back.", "Der Absender hat diese Nachricht zurückgezogen."},
		{"message expired", shortLink, 410, "This message has expired.", "Diese Nachricht ist abgelaufen."},
		{"link expired", brief, 410, "This link has expired.", "Dieser Link ist abgelaufen."},
		{"unknown", unknown, 404, "copy the whole link", "den ganzen Link kopieren"},
	} {
		a := d.Get(d.URL(tc.link, ""))
		wantStatus(t, a, tc.status)
		wantWords(t, a, tc.en)
		wantWords(t, d.Get(d.URL(tc.link, ""), "Accept-Language", "de"), tc.de)
		for _, below := range []string{"original", "play/original", "state", "poster.jpg", "hls/index.m3u8", "play/view"} {
			if a := d.Get(d.URL(tc.link, below)); a.Status != tc.status || len(a.Body) > 200 || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/plain") {
				t.Errorf("%s, %s: %d %q", tc.name, below, a.Status, a.Body)
			}
		}
	}
}

// TestPassword: nothing of a message is shown without it; the pass in the path opens
// that link alone.
func TestPassword(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	m, _ := sent(t, d, 1000)
	link, err := d.Grants.Mint(t.Context(), d.Alice.ID, m.Key, vam.Address{Local: "dave", Domain: "c.example"}, grant.Terms{Password: new("open sesame")})
	if err != nil {
		t.Fatal(err)
	}
	ask := d.Get(d.URL(link, ""))
	wantStatus(t, ask, http.StatusOK)
	wantWords(t, ask, "This message has a password", `<form method="post" action="/w/`+link.Token+`">`)
	for _, secret := range []string{"workshop", "alice", "Carol"} {
		if strings.Contains(ask.Body, secret) {
			t.Errorf("%q is told without the password", secret)
		}
	}
	for _, below := range []string{"original", "play/original", "state", "~AAAA/original", "poster.jpg"} {
		if a := d.Get(d.URL(link, below)); a.Status != http.StatusForbidden {
			t.Errorf("%s without the password: %d", below, a.Status)
		}
	}
	wrong := d.Post(d.URL(link, ""), url.Values{"password": {"open simsim"}})
	wantStatus(t, wrong, http.StatusForbidden)
	wantWords(t, wrong, "That is not the password.")
	right := d.Post(d.URL(link, ""), url.Values{"password": {"open sesame"}})
	wantStatus(t, right, http.StatusSeeOther)
	opened := right.Header.Get("Location")
	if !strings.HasPrefix(opened, "/w/"+link.Token+"/~") {
		t.Fatalf("the password leads to %q", opened)
	}
	page := d.Get(d.Server.URL + opened)
	wantStatus(t, page, http.StatusOK)
	wantWords(t, page, "The secret workshop", opened+"/play/original", opened+"/state")
	wantBody(t, d.Get(d.Server.URL+opened+"/original"), noise(1000))
	d.Clock.Advance(24 * time.Hour)
	wantWords(t, d.Get(d.Server.URL+opened), "This message has a password")
	guess := func(from string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, d.URL(link, ""), strings.NewReader("password=guess"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.RemoteAddr = from
		w := httptest.NewRecorder()
		d.Server.Config.Handler.ServeHTTP(w, r)
		return w
	}
	for range 10 {
		guess("192.0.2.1:999")
	}
	many := guess("192.0.2.1:1000")
	if many.Code != http.StatusTooManyRequests || !strings.Contains(many.Body.String(), "too many wrong passwords") || many.Header().Get("Retry-After") == "" {
		t.Errorf("after many wrong passwords: %d, %v, %s", many.Code, many.Header(), many.Body)
	}
	if w := guess("192.0.2.2:999"); w.Code != http.StatusForbidden {
		t.Errorf("meanwhile of another: %d", w.Code)
	}
	big := d.Do(http.MethodPost, d.URL(link, ""), strings.NewReader("password="+strings.Repeat("x", 1<<20)), "Content-Type", "application/x-www-form-urlencoded")
	wantStatus(t, big, http.StatusBadRequest)
}

// TestMethods: what is not offered is refused, with what is.
func TestMethods(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	_, link := sent(t, d, 10)
	for _, tc := range []struct{ method, below, allow string }{
		{http.MethodDelete, "", "GET, HEAD, POST"},
		{http.MethodPost, "original", "GET, HEAD"},
		{http.MethodGet, "played", "POST"},
		{http.MethodPut, "state", "GET, HEAD"},
		{"ET", "original", "GET, HEAD"}, // part of a name is none
		{"P", "played", "POST"},
	} {
		a := d.Do(tc.method, d.URL(link, tc.below), nil)
		if a.Status != http.StatusMethodNotAllowed || a.Header.Get("Allow") != tc.allow {
			t.Errorf("%s %s: %d, Allow %q", tc.method, tc.below, a.Status, a.Header.Get("Allow"))
		}
	}
	wantStatus(t, d.Get(d.URL(link, "nothing")), http.StatusNotFound)
	wantStatus(t, d.Do(http.MethodPost, d.Server.URL+"/", nil), http.StatusMethodNotAllowed)
}

// TestRoutes: metrics hear of a few names, whatever is asked for, and of no token.
func TestRoutes(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	_, link := sent(t, d, 10)
	for below, want := range map[string]string{
		"": "/w/{token}", "state": "/w/{token}/state", "play/original": "/w/{token}/play", "hls/original/init.mp4": "/w/{token}/hls",
		"captions/3.vtt": "/w/{token}/{asset}", "preview.gif": "/w/{token}/{asset}", "nothing/at/all": "",
	} {
		r := httptest.NewRequest(http.MethodGet, strings.TrimSuffix(web.Path(link.Token)+"/"+below, "/"), nil)
		d.Web.ServeHTTP(httptest.NewRecorder(), r)
		if r.Pattern != want {
			t.Errorf("%s is counted as %q, want %q", below, r.Pattern, want)
		}
	}
}

// TestSmallPages are those that belong to no link.
func TestSmallPages(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	wantWords(t, d.Get(d.Server.URL+"/"), "mail.b.example")
	wantWords(t, d.Get(d.Server.URL+"/robots.txt"), "Disallow: /")
	if a := d.Get(d.Server.URL + "/favicon.ico"); a.Status != http.StatusOK || a.Header.Get("Content-Type") != "image/svg+xml" {
		t.Errorf("the icon: %d %s", a.Status, a.Header)
	}
	wantStatus(t, d.Get(d.Server.URL+"/-/watch.old.js"), http.StatusNotFound)
}

// TestWeight: script and style together, as they are and as they travel, and where a
// page has them from.
func TestWeight(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	_, link := sent(t, d, 10)
	page := d.Get(d.URL(link, ""), "Accept-Encoding", "identity")
	plain, sent := len(page.Body), len(page.Body)
	for _, mark := range []string{`<script src="`, `rel="stylesheet" href="`} {
		_, path, ok := strings.Cut(page.Body, mark)
		path, _, _ = strings.Cut(path, `"`)
		if !ok || !strings.HasPrefix(path, "/-/") {
			t.Fatalf("%s leads to %q", mark, path)
		}
		a := d.Get(d.Server.URL+path, "Accept-Encoding", "identity")
		z := d.Get(d.Server.URL+path, "Accept-Encoding", "gzip, br")
		if cache := a.Header.Get("Cache-Control"); !strings.Contains(cache, "immutable") {
			t.Errorf("%s: Cache-Control %q", path, cache)
		}
		if z.Header.Get("Content-Encoding") != "gzip" || z.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s is not compressed: %v", path, z.Header)
		}
		plain, sent = plain+len(a.Body), sent+len(z.Body)
	}
	t.Logf("page, style and script: %d octets, %d on the wire", plain, sent)
	if plain > 60_000 || sent > 20_000 {
		t.Errorf("the page weighs %d octets, %d on the wire", plain, sent)
	}
	if strings.Contains(page.Body, "<style") || strings.Contains(page.Body, " style=") || strings.Contains(page.Body, " onclick") {
		t.Error("the page has style or script within")
	}
}

// brokenPlayback fails as a database does.
type brokenPlayback struct{ web.Playback }

func (brokenPlayback) State(context.Context, message.Key) (playback.State, error) {
	return playback.State{}, io.ErrUnexpectedEOF
}

// TestLogs: an error is logged, the token and the pass of the link are not.
func TestLogs(t *testing.T) {
	log := &silent{t: t}
	d := webtest.New(t, webtest.Options{Tune: func(o *web.Options) {
		o.Playback = brokenPlayback{o.Playback}
		o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}})
	m, link := sent(t, d, 10)
	locked, err := d.Grants.Mint(t.Context(), d.Alice.ID, m.Key, vam.Address{Local: "dave", Domain: "c.example"}, grant.Terms{Password: new("open sesame")})
	if err != nil {
		t.Fatal(err)
	}
	log.secrets = []string{link.Token, locked.Token}
	pass, err := d.Grants.Unlock(t.Context(), locked.Token, "open sesame", netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	log.secrets = append(log.secrets, pass)
	a := d.Get(d.URL(link, ""))
	wantStatus(t, a, http.StatusInternalServerError)
	wantWords(t, a, "Something went wrong on this server", "Try again")
	if strings.Contains(a.Body, "EOF") {
		t.Error("the page tells the cause")
	}
	d.Get(d.URL(link, "state"))
	d.Get(d.URL(link, "nothing/at/all"))
	d.Get(d.URL(locked, "~"+pass+"/state"))
	if log.lines < 4 {
		t.Errorf("%d lines were logged", log.lines)
	}
}

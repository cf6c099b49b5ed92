package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/grant"
	"github.com/videoactivmail/vam/internal/isobmff/isobmfftest"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/submission"
	"github.com/videoactivmail/vam/internal/web"
	"github.com/videoactivmail/vam/internal/web/webtest"
)

// stream is a GET whose body comes bit by bit.
func stream(t *testing.T, d *webtest.Door, target string, headers ...string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	a, err := d.Server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Body.Close() })
	return a
}

func readExactly(t *testing.T, r io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("not the octets that are wanted: %v", err)
	}
}

// TestLive: what is still being made is served from its first octet on, and to its end.
func TestLive(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	content := noise(200_000)
	m := d.Put(submission.Draft{Subject: "Now", Name: "now.bin"})
	d.Append(m.Key, content[:70_000])
	d.Go(m.Key)
	link := d.Link(m.Key, grant.Terms{})
	wantWords(t, d.Get(d.URL(link, "")), "is still being recorded. 70 kB are here.")
	if a := d.Do(http.MethodHead, d.URL(link, "original"), nil); a.Status != http.StatusOK || a.Header.Get("Content-Length") != "" {
		t.Errorf("HEAD: %d, %v", a.Status, a.Header)
	}
	a := stream(t, d, d.URL(link, "original"), "Range", "bytes=0-")
	if a.StatusCode != http.StatusOK || a.ContentLength != -1 {
		t.Fatalf("%d, %v", a.StatusCode, a.Header)
	}
	readExactly(t, a.Body, content[:70_000])
	d.Append(m.Key, content[70_000:150_000])
	readExactly(t, a.Body, content[70_000:150_000])
	d.Append(m.Key, content[150_000:])
	d.Seal(m.Key)
	rest, err := io.ReadAll(a.Body)
	if err != nil || !bytes.Equal(rest, content[150_000:]) {
		t.Fatalf("%d octets at the end: %v", len(rest), err)
	}
	wantBody(t, d.Get(d.URL(link, "original"), "Range", "bytes=100-199"), content[100:200])
}

// TestLiveView: what is still being made plays to its end, and not to where it was when
// somebody began to watch.
func TestLiveView(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	f := isobmfftest.File{Fragment: 10, Tracks: []isobmfftest.Track{{Video: true, Samples: slices.Repeat([]isobmfftest.Sample{{Size: 100, Duration: 3600}}, 60)}}}
	content := f.Bytes()
	half := bytes.LastIndex(content[:len(content)/2], []byte("moof")) - 4
	m := d.Put(submission.Draft{Subject: "Now", Name: "now.mp4"})
	d.Append(m.Key, content[:half])
	d.Go(m.Key)
	link := d.Link(m.Key, grant.Terms{})
	wantWords(t, d.Get(d.URL(link, "")), `/play/view" type="video/mp4; codecs=`)
	a := stream(t, d, d.URL(link, "play/view"), "Range", "bytes=0-")
	if a.StatusCode != http.StatusOK || a.ContentLength != -1 || a.Header.Get("Content-Type") != "video/mp4" {
		t.Fatalf("%d, %v", a.StatusCode, a.Header)
	}
	readExactly(t, a.Body, content[:half])
	d.Append(m.Key, content[half:])
	d.Seal(m.Key)
	readExactly(t, a.Body, content[half:])
	if n, err := io.Copy(io.Discard, a.Body); n > 0 || err != nil {
		t.Errorf("%d octets behind the end: %v", n, err)
	}
}

// TestTakenBackMeanwhile: a body that is being sent is cut as soon as the message, so that
// nobody takes it for whole.
func TestTakenBackMeanwhile(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	m := d.Put(submission.Draft{Name: "now.bin"})
	d.Append(m.Key, noise(1000))
	d.Go(m.Key)
	a := stream(t, d, d.URL(d.Link(m.Key, grant.Terms{}), "original"))
	readExactly(t, a.Body, noise(1000))
	if _, err := d.Submission.Revoke(t.Context(), d.Alice, m.Key); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(a.Body); err == nil {
		t.Errorf("the body ended as if it were whole, after %d more octets", len(rest))
	}
}

// TestTakenBackWhileSent: the same of what is all here, and of a link that ends.
func TestTakenBackWhileSent(t *testing.T) {
	const size = 16 << 20 // more than sockets hold
	for name, end := range map[string]func(*webtest.Door, grant.Link){
		"message": func(d *webtest.Door, l grant.Link) {
			if _, err := d.Submission.Revoke(context.Background(), d.Alice, l.Key); err != nil {
				t.Error(err)
			}
		},
		"link": func(d *webtest.Door, l grant.Link) {
			if _, err := d.Grants.Revoke(context.Background(), d.Alice.ID, l.ID); err != nil {
				t.Error(err)
			}
			d.Clock.Advance(time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := webtest.New(t, webtest.Options{})
			_, link := sent(t, d, size)
			a := stream(t, d, d.URL(link, "original"))
			readExactly(t, a.Body, noise(size)[:1000])
			end(d, link)
			if n, err := io.Copy(io.Discard, a.Body); err == nil {
				t.Errorf("all of it was sent, %d octets", n)
			}
		})
	}
}

// TestSentPoster: a picture that was sent along is there before anything was made.
func TestSentPoster(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	jpeg := append([]byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00"), noise(500)...)
	for name, tc := range map[string]struct {
		kind   string
		data   []byte
		status int
	}{
		"jpeg":     {"image/jpeg", jpeg, http.StatusOK},
		"a lie":    {"image/jpeg", []byte("<script>alert(1)</script>"), http.StatusNotFound},
		"not ours": {"image/svg+xml", []byte("<svg onload=alert(1)>"), http.StatusNotFound},
	} {
		m := d.Put(submission.Draft{Subject: name})
		d.Side(m.Key, activmail.Record{Kind: activmail.RecordPoster, ContentType: tc.kind}, tc.data)
		d.Append(m.Key, noise(100))
		d.Go(m.Key)
		link := d.Link(m.Key, grant.Terms{})
		a := d.Get(d.URL(link, "poster.jpg"))
		wantStatus(t, a, tc.status)
		if tc.status == http.StatusOK {
			wantBody(t, a, jpeg)
			wantWords(t, d.Get(d.URL(link, "")), "/poster.jpg")
		}
	}
}

// TestArriving: as soon as the length is known there are ranges, of what is not here yet
// too; they are waited for.
func TestArriving(t *testing.T) {
	content := noise(100_000)
	x := webtest.NewTransfer(t, content, 20_000)
	page := x.Get(x.URL(x.Grant, ""))
	wantWords(t, page, "This message is still arriving:", "of 100 kB are here.", "clip.mp4, 100 kB", "data-live", "<noscript>")
	head := x.Do(http.MethodHead, x.URL(x.Grant, "original"), nil)
	if head.Header.Get("Content-Length") != "100000" || head.Header.Get("ETag") == "" {
		t.Errorf("HEAD: %v", head.Header)
	}
	whole := stream(t, x.Door, x.URL(x.Grant, "original"))
	readExactly(t, whole.Body, content[:1000])
	// What is waited for comes without its headers until there is something: the request
	// is made from a goroutine of its own.
	type part struct {
		status int
		body   []byte
	}
	middle := make(chan part, 1)
	go func() {
		r, _ := http.NewRequest(http.MethodGet, x.URL(x.Grant, "original"), nil)
		r.Header.Set("Range", "bytes=60000-60999")
		a, err := x.Server.Client().Do(r)
		if err != nil {
			middle <- part{}
			return
		}
		defer a.Body.Close()
		body, _ := io.ReadAll(a.Body)
		middle <- part{a.StatusCode, body}
	}()
	x.More()
	if p := <-middle; p.status != http.StatusPartialContent || !bytes.Equal(p.body, content[60000:61000]) {
		t.Errorf("a range that was waited for: %d, %d octets", p.status, len(p.body))
	}
	rest, err := io.ReadAll(whole.Body)
	if err != nil || !bytes.Equal(rest, content[1000:]) {
		t.Errorf("the rest has %d octets: %v", len(rest), err)
	}
	if got := x.Get(x.URL(x.Grant, "original")).Header.Get("ETag"); got != head.Header.Get("ETag") {
		t.Errorf("the ETag was %s and is %s", head.Header.Get("ETag"), got)
	}
}

// TestStalled: since when nothing arrives is said after a while, in the reader's words.
func TestStalled(t *testing.T) {
	x := webtest.NewTransfer(t, noise(100_000), 20_000)
	seen := x.Clock.Now()
	wantWords(t, x.Get(x.URL(x.Grant, "")), "is still arriving")
	x.Clock.Advance(web.StallAfter + time.Second)
	page := x.Get(x.URL(x.Grant, ""))
	wantWords(t, page, "nothing more has arrived since <time datetime=\""+seen.UTC().Format(time.RFC3339), ". It goes on by itself")
	var s struct {
		Sentence, Since, After string
		Percent                int
		Live, Playable         bool
	}
	a := x.Get(x.URL(x.Grant, "state"))
	if err := json.Unmarshal([]byte(a.Body), &s); err != nil {
		t.Fatal(err)
	}
	if s.Since != seen.UTC().Format(time.RFC3339) || !strings.HasSuffix(s.Sentence, "arrived since ") || !strings.HasPrefix(s.After, ". It") || !s.Live || s.Percent < 20 || s.Percent > 99 {
		t.Errorf("the state is %s", a.Body)
	}
}

type news struct {
	Version, Tag, Sentence, Poster string
	Playable, Live                 bool
	Percent                        int
}

func stateOf(t *testing.T, a webtest.Answer) (n news) {
	t.Helper()
	wantStatus(t, a, http.StatusOK)
	if err := json.Unmarshal([]byte(a.Body), &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestState: a page learns that it would look otherwise now, and need not ask again and
// again for that.
func TestState(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	m := d.Send(submission.Draft{Name: "x.avi"}, noise(1000))
	rendition := media.NewWork(media.Rendition)
	d.Know(m, strange(), rendition)
	link := d.Link(m.Key, grant.Terms{})
	page := d.Get(d.URL(link, ""))
	before := stateOf(t, d.Get(d.URL(link, "state")))
	if before.Playable || !before.Live || !strings.Contains(page.Body, `data-version="`+before.Version+`"`) {
		t.Errorf("the state is %+v", before)
	}
	d.WorkOn(m, rendition, 0.5)
	half := stateOf(t, d.Get(d.URL(link, "state")+"?tag="+before.Tag)) // answered at once: it is another one
	if half.Percent != 50 || half.Version != before.Version || half.Tag == before.Tag {
		t.Errorf("half of it is done: %+v", half)
	}
	waiting := make(chan webtest.Answer, 1)
	go func() { waiting <- d.Get(d.URL(link, "state") + "?tag=" + half.Tag) }()
	j, err := d.Playback.Jobs(t.Context(), playbackFilter(m))
	if err != nil || len(j) != 1 {
		t.Fatalf("%v, %v", j, err)
	}
	d.Finish(m, j[0], map[string][]byte{"rendition.mp4": []byte("mp4")})
	after := stateOf(t, <-waiting)
	if !after.Playable || after.Version == before.Version || after.Live || after.Sentence != "" {
		t.Errorf("it plays: %+v", after)
	}
}

// TestPosterComes: a page that is opened before there is a picture gets it by itself.
func TestPosterComes(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	m := d.Send(submission.Draft{Name: "x.mp4"}, noise(1000))
	poster := media.NewWork(media.Poster)
	d.Know(m, ordinary(), poster)
	link := d.Link(m.Key, grant.Terms{})
	wantWords(t, d.Get(d.URL(link, "")), "data-live")
	if s := stateOf(t, d.Get(d.URL(link, "state"))); !s.Live || s.Poster != "" || s.Sentence != "" {
		t.Errorf("before: %+v", s)
	}
	d.Make(m, poster, map[string][]byte{media.PosterFile: []byte("jpeg")})
	if s := stateOf(t, d.Get(d.URL(link, "state"))); s.Live || s.Poster != "/w/"+link.Token+"/poster.jpg" {
		t.Errorf("after: %+v", s)
	}
	if page := d.Get(d.URL(link, "")); strings.Contains(page.Body, "data-live") || !strings.Contains(page.Body, `poster="/w/`) {
		t.Error("the page goes on asking, or has no picture")
	}
}

// TestUnfetchable is a message whose rest will not come.
func TestUnfetchable(t *testing.T) {
	d := webtest.New(t, webtest.Options{Tune: func(o *web.Options) { o.Entries = failedEntries{o.Entries} }})
	m := d.Put(submission.Draft{Size: 1000})
	d.Go(m.Key)
	a := d.Get(d.URL(d.Link(m.Key, grant.Terms{}), ""))
	wantWords(t, a, "Please ask the sender to send it again.")
	if strings.Contains(a.Body, "/original") {
		t.Error("there is a download of nothing")
	}
	if got := d.Get(d.URL(d.Link(m.Key, grant.Terms{}), "original")); got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
		t.Errorf("the download of nothing: %d, %v", got.Status, got.Header)
	}
}

// Package webtest has a mail server with its watch pages behind HTTPS on loopback, over
// the real services and stores, for the tests of the pages and of browsers.
package webtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/grant"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/playback"
	"github.com/videoactivmail/vam/internal/submission"
	"github.com/videoactivmail/vam/internal/web"
)

// Options of New; the zero value is enough.
type Options struct {
	Host       hosttest.Options
	Catalogues []*web.Catalogue
	// Maker makes posters and renditions while Run runs; nil is none.
	Maker   playback.Maker
	Scratch playback.Scratch
	Tune    func(*web.Options)
	// Wrap, if not nil, stands before the pages.
	Wrap func(http.Handler) http.Handler
}

// Door is a server of b.example with a person, alice, who gives links away.
type Door struct {
	*hosttest.Host
	Alice    account.Account
	Grants   *grant.Service
	Playback *playback.Service
	Web      *web.Handler
	// Server speaks HTTP/2 and HTTP/1.1 over TLS on loopback.
	Server *httptest.Server

	t testing.TB
}

// New makes a door. It is closed with the test.
func New(t testing.TB, o Options) *Door {
	t.Helper()
	h := hosttest.New(t, o.Host)
	d := &Door{Host: h, Alice: h.Account("alice@b.example", 0), t: t}
	var err error
	d.Grants, err = grant.New(h.DB.Grants(), grant.Options{
		Key: bytes.Repeat([]byte("k"), 32), Messages: h.Messages, Entries: h.DB.Mailboxes(), Now: h.Clock.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	d.Playback = playback.New(h.DB.Playback(), playback.Options{
		Messages: h.Messages, Blobs: h.Blobs, Owner: owner, Maker: o.Maker, Scratch: o.Scratch, Poll: 50 * time.Millisecond,
	})
	wo := web.Options{
		Grants: d.Grants, Playback: d.Playback, Messages: h.Messages, Entries: h.DB.Mailboxes(),
		Host: "mail.b.example", Catalogues: o.Catalogues, Now: h.Clock.Now,
	}
	if o.Tune != nil {
		o.Tune(&wo)
	}
	if d.Web, err = web.New(wo); err != nil {
		t.Fatal(err)
	}
	var handler http.Handler = d.Web
	if o.Wrap != nil {
		handler = o.Wrap(handler)
	}
	d.Server = httptest.NewUnstartedServer(handler)
	d.Server.EnableHTTP2 = true
	d.Server.StartTLS()
	t.Cleanup(d.Server.Close)
	return d
}

const owner = "webtest"

// Run works on the jobs of playback until the test ends.
func (d *Door) Run() {
	d.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Playback.Run(ctx) }()
	d.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			d.t.Error(err)
		}
	})
}

// Put begins a message of alice to a stranger.
func (d *Door) Put(x submission.Draft) message.Message {
	d.t.Helper()
	d.Clock.Advance(time.Millisecond)
	if len(x.To) == 0 {
		x.To = []vam.Address{hosttest.Address(d.t, "carol@c.example")}
	}
	if x.Kind == "" {
		x.Kind = vam.Video
	}
	m, _, err := d.Submission.Put(d.t.Context(), d.Alice, vam.NewMessageID(d.Clock.Now()), x)
	if err != nil {
		d.t.Fatal(err)
	}
	return m
}

// Append adds octets to a message that is not sealed.
func (d *Door) Append(k message.Key, content []byte) {
	d.t.Helper()
	m, err := d.Messages.Get(d.t.Context(), k)
	if err != nil {
		d.t.Fatal(err)
	}
	at, lines := m.Head.MediaBytes, m.Head.Lines
	for piece := range chunks(content, 1<<20) {
		sum := sha256.Sum256(piece)
		if _, err := d.Submission.Upload(d.t.Context(), d.Alice, k, message.Piece{Sum: sum, Length: int64(len(piece)), At: at}, bytes.NewReader(piece)); err != nil {
			d.t.Fatal(err)
		}
		line, err := activmail.Record{Kind: activmail.RecordPart, Blob: sum, Length: vam.Bytes(len(piece))}.MarshalLine()
		if err != nil {
			d.t.Fatal(err)
		}
		if _, err := d.Submission.Append(d.t.Context(), d.Alice, k, lines, [][]byte{line}); err != nil {
			d.t.Fatal(err)
		}
		at, lines = at+int64(len(piece)), lines+1
	}
}

// Side adds a record whose blob stands beside the media.
func (d *Door) Side(k message.Key, r activmail.Record, data []byte) {
	d.t.Helper()
	m, err := d.Messages.Get(d.t.Context(), k)
	if err != nil {
		d.t.Fatal(err)
	}
	r.Blob, r.Length = sha256.Sum256(data), vam.Bytes(len(data))
	if _, err := d.Submission.Upload(d.t.Context(), d.Alice, k, message.Piece{Sum: r.Blob, Length: int64(len(data)), At: -1}, bytes.NewReader(data)); err != nil {
		d.t.Fatal(err)
	}
	line, err := r.MarshalLine()
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err := d.Submission.Append(d.t.Context(), d.Alice, k, m.Head.Lines, [][]byte{line}); err != nil {
		d.t.Fatal(err)
	}
}

func chunks(p []byte, n int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(p) > 0 {
			k := min(n, len(p))
			if !yield(p[:k]) {
				return
			}
			p = p[k:]
		}
	}
}

// Seal ends a message.
func (d *Door) Seal(k message.Key) message.Message {
	d.t.Helper()
	m, err := d.Submission.Seal(d.t.Context(), d.Alice, k, activmail.Sum{})
	if err != nil {
		d.t.Fatal(err)
	}
	return m
}

// Go sends a message.
func (d *Door) Go(k message.Key) message.Message {
	d.t.Helper()
	m, err := d.Submission.Send(d.t.Context(), d.Alice, k)
	if err != nil {
		d.t.Fatal(err)
	}
	return m
}

// Send sends a whole file.
func (d *Door) Send(x submission.Draft, content []byte) message.Message {
	d.t.Helper()
	m := d.Put(x)
	d.Append(m.Key, content)
	d.Seal(m.Key)
	return d.Go(m.Key)
}

// Know says what a recording is, in the place of a probe.
func (d *Door) Know(m message.Message, info media.Info, works ...media.Work) {
	d.t.Helper()
	if err := d.DB.Playback().Adopt(d.t.Context(), m.Media, &info, works, d.Clock.Now()); err != nil {
		d.t.Fatal(err)
	}
}

// lease takes up the job of a recording.
func (d *Door) lease(m message.Message, w media.Work) playback.Job {
	d.t.Helper()
	now := d.Clock.Now()
	d.Know(m, d.info(m), w)
	for range 20 {
		j, ok, err := d.DB.Playback().Lease(d.t.Context(), playback.Want{Owner: owner, Class: w.Class, Now: now, Until: now.Add(time.Hour)})
		if err != nil || !ok {
			d.t.Fatalf("no job %s to do: %v", w, err)
		}
		if j.Work == w && j.Media == m.Media {
			return j
		}
	}
	d.t.Fatalf("there is no job %s", w)
	panic("unreachable")
}

func (d *Door) info(m message.Message) media.Info {
	info, err := d.DB.Playback().Info(d.t.Context(), m.Media)
	if err != nil {
		d.t.Fatal(err)
	}
	return info
}

// Make stores what a job has made.
func (d *Door) Make(m message.Message, w media.Work, files map[string][]byte) {
	d.t.Helper()
	d.Finish(m, d.lease(m, w), files)
}

// Finish ends a job that runs.
func (d *Door) Finish(m message.Message, j playback.Job, files map[string][]byte) {
	d.t.Helper()
	o := playback.Outcome{At: d.Clock.Now()}
	for name, data := range files {
		id := blob.NewID()
		if err := d.Blobs.Create(d.t.Context(), id); err != nil {
			d.t.Fatal(err)
		}
		obj, err := d.Blobs.Open(d.t.Context(), id)
		if err != nil {
			d.t.Fatal(err)
		}
		if _, err := obj.WriteAt(data, 0); err != nil {
			d.t.Fatal(err)
		}
		if err := obj.Close(); err != nil {
			d.t.Fatal(err)
		}
		o.Assets = append(o.Assets, playback.Asset{Name: name, Type: http.DetectContentType(data), Size: int64(len(data)), Object: id, Work: j.Work})
	}
	if err := d.DB.Playback().Finish(d.t.Context(), owner, j.ID, o); err != nil {
		d.t.Fatal(err)
	}
}

// WorkOn is a job that has come so far, 0 to 1.
func (d *Door) WorkOn(m message.Message, w media.Work, done float64) {
	d.t.Helper()
	j := d.lease(m, w)
	if err := d.DB.Playback().Renew(d.t.Context(), owner, j.ID, done, d.Clock.Now().Add(time.Hour)); err != nil {
		d.t.Fatal(err)
	}
}

// Fail is a job that cannot be done.
func (d *Door) Fail(m message.Message, w media.Work, reason media.Reason) {
	d.t.Helper()
	j := d.lease(m, w)
	if err := d.DB.Playback().Fail(d.t.Context(), owner, j.ID, d.Clock.Now(), reason, "it does not work"); err != nil {
		d.t.Fatal(err)
	}
}

// Link gives carol a link.
func (d *Door) Link(k message.Key, terms grant.Terms) grant.Link {
	d.t.Helper()
	l, err := d.Grants.Mint(d.t.Context(), d.Alice.ID, k, hosttest.Address(d.t, "carol@c.example"), terms)
	if err != nil {
		d.t.Fatal(err)
	}
	return l
}

// URL is where a link is, and below it.
func (d *Door) URL(l grant.Link, below string) string {
	u := d.Server.URL + "/w/" + l.Token
	if below != "" {
		u += "/" + below
	}
	return u
}

// Plays is how many plays of a link were counted.
func (d *Door) Plays(l grant.Link) int {
	d.t.Helper()
	all, err := d.Grants.List(d.t.Context(), d.Alice.ID, l.Key)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, g := range all {
		if g.ID == l.ID {
			return g.Plays
		}
	}
	d.t.Fatal("the link is not listed")
	return 0
}

// Answer is what a request got.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Do makes a request with headers "Name: value"; it follows no redirect.
func (d *Door) Do(method, target string, body io.Reader, headers ...string) Answer {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, target, body)
	if err != nil {
		d.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	client := *d.Server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a, err := client.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	data, err := io.ReadAll(a.Body)
	if err != nil {
		d.t.Fatalf("%s %s: %v", method, target, err)
	}
	return Answer{a.StatusCode, a.Header, string(data)}
}

// Get is a GET.
func (d *Door) Get(target string, headers ...string) Answer {
	d.t.Helper()
	return d.Do(http.MethodGet, target, nil, headers...)
}

// Post posts a form.
func (d *Door) Post(target string, form url.Values) Answer {
	d.t.Helper()
	return d.Do(http.MethodPost, target, bytes.NewReader([]byte(form.Encode())), "Content-Type", "application/x-www-form-urlencoded")
}

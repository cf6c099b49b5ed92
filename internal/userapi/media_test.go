package userapi_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/mailauth/mailauthtest"
	"github.com/videoactivmail/vam/internal/userapi"
	"github.com/videoactivmail/vam/internal/userwire"
)

func TestRanges(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	content := hosttest.Pattern(5000, 1)
	id := d.sent(t, "alice", nil, content)
	get := "GET " + box(id) + "/media"
	whole := d.ok(t, "bob", get, nil, http.StatusOK)
	etag := whole.Header.Get("ETag")
	if !bytes.Equal(whole.Body, content) || etag == "" || whole.Header.Get("Accept-Ranges") != "bytes" {
		t.Fatalf("%v", whole.Header)
	}
	for ranges, want := range map[string][2]int{"bytes=0-0": {0, 1}, "bytes=4000-": {4000, 5000}, "bytes=-10": {4990, 5000}, "bytes=10-99999": {10, 5000}} {
		a := d.ok(t, "bob", get, nil, http.StatusPartialContent, "Range", ranges, "If-Range", etag)
		if !bytes.Equal(a.Body, content[want[0]:want[1]]) || a.Header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/5000", want[0], want[1]-1) {
			t.Errorf("%s: %d octets, %v", ranges, len(a.Body), a.Header)
		}
	}
	if a := d.do(t, "bob", get, nil, "Range", "bytes=5000-"); a.Status != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("%d", a.Status)
	}
	if a := d.do(t, "bob", get, nil, "If-None-Match", etag); a.Status != http.StatusNotModified {
		t.Errorf("%d", a.Status)
	}
	if a := d.do(t, "bob", "HEAD "+box(id)+"/media", nil); a.Status != http.StatusOK || a.Header.Get("Content-Length") != "5000" {
		t.Errorf("%d %v", a.Status, a.Header)
	}
	none := d.sent(t, "alice", nil, nil)
	if a := d.ok(t, "bob", "GET "+box(none)+"/media", nil, http.StatusOK); len(a.Body) != 0 || a.Header.Get("Content-Length") != "0" {
		t.Errorf("an empty file: %v", a.Header)
	}
}

// A report of the mail system has words and no file, and nobody watches it.
func TestReportHasNoFile(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	id := d.id()
	kind, body := form{fields: []string{"to=nobody@b.example"}, name: "a.mp4", kind: "video/mp4", file: []byte("film")}.body(t)
	d.ok(t, "alice", "PUT "+at(id), body, http.StatusAccepted, "Content-Type", kind)
	d.Work(t.Context())
	in := as[userwire.Entries](t, d.ok(t, "alice", "GET /box", nil, http.StatusOK)).Entries
	if len(in) != 1 || !in[0].Bounce {
		t.Fatalf("%+v", in)
	}
	report := "/box/" + string(in[0].Origin) + "/" + string(in[0].ID)
	d.ok(t, "alice", "GET "+report, nil, http.StatusOK)
	d.refused(t, "alice", "GET "+report+"/media", nil, http.StatusNotFound, "")
	d.refused(t, "alice", "POST "+report+"/links", []byte(`{"for":"zoe@c.example"}`), http.StatusNotFound, "")
}

// What a stranger sends is never shown by a browser, and its name never leads anywhere.
func TestNamesAndHeaders(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	for name, want := range map[string]string{
		"clip.mp4": "clip.mp4", `a "quoted" 'one'.mp4`: `a "quoted" 'one'.mp4`, "Ferien – Tag 1 🌊.mp4": "Ferien – Tag 1 🌊.mp4",
		"a;b=c,d.mp4": "a;b=c,d.mp4", "100%.mp4": "100%.mp4", "../../etc/passwd": "passwd", `C:\films\a.mp4`: "a.mp4",
		"a\r\nSet-Cookie: x=1.mp4": "aSet-Cookie: x=1.mp4", "photo\u202egpj.exe": "photogpj.exe", ".": "", "": "", " ": " ", strings.Repeat("ü", 300): strings.Repeat("ü", 127),
	} {
		id := d.sent(t, "alice", map[string]any{"name": name, "type": "text/html"}, []byte("<script>film</script>"))
		if want == "" {
			want = "message-" + string(id)
		}
		a := d.ok(t, "bob", "GET "+box(id)+"/media", nil, http.StatusOK)
		kind, params, err := mime.ParseMediaType(a.Header.Get("Content-Disposition"))
		if err != nil || kind != "attachment" || params["filename"] != want {
			t.Errorf("%q: %q (%v), want %q", name, a.Header.Get("Content-Disposition"), err, want)
		}
		if a.Header.Get("Content-Type") != "application/octet-stream" || a.Header.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.HasPrefix(a.Header.Get("Content-Security-Policy"), "sandbox") || a.Header.Get("Set-Cookie") != "" {
			t.Errorf("%q: %v", name, a.Header)
		}
	}
}

// reading is a body that is read step by step.
type reading struct {
	*http.Response
	rd *bufio.Reader
}

func (d *desk) open(t *testing.T, user, route string, header ...string) *reading {
	t.Helper()
	res, err := d.client.Do(d.request(t, user, route, nil, header...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return &reading{res, bufio.NewReader(res.Body)}
}

func (r *reading) want(t *testing.T, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r.rd, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read %d octets: %v", len(got), err)
	}
}

// A recipient watches while the author films.
func TestStream(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	content := hosttest.Pattern(900_000, 1)
	part := func(n int) []byte { return content[n*300_000 : (n+1)*300_000] }
	id := d.draft(t, "alice", nil)
	d.part(t, "alice", id, part(0))
	d.ok(t, "alice", "POST "+at(id)+"/send", nil, http.StatusAccepted)
	d.Work(t.Context())
	if st := d.state(t, "bob", id); st != "arriving" {
		t.Fatalf("bob has it %s", st)
	}
	get := "GET " + box(id) + "/media"
	all, last := d.open(t, "bob", get), d.open(t, "bob", get, "Range", "bytes=10-")
	later := make(chan answer, 1)
	go func() { later <- d.do(t, "bob", get, nil, "Range", "bytes=300000-") }() // which nobody has yet
	if all.StatusCode != http.StatusOK || all.ContentLength != -1 {
		t.Errorf("%d, %d octets", all.StatusCode, all.ContentLength)
	}
	if got := last.Header.Get("Content-Range"); last.StatusCode != http.StatusPartialContent || got != "bytes 10-9007199254740991/*" { // RFC 8673
		t.Errorf("%d, %s", last.StatusCode, got)
	}
	all.want(t, part(0))
	last.want(t, part(0)[10:])
	for _, bad := range []string{"bytes=0-9", "bytes=-5", "bytes=0-,5-", "octets=0-", "bytes=x-", "bytes=--1"} {
		d.refused(t, "bob", get, nil, http.StatusBadRequest, "", "Range", bad)
	}
	if a := d.do(t, "bob", "HEAD "+box(id)+"/media", nil, "Range", "bytes=800000-"); a.Status != http.StatusPartialContent { // it waits for nothing
		t.Errorf("HEAD: %d", a.Status)
	}
	d.part(t, "alice", id, part(1))
	all.want(t, part(1))
	d.part(t, "alice", id, part(2))
	d.ok(t, "alice", "POST "+at(id)+"/seal", nil, http.StatusOK)
	all.want(t, part(2))
	if _, err := all.rd.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("it ends with %v", err)
	}
	if a := <-later; a.Status != http.StatusPartialContent || a.Err != nil || !bytes.Equal(a.Body, content[300_000:]) {
		t.Errorf("what was asked for early: %d, %d octets, %v", a.Status, len(a.Body), a.Err)
	}
	if a := d.ok(t, "bob", get, nil, http.StatusOK); !bytes.Equal(a.Body, content) {
		t.Error("the finished media is another one")
	}
}

// A body that must end early does not look whole.
func TestStreamIsCut(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	id := d.draft(t, "alice", nil)
	d.part(t, "alice", id, []byte("film"))
	d.ok(t, "alice", "POST "+at(id)+"/send", nil, http.StatusAccepted)
	d.Work(t.Context())
	r := d.open(t, "bob", "GET "+box(id)+"/media")
	r.want(t, []byte("film"))
	d.ok(t, "alice", "POST "+at(id)+"/revoke", nil, http.StatusOK)
	if _, err := r.rd.ReadByte(); err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("it ends with %v", err)
	}
}

// Those who wait are let go when the server stops, to come back soon.
func TestStreamWhileStopping(t *testing.T) {
	stopping, stop := context.WithCancel(t.Context())
	d := newDesk(t, hosttest.Options{})
	srv := httptest.NewServer(userapi.New(userapi.Options{
		Accounts: d.Accounts, Messages: d.Messages, Submission: d.Submission, Delivery: d.Delivery,
		Reception: d.Reception, Mailbox: d.DB.Mailboxes(), Now: d.Clock.Now, Stopping: stopping,
	}))
	t.Cleanup(srv.Close)
	id := d.draft(t, "alice", nil)
	d.part(t, "alice", id, []byte("film"))
	d.ok(t, "alice", "POST "+at(id)+"/send", nil, http.StatusAccepted)
	d.Work(t.Context())
	d.url = srv.URL
	r := d.open(t, "bob", "GET "+box(id)+"/media")
	r.want(t, []byte("film"))
	stop()
	if _, err := r.rd.ReadByte(); err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("it ends with %v", err)
	}
	a := d.refused(t, "bob", "GET "+box(id)+"/media", nil, http.StatusServiceUnavailable, "maintenance", "Range", "bytes=4-")
	if a.Header.Get("Retry-After") == "" {
		t.Errorf("no word of when to come back: %v", a.Header)
	}
}

// What is sealed at its author's server and still on its way has ranges like any file.
func TestRangesOfWhatArrives(t *testing.T) {
	zone := new(mailauthtest.Zone)
	away := new(hosttest.Away)
	d := newDesk(t, hosttest.Options{Zone: zone, Peers: away})
	content := hosttest.Pattern(5000, 1)
	rec := hosttest.NewRecording(t, "a.example", d.Clock.Now())
	rec.AddFile(content, 1000)
	rec.Seal()
	o := rec.Offer(mailauthtest.Signer(t, zone, "a.example"), d.Clock.Now(), rec.Size(), d.people["bob"].Address)
	body, err := o.Marshal(d.Messages.Limits())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Reception.Offer(t.Context(), o, body); err != nil {
		t.Fatal(err)
	}
	if a := d.refused(t, "bob", "GET /box/"+rec.Key.String()+"/media", nil, http.StatusServiceUnavailable, "busy"); a.Header.Get("Retry-After") == "" {
		t.Error("no word of when something will be here")
	}
	w, err := d.Messages.Writer(t.Context(), rec.Key)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for off := 1000; off < 5000; off += 1000 { // the first part is late
		if err := w.WritePart(int64(off), bytes.Clone(content[off:off+1000])); err != nil {
			t.Fatal(err)
		}
	}
	media := "/box/" + rec.Key.String() + "/media"
	for ranges, want := range map[string][2]int{"bytes=1000-": {1000, 5000}, "bytes=2000-2999": {2000, 3000}, "bytes=-10": {4990, 5000}, "bytes=4000-9999": {4000, 5000}} {
		a := d.ok(t, "bob", "GET "+media, nil, http.StatusPartialContent, "Range", ranges)
		if !bytes.Equal(a.Body, content[want[0]:want[1]]) || a.Header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/5000", want[0], want[1]-1) || a.Header.Get("Content-Length") != fmt.Sprint(want[1]-want[0]) {
			t.Errorf("%s: %d octets, %v", ranges, len(a.Body), a.Header)
		}
	}
	if a := d.do(t, "bob", "GET "+media, nil, "Range", "bytes=5000-"); a.Status != http.StatusRequestedRangeNotSatisfiable || a.Header.Get("Content-Range") != "bytes */5000" {
		t.Errorf("%d %v", a.Status, a.Header)
	}
	if a := d.do(t, "bob", "HEAD "+media, nil); a.Status != http.StatusOK || a.Header.Get("Content-Length") != "5000" {
		t.Errorf("%d %v", a.Status, a.Header)
	}
	whole := make(chan answer, 1)
	go func() { whole <- d.do(t, "bob", "GET "+media, nil) }()
	if err := w.WritePart(0, bytes.Clone(content[:1000])); err != nil {
		t.Fatal(err)
	}
	if a := <-whole; a.Err != nil || a.Status != http.StatusOK || !bytes.Equal(a.Body, content) {
		t.Errorf("%d, %d octets, %v", a.Status, len(a.Body), a.Err)
	}
}

func FuzzSpan(f *testing.F) {
	for _, s := range []string{"", "bytes=0-", "bytes=0-0", "bytes=-5", "bytes=5-3", "bytes=0-,1-", "bytes=9999999999999999999-", "bytes=-", "bytes= 1-2"} {
		f.Add(s, int64(100), true)
		f.Add(s, int64(0), false)
	}
	f.Fuzz(func(t *testing.T, header string, size int64, final bool) {
		size &= 1<<50 - 1
		from, to, ranged, err := userapi.SpanOf(header, size, final)
		if err != nil {
			if final || vam.KindOf(err) != vam.Invalid {
				t.Fatal(err)
			}
			return
		}
		if from < 0 || !final && to != -1 || final && (to < 0 || to > size) || header == "" && ranged {
			t.Fatalf("%q of %d: %d to %d", header, size, from, to)
		}
	})
}

package amserver_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/activmail/amtest"
)

// bytesContent is an amserver.Content in memory.
type bytesContent struct{ *bytes.Reader }

func (bytesContent) Close() error { return nil }

func inMemory(b []byte) amserver.Content { return bytesContent{bytes.NewReader(b)} }

// onlyMedia is an origin whose one message has the given media.
type onlyMedia struct {
	amserver.Outbound
	media func() amserver.Media
}

func (o onlyMedia) Media(context.Context, amserver.Pull) (amserver.Media, error) {
	return o.media(), nil
}

// anyPull opens a message of onlyMedia.
const anyMessage = vam.MessageID("0193a0c0-0000-7000-8000-000000000000")

// TestRanges is AM-7.16.
func TestRanges(t *testing.T) {
	content := pattern(1000)
	rows := []struct {
		name, value      string
		growing          bool
		status           int
		from, to         int
		wantContentRange string
	}{
		{name: "none", status: 200, to: 1000},
		{name: "first octet", value: "bytes=0-0", status: 206, to: 1, wantContentRange: "bytes 0-0/1000"},
		{name: "inside", value: "bytes=10-19", status: 206, from: 10, to: 20, wantContentRange: "bytes 10-19/1000"},
		{name: "open end", value: "bytes=990-", status: 206, from: 990, to: 1000, wantContentRange: "bytes 990-999/1000"},
		{name: "last octets", value: "bytes=-5", status: 206, from: 995, to: 1000, wantContentRange: "bytes 995-999/1000"},
		{name: "more than all", value: "bytes=-5000", status: 206, to: 1000, wantContentRange: "bytes 0-999/1000"},
		{name: "over the end", value: "bytes=998-5000", status: 206, from: 998, to: 1000, wantContentRange: "bytes 998-999/1000"},
		{name: "unit in capitals", value: "Bytes=1-1", status: 206, from: 1, to: 2, wantContentRange: "bytes 1-1/1000"},
		{name: "space", value: "bytes= 1-1", status: 206, from: 1, to: 2, wantContentRange: "bytes 1-1/1000"},
		{name: "at the end", value: "bytes=1000-", status: 416, wantContentRange: "bytes */1000"},
		{name: "beyond the end", value: "bytes=4000-5000", status: 416, wantContentRange: "bytes */1000"},
		{name: "nothing of the end", value: "bytes=-0", status: 416, wantContentRange: "bytes */1000"},
		{name: "several", value: "bytes=0-1,5-6", status: 200, to: 1000},
		{name: "backwards", value: "bytes=9-3", status: 200, to: 1000},
		{name: "other unit", value: "lines=1-2", status: 200, to: 1000},
		{name: "no number", value: "bytes=a-b", status: 200, to: 1000},
		{name: "sign", value: "bytes=+1-2", status: 200, to: 1000},
		{name: "huge", value: "bytes=0-99999999999999999999999", status: 200, to: 1000},
		{name: "empty", value: "bytes=-", status: 200, to: 1000},
		{name: "growing", value: "bytes=10-", growing: true, status: 206, from: 10, to: 1000, wantContentRange: "bytes 10-999/*"},
		{name: "growing, at the end", value: "bytes=1000-", growing: true, status: 416, wantContentRange: "bytes */1000"},
	}
	bothNetworks(t, func(t *testing.T, network string) {
		w := newWorld(t, amtest.PeerOptions{})
		c := w.client(t, network)
		done, doneToken := w.sealed(t, content)
		growing, growingToken := w.live(t, content)
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				m, token := done, doneToken
				if row.growing {
					m, token = growing, growingToken
				}
				a := ask{method: "GET", path: messagePath(m.ID, "/media"), token: token}
				if row.value != "" {
					a.header = http.Header{"Range": {row.value}}
				}
				for range 2 {
					got := c.do(t, a)
					got.want(t, row.status, "")
					if cr := got.header.Get("Content-Range"); cr != row.wantContentRange {
						t.Errorf("Content-Range is %q, want %q", cr, row.wantContentRange)
					}
					if row.status == http.StatusRequestedRangeNotSatisfiable {
						got.want(t, row.status, "malformed")
					} else if !bytes.Equal(got.body, content[row.from:row.to]) {
						t.Errorf("the body has %d octets, want %d to %d", len(got.body), row.from, row.to)
					}
				}
				a.method = "HEAD"
				if got := c.do(t, a); got.status != row.status || len(got.body) != 0 {
					t.Errorf("HEAD: %d with %d octets", got.status, len(got.body))
				}
			})
		}
	})
}

// TestConditions is AM-7.17, AM-7.30.
func TestConditions(t *testing.T) {
	bothNetworks(t, func(t *testing.T, network string) {
		w := newWorld(t, amtest.PeerOptions{})
		c := w.client(t, network)
		m, token := w.sealed(t, pattern(100))
		live, liveToken := w.live(t, pattern(100))
		media := ask{method: "GET", path: messagePath(m.ID, "/media"), token: token}
		head := ask{method: "GET", path: messagePath(m.ID, ""), token: token}
		with := func(a ask, header ...string) ask {
			a.header = http.Header{}
			for i := 0; i < len(header); i += 2 {
				a.header.Set(header[i], header[i+1])
			}
			return a
		}
		etag := c.do(t, media).header.Get("ETag")
		if len(etag) < 3 || etag[0] != '"' {
			t.Fatalf("the entity tag of finished media is %q", etag)
		}
		headTag := c.do(t, head).header.Get("ETag")
		for _, row := range []struct {
			name   string
			ask    ask
			status int
		}{
			{"the same", with(media, "If-None-Match", etag), 304},
			{"weak", with(media, "If-None-Match", "W/"+etag), 304},
			{"in a list", with(media, "If-None-Match", `"x", `+etag), 304},
			{"any", with(media, "If-None-Match", "*"), 304},
			{"another", with(media, "If-None-Match", `"x"`), 200},
			{"range of the same", with(media, "Range", "bytes=1-2", "If-Range", etag), 206},
			{"range of another", with(media, "Range", "bytes=1-2", "If-Range", `"x"`), 200},
			{"range of a weak tag", with(media, "Range", "bytes=1-2", "If-Range", "W/"+etag), 200},
			{"range since a date", with(media, "Range", "bytes=1-2", "If-Range", time.Now().UTC().Format(http.TimeFormat)), 200},
			{"head, the same", with(head, "If-None-Match", headTag), 304},
			{"head, another", with(head, "If-None-Match", `"x"`), 200},
		} {
			t.Run(row.name, func(t *testing.T) {
				got := c.do(t, row.ask)
				if got.status != row.status {
					t.Errorf("got %d, want %d", got.status, row.status)
				}
				if got.status == http.StatusNotModified && (len(got.body) > 0 || got.header.Get("ETag") == "") {
					t.Errorf("304 with %d octets and the tag %q", len(got.body), got.header.Get("ETag"))
				}
			})
		}

		// The head changes with the log; what grows has no tag at all.
		liveHead := ask{method: "GET", path: messagePath(live.ID, ""), token: liveToken}
		before := c.do(t, liveHead).header.Get("ETag")
		appendPart(t, live, pattern(10))
		if after := c.do(t, liveHead).header.Get("ETag"); after == before || after == "" {
			t.Errorf("the head has the tag %q before and %q after", before, after)
		}
		liveMedia := with(ask{method: "GET", path: messagePath(live.ID, "/media"), token: liveToken}, "If-None-Match", "*")
		if got := c.do(t, liveMedia); got.status != 200 || got.header.Get("ETag") != "" || len(got.body) != 110 {
			t.Errorf("growing media: %d, tag %q, %d octets", got.status, got.header.Get("ETag"), len(got.body))
		}
	})
}

// FuzzRange compares with the standard library's reading of the field: a range that both
// take is the same range, and what we take for the whole is the whole.
func FuzzRange(f *testing.F) {
	content := pattern(100)
	for _, s := range []string{"", "bytes=0-0", "bytes=10-19", "bytes=90-", "bytes=-5", "bytes=-500", "bytes=100-", "bytes=9-3", "bytes=0-1,3-4", "bytes= 1 - 2 ", "bytes=\v-5", "lines=1-2", "bytes=-0", "bytes=--1", "bytes=1-999999999999999999999"} {
		f.Add(s)
	}
	handler := amserver.NewHandler(amserver.HandlerOptions{Outbound: onlyMedia{media: func() amserver.Media {
		return amserver.Media{Content: inMemory(content), Size: vam.Bytes(len(content)), Complete: true, ETag: "x"}
	}}})
	token := "Bearer " + string(activmail.NewPullToken())
	f.Fuzz(func(t *testing.T, value string) {
		r := httptest.NewRequest("GET", messagePath(anyMessage, "/media"), nil)
		r.Header = http.Header{"Range": {value}, "Authorization": {token}}
		got, want := httptest.NewRecorder(), httptest.NewRecorder()
		handler.ServeHTTP(got, r)
		http.ServeContent(want, r, "", time.Time{}, bytes.NewReader(content))
		switch got.Code {
		case http.StatusOK:
			if !bytes.Equal(got.Body.Bytes(), content) {
				t.Errorf("%q: 200 with %d octets", value, got.Body.Len())
			}
		case http.StatusPartialContent:
			if want.Code != http.StatusPartialContent || !bytes.Equal(got.Body.Bytes(), want.Body.Bytes()) ||
				got.Header().Get("Content-Range") != want.Header().Get("Content-Range") {
				if !strings.HasPrefix(value, "bytes=") { // RFC 9110 section 14.1: units have no case
					return
				}
				t.Errorf("%q: %q, and the library has %d %q", value, got.Header().Get("Content-Range"), want.Code, want.Header().Get("Content-Range"))
			}
		case http.StatusRequestedRangeNotSatisfiable:
			if (want.Code == http.StatusPartialContent && want.Body.Len() > 0) || got.Header().Get("Content-Range") != "bytes */"+strconv.Itoa(len(content)) {
				t.Errorf("%q: 416, and the library has %d", value, want.Code)
			}
		default:
			t.Errorf("%q: %d", value, got.Code)
		}
	})
}

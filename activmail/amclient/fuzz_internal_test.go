package amclient

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// FuzzContentRange: a range that is taken is the one that was asked for, and lies in its
// representation; what it says can be written again.
func FuzzContentRange(f *testing.F) {
	for _, s := range []string{
		"bytes 0-9/10", "bytes 10-19/*", "bytes 0-0/1", "bytes 5-4/10", "bytes 0-9/9", "bytes */10", "bytes */*", "bytes 0-9", "0-9/10",
		"bytes 0-18446744073709551615/18446744073709551616", "bytes -1-5/10", "bytes 1 - 2/3",
	} {
		f.Add(206, s, int64(10), int64(0), int64(20))
		f.Add(416, s, int64(-1), int64(10), int64(0))
		f.Add(200, s, int64(10), int64(0), int64(0))
	}
	f.Fuzz(func(t *testing.T, status int, field string, length, from, to int64) {
		if from < 0 || to < 0 || to > 0 && to <= from {
			return
		}
		body := io.NopCloser(strings.NewReader(""))
		resp := &http.Response{StatusCode: status, Header: http.Header{"Content-Range": {field}}, ContentLength: length, Body: body}
		m, err := newMedia(resp, vam.Bytes(from), vam.Bytes(to))
		if err != nil {
			var pos *activmail.PositionError
			if vam.KindOf(err) == vam.Conflict && (!errors.As(err, &pos) || pos.Size < 0 || pos.Size > from) {
				t.Errorf("%d %q: the position is %+v of %d", status, field, pos, from)
			}
			if vam.KindOf(err) == vam.Internal {
				t.Errorf("%d %q: %v", status, field, err)
			}
			return
		}
		if m.From != vam.Bytes(from) || m.To < m.From || to > 0 && m.To > vam.Bytes(to) || m.Size >= 0 && m.To > m.Size {
			t.Errorf("%d %q with %d octets, asked for [%d, %d): [%d, %d) of %d", status, field, length, from, to, m.From, m.To, m.Size)
		}
		if status == http.StatusPartialContent {
			size := "*"
			if m.Size >= 0 {
				size = strconv.FormatInt(int64(m.Size), 10)
			}
			again := "bytes " + strconv.FormatInt(int64(m.From), 10) + "-" + strconv.FormatInt(int64(m.To)-1, 10) + "/" + size
			if a, b, c, ok := parseContentRange(again); !ok || a != m.From || b != m.To || c != m.Size {
				t.Errorf("%q is not read again from %q", field, again)
			}
		}
	})
}

// FuzzEntryHeader: what is read from a header is within its limit, and is what its
// canonical form holds.
func FuzzEntryHeader(f *testing.F) {
	for _, s := range []string{":eA==:", ":", "::", ":eA:", ":e A==:", "eA==", " :eA==: ", ":" + base64.StdEncoding.EncodeToString(make([]byte, 2049)) + ":", ":eB==:", ":eA==:;a=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		const limit = 2 * vam.KiB
		b, err := byteSequence(s, limit)
		if err != nil {
			if k := vam.KindOf(err); k != vam.Invalid && k != vam.TooLarge {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		again, err := byteSequence(":"+base64.StdEncoding.EncodeToString(b)+":", limit)
		if vam.Bytes(len(b)) > limit || err != nil || !bytes.Equal(again, b) {
			t.Errorf("%q: %d octets, again %d, %v", s, len(b), len(again), err)
		}
	})
}

// FuzzProblem: any answer with any status is an error with a kind, safe to show, and with
// a sane time to try again.
func FuzzProblem(f *testing.F) {
	for _, s := range []string{
		"", "{}", "null", "[]", `{"type":"` + activmail.ProblemBase + `rate","status":429,"detail":"slow"}`,
		`{"type":"` + activmail.ProblemBase + `log-position","size":5}`, `{"type":"` + activmail.ProblemBase + `log-position","size":-5}`,
		`{"type":5,"detail":{},"code":"9.9.9"}`, `{"detail":"\u0000\u202e<b>"}`, strings.Repeat("[", 1000), "\xff\xfe",
	} {
		f.Add(429, "120", []byte(s))
		f.Add(416, "-1", []byte(s))
		f.Add(200, "Fri, 31 Dec 9999 23:59:59 GMT", []byte(s))
	}
	c := &Client{options: Options{Limits: activmail.DefaultLimits()}}
	f.Fuzz(func(t *testing.T, status int, retry string, text []byte) {
		if status < 200 || status > 999 {
			return
		}
		err := c.problem(&call{}, &http.Response{
			StatusCode: status, Header: http.Header{"Retry-After": {retry}}, Body: io.NopCloser(bytes.NewReader(text)),
		})
		var e *vam.Error
		if !errors.As(err, &e) || e.Kind == vam.Internal || e.RetryAfter < 0 || len(e.Message) > 500 || strings.ContainsAny(e.Message, "\x00\n\u202e") {
			t.Errorf("%d %q: %#v", status, text, err)
		}
		if status < 400 && !e.Kind.Temporary() {
			t.Errorf("%d is permanent: %v", status, err)
		}
		var pos *activmail.PositionError
		if errors.As(err, &pos) && pos.Size < 0 {
			t.Errorf("%d %q: the position is %d", status, text, pos.Size)
		}
	})
}

// FuzzStoreURL: what is followed is https to port 443 or 1398 of a host, without a
// password.
func FuzzStoreURL(f *testing.F) {
	for _, s := range []string{
		"https://store.test/x?y#z", "https://store.test:443/", "https://store.test:1398", "http://store.test", "https://a:b@store.test",
		"//store.test/x", "https://[::1]:443/", "https://store.test:99999", "https:///x", "https:store.test", "HTTPS://STORE.test", "https://store.test:/", "https://:443/x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, location string) {
		u, err := storeURL(location)
		if err != nil {
			if k := vam.KindOf(err); k != vam.Invalid && k != vam.Denied {
				t.Errorf("%q: %v", location, err)
			}
			return
		}
		if p := u.Port(); u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || p != "" && p != "443" && p != "1398" {
			t.Errorf("%q is followed as %q", location, u)
		}
	})
}

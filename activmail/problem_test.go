package activmail_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// overTheWire writes a problem as a server does and reads it as a client does.
func overTheWire(t testing.TB, p activmail.Problem) activmail.Problem {
	t.Helper()
	w := httptest.NewRecorder()
	p.WriteTo(w)
	answer := w.Result()
	if answer.StatusCode != p.Status || answer.Header.Get("Content-Type") != activmail.ProblemType || answer.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%s is answered with %d, %v", p.Name, answer.StatusCode, answer.Header)
	}
	if n := answer.Header.Get("Content-Length"); n != strconv.Itoa(w.Body.Len()) || !json.Valid(w.Body.Bytes()) {
		t.Errorf("%s has a body of %s octets: %s", p.Name, n, w.Body)
	}
	return activmail.ParseProblem(answer.StatusCode, answer.Header, w.Body.Bytes())
}

// TestEveryKindAndBack walks all kinds through the table: what the peer sees is of the same
// kind, and as temporary as it was. A fault inside the peer is one that it is out of reach
// for us (AM-9.7).
func TestEveryKindAndBack(t *testing.T) {
	for _, kind := range vam.ErrorKinds() {
		sent := vam.Errorf(kind, "a sentence")
		p := activmail.ProblemFor(sent)
		if !slices.Contains(activmail.ProblemNames(), p.Name) {
			t.Errorf("%s becomes the problem %q, which is not in the registry", kind, p.Name)
		}
		got := overTheWire(t, p)
		var e *vam.Error
		if !errors.As(got.Err(), &e) {
			t.Fatalf("%s comes back as %v", kind, got.Err())
		}
		want := kind
		if kind == vam.Internal {
			want = vam.Unavailable
		}
		if e.Kind != want || e.Kind.Temporary() != kind.Temporary() || e.Problem != p.Name {
			t.Errorf("%s goes out as %s and comes back as %s, %s", kind, p.Name, e.Kind, e.Problem)
		}
		if e.Message != "a sentence" && kind != vam.Internal || strings.Contains(e.Message, "a sentence") && kind == vam.Internal {
			t.Errorf("%s says %q", kind, e.Message)
		}
	}
}

// TestEveryProblemAndBack does the same for the names of the registry (AM-9.2).
func TestEveryProblemAndBack(t *testing.T) {
	for _, name := range activmail.ProblemNames() {
		p := activmail.ProblemFor(vam.Errorf(vam.Invalid, "a sentence").WithProblem(name).WithRetry(90 * time.Second))
		if p.Name != name || p.Title == "" || p.Status < 400 || p.Again == "" {
			t.Errorf("%s becomes %+v", name, p)
		}
		got := overTheWire(t, p)
		if got.Name != name || got.Title != p.Title || got.Status != p.Status || got.Code != p.Code || got.Again != p.Again || got.Detail != "a sentence" || got.RetryAfter != 90*time.Second {
			t.Errorf("%s comes back as %+v", name, got)
		}
		// What the registry calls later is temporary to the queue, and nothing else that it calls never.
		if temporary := vam.KindOf(got.Err()).Temporary(); (p.Again == activmail.Later) != temporary && p.Again != activmail.Now || p.Again == activmail.Never && temporary {
			t.Errorf("%s is to be asked %s and is temporary: %v", name, p.Again, temporary)
		}
	}
}

// TestRegistry holds statuses, codes and what to do against the table in spec/problems.md.
func TestRegistry(t *testing.T) {
	text, err := os.ReadFile("../spec/problems.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| \[([a-z-]+)\]\(#[a-z-]+\) \| ([^|]*) \| ([^|]*) \| ([a-z]+)`)
	found := row.FindAllStringSubmatch(string(text), -1)
	if len(found) != len(activmail.ProblemNames()) {
		t.Errorf("the table has %d rows and the code %d", len(found), len(activmail.ProblemNames()))
	}
	for _, m := range found {
		p := activmail.ProblemFor(vam.Errorf(vam.Invalid, "x").WithProblem(m[1]))
		if code := strings.TrimSpace(m[3]); p.Code != strings.Trim(code, "–") {
			t.Errorf("%s has the code %q, not %s", m[1], p.Code, code)
		}
		if string(p.Again) != m[4] {
			t.Errorf("%s is to be asked %s, not %s", m[1], p.Again, m[4])
		}
		if first, _, _ := strings.Cut(strings.TrimSpace(m[2]), ","); first[0] >= '0' && first[0] <= '9' && first != strconv.Itoa(p.Status) {
			t.Errorf("%s has the status %d, not %s", m[1], p.Status, first)
		}
	}
}

// TestUnclassifiedErrors: what nobody classified says nothing and is temporary (AM-9.7), in
// whatever it is wrapped.
func TestUnclassifiedErrors(t *testing.T) {
	secret := errors.New("open /var/lib/vam/keys: permission denied")
	for _, err := range []error{secret, fmt.Errorf("delivering: %w", secret), vam.Wrap(vam.Internal, secret, "it failed in %s", "/var/lib/vam")} {
		p := activmail.ProblemFor(err)
		if p.Name != "internal" || p.Status != 500 || strings.Contains(string(p.Marshal()), "/var") || p.Detail == "" {
			t.Errorf("%v becomes %s", err, p.Marshal())
		}
	}
	p := activmail.ProblemFor(vam.Wrap(vam.Busy, secret, "too much"))
	if strings.Contains(string(p.Marshal()), "/var") || p.Detail != "too much" {
		t.Errorf("the cause shows in %s", p.Marshal())
	}
	late := activmail.ProblemFor(fmt.Errorf("reading: %w", context.DeadlineExceeded))
	if late.Name != "timeout" || !vam.KindOf(late.Err()).Temporary() {
		t.Errorf("a time-out becomes %+v", late)
	}
	// A problem that is not in the registry is that of its kind.
	if p := activmail.ProblemFor(vam.Errorf(vam.TooLarge, "x").WithProblem("blob-missing")); p.Name != "too-large" {
		t.Errorf("an unknown problem becomes %s", p.Name)
	}
}

// TestRetryAfter: 429 and 503 always say when (AM-9.4), in whole seconds rounded up.
func TestRetryAfter(t *testing.T) {
	for _, tc := range []struct {
		err  *vam.Error
		want time.Duration
	}{
		{vam.Errorf(vam.Busy, "x"), 30 * time.Second},
		{vam.Errorf(vam.Unavailable, "x"), 30 * time.Second},
		{vam.Errorf(vam.Unavailable, "x").WithProblem("maintenance"), 30 * time.Second},
		{vam.Errorf(vam.Busy, "x").WithRetry(1500 * time.Millisecond), 2 * time.Second},
		{vam.Errorf(vam.Busy, "x").WithRetry(time.Nanosecond), time.Second},
		{vam.Errorf(vam.Busy, "x").WithRetry(-time.Second), 30 * time.Second},
		{vam.Errorf(vam.OverQuota, "x"), 0},
		{vam.Errorf(vam.OverQuota, "x").WithRetry(time.Hour), time.Hour},
		{vam.Errorf(vam.Invalid, "x"), 0},
	} {
		if got := overTheWire(t, activmail.ProblemFor(tc.err)).RetryAfter; got != tc.want {
			t.Errorf("%s with %s says %s, not %s", tc.err.Kind, tc.err.RetryAfter, got, tc.want)
		}
	}
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	const now = "Mon, 23 Nov 2026 09:00:00 GMT"
	for _, tc := range []struct {
		h    http.Header
		want time.Duration
	}{
		{header(), 0},
		{header("Retry-After", "120"), 2 * time.Minute},
		{header("Retry-After", "0"), 0},
		{header("Retry-After", "-5"), 0},
		{header("Retry-After", "1e3"), 0},
		{header("Retry-After", "soon"), 0},
		{header("Retry-After", "999999999"), 24 * time.Hour},
		{header("Retry-After", "99999999999999999999"), 0},
		{header("Retry-After", "Mon, 23 Nov 2026 09:05:00 GMT", "Date", now), 5 * time.Minute},
		{header("Retry-After", "Mon, 23 Nov 2026 08:00:00 GMT", "Date", now), 0},
		{header("Retry-After", "Mon, 23 Nov 2099 09:05:00 GMT", "Date", now), 24 * time.Hour},
		{header("Retry-After", "Mon, 23 Nov 2026 09:05:00 GMT"), 0},
	} {
		if got := activmail.ParseProblem(503, tc.h, nil).RetryAfter; got != tc.want {
			t.Errorf("%v is %s, not %s", tc.h, got, tc.want)
		}
	}
}

// TestLogPosition: the true size comes through (AM-7.6, AM-9.1).
func TestLogPosition(t *testing.T) {
	for _, size := range []int64{0, 305, maxCount} {
		sent := vam.Wrap(vam.Conflict, &activmail.PositionError{Size: size}, "not there").WithProblem("log-position")
		var pos *activmail.PositionError
		if got := overTheWire(t, activmail.ProblemFor(sent)).Err(); !errors.As(got, &pos) || pos.Size != size || vam.KindOf(got) != vam.Conflict {
			t.Errorf("%d comes back as %v", size, got)
		}
		if text := pos.Error(); !strings.Contains(text, strconv.FormatInt(size, 10)) {
			t.Errorf("the error says %s", text)
		}
	}
	// A size is that of this problem alone, and one that is missing is not 0.
	var pos *activmail.PositionError
	if p := activmail.ProblemFor(vam.Wrap(vam.Conflict, &activmail.PositionError{Size: 3}, "x")); p.Size != -1 || errors.As(p.Err(), &pos) {
		t.Errorf("a conflict of another kind has the size %d", p.Size)
	}
	for _, body := range []string{"", `{"type":"` + activmail.ProblemBase + `log-position"}`, `{"type":"` + activmail.ProblemBase + `log-position","size":"3"}`, `{"type":"` + activmail.ProblemBase + `quota","size":3}`} {
		if p := activmail.ProblemFor(activmail.ParseProblem(412, nil, []byte(body)).Err()); p.Size != -1 {
			t.Errorf("%s has the size %d", body, p.Size)
		}
	}
}

// TestTextsOfStrangers: whatever a peer writes as detail, what is shown is one printable
// line of at most 500 octets (AM-9.6).
func TestTextsOfStrangers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		detail := rapid.String().Draw(t, "detail") + rapid.SampledFrom([]string{"", "\u202e", "\r\nSubject: x", "\x1b[2J", strings.Repeat("ä", 400), "\ufffd", "a\u2028b"}).Draw(t, "more")
		body, err := json.Marshal(map[string]any{"type": activmail.ProblemBase + "spam", "detail": detail})
		if err != nil {
			t.Fatal(err)
		}
		p := activmail.ParseProblem(403, nil, body)
		if p.Name != "spam" || len(p.Detail) > 500 || !utf8.ValidString(p.Detail) || strings.ContainsAny(p.Detail, "\r\n\t\x1b\u202e\u2028\ufffd\x7f") {
			t.Fatalf("%q becomes %s, %q", detail, p.Name, p.Detail)
		}
		if strings.HasSuffix(p.Detail, "…") && len(p.Detail) < 490 && len(detail) > 600 {
			t.Fatalf("of %d octets %q is left", len(detail), p.Detail)
		}
		if again := activmail.ParseProblem(403, nil, p.Marshal()); again.Detail != p.Detail {
			t.Fatalf("%q becomes %q the second time", p.Detail, again.Detail)
		}
		if e := p.Err(); e.Error() == "" {
			t.Fatal("the error says nothing")
		}
	})
}

// TestStatusAlone: without a document the status decides (AM-9.3, AM-8.23), and every
// status gives a problem of the registry.
func TestStatusAlone(t *testing.T) {
	for status := range 1000 {
		p := activmail.ParseProblem(status, http.Header{}, []byte("<html>"))
		if !slices.Contains(activmail.ProblemNames(), p.Name) || p.Err() == nil || p.Status != status {
			t.Fatalf("status %d becomes %+v", status, p)
		}
		temporary := status < 400 || status == 408 || status == 421 || status == 425 || status == 429 || status >= 500 && status != 501
		if got := vam.KindOf(p.Err()).Temporary(); got != temporary {
			t.Errorf("status %d is temporary: %v", status, got)
		}
	}
}

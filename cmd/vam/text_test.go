package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/doctor"
	"github.com/videoactivmail/vam/internal/userwire"
)

func TestSafe(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "plain": "plain", "日本 ü": "日本 ü", "a\nb": `a\x0ab`, "\x1b[31m": `\x1b[31m`, "a\u202eb": `a\u202eb`,
		"\xff\xfe": `\xff\xfe`, "\U000e0001": `\U000e0001`, "\u200b": `\u200b`, "tab\t": `tab\x09`, "\x7f": `\x7f`, "\ufffd": "\ufffd",
	} {
		if got := safe(in); got != want {
			t.Errorf("safe(%q) is %q, not %q", in, got, want)
		}
	}
}

// FuzzSafe: whatever others chose, one line of printable text comes out, and what is
// harmless stays as it is.
func FuzzSafe(f *testing.F) {
	for _, s := range []string{"", "a", "\x1b]0;title\a", "\xff", "\u202e", "a\r\nb", "日本"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := safe(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q comes out as %q", s, got)
		}
		if safe(got) != got {
			t.Errorf("%q is not harmless", got)
		}
	})
}

func TestSubjectOf(t *testing.T) {
	if got := subjectOf("a\x00b\nc\xff.mp4"); got != "a b c\ufffd.mp4" {
		t.Errorf("it is %q", got)
	}
}

// TestShellWord asks a shell.
func TestShellWord(t *testing.T) {
	for _, s := range []string{"", "plain", "/tmp/a b", `it's "so"`, "$HOME `id` \\", "~", "-x", "ü", "a;b&c|d", "a\nb", "#x", "x=y"} {
		out, err := exec.Command("sh", "-c", "printf %s "+shellWord(s)).Output()
		if err != nil || string(out) != s {
			t.Errorf("a shell reads %s as %q (%v)", shellWord(s), out, err)
		}
	}
}

func TestGuessKind(t *testing.T) {
	mp4, ts := []byte("\x00\x00\x00\x20ftypisom\x00\x00\x02\x00"), append(bytes.Repeat([]byte("G\x40\x00\x10"), 47), 'G')
	for _, c := range []struct {
		name string
		head []byte
		kind vam.Kind
		mime string
	}{
		{"a.mp4", mp4, vam.Video, "video/mp4"},
		{"A.MP4", mp4, vam.Video, "video/mp4"},
		{"a.ts", ts, vam.Video, "video/mp2t"},
		{"a.m4a", mp4, vam.Voice, "audio/mp4"},
		{"a.mp3", []byte{0xff, 0xfb, 0x90}, vam.Voice, "audio/mpeg"},
		{"a.txt", mp4, vam.File, "application/octet-stream"},
		{"a.mp4", []byte("#EXTM3U\n"), vam.File, "application/octet-stream"},
		{"a.mp4", nil, vam.File, "application/octet-stream"},
		{"a.ts", append([]byte("GlobalThing.do();"), make([]byte, 400)...), vam.File, "application/octet-stream"},
		{"mp4", mp4, vam.File, "application/octet-stream"},
	} {
		if kind, mime := guessKind(c.name, c.head); kind != c.kind || mime != c.mime {
			t.Errorf("%s with %q is %s, %s", c.name, c.head, kind, mime)
		}
	}
}

// TestSafeName: no name that an author chose leaves the folder, hides, or is an option.
func TestSafeName(t *testing.T) {
	id := vam.NewMessageID(time.Unix(0, 0))
	own := "message-" + shortID(id)
	for in, want := range map[string]string{
		"a.mp4": "a.mp4", "/etc/passwd": "passwd", `..\..\x.mp4`: "x.mp4", "..": own, ".": own, "": own, "/": own, ".bashrc": own, "-rf": own, "~": own,
		"ü 日本.mp4": "ü 日本.mp4", "dir/": "dir",
	} {
		if got := safeName(userwire.Entry{ID: id, Name: in}); got != want {
			t.Errorf("%q becomes %q, not %q", in, got, want)
		}
	}
	for _, long := range []string{strings.Repeat("日", 90) + ".mp4", strings.Repeat("x", 300), "." + strings.Repeat("y", 255)} {
		got := safeName(userwire.Entry{ID: id, Name: long})
		if len(got) > 200 || !utf8.ValidString(got) || filepath.Ext(long) == ".mp4" && filepath.Ext(got) != ".mp4" {
			t.Errorf("a long name becomes %q", got)
		}
	}
}

func TestWaitLimitAndTimes(t *testing.T) {
	for in, want := range map[string]time.Duration{"90s": 90 * time.Second, "2d": 48 * time.Hour, "1d12h": 36 * time.Hour} {
		if got, err := parseTime(in); err != nil || got != want {
			t.Errorf("%s is %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"0s", "-5m", "soon", "5"} {
		if _, err := parseTime(in); vam.KindOf(err) != vam.Invalid || err == nil {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestSentState(t *testing.T) {
	rcpt := func(states ...vam.RecipientState) (x userwire.Entry) {
		x.State = "stored"
		for i, s := range states {
			x.Rcpts = append(x.Rcpts, userwire.Recipient{Address: vam.Address{Local: string(rune('a' + i)), Domain: "b.test"}, State: s})
		}
		return x
	}
	for _, c := range []struct {
		x         userwire.Entry
		who, what string
	}{
		{userwire.Entry{State: "draft"}, "-", "draft"},
		{rcpt(vam.Stored), "a@b.test", "stored"},
		{rcpt(vam.Stored, vam.Stored), "a@b.test and 1 more", "stored"},
		{rcpt(vam.Stored, vam.Held, vam.Stored), "a@b.test and 2 more", "2 stored, 1 held"},
	} {
		if who, what := recipientsOf(c.x), sentState(c.x); who != c.who || what != c.what {
			t.Errorf("%q, %q instead of %q, %q", who, what, c.who, c.what)
		}
	}
}

// TestMark: colour is for people who did not say no.
func TestMark(t *testing.T) {
	for _, c := range []struct {
		tty  bool
		vars []string
		want string
	}{
		{false, nil, "FAIL"}, {true, []string{"NO_COLOR=1"}, "FAIL"}, {true, nil, "\x1b[31mFAIL\x1b[0m"}, {true, []string{"NO_COLOR="}, "\x1b[31mFAIL\x1b[0m"},
	} {
		e, _, _ := scratch(c.vars...)
		e.outTTY = c.tty
		if got := e.mark(doctor.Fail); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// TestAsk: a person who changes their mind is not held.
func TestAsk(t *testing.T) {
	e, _, _ := scratch()
	r, w := io.Pipe()
	defer w.Close()
	e.in = r
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.ask(ctx, "?"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	e.in = strings.NewReader("secret\nrest")
	if got, err := e.ask(t.Context(), "?"); err != nil || got != "secret\n" {
		t.Errorf("%q, %v", got, err)
	}
	e.in = strings.NewReader("without an end")
	if got, err := e.ask(t.Context(), "?"); err != nil || got != "without an end" {
		t.Errorf("%q, %v", got, err)
	}
}

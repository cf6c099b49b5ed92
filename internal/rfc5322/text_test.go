package rfc5322_test

import (
	"mime"
	"net/mail"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/rfc5322"
)

func TestClean(t *testing.T) {
	for _, tc := range []struct {
		in, want string
		limit    int
	}{
		{"", "", 10},
		{"  a \t b  ", "a b", 10},
		{"a\r\nBcc: x@y.example", "a Bcc: x@y.example", 20},
		{"a\u2028b\u2029c\u0085d\x00e\x1bf", "a b c d e f", 20},
		{"invoice\u202egpj.exe", "invoicegpj.exe", 20},
		{"a\u200bb\u2060c\ufeffd\u3164", "abcd", 10},
		{"\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", 10},
		{"👩\u200d🚀", "👩\u200d🚀", 10},
		{"bad\xff\xfebytes", "bad\ufffd\ufffdbytes", 10},
		{"0123456789", "0123456789", 10},
		{"01234567890", "012345678…", 10},
		{"01234567 0123", "01234567…", 10},
		{"012345678 0", "012345678…", 10},
		{"éèêëéèêëéèêë", "éèêëéèêëé…", 10},
		{"0123456789   ", "0123456789", 10},
	} {
		got := rfc5322.Clean(tc.in, tc.limit)
		if got != tc.want {
			t.Errorf("Clean(%q) is %q, want %q", tc.in, got, tc.want)
		}
		if again := rfc5322.Clean(got, tc.limit); again != got {
			t.Errorf("Clean is not stable: %q becomes %q", got, again)
		}
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestDecodeText is AM-12.12.
func TestDecodeText(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"plain", "plain"},
		{"=?utf-8?q?caf=C3=A9_now?= later", "café now later"},
		{"=?UTF-8?B?w6k=?= =?iso-8859-1?q?=E9?=", "éé"},
		{"=?utf-8?q?a=0D=0ABcc:_x?=", "a Bcc: x"},
		{"=?koi8-r?q?=C1?=", "=?koi8-r?q?=C1?="},
		{"=?utf-8?q?broken", "=?utf-8?q?broken"},
		{"raw é", "raw é"},
	} {
		if got := rfc5322.DecodeText(tc.in, 100); got != tc.want {
			t.Errorf("DecodeText(%q) is %q, want %q", tc.in, got, tc.want)
		}
	}
	// A value made to cost quadratic time is cut first.
	rfc5322.DecodeText(strings.Repeat("=?a?q?", 1<<20), 100)
}

// Whatever is written as a subject or a name, an independent parser finds one field
// with that text in it, in lines of legal length (M6 of the attack catalogue).
func TestWriterKeepsAnyText(t *testing.T) {
	nasty := rapid.SampledFrom([]string{
		"\r\n", "\n", "\r", "\x00", "\u2028", "=?utf-8?q?a=0D=0ABcc:_x?=", "Bcc: eve@e.example", "\r\n\r\nbody",
		" ", "\"", "\\", "<", ">", ",", "@", "é", "日本語", "😀", "(", ")", "=?", "?=", strings.Repeat("x", 200),
	})
	text := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.OneOf(nasty, rapid.String()), 0, 8).Draw(t, "parts"), "")
	})
	rapid.Check(t, func(t *rapid.T) {
		subject, name := text.Draw(t, "subject"), text.Draw(t, "name")
		var w rfc5322.Writer
		w.Text("Subject", subject, 300)
		w.Mailboxes("From", rfc5322.Mailbox{Name: name, Addr: vam.Address{Local: "a", Domain: "a.example"}})
		w.Tokens("X-End", "yes")
		h, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(string(h), "\r\n"), "\r\n") {
			if strings.ContainsAny(line, "\r\n\x00") || len(line) > rfc5322.MaxLine || strings.TrimSpace(line) == "" {
				t.Fatalf("line %q", line)
			}
		}
		msg, err := mail.ReadMessage(strings.NewReader(string(h) + "\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		wantSubject, wantName := rfc5322.Clean(subject, 300), rfc5322.Clean(name, rfc5322.MaxName)
		if n := len(msg.Header); n != 2+boolInt(wantSubject != "") {
			t.Fatalf("%d fields in %q", n, h)
		}
		got, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
		if err != nil || got != wantSubject {
			t.Fatalf("subject %q reads back as %q (%v)", wantSubject, got, err)
		}
		if mine := rfc5322.DecodeText(msg.Header.Get("Subject"), 300); mine != wantSubject {
			t.Fatalf("subject %q decodes as %q", wantSubject, mine)
		}
		from, err := msg.Header.AddressList("From")
		if err != nil || len(from) != 1 || from[0].Address != "a@a.example" || from[0].Name != wantName {
			t.Fatalf("from %q reads back as %v (%v) of %q", wantName, from, err, h)
		}
		box, err := rfc5322.ParseMailbox(msg.Header.Get("From"))
		if err != nil || box.Name != wantName {
			t.Fatalf("from %q parses as %v (%v)", wantName, box, err)
		}
	})
}

func TestWriterFolds(t *testing.T) {
	var w rfc5322.Writer
	var list []rfc5322.Mailbox
	for range 5 {
		list = append(list, rfc5322.Mailbox{Name: "A. Person", Addr: vam.Address{Local: "someone.with.a.name", Domain: "a-long-domain.example"}})
	}
	w.Mailboxes("To", list...)
	w.Date("Date", time.Date(2026, 11, 2, 23, 4, 5, 0, time.FixedZone("", 3600)))
	w.Date("Expires", time.Time{})
	w.Text("Subject", "", 10)
	h, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(h), "\r\n") {
		if len(line) > 78 {
			t.Errorf("long line %q", line)
		}
	}
	if !strings.HasSuffix(string(h), "\r\nDate: Mon, 02 Nov 2026 22:04:05 +0000\r\n") {
		t.Errorf("header is %q", h)
	}
}

func TestWriterRefuses(t *testing.T) {
	ok := rfc5322.Mailbox{Addr: vam.Address{Local: "a", Domain: "a.example"}}
	for name, tc := range map[string]struct {
		write func(w *rfc5322.Writer)
		want  vam.ErrorKind
	}{
		"CRLF in tokens":     {func(w *rfc5322.Writer) { w.Tokens("A", "b\r\nC: d") }, vam.Invalid},
		"UTF-8 in tokens":    {func(w *rfc5322.Writer) { w.Tokens("A", "é") }, vam.Invalid},
		"a word over a line": {func(w *rfc5322.Writer) { w.Tokens("A", strings.Repeat("x", 998)) }, vam.TooLarge},
		"null address":       {func(w *rfc5322.Writer) { w.Mailboxes("A", ok, rfc5322.Mailbox{}) }, vam.Invalid},
		"CRLF in a local part": {func(w *rfc5322.Writer) {
			w.Mailboxes("A", rfc5322.Mailbox{Addr: vam.Address{Local: "a\r\nB: c", Domain: "a.example"}})
		}, vam.Invalid},
		"CRLF in a domain": {func(w *rfc5322.Writer) {
			w.Mailboxes("A", rfc5322.Mailbox{Addr: vam.Address{Local: "a", Domain: "a.example>\r\nB: c"}})
		}, vam.Invalid},
		"a domain in capitals": {func(w *rfc5322.Writer) {
			w.Mailboxes("A", rfc5322.Mailbox{Addr: vam.Address{Local: "a", Domain: "A.example"}})
		}, vam.Invalid},
		"a header over the limit": {func(w *rfc5322.Writer) {
			for range 400 {
				w.Tokens("A", strings.Repeat("x", 900))
			}
		}, vam.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			var w rfc5322.Writer
			tc.write(&w)
			w.Tokens("B", "after the error")
			if _, err := w.Bytes(); vam.KindOf(err) != tc.want {
				t.Fatalf("got %v, want kind %v", err, tc.want)
			}
		})
	}
}

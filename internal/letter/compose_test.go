package letter_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/letter"
	"github.com/videoactivmail/vam/internal/rfc5322"
)

const mid = vam.MessageID("01936b2e-5c00-7abc-8def-0123456789ab")

func box(name, addr string) rfc5322.Mailbox {
	a, err := vam.ParseAddress(addr)
	if err != nil {
		panic(err)
	}
	return rfc5322.Mailbox{Name: name, Addr: a}
}

func sample() *letter.Letter {
	return &letter.Letter{
		From:    box("Alice", "alice@a.example"),
		To:      []rfc5322.Mailbox{box("", "bob@b.example"), box("Carol, C.", "carol@c.example")},
		Subject: "Sunday",
		Words:   "Hello Bob,\n\nlook at this.\n",
		Date:    time.Date(2026, 11, 23, 8, 44, 23, 0, time.UTC),
		Kind:    vam.Video,
		Header: activmail.MessageHeader{
			ID: mid, Origin: "a.example", Key: ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey),
			Sealed: true, Checkpoint: activmail.Checkpoint{Size: 742}, Bytes: 734003200, Duration: 185200 * time.Millisecond,
		},
	}
}

func TestComposeGolden(t *testing.T) {
	raw, err := sample().Compose()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(`From: Alice <alice@a.example>
To: bob@b.example, "Carol, C." <carol@c.example>
Subject: Sunday
Date: Mon, 23 Nov 2026 08:44:23 +0000
Message-ID: <01936b2e-5c00-7abc-8def-0123456789ab@a.example>
Message-Context: video-message
VAM-Message: v=1; id=01936b2e-5c00-7abc-8def-0123456789ab; o=a.example;
 k=O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=; n=742;
 r=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=; s=734003200; d=185.2
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Hello Bob,

look at this.

This is a video message of 3 min 5 s (700 MiB).
`, "\n", "\r\n")
	if d := cmp.Diff(want, string(raw)); d != "" {
		t.Error(d)
	}
}

// TestComposeOptionalFields is AM-12.7.
func TestComposeOptionalFields(t *testing.T) {
	l := sample()
	l.Kind = vam.Voice
	l.Cc = []rfc5322.Mailbox{box("", "dora@d.example")}
	l.InReplyTo = "<x@b.example>"
	for i := range 30 {
		l.References = append(l.References, fmt.Sprintf("<ref%d@b.example>", i))
	}
	l.Expires = l.Date.Add(24 * time.Hour)
	l.Auto = true
	raw, err := l.Compose()
	if err != nil {
		t.Fatal(err)
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Cc": "dora@d.example", "In-Reply-To": "<x@b.example>", "Expires": "Tue, 24 Nov 2026 08:44:23 +0000",
		"Auto-Submitted": "auto-generated", "Message-Context": "voice-message",
	} {
		if got := m.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	refs := strings.Fields(m.Header.Get("References"))
	if len(refs) != letter.MaxReferences || refs[0] != "<ref0@b.example>" || refs[1] != "<ref11@b.example>" || refs[19] != "<ref29@b.example>" {
		t.Errorf("References are %v", refs)
	}
}

func TestComposeAbout(t *testing.T) {
	for _, tc := range []struct {
		kind   vam.Kind
		sealed bool
		size   vam.Bytes
		dur    time.Duration
		want   string
	}{
		{vam.Video, true, 734003200, 185200 * time.Millisecond, "This is a video message of 3 min 5 s (700 MiB)."},
		{vam.Video, true, 1024, 3723 * time.Second, "This is a video message of 1 h 2 min (1 KiB)."},
		{vam.Voice, true, 10, 200 * time.Millisecond, "This is a voice message of 1 s (10 B)."},
		{vam.Voice, true, 10, 2 * time.Hour, "This is a voice message of 2 h (10 B)."},
		{vam.Voice, true, 10, 0, "This is a voice message of 10 B."},
		{vam.Video, false, 0, 0, "This is a video message that was still being recorded when this mail was written."},
		{vam.File, true, 1536, 0, "This message carries a file of 1.5 KiB."},
		{vam.File, false, 0, 0, "This message carries a file."},
	} {
		l := sample()
		l.Words, l.Kind = "", tc.kind
		l.Header.Sealed, l.Header.Bytes, l.Header.Duration = tc.sealed, tc.size, tc.dur
		raw, err := l.Compose()
		if err != nil {
			t.Fatal(err)
		}
		if got := readBody(t, raw); got != tc.want+"\r\n" {
			t.Errorf("%v %v: %q, want %q", tc.kind, tc.sealed, got, tc.want)
		}
		if v, err := letter.Read(raw); err != nil || v.Text != "" { // it is not what the author said
			t.Errorf("%v %v: read back as %q, %v", tc.kind, tc.sealed, v.Text, err)
		}
	}
}

func readBody(t interface{ Fatal(...any) }, raw []byte) string {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestComposeRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(l *letter.Letter)
		want   vam.ErrorKind
	}{
		"no date":             {func(l *letter.Letter) { l.Date = time.Time{} }, vam.Invalid},
		"no author":           {func(l *letter.Letter) { l.From = rfc5322.Mailbox{} }, vam.Invalid},
		"no key":              {func(l *letter.Letter) { l.Header.Key = nil }, vam.Invalid},
		"a bad origin":        {func(l *letter.Letter) { l.Header.Origin = "a.example\r\nBcc: x" }, vam.Invalid},
		"injected address":    {func(l *letter.Letter) { l.To[0].Addr.Local = "b\r\nBcc: eve@e.example\r\n" }, vam.Invalid},
		"injected reply id":   {func(l *letter.Letter) { l.InReplyTo = "<a@b>\r\nBcc: x" }, vam.Invalid},
		"two reply ids":       {func(l *letter.Letter) { l.InReplyTo = "<a@b> <c@d>" }, vam.Invalid},
		"injected reference":  {func(l *letter.Letter) { l.References = []string{"<a@b>", "<c\n@d>"} }, vam.Invalid},
		"too much text":       {func(l *letter.Letter) { l.Words = strings.Repeat("x", int(letter.MaxWords)+1) }, vam.TooLarge},
		"too many recipients": {func(l *letter.Letter) { l.Cc = make([]rfc5322.Mailbox, letter.MaxRecipients) }, vam.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			l := sample()
			tc.change(l)
			if _, err := l.Compose(); vam.KindOf(err) != tc.want || err == nil {
				t.Fatalf("got %v, want kind %v", err, tc.want)
			}
		})
	}
}

// The longest letter that the limits allow passes our own scanner.
func TestComposeAtTheLimits(t *testing.T) {
	l := sample()
	l.Words = strings.Repeat("日本語 ", int(letter.MaxWords)/10)
	l.To = nil
	for i := range letter.MaxRecipients {
		addr := fmt.Sprintf("%s%d@%s.example", strings.Repeat("x", 60), i, strings.Repeat("b", 50))
		l.To = append(l.To, box(strings.Repeat("é", 60), addr))
	}
	raw, err := l.Compose()
	if err != nil {
		t.Fatal(err)
	}
	v, err := letter.Read(raw)
	if err != nil || len(v.To) != letter.MaxRecipients {
		t.Fatalf("%d recipients read back (%v)", len(v.To), err)
	}
}

// Whatever people type, an independent parser finds the fields that the letter has
// and no other, in lines of legal length, and the same words (M6 of the attack
// catalogue).
func TestComposeCannotBeInjected(t *testing.T) {
	plain, err := sample().Compose()
	if err != nil {
		t.Fatal(err)
	}
	wantFields := fieldNames(t, plain)
	nasty := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"\r\nBcc: eve@e.example", "\nX: y", "\rX: y", "\r\n\r\nbody", "\x00", "\u2028X: y", "=?utf-8?q?=0D=0ABcc:_e?=",
		"\r\n.\r\n", "\n.\n", "From me", ".", "--=_x", " ", "\t", strings.Repeat("y", 1200), "\ufeff", "\u202e",
	}))
	rapid.Check(t, func(t *rapid.T) {
		l := sample()
		text := func(label string) string {
			return strings.Join(rapid.SliceOfN(nasty, 1, 6).Draw(t, label), rapid.SampledFrom([]string{"", " ", "\n"}).Draw(t, "glue"))
		}
		l.Subject = "s" + text("subject")
		l.From.Name = text("from")
		l.To[0].Name = text("to")
		l.Words = text("words")
		raw, err := l.Compose()
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.SplitSeq(bytes.TrimSuffix(raw, []byte("\r\n")), []byte("\r\n")) {
			if bytes.ContainsAny(line, "\r\n\x00") || len(line) > 998 {
				t.Fatalf("line %q", line)
			}
		}
		if d := cmp.Diff(wantFields, fieldNames(t, raw)); d != "" {
			t.Fatal(d)
		}
		m, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil || subject != rfc5322.Clean(l.Subject, letter.MaxSubject) {
			t.Fatalf("subject is %q (%v)", subject, err)
		}
		if to, err := m.Header.AddressList("To"); err != nil || len(to) != 2 || to[0].Address != "bob@b.example" {
			t.Fatalf("To is %v (%v)", to, err)
		}
		v, err := letter.Read(raw)
		if err != nil {
			t.Fatal(err)
		}
		if v.Subject != subject || v.MessageID != letter.MessageID("a.example", mid) || !v.Date.Equal(l.Date) || v.From.Addr != l.From.Addr {
			t.Fatalf("read back as %+v", v)
		}
		body, ok := strings.CutSuffix(strings.ReplaceAll(readBody(t, raw), "\r\n", "\n"), "This is a video message of 3 min 5 s (700 MiB).\n")
		if !ok {
			t.Fatalf("the body is %q", body)
		}
		if strings.TrimSpace(body) != strings.TrimSpace(v.Text) {
			t.Fatalf("two readers read %q and %q", body, v.Text)
		}
	})
}

func fieldNames(t interface{ Fatal(...any) }, raw []byte) []string {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, name := range []string{
		"From", "To", "Subject", "Date", "Message-Id", "Message-Context", "Vam-Message", "Mime-Version",
		"Content-Type", "Content-Transfer-Encoding",
	} {
		for range m.Header[name] {
			names = append(names, name)
		}
	}
	for name := range m.Header {
		if len(m.Header[name]) > 0 && !strings.Contains(strings.Join(names, " ")+" ", name+" ") {
			names = append(names, "unexpected "+name)
		}
	}
	return names
}

package letter_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/letter"
)

func read(t *testing.T, raw string) *letter.View {
	t.Helper()
	v, err := letter.Read([]byte(strings.ReplaceAll(raw, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestReadHeader(t *testing.T) {
	v := read(t, `From: =?utf-8?q?J=C3=BCrgen?= <j@xn--80ak6aa92e.com>
To: bob@b.example, "eve@e.example" <mallory@m.example>
Cc: Team: c@c.example;
Subject: =?utf-8?b?w6k=?= =?utf-8?q?=0D=0ABcc=3A?=
Date: Mon, 23 Nov 2026 09:44:23 +0100 (CET)
Message-ID: <a@b.example>
In-Reply-To: <c@d.example> some text
References: <1@b.example> <broken <2@b.example>

text
`)
	if v.From.Name != "Jürgen" || v.From.Addr.String() != "j@xn--80ak6aa92e.com" {
		t.Errorf("From is %+v", v.From)
	}
	var to []string
	for _, m := range v.To {
		to = append(to, m.String())
	}
	if d := cmp.Diff([]string{"bob@b.example", "mallory@m.example", "c@c.example"}, to); d != "" {
		t.Errorf("a name that is an address must go: %s", d)
	}
	if v.Subject != "é Bcc:" || v.MessageID != "<a@b.example>" || v.InReplyTo != "<c@d.example>" {
		t.Errorf("read as %+v", v)
	}
	if d := cmp.Diff([]string{"<1@b.example>", "<2@b.example>"}, v.References); d != "" {
		t.Error(d)
	}
	if v.Date.Format("2006-01-02T15:04:05Z07:00") != "2026-11-23T08:44:23Z" {
		t.Errorf("Date is %v", v.Date)
	}
	if v.Text != "text" || v.Cut {
		t.Errorf("Text is %q", v.Text)
	}
}

// What cannot be read is left out and hides nothing else.
func TestReadBroken(t *testing.T) {
	v := read(t, "From: a@a.example, b@b.example\nTo: <<>>\nTo: ok@b.example\nDate: yesterday\nMessage-ID: none\nContent-Type: ;;;\n\nx\n")
	want := &letter.View{To: v.To}
	if d := cmp.Diff(want, v); d != "" || len(v.To) != 1 {
		t.Errorf("%s, To %v", d, v.To)
	}
	if _, err := letter.Read([]byte("no mail")); vam.KindOf(err) != vam.Invalid {
		t.Errorf("not a mail: %v", err)
	}
}

func TestReadText(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString([]byte("hé\r\nllo"))
	alternative := "Content-Type: multipart/alternative; boundary=x\n\n--x\nContent-Type: text/html\n\n<b>no</b>\n--x\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\ny=C3=A9s =\nand on\n--x--\n"
	nested := func(depth int) string {
		s := "Content-Type: text/plain\n\ndeep\n"
		for i := range depth {
			b := strings.Repeat("b", i+1)
			s = "Content-Type: multipart/mixed; boundary=" + b + "\n\n--" + b + "\n" + s + "\n--" + b + "--\n"
		}
		return s
	}
	for name, tc := range map[string]struct{ raw, want string }{
		"no type":                 {"\nplain\n\n", "plain"},
		"quoted-printable":        {"Content-Transfer-Encoding: Quoted-Printable\n\na=20b=\nc\n", "a bc"},
		"broken quoted-printable": {"Content-Transfer-Encoding: quoted-printable\n\ngood\nb=ZZ\n", "good\nb=ZZ"},
		"base64":                  {"Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: base64\n\n" + b64 + "\n", "hé\nllo"},
		"latin 1":                 {"Content-Type: text/plain; charset=ISO-8859-1\n\nh\xe9\n", "hé"},
		"not UTF-8":               {"\nh\xe9llo\n", "h\ufffdllo"},
		"controls":                {"\na\x1b[31m\tb\u202ec\u0007\n", "a[31m\tbc"},
		"html only":               {"Content-Type: text/html\n\n<b>x</b>\n", ""},
		"alternative":             {alternative, "yés and on"},
		"attachment":              {"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\nContent-Disposition: attachment\n\nfile\n--x\n\nwords\n--x--\n", "words"},
		"at the depth limit":      {nested(4), "deep"},
		"below the depth limit":   {nested(5), ""},
		"no boundary":             {"Content-Type: multipart/mixed\n\n--x\n\nw\n--x--\n", ""},
		"a long boundary":         {"Content-Type: multipart/mixed; boundary=" + strings.Repeat("x", 8000) + "\n\nw\n", ""},
		"boundary inside another": {"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: multipart/mixed; boundary=xx\n\n--xx\n\nw\n--xx--\n--x--\n", "w"},
		"no end":                  {"Content-Type: multipart/mixed; boundary=x\n\n--x\n\nwords", "words"},
		"many parts":              {"Content-Type: multipart/mixed; boundary=x\n\n" + strings.Repeat("--x\nContent-Type: image/png\n\n", 60) + "--x\n\nw\n--x--\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := read(t, "From: a@a.example\n"+tc.raw).Text; got != tc.want {
				t.Errorf("Text is %q, want %q", got, tc.want)
			}
		})
	}
}

func TestReadCutsText(t *testing.T) {
	v := read(t, "A: b\n\n"+strings.Repeat("é", int(letter.MaxShownText)))
	if !v.Cut || vam.Bytes(len(v.Text)) > letter.MaxShownText || !utf8.ValidString(v.Text) || strings.Trim(v.Text, "é") != "" {
		t.Errorf("%d octets, cut %v", len(v.Text), v.Cut)
	}
	exact := strings.Repeat("x", int(letter.MaxShownText))
	if v := read(t, "A: b\n\n"+exact); v.Cut || v.Text != exact {
		t.Errorf("%d octets, cut %v", len(v.Text), v.Cut)
	}
}

// Bombs of the attack catalogue (M7) take what their length takes.
func TestReadBombs(t *testing.T) {
	var deep strings.Builder
	for i := range 5000 {
		b := strings.Repeat("b", 1+i%60)
		deep.WriteString("Content-Type: multipart/mixed; boundary=" + b + "\n\n--" + b + "\n")
	}
	for name, raw := range map[string]string{
		"deep":             deep.String(),
		"many parts":       "Content-Type: multipart/mixed; boundary=x\n\n" + strings.Repeat("--x\n\n", 1_000_000),
		"message/rfc822":   strings.Repeat("Content-Type: message/rfc822\n\n", 10_000),
		"long references":  "References: " + strings.Repeat("<a@b> ", 40_000) + "\n\nx",
		"encoded words":    "Subject: " + strings.Repeat("=?a?q?", 40_000) + "\n\nx",
		"long type":        "Content-Type: text/plain" + strings.Repeat("; a*0=b", 30_000) + "\n\nx",
		"comments in from": "From: " + strings.Repeat("(", 200_000) + "\n\nx",
	} {
		t.Run(name, func(t *testing.T) { read(t, raw) })
	}
}

func FuzzRead(f *testing.F) {
	raw, err := sample().Compose()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte("Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nw\r\n--x--\r\n"))
	f.Add([]byte("From: \"a@b\" <c@d.example>\r\nSubject: =?utf-8?b?w6k=?=\r\n\r\n\xff"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := letter.Read(raw)
		if err != nil {
			return
		}
		for _, s := range []string{v.Subject, v.MessageID, v.InReplyTo, v.From.Name} {
			if strings.IndexFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u202e' }) >= 0 {
				t.Fatalf("%q is not one clean line", s)
			}
		}
		if !utf8.ValidString(v.Text) || vam.Bytes(len(v.Text)) > 3*letter.MaxShownText || strings.ContainsAny(v.Text, "\r\x00\u202e") {
			t.Fatalf("Text is %q", v.Text)
		}
		if strings.Contains(v.From.Name, "@") {
			t.Fatalf("the name %q pretends to be an address", v.From.Name)
		}
	})
}

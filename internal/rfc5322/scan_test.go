package rfc5322_test

import (
	"bytes"
	"net/mail"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/rfc5322"
)

func TestScan(t *testing.T) {
	raw := "Received: from x\r\n by y\r\nFROM: a@a.example\r\nfrom:\r\n\tb@b.example \r\nEmpty:\r\n\r\nbody\r\nmore"
	m, err := rfc5322.Scan([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range m.Fields {
		names = append(names, f.Name)
	}
	if d := cmp.Diff([]string{"Received", "FROM", "from", "Empty"}, names); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"a@a.example", "b@b.example"}, m.All("From")); d != "" {
		t.Error(d)
	}
	if got := m.Get("received"); got != "from x by y" {
		t.Errorf("Received is %q", got)
	}
	if string(m.Body) != "body\r\nmore" || string(m.Header)+string(m.Body) != raw {
		t.Errorf("header %q, body %q", m.Header, m.Body)
	}
	if m.Has("Subject") || !m.Has("empty") || m.Get("Subject") != "" {
		t.Error("Has and Get disagree with the header")
	}
	if err := m.CheckSingle("From"); vam.KindOf(err) != vam.Invalid {
		t.Errorf("two From fields: %v", err)
	}
	if err := m.CheckSingle("Received", "Subject"); err != nil {
		t.Errorf("single fields: %v", err)
	}
}

func TestScanRefuses(t *testing.T) {
	many := strings.Repeat("A: b\r\n", rfc5322.MaxFields)
	long := strings.Repeat("x", int(rfc5322.MaxHeader))
	for name, tc := range map[string]struct {
		raw  string
		want vam.ErrorKind
	}{
		"nothing":                {"", vam.Invalid},
		"no empty line":          {"A: b\r\n", vam.Invalid},
		"cut in a line":          {"A: b", vam.Invalid},
		"no colon":               {"A b\r\n\r\n", vam.Invalid},
		"no name":                {": b\r\n\r\n", vam.Invalid},
		"space before the colon": {"From : b\r\n\r\n", vam.Invalid},
		"mbox line":              {"From a@b Thu Jan 1\r\nA: b\r\n\r\n", vam.Invalid},
		"8-bit name":             {"Fröm: b\r\n\r\n", vam.Invalid},
		"starts with a fold":     {" A: b\r\n\r\n", vam.Invalid},
		"bare LF between fields": {"A: b\nB: c\r\n\r\n", vam.Invalid},
		"bare LF as the end":     {"A: b\r\n\nbody", vam.Invalid},
		"bare CR in a value":     {"A: b\rB: c\r\n\r\n", vam.Invalid},
		"bare CR before CRLF":    {"A: b\r\r\n\r\n", vam.Invalid},
		"bare LF in the body":    {"A: b\r\n\r\nx\ny", vam.Invalid},
		"bare CR in the body":    {"A: b\r\n\r\nx\ry", vam.Invalid},
		"bare CR at the end":     {"A: b\r\n\r\nx\r", vam.Invalid},
		"bare LF first in body":  {"A: b\r\n\r\n\n", vam.Invalid},
		"NUL in the header":      {"A: \x00\r\n\r\n", vam.Invalid},
		"NUL in the body":        {"A: b\r\n\r\n\x00", vam.Invalid},
		"as many fields as can":  {many + "\r\n", vam.Internal},
		"one field more":         {many + "A: b\r\n\r\n", vam.TooLarge},
		"one long line":          {"A: " + long + "\r\n\r\n", vam.TooLarge},
		"one long line, cut":     {"A: " + long, vam.TooLarge},
		"one long field":         {"A: b\r\n" + strings.Repeat(" "+long[:900]+"\r\n", 300) + "\r\n", vam.TooLarge},
		"many long fields":       {strings.Repeat("A: "+long[:900]+"\r\n", 300) + "\r\n", vam.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := rfc5322.Scan([]byte(tc.raw))
			if tc.want == vam.Internal {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if vam.KindOf(err) != tc.want {
				t.Fatalf("got %v, want kind %v", err, tc.want)
			}
		})
	}
}

// The scanner cuts a mail where the standard library does, or refuses it.
func FuzzScan(f *testing.F) {
	for _, s := range []string{
		"A: b\r\n\r\nbody", "A: b\r\n c\r\nD:e\r\n\r\n", "A: b\n\nbody", "From : x\r\n\r\n",
		"Subject: =?utf-8?q?a?=\r\n\r\n", "\r\nbody", "A:\r\n\r\n", "A: b\r\n \r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := rfc5322.Scan(raw)
		if err != nil {
			return
		}
		var joined []byte
		for _, fl := range m.Fields {
			joined = append(joined, fl.Raw...)
			if strings.ContainsAny(fl.Value(), "\r\n\x00") {
				t.Fatalf("the value of %s has a line end: %q", fl.Name, fl.Value())
			}
		}
		joined = append(joined, "\r\n"...)
		if !bytes.Equal(joined, m.Header) || !bytes.Equal(append(joined, m.Body...), raw) {
			t.Fatalf("fields, empty line and body are not the mail")
		}
		std, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			return // stricter in ways that do not matter here
		}
		n := 0
		for _, values := range std.Header {
			n += len(values)
		}
		if n != len(m.Fields) {
			t.Fatalf("%d fields here, %d for net/mail", len(m.Fields), n)
		}
	})
}

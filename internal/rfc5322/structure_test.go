package rfc5322_test

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/rfc5322"
)

// nest wraps a text in so many multiparts.
func nest(levels int) string {
	s := "Content-Type: text/plain\n\ndeep\n"
	for i := range levels {
		b := fmt.Sprintf("b%d", i)
		s = "Content-Type: multipart/mixed;\n boundary=\"" + b + "\"\n\n--" + b + "\n" + s + "\n--" + b + "--\n"
	}
	return s
}

func parts(n int) string {
	return "Content-Type: multipart/mixed; boundary=x\n\n" + strings.Repeat("--x\n\na\n", n) + "--x--\n"
}

func check(raw string) error {
	m, err := rfc5322.Scan([]byte(strings.ReplaceAll(raw, "\n", "\r\n")))
	if err != nil {
		return err
	}
	return m.CheckStructure()
}

func TestCheckStructure(t *testing.T) {
	rfc822 := func(n int) string { return strings.Repeat("Content-Type: message/rfc822\n\n", n) + "A: b\n\nx" }
	siblings := "Content-Type: multipart/mixed; boundary=x\n\n" + strings.Repeat("--x\nContent-Type: multipart/mixed; boundary=y\n\n--y\n\na\n--y--\n", 300) + "--x--\n"
	for name, tc := range map[string]struct {
		raw string
		bad bool
	}{
		"plain":                       {"A: b\n\nbody\n--x\n--x--\n", false},
		"as deep as can":              {nest(rfc5322.MaxLevels), false},
		"one level deeper":            {nest(rfc5322.MaxLevels + 1), true},
		"5,000 levels":                {nest(5000), true},
		"mails in mails":              {rfc822(rfc5322.MaxLevels), false},
		"one mail deeper":             {rfc822(rfc5322.MaxLevels + 1), true},
		"as many parts as can":        {parts(rfc5322.MaxParts), false},
		"one part more":               {parts(rfc5322.MaxParts + 1), true},
		"many shallow multiparts":     {siblings, false},
		"never closed":                {strings.ReplaceAll(nest(rfc5322.MaxLevels+1), "--\n", "\n"), true},
		"no boundary":                 {strings.Repeat("Content-Type: multipart/mixed\n\n", 100), false},
		"a type that cannot be read":  {"Content-Type: multipart/mixed; boundary=x; boundary=y\n\n--x\n\na", false},
		"a long type":                 {"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: a/b;\n" + strings.Repeat(" "+strings.Repeat("y", 90)+"\n", 50) + "\n", true},
		"second type does not count":  {"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\nContent-Type: multipart/mixed; boundary=y\n\n" + strings.Repeat("--y\n\n", 2000), false},
		"a boundary inside a header":  {parts(2) + "--x\nA: b\n--x\n\n", false},
		"a boundary that begins both": {"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: multipart/mixed; boundary=xx\n\n--xx\n\na\n--xx--\n--x--\n", false},
		"a boundary of 1 MB":          {"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: multipart/mixed; boundary=" + strings.Repeat("y", 1<<20) + "\n\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			err := check(tc.raw)
			if tc.bad != (vam.KindOf(err) == vam.TooLarge && err != nil) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

// Where the check finds nothing wrong, the standard library's reader finds no more
// levels and parts than are allowed.
func FuzzCheckStructure(f *testing.F) {
	f.Add([]byte(nest(3)))
	f.Add([]byte(parts(5)))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: multipart/mixed; boundary=xx\n\n--xx\n\na\n--xx--\n--x--\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := rfc5322.Scan(bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n")))
		if err != nil || m.CheckStructure() != nil {
			return
		}
		left := rfc5322.MaxParts
		walk(t, m.Get("Content-Type"), bytes.NewReader(m.Body), 0, &left)
	})
}

func walk(t *testing.T, contentType string, body io.Reader, level int, left *int) {
	if level > rfc5322.MaxLevels || *left < 0 {
		t.Fatalf("level %d, %d parts left", level, *left)
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || !strings.HasPrefix(media, "multipart/") || params["boundary"] == "" {
		return
	}
	r := multipart.NewReader(body, params["boundary"])
	for {
		part, err := r.NextRawPart()
		if err != nil {
			return
		}
		*left--
		walk(t, part.Header.Get("Content-Type"), part, level+1, left)
	}
}

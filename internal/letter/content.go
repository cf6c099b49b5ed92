package letter

import (
	"bytes"
	"fmt"
	"mime/quotedprintable"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/rfc5322"
)

// entity is one MIME entity: a body and the fields that describe it (RFC 2045).
// A letter has one today; alternatives and pictures are further entities inside a
// multipart one.
type entity struct {
	contentType string
	encoding    string
	body        []byte
}

// content is all of the letter below its header.
func (l *Letter) content() entity { return textEntity(l.text()) }

// textEntity encodes text as quoted-printable: it keeps any line and any character
// on every path, so no relay has a reason to change what was signed.
func textEntity(text string) entity {
	var buf bytes.Buffer
	w := quotedprintable.NewWriter(&buf)
	// Writing to a buffer cannot fail.
	_, _ = w.Write([]byte(strings.ReplaceAll(text, "\n", "\r\n")))
	_ = w.Close()
	return entity{"text/plain; charset=utf-8", "quoted-printable", buf.Bytes()}
}

// finish writes the entity's fields and body behind the header.
func finish(w *rfc5322.Writer, e entity) ([]byte, error) {
	e.describe(w)
	header, err := w.Bytes()
	if err != nil {
		return nil, err
	}
	return slices.Concat(header, []byte("\r\n"), e.body), nil
}

func (e entity) describe(w *rfc5322.Writer) {
	w.Tokens("Content-Type", e.contentType)
	w.Tokens("Content-Transfer-Encoding", e.encoding)
}

// text is the author's words and one sentence that says what the message is, for
// readers whose program shows the mail alone.
func (l *Letter) text() string {
	words := strings.TrimRight(plainLines(l.Words), " \t\n")
	if words != "" {
		words += "\n\n"
	}
	return words + l.about() + "\n"
}

func (l *Letter) about() string {
	h := l.Header
	if l.Kind == vam.File {
		if !h.Sealed {
			return "This message carries a file."
		}
		return fmt.Sprintf("This message carries a file of %v.", h.Bytes)
	}
	what := fmt.Sprintf("This is a %s message", l.Kind)
	switch {
	case !h.Sealed:
		return what + " that was still being recorded when this mail was written."
	case h.Duration > 0:
		return fmt.Sprintf("%s of %s (%v).", what, spoken(h.Duration), h.Bytes)
	}
	return fmt.Sprintf("%s of %v.", what, h.Bytes)
}

// spoken writes a length for a person: "2 h 5 min", "3 min 5 s", "4 s".
func spoken(d time.Duration) string {
	d = max(d.Round(time.Second), time.Second)
	h, m, s := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	var parts []string
	if h > 0 {
		parts = append(parts, fmt.Sprintf("%d h", h))
	}
	if m > 0 {
		parts = append(parts, fmt.Sprintf("%d min", m))
	}
	if s > 0 && h == 0 {
		parts = append(parts, fmt.Sprintf("%d s", s))
	}
	return strings.Join(parts, " ")
}

// plainLines makes text that is safe to send and to show: valid UTF-8, lines that
// end in LF alone, no controls but the tab, and none of the characters that make a
// line read in another order than it is stored.
func plainLines(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n\n").Replace(strings.ToValidUTF8(s, "\ufffd"))
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), '\u202a' <= r && r <= '\u202e', '\u2066' <= r && r <= '\u2069':
			return -1
		}
		return r
	}, s)
}

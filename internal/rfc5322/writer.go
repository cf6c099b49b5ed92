package rfc5322

import (
	"bytes"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
)

// MaxLine is the longest line of a mail without its CRLF (RFC 5322 section 2.1.1).
const MaxLine = 998

// Writer writes a header, field by field, folded and in CRLF lines. It remembers its
// first error, so callers check once, at [Writer.Bytes]. The zero value is ready.
type Writer struct {
	buf bytes.Buffer
	err error
}

// Text writes an unstructured field (a subject). Any text is accepted: it is cleaned
// to maxRunes characters and encoded where needed. Empty text writes no field.
func (w *Writer) Text(name, text string, maxRunes int) {
	w.fold(name, textWords(Clean(text, maxRunes)))
}

// Tokens writes a field whose value is already in its grammar, folding between
// words. Anything but printable ASCII is an error, so that no value can start a line
// of its own. An empty value writes no field.
func (w *Writer) Tokens(name, value string) {
	for i := 0; i < len(value); i++ {
		if value[i] < ' ' || value[i] > '~' {
			w.fail(vam.Errorf(vam.Invalid, "the %s header would hold a character that is not printable ASCII", name))
			return
		}
	}
	w.fold(name, strings.Fields(value))
}

// Mailboxes writes an address list. An address that would not read back as itself is
// an error. An empty list writes no field.
func (w *Writer) Mailboxes(name string, list ...Mailbox) {
	var words []string
	for i, m := range list {
		if back, err := vam.ParseAddress(m.Addr.String()); err != nil || back != m.Addr {
			w.fail(vam.Errorf(vam.Invalid, "the %s header would hold an address that is not valid", name))
			return
		}
		mw := m.words()
		if i < len(list)-1 {
			mw[len(mw)-1] += ","
		}
		words = append(words, mw...)
	}
	w.fold(name, words)
}

// Date writes a date field in UTC (RFC 5322 section 3.3). The zero time writes no
// field.
func (w *Writer) Date(name string, t time.Time) {
	if !t.IsZero() {
		w.Tokens(name, FormatDate(t))
	}
}

// FormatDate writes t in UTC as RFC 5322 section 3.3 has it.
func FormatDate(t time.Time) string {
	return t.UTC().Format("Mon, 02 Jan 2006 15:04:05 +0000")
}

// Bytes returns the header so far, without the empty line that ends it.
// Errors: Invalid, TooLarge.
func (w *Writer) Bytes() ([]byte, error) {
	if w.err == nil && vam.Bytes(w.buf.Len())+2 > MaxHeader {
		w.err = vam.Errorf(vam.TooLarge, "the mail's header would be longer than %v, the limit of VAM/1: name fewer recipients", MaxHeader)
	}
	if w.err != nil {
		return nil, w.err
	}
	return w.buf.Bytes(), nil
}

func (w *Writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *Writer) fold(name string, words []string) {
	if len(words) == 0 {
		return
	}
	w.buf.WriteString(name)
	w.buf.WriteByte(':')
	col := len(name) + 1
	for i, word := range words {
		if len(word) >= MaxLine {
			w.fail(vam.Errorf(vam.TooLarge, "the %s header would hold a word longer than a mail line, %d octets", name, MaxLine))
		}
		if i > 0 && col+1+len(word) > lineWidth {
			w.buf.WriteString("\r\n")
			col = 0
		}
		w.buf.WriteByte(' ')
		w.buf.WriteString(word)
		col += 1 + len(word)
	}
	w.buf.WriteString("\r\n")
}

package letter

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/rfc5322"
)

// Limits of what is shown of a mail. More is left out, never an error.
const (
	MaxShownText       = 64 * vam.KiB
	MaxShownRecipients = MaxRecipients
	maxDepth           = 4  // of multiparts inside multiparts
	maxParts           = 50 // looked at in search of text
	maxBoundary        = 70 // RFC 2046 section 5.1.1
)

// View is what a person is shown of a mail. Every string is one line of clean text,
// Text excepted. It says nothing of who really wrote the mail.
type View struct {
	// From has no name when the name pretends to be another address.
	From       rfc5322.Mailbox
	To         []rfc5322.Mailbox // To and Cc
	Subject    string
	Date       time.Time // zero when there is none that can be read
	MessageID  string    // with its angle brackets; "" when there is none
	InReplyTo  string
	References []string
	// Text is the first text/plain part, in UTF-8 with LF lines, without the sentence that
	// Compose ends it with; HTML is never looked at. Cut says that it was longer than MaxShownText.
	Text string
	Cut  bool
}

// Read reads a mail for display, in time linear in its length. A field that cannot be
// read is left empty: what is shown never depends on every field being right. The
// addresses are in A-labels, so that a name in another script cannot pass for a
// well-known one. Errors: Invalid, TooLarge; both from the header scan alone.
func Read(raw []byte) (*View, error) {
	m, err := rfc5322.Scan(raw)
	if err != nil {
		return nil, err
	}
	v := &View{
		Subject:   rfc5322.DecodeText(m.Get("Subject"), MaxSubject),
		MessageID: messageIDs(m.Get("Message-ID"), 1),
		InReplyTo: messageIDs(m.Get("In-Reply-To"), 1),
	}
	if refs := messageIDs(m.Get("References"), MaxReferences); refs != "" {
		v.References = strings.Fields(refs)
	}
	if from, err := rfc5322.ParseMailbox(m.Get("From")); err == nil {
		v.From = honest(from)
	}
	for _, value := range append(m.All("To"), m.All("Cc")...) {
		list, err := rfc5322.ParseMailboxes(value, MaxShownRecipients-len(v.To))
		if err != nil {
			continue
		}
		for _, box := range list {
			v.To = append(v.To, honest(box))
		}
	}
	if date := m.Get("Date"); len(date) < 100 {
		if t, err := mail.ParseDate(date); err == nil {
			v.Date = t.UTC()
		}
	}
	f := finder{parts: maxParts}
	f.look(m, bytes.NewReader(m.Body), 0)
	v.Text, v.Cut = f.text, f.cut
	if h, err := activmail.ParseMessageHeader(m.Get(activmail.MessageHeaderName)); err == nil && !v.Cut {
		v.Text = withoutAbout(v.Text, h)
	}
	return v, nil
}

// withoutAbout takes the sentence off that a letter says of its message, which is for
// readers of the mail alone and not the author's. Spaces in it may have been changed on
// the way (RFC 6376 section 3.4.4).
func withoutAbout(text string, h activmail.MessageHeader) string {
	trimmed := strings.TrimRight(text, " \t\n")
	words, last := "", trimmed
	if i := strings.LastIndexByte(trimmed, '\n'); i >= 0 {
		words, last = trimmed[:i], trimmed[i+1:]
	}
	last = strings.Join(strings.Fields(last), " ")
	for _, kind := range []vam.Kind{vam.Video, vam.Voice, vam.File} {
		if last == (&Letter{Kind: kind, Header: h}).about() {
			return strings.TrimRight(words, " \t\n")
		}
	}
	return text
}

// honest drops a name that looks like an address (AM-12.12): in a list of messages it would be
// read as the author.
func honest(m rfc5322.Mailbox) rfc5322.Mailbox {
	if strings.ContainsAny(m.Name, "@＠﹫") {
		m.Name = ""
	}
	return m
}

// messageIDs keeps the well-formed ids of value, the last limit ones.
func messageIDs(value string, limit int) string {
	var out []string
	for _, id := range strings.Fields(value) {
		if isMessageID(id) {
			out = append(out, id)
		}
	}
	return strings.Join(out[max(len(out)-limit, 0):], " ")
}

// finder walks a MIME tree for its first text/plain part.
type finder struct {
	parts int // that may still be looked at
	text  string
	cut   bool
}

// header is the one method of a part's or a mail's header that is needed.
type header interface{ Get(name string) string }

func (f *finder) look(h header, body io.Reader, depth int) (found bool) {
	contentType := h.Get("Content-Type")
	if contentType == "" {
		contentType = "text/plain"
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	encoding := strings.ToLower(strings.TrimSpace(h.Get("Content-Transfer-Encoding")))
	switch {
	case media == "text/plain":
		if d, _, _ := mime.ParseMediaType(h.Get("Content-Disposition")); d == "attachment" {
			return false
		}
		f.read(body, encoding, params["charset"])
		return true
	case !strings.HasPrefix(media, "multipart/") || depth == maxDepth:
		return false
	case params["boundary"] == "" || len(params["boundary"]) > maxBoundary:
		return false
	}
	r := multipart.NewReader(body, params["boundary"])
	for f.parts > 0 {
		f.parts--
		part, err := r.NextRawPart()
		if err != nil {
			return false
		}
		if f.look(part.Header, part, depth+1) {
			return true
		}
	}
	return false
}

func (f *finder) read(body io.Reader, encoding, charset string) {
	switch encoding {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	// An error is a broken encoding: what was read so far is shown.
	b, _ := io.ReadAll(io.LimitReader(body, int64(MaxShownText)+1))
	if vam.Bytes(len(b)) > MaxShownText {
		f.cut = true
		end := int(MaxShownText)
		for end > 0 && !utf8.RuneStart(b[end]) {
			end--
		}
		b = b[:end]
	}
	f.text = strings.TrimRight(plainLines(toUTF8(b, charset)), " \t\n")
}

// toUTF8 knows the two character sets beside UTF-8 that need no table; letters of
// VAM/1 are always UTF-8.
func toUTF8(b []byte, charset string) string {
	if !strings.EqualFold(charset, "iso-8859-1") {
		return string(b)
	}
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

package letter

import (
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/rfc5322"
)

// Limits of a letter. What is over one is refused, or cut where the text says so.
const (
	MaxWords      = 64 * vam.KiB // of the author's text, in octets; refused
	MaxSubject    = 300          // characters; cut
	MaxRecipients = 500          // visible ones, To and Cc together; refused
	MaxReferences = 20           // message ids; the middle ones are left out
)

// Letter is what the mail of a message is made from. One letter serves every
// recipient of a message over VAM/1; hidden recipients (Bcc) are not in it.
type Letter struct {
	From rfc5322.Mailbox
	To   []rfc5322.Mailbox // may be empty: all recipients are hidden
	Cc   []rfc5322.Mailbox

	Subject string
	Words   string // the author's text, lines of any ending; may be ""
	Date    time.Time
	Kind    vam.Kind

	// Header binds the letter to the message log. Its Sealed, Bytes and Duration
	// are also what the text says of the message.
	Header activmail.MessageHeader

	InReplyTo  string    // "<id@domain>" or ""
	References []string  // each "<id@domain>", oldest first
	Expires    time.Time // RFC 10080; zero is never
	Auto       bool      // made by a program (RFC 3834)
}

// MessageID is the Message-ID of the letter, with its angle brackets. It is the same
// for every recipient and transport, so that copies of one message meet.
func MessageID(origin vam.Domain, mid vam.MessageID) string {
	return "<" + string(mid) + "@" + string(origin) + ">"
}

// Compose writes the letter (AM-12.1, AM-12.7), unsigned, in CRLF lines of 7-bit text (addresses in
// other scripts excepted). Controls and line ends in a subject or a name become
// spaces; nothing that a person typed can become a header line.
// Errors: Invalid (an address, a message id, no date), TooLarge.
func (l *Letter) Compose() ([]byte, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	var w rfc5322.Writer
	w.Mailboxes("From", l.From)
	w.Mailboxes("To", l.To...)
	w.Mailboxes("Cc", l.Cc...)
	w.Text("Subject", l.Subject, MaxSubject)
	w.Date("Date", l.Date)
	w.Tokens("Message-ID", MessageID(l.Header.Origin, l.Header.ID))
	w.Tokens("In-Reply-To", l.InReplyTo)
	w.Tokens("References", strings.Join(thread(l.References), " "))
	if l.Auto {
		w.Tokens("Auto-Submitted", "auto-generated")
	}
	w.Tokens("Message-Context", messageContext(l.Kind))
	w.Date("Expires", l.Expires)
	w.Tokens(activmail.MessageHeaderName, l.Header.String())
	w.Tokens("MIME-Version", "1.0")
	return finish(&w, l.content())
}

func (l *Letter) check() error {
	if l.Date.IsZero() {
		return vam.Errorf(vam.Invalid, "the letter has no date")
	}
	if vam.Bytes(len(l.Words)) > MaxWords {
		return vam.Errorf(vam.TooLarge, "the text is longer than %v, the limit of this server: put it in a file", MaxWords)
	}
	if len(l.To)+len(l.Cc) > MaxRecipients {
		return vam.Errorf(vam.TooLarge, "the letter names more than %d recipients, the limit of this server: send it in several", MaxRecipients)
	}
	if _, err := activmail.ParseMessageHeader(l.Header.String()); err != nil {
		return vam.Wrap(vam.Invalid, err, "the letter cannot name its message: %s", vam.Public(err))
	}
	for _, id := range append([]string{l.InReplyTo}, l.References...) {
		if id != "" && !isMessageID(id) {
			return vam.Errorf(vam.Invalid, "a message id that the letter answers is not valid: <id@domain> is wanted")
		}
	}
	return nil
}

// messageContext is the flavour of RFC 3458 section 5 and RFC 3938 section 2 that
// lets a mail program show a camera or a microphone; there is none for a file.
func messageContext(k vam.Kind) string {
	switch k {
	case vam.Video:
		return "video-message"
	case vam.Voice:
		return "voice-message"
	}
	return ""
}

// thread leaves out the middle of a long chain of references: the first one names
// the thread and the last ones are what mail programs look for.
func thread(refs []string) []string {
	if len(refs) <= MaxReferences {
		return refs
	}
	return append([]string{refs[0]}, refs[len(refs)-MaxReferences+1:]...)
}

// isMessageID accepts msg-id of RFC 5322 section 3.6.4 and the looser ids that real
// mail has: printable ASCII without spaces between the angle brackets.
func isMessageID(s string) bool {
	const longest = 512
	if len(s) < len("<a@b>") || len(s) > longest || s[0] != '<' || s[len(s)-1] != '>' {
		return false
	}
	for i := 1; i < len(s)-1; i++ {
		if s[i] <= ' ' || s[i] > '~' || s[i] == '<' || s[i] == '>' {
			return false
		}
	}
	return strings.Contains(s, "@")
}

package letter

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/rfc5322"
)

// Action is what happened to the message for one recipient (RFC 3464 section 2.3.3).
type Action string

// The two actions that an author is told of.
const (
	Failed  Action = "failed"
	Delayed Action = "delayed"
)

// Bounce is a delivery status notification (RFC 3464) to an author of our own domain.
// Its envelope sender is the null reverse-path: nothing may answer it.
type Bounce struct {
	ID        vam.MessageID // of the bounce itself
	Reporting vam.Domain    // our domain, which reports and sends
	To        vam.Address   // the author
	Date      time.Time

	Original   vam.MessageID // the message that could not be delivered, of Reporting
	Kind       vam.Kind
	Subject    string
	Sent       time.Time // when the author sent it
	Mail       []byte    // its letter; only the header is returned; may be nil
	Recipients []BouncedRecipient
}

// BouncedRecipient is one recipient who did not get the message, and why.
type BouncedRecipient struct {
	Addr   vam.Address
	Action Action
	// Status is an enhanced status code (RFC 3463) such as "5.1.1". One that is not
	// valid or does not fit Action is replaced by the general one of its class, so
	// that a peer's odd code never stops a bounce.
	Status  string
	Problem string // problem type name of VAM/1, or ""
	Reason  string // one sentence in plain words; may come from the peer
	// Remote is the domain that refused; "" when none was reached.
	Remote      vam.Domain
	LastAttempt time.Time // zero is unknown
	RetryUntil  time.Time // Delayed only
}

// Compose writes the bounce: a part for people, a part for programs and the header
// of the letter. It is delivered locally as it is, so it begins with the Return-Path
// of the null reverse-path. Errors: Invalid, TooLarge.
func (b *Bounce) Compose() ([]byte, error) {
	if len(b.Recipients) == 0 || b.Date.IsZero() {
		return nil, vam.Errorf(vam.Invalid, "a bounce needs a date and a recipient to report on")
	}
	status, err := b.status()
	if err != nil {
		return nil, err
	}
	parts := []entity{
		textEntity(b.text()),
		{"message/delivery-status", "7bit", status},
	}
	if m, err := rfc5322.Scan(b.Mail); err == nil {
		parts = append(parts, entity{"text/rfc822-headers; charset=utf-8", "8bit", m.Header[:len(m.Header)-2]})
	}
	original := MessageID(b.Reporting, b.Original)
	var w rfc5322.Writer
	w.Tokens("Return-Path", "<>")
	w.Mailboxes("From", rfc5322.Mailbox{Name: "Mail system", Addr: vam.Address{Local: "mailer-daemon", Domain: b.Reporting}})
	w.Mailboxes("To", rfc5322.Mailbox{Addr: b.To})
	w.Text("Subject", b.headline(), MaxSubject)
	w.Date("Date", b.Date)
	w.Tokens("Message-ID", MessageID(b.Reporting, b.ID))
	w.Tokens("In-Reply-To", original)
	w.Tokens("References", original)
	w.Tokens("Auto-Submitted", "auto-replied")
	w.Tokens("MIME-Version", "1.0")
	return finish(&w, report(string(b.ID), parts))
}

// report joins parts to a multipart/report (RFC 6522). The boundary holds the fresh
// id of the bounce, which nobody who wrote the returned header can have known.
func report(id string, parts []entity) entity {
	boundary := "=_" + id
	var body []byte
	for _, p := range parts {
		var w rfc5322.Writer
		p.describe(&w)
		header, _ := w.Bytes() // two short constant fields
		body = append(body, "--"+boundary+"\r\n"+string(header)+"\r\n"...)
		body = append(body, p.body...)
		body = append(body, "\r\n"...)
	}
	body = append(body, "--"+boundary+"--\r\n"...)
	return entity{`multipart/report; report-type=delivery-status; boundary="` + boundary + `"`, "8bit", body}
}

// status writes the part for programs: a group of fields on the message, then one
// for each recipient, with empty lines between.
func (b *Bounce) status() ([]byte, error) {
	var w rfc5322.Writer
	w.Tokens("Reporting-MTA", "dns; "+string(b.Reporting))
	w.Tokens("Original-Envelope-Id", string(b.Original))
	w.Date("Arrival-Date", b.Sent)
	out, err := w.Bytes()
	if err != nil {
		return nil, err
	}
	for _, r := range b.Recipients {
		var w rfc5322.Writer
		w.Tokens("Final-Recipient", finalRecipient(r.Addr))
		w.Tokens("Action", string(r.action()))
		w.Tokens("Status", r.status())
		if r.Remote != "" {
			w.Tokens("Remote-MTA", "dns; "+string(r.Remote))
		}
		w.Tokens("Diagnostic-Code", "x-vam; "+strings.TrimSpace(asciiOnly(r.Problem+" "+r.Reason)))
		w.Date("Last-Attempt-Date", r.LastAttempt)
		if r.action() == Delayed {
			w.Date("Will-Retry-Until", r.RetryUntil)
		}
		group, err := w.Bytes()
		if err != nil {
			return nil, err
		}
		out = slices.Concat(out, []byte("\r\n"), group)
	}
	return out, nil
}

func (r BouncedRecipient) action() Action {
	if r.Action == Delayed {
		return Delayed
	}
	return Failed
}

func (r BouncedRecipient) status() string {
	class, detail, _ := strings.Cut(r.Status, ".")
	subject, number, _ := strings.Cut(detail, ".")
	valid := class == "5" || class == "4"
	for _, n := range []string{subject, number} {
		valid = valid && len(n) >= 1 && len(n) <= 3 && strings.Trim(n, "0123456789") == ""
	}
	switch {
	case r.action() == Delayed && (!valid || class != "4"):
		return "4.0.0"
	case !valid:
		return "5.0.0"
	}
	return r.Status
}

// finalRecipient writes an address with its type; other scripts take the ASCII form
// of RFC 6533 section 3.
func finalRecipient(a vam.Address) string {
	s := a.String()
	if asciiOnly(s) == s {
		return "rfc822; " + s
	}
	var out strings.Builder
	for _, r := range s {
		if r <= ' ' || r > '~' || strings.ContainsRune(`+=\`, r) {
			fmt.Fprintf(&out, `\x{%X}`, r)
		} else {
			out.WriteRune(r)
		}
	}
	return "utf-8; " + out.String()
}

// asciiOnly makes a line for the part for programs, which is 7-bit; the part for
// people has the text as it is.
func asciiOnly(s string) string {
	return strings.Map(func(r rune) rune {
		if r > '~' {
			return '?'
		}
		return r
	}, rfc5322.Clean(s, 500))
}

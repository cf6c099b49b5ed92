package activmail

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
)

// ReceiptEvent is something that happened to a message at its recipient.
type ReceiptEvent string

// The receipt events of VAM/1 (AM-8.2).
const (
	EventAccepted  ReceiptEvent = "accepted"
	EventDeclined  ReceiptEvent = "declined"
	EventLapsed    ReceiptEvent = "lapsed"
	EventStored    ReceiptEvent = "stored"
	EventDisplayed ReceiptEvent = "displayed"
	EventPlayed    ReceiptEvent = "played"
	EventFailed    ReceiptEvent = "failed"
	EventWithdrawn ReceiptEvent = "withdrawn"
)

// State is the recipient state that the event leads to; "" for an unknown event.
func (e ReceiptEvent) State() vam.RecipientState {
	switch e {
	case EventAccepted:
		return vam.Accepted
	case EventDeclined:
		return vam.Declined
	case EventLapsed:
		return vam.Lapsed
	case EventStored:
		return vam.Stored
	case EventDisplayed:
		return vam.Displayed
	case EventPlayed:
		return vam.Played
	case EventFailed:
		return vam.Failed
	case EventWithdrawn:
		return vam.Withdrawn
	}
	return ""
}

// Known reports whether the event is one of VAM/1; a reader ignores the others.
func (e ReceiptEvent) Known() bool { return e.State() != "" }

// Receipt is the body of PUT /m/{mid}/rcpt/{rid}/{event}.
type Receipt struct {
	Recipient vam.Address
	Event     ReceiptEvent
	At        time.Time // whole seconds, UTC
	Code      string    // RFC 3463 enhanced status code; always there when failed
	Text      string    // one sentence of at most 500 octets
}

// RecipientID is the {rid} of a receipt, base64url(SHA-256(mid LF address key)) (AM-8.7):
// no address stands in a URL, where proxies write it down (AM-14.12).
func RecipientID(mid vam.MessageID, addr vam.Address) string {
	sum := sha256.Sum256([]byte(string(mid) + "\n" + addr.Key()))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// ParseReceipt reads a receipt body. An unknown event is kept; see Known. Errors:
// Invalid (malformed, version), TooLarge.
func ParseReceipt(b []byte, limits Limits) (Receipt, error) {
	d, err := openDocument(b, limits.Document, "receipt")
	if err != nil {
		return Receipt{}, err
	}
	if err := d.version("v"); err != nil {
		return Receipt{}, err
	}
	d.require("rcpt", "event", "at")
	r := Receipt{
		Recipient: take(d, "rcpt", parsed(ParseAddress)),
		Event:     ReceiptEvent(take(d, "event", decodeEvent)),
		At:        take(d, "at", decodeTime),
		Code:      take(d, "code", decodeText),
		Text:      take(d, "text", decodeText),
	}
	if d.err == nil {
		d.err = r.validate()
	}
	if d.err != nil {
		return Receipt{}, d.err
	}
	return r, nil
}

func (r Receipt) validate() error {
	switch {
	case r.Recipient.IsZero() || r.At.IsZero() || !isEventName(string(r.Event)):
		return malformed("the receipt lacks its recipient, event or time")
	case r.Event == EventFailed && r.Code == "":
		return malformed("the receipt says failed and has no code")
	case r.Code != "" && !isEnhancedCode(r.Code):
		return malformed("the receipt's code %s is not of RFC 3463", quoteShort([]byte(r.Code)))
	case !isSentence(r.Text):
		return malformed("the receipt's text is over %d octets or not printable", maxSentence)
	}
	return nil
}

// Marshal writes the body. Errors: Invalid.
func (r Receipt) Marshal() ([]byte, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	var w objectWriter
	w.integer("v", 1)
	w.text("rcpt", r.Recipient.String())
	w.text("event", string(r.Event))
	w.time("at", r.At)
	w.optional("code", r.Code)
	w.optional("text", r.Text)
	return w.end(), nil
}

func decodeEvent(raw []byte) (string, string) {
	s, why := decodeText(raw)
	if why == "" && !isEventName(s) {
		why = "is not an event name (1 to 32 of a-z and -)"
	}
	return s, why
}

func isEventName(s string) bool {
	return len(s) >= 1 && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz-") == ""
}

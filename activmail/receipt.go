package activmail

import (
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

// Receipt is the body of PUT /m/{mid}/rcpt/{rid}/{event}.
type Receipt struct {
	Recipient vam.Address
	Event     ReceiptEvent
	At        time.Time // whole seconds, UTC
	Code      string    // RFC 3463 enhanced status code; failed only
	Text      string
}

// RecipientID is the {rid} of a receipt: base64url(SHA-256(mid LF address key)), so
// that no address stands in a URL.
func RecipientID(mid vam.MessageID, addr vam.Address) string { return "" }

// ParseReceipt reads a receipt body. An unknown event is kept; see Known.
// Errors: Invalid, TooLarge.
func ParseReceipt(b []byte, limits Limits) (Receipt, error) {
	return Receipt{}, vam.Errorf(vam.Internal, "not written yet")
}

// Marshal writes the body. Errors: Invalid.
func (r Receipt) Marshal() ([]byte, error) { return nil, nil }

// Known reports whether the event is one of VAM/1; a reader ignores the others.
func (e ReceiptEvent) Known() bool { return false }

// State is the recipient state that the event leads to; "" for an unknown event.
func (e ReceiptEvent) State() vam.RecipientState { return "" }

package activmail

import (
	"crypto/ed25519"
	"time"

	"github.com/videoactivmail/vam"
)

// OfferType is the media type of an offer.
const OfferType = "application/vnd.vam.offer+json"

// Offer tells a recipient's domain that a message waits at its origin (AM-6).
type Offer struct {
	MessageID vam.MessageID
	Origin    vam.Domain
	ID        vam.MessageID // names this offer; several offers of one message differ here
	Key       ed25519.PublicKey
	Kind      vam.Kind
	State     vam.State // Live or Sealed
	// Size and Duration are of the main track; 0 is not known (a live message).
	Size     vam.Bytes
	Duration time.Duration
	Envelope Envelope
	// Mail is the RFC 5322 mail, or MailRef names it by hash and length.
	Mail    []byte
	MailRef *BlobRef
	// Log is the head of the log, lines without LF; Checkpoint covers at least these.
	Log          [][]byte
	Checkpoint   []byte
	Token        Token
	TokenExpires time.Time
	// Forwards are the messages that this one was forwarded from, oldest first.
	Forwards []MessageRef
}

// Envelope is who sends to whom under which conditions.
type Envelope struct {
	From      vam.Address // zero is the null reverse-path of automatic mail
	To        []vam.Address
	DeliverBy time.Time // zero is the server's own horizon
	NotBefore time.Time // zero is at once
	Auto      bool      // made by a program: never answered automatically (RFC 3834)
}

// BlobRef names bytes.
type BlobRef struct {
	Blob   Sum
	Length vam.Bytes
}

// MessageRef names a message anywhere: "a.example/MID".
type MessageRef struct {
	Origin    vam.Domain
	MessageID vam.MessageID
}

// ParseOffer reads and checks the shape of an offer body. Errors: Invalid, TooLarge.
func ParseOffer(b []byte, limits Limits) (*Offer, error) {
	return nil, vam.Errorf(vam.Internal, "not written yet")
}

// Marshal writes the body. The bytes are stored before they are sent, and a retry
// sends the same bytes. Errors: Invalid, TooLarge.
func (o *Offer) Marshal(limits Limits) ([]byte, error) {
	return nil, vam.Errorf(vam.Internal, "not written yet")
}

// Validate checks the shape alone: no signature, DNS or policy is looked at.
// Errors: Invalid, TooLarge.
func (o *Offer) Validate(limits Limits) error { return nil }

// AnswerState is what a recipient's domain says of one recipient.
type AnswerState string

// The answer states (AM-6.7).
const (
	AnswerAccepted AnswerState = "accepted"
	AnswerHeld     AnswerState = "held"
	AnswerRejected AnswerState = "rejected"
	AnswerPending  AnswerState = "pending"
)

// RecipientAnswer is the answer for one recipient.
type RecipientAnswer struct {
	State AnswerState
	Code  string // RFC 3463 enhanced status code; rejected only
	Text  string // one sentence
}

// OfferAnswer is the body of the answer to an offer, by address as it was offered.
type OfferAnswer struct {
	Recipients map[vam.Address]RecipientAnswer
}

// Marshal writes {"rcpt":{…}} with the addresses in order.
func (a OfferAnswer) Marshal() ([]byte, error) { return nil, nil }

// ParseOfferAnswer reads an answer. Errors: Invalid, TooLarge.
func ParseOfferAnswer(b []byte, limits Limits) (OfferAnswer, error) {
	return OfferAnswer{}, vam.Errorf(vam.Internal, "not written yet")
}

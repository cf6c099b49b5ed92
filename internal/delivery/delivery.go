// Package delivery owns what becomes of each recipient of a sent message: one
// attempt at a time through a Carrier, its outcome, receipts and bounces.
package delivery

import (
	"context"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
)

// Recipient is one addressee of a sent message as its author may see it.
type Recipient struct {
	Address  vam.Address
	Hidden   bool // Bcc: travels in an offer of its own
	Offer    vam.MessageID
	State    vam.RecipientState
	Code     string // enhanced status code (RFC 3463), empty while all is well
	Text     string // the last answer in plain words
	Attempts int
	NextAt   time.Time // of the next attempt, zero when none is planned
	Changed  time.Time
}

// Offer is what goes to one domain: some recipients of one message. Body is empty
// until the first attempt; from then on every attempt sends the same bytes.
type Offer struct {
	ID         vam.MessageID
	Key        message.Key
	Domain     vam.Domain
	Recipients []Recipient
	Body       []byte
	DeliverBy  time.Time
	NotBefore  time.Time
}

// Update is a new state of one recipient.
type Update struct {
	Address vam.Address
	State   vam.RecipientState
	Code    string
	Text    string
	NextAt  time.Time
	At      time.Time
	Attempt bool // counts as an attempt
}

// Bounce is an RFC 3464 report that is put into the author's mailbox.
type Bounce struct {
	ID      vam.MessageID
	From    vam.Address
	Subject string
	Text    string
	Mail    []byte
	At      time.Time
}

// Store keeps offers and recipients. Writes are durable when they return.
type Store interface {
	// Offer returns NotFound for an unknown id.
	Offer(ctx context.Context, id vam.MessageID) (Offer, error)
	// SaveOfferBody stores the bytes and the hash of the pull token that is in them,
	// and returns the bytes that are stored: the first call wins. NotFound.
	SaveOfferBody(ctx context.Context, id vam.MessageID, body []byte, tokenHash activmail.Sum, expires time.Time) ([]byte, error)
	// Recipients lists the recipients of a message in the order of the letter.
	Recipients(ctx context.Context, k message.Key) ([]Recipient, error)
	// Settle records new states and, in the same commit, the author's bounce: a stored
	// entry in the Inbox of the account that sent the message, none when that account is
	// gone. An error of bounce undoes everything. bounce must not use a store. A
	// state never goes back: an update that is not later in the order of Rank, or
	// that follows a final state, is left out, and with no update left no bounce is
	// made. It returns the updates that took effect. An address that is no recipient is
	// left out; NotFound for an unknown message.
	Settle(ctx context.Context, k message.Key, updates []Update, bounce func(took []Update) (*Bounce, error)) ([]Update, error)
	// TokenMessage returns the message and the domain that a pull token was made
	// for. NotFound, also for one that has run out.
	TokenMessage(ctx context.Context, tokenHash activmail.Sum, now time.Time) (message.Key, vam.Domain, error)
	// AddToken stores another token of an offer; the 32 that end last count. NotFound
	// for an unknown offer.
	AddToken(ctx context.Context, offer vam.MessageID, tokenHash activmail.Sum, expires time.Time) error
	// OfferedTo finds the message of an id that was offered to a domain. NotFound.
	OfferedTo(ctx context.Context, id vam.MessageID, d vam.Domain) (message.Key, error)
	// NoteHolder records that a domain has the whole media of a message.
	NoteHolder(ctx context.Context, k message.Key, d vam.Domain) error
}

// Rank orders states for Settle: a state replaces one of lower rank only, but
// Waiting, Offering and Queued replace each other.
func Rank(s vam.RecipientState) int {
	switch s {
	case vam.Queued, vam.Offering, vam.Waiting:
		return 0
	case vam.Held:
		return 1
	case vam.Accepted:
		return 2
	case vam.Stored:
		return 3
	case vam.Displayed:
		return 4
	case vam.Played:
		return 5
	}
	return 6 // final
}

// Advances reports whether a recipient in state from may go to state to. What is over may
// be withdrawn all the same (AM-8.8).
func Advances(from, to vam.RecipientState) bool {
	if from.Final() {
		return to == vam.Withdrawn && from != vam.Withdrawn
	}
	return Rank(to) > Rank(from) || Rank(to) == 0 && Rank(from) == 0
}

// Attempt is what a Carrier is given.
type Attempt struct {
	Offer   Offer
	Message message.Message
	// Body builds the offer's durable bytes on first use; a Carrier that needs no
	// offer (local delivery) never calls it.
	Body func(ctx context.Context) ([]byte, error)
}

// Carrier brings an offer to the domain of its recipients. It returns a result for
// each recipient that it has an answer for; an error is about the whole attempt.
// NotVAM says that the domain has no VAM at all.
type Carrier interface {
	Deliver(ctx context.Context, a Attempt) ([]Update, error)
	// Poke shows the peer that the log has news. Local recipients need none.
	Poke(ctx context.Context, d vam.Domain, m message.Message) error
}

// OfferJob is the queue job of an offer.
func OfferJob(o Offer, now time.Time) queue.Job {
	at := now
	if o.NotBefore.After(at) {
		at = o.NotBefore
	}
	return queue.Job{Kind: queue.Offer, Key: string(o.ID), Domain: o.Domain, NextAt: at, Deadline: o.DeliverBy, Created: now}
}

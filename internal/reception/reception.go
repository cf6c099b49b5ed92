// Package reception owns what other domains offer to this one: whether an offer is
// taken, held or refused for each recipient, and the pulling of what was accepted.
package reception

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
)

// Offered is an offer that was answered. Its answer is what a repetition gets.
type Offered struct {
	Key     message.Key
	ID      vam.MessageID
	Digest  activmail.Sum   // of the offer's bytes
	Token   activmail.Token // of the pull; renewed in place
	Expires time.Time
	At      time.Time
	Rcpts   []Rcpt
}

// Rcpt is one recipient of an offer. Account is 0 for a rejected one.
type Rcpt struct {
	Address vam.Address
	Account int64
	State   vam.RecipientState // accepted, held, rejected, stored, declined, lapsed, failed, withdrawn
	Code    string
	Text    string
}

// undecided reports whether the recipient was refused for the time being, which a code of
// class 4 says.
func (r Rcpt) undecided() bool { return r.State == vam.Rejected && strings.HasPrefix(r.Code, "4.") }

// undecided reports whether any recipient is.
func (o Offered) undecided() bool { return slices.ContainsFunc(o.Rcpts, Rcpt.undecided) }

// Taking is what one offer changes, in one commit.
type Taking struct {
	Offered Offered
	Message message.Message // created unless its key is there
	Mail    []byte          // stored with the message
	Entries []mailbox.Entry // of those who are accepted or held, one for each account
	Jobs    []queue.Job
	// HoldEnds is when a hold that begins with this offer lapses.
	HoldEnds time.Time
}

// Owed is a receipt that an origin is still to be told.
type Owed struct {
	Key     message.Key
	Receipt activmail.Receipt
}

// notDecided is what an author is told of a hold that ended by itself.
const notDecided = "the recipient did not decide in time"

// Lapse is what the origin is told at the end of a hold that nobody decided, or seems so
// (AM-8.3).
func Lapse(k message.Key, a vam.Address, at time.Time) Owed {
	return Owed{Key: k, Receipt: activmail.Receipt{Recipient: a, Event: activmail.EventLapsed, Text: notDecided, At: at.UTC().Truncate(time.Second)}}
}

// JobKey makes the job one per message, recipient and event.
func (w Owed) JobKey() string {
	return fmt.Sprintf("%s %s %s", w.Key, w.Receipt.Recipient.Key(), w.Receipt.Event)
}

// Job is the queue job that delivers the receipt.
func (w Owed) Job(now time.Time) (queue.Job, error) {
	body, err := w.Receipt.Marshal()
	return queue.Job{
		Kind: queue.Receipt, Key: w.JobKey(),
		Domain: w.Key.Origin, NextAt: now, Created: now, Deadline: now.Add(receiptHorizon), Payload: body,
	}, err
}

// receiptHorizon is how long an origin that cannot be reached is told of receipts.
const receiptHorizon = 14 * 24 * time.Hour

// Store keeps offers and what their recipients decided. Writes are durable when
// they return.
type Store interface {
	// Offered finds an answered offer. NotFound.
	Offered(ctx context.Context, k message.Key, id vam.MessageID) (Offered, error)
	// Take commits an offer. When the offer is there already it returns the stored
	// one and changes nothing. What the mailbox of a recipient holds of the message in this
	// same commit counts more than the decision: an entry that is held, arriving or stored
	// stays and gives the answer, one that failed or lapsed makes room for the new one (AM-8.8),
	// one that was declined does so only when the author is known by now. A new entry that
	// would overstep its account's quota is rejected with 4.2.2. When the media of its message is complete already,
	// accepted recipients become stored, with the receipts owed, in the same commit. A
	// message that was purged because nobody held it any more becomes live or sealed
	// again when somebody does, without its media.
	Take(ctx context.Context, t Taking) (Offered, error)
	// Redecide changes the answer of an offer that was taken before for those recipients
	// of t that are rejected with a code of class 4, and adds their entries as Take does and,
	// while media is still to come, the jobs, in one commit. It returns the offer as it stands.
	// NotFound.
	Redecide(ctx context.Context, t Taking) (Offered, error)
	// Offers lists the offers of a message, newest first: any of their tokens pulls.
	// NotFound for an unknown message.
	Offers(ctx context.Context, k message.Key) ([]Offered, error)
	// RenewToken replaces the token of an offer. NotFound.
	RenewToken(ctx context.Context, k message.Key, id vam.MessageID, token activmail.Token, expires time.Time) error
	// Decide moves the account's held entry of the message to accepted (arriving, or
	// stored when the media is complete; the author becomes a contact) or declined or
	// lapsed, and the account's recipients with it, with the receipts and the jobs that
	// follow (of an acceptance only when media is still to come), in one commit. Conflict
	// when the entry is not held (any more); NotFound.
	Decide(ctx context.Context, account int64, k message.Key, to vam.RecipientState, receipts []Owed, jobs []queue.Job, at time.Time) error
	// Conclude ends a message without its media: its arriving entries and the accepted
	// recipients of its offers move to the state, for Withdrawn the held and stored ones
	// too, with a receipt for each of those recipients, in one commit. Where the receipt is
	// failed, that is what the recipients are, whatever their entries say (AM-8.2). It is
	// idempotent.
	Conclude(ctx context.Context, k message.Key, to vam.RecipientState, event activmail.ReceiptEvent, code, text string, at time.Time) error
	// FailFull fails the message, with 4.2.2 and its receipt, for those who wait for it and
	// whose account uses more than its quota, in one commit. It reports whether anybody still
	// waits for it.
	FailFull(ctx context.Context, k message.Key, at time.Time) (left bool, err error)
	// Wanted reports whether any recipient of the message has accepted it and waits for
	// its media.
	Wanted(ctx context.Context, k message.Key) (bool, error)
	// Moved remembers that something of a message came; the latest time stands. NotFound.
	Moved(ctx context.Context, k message.Key, at time.Time) error
	// LastMoved is when something of a message came last; zero is never. NotFound.
	LastMoved(ctx context.Context, k message.Key) (time.Time, error)
	// InboxEntry is the account's inbox entry of the message. NotFound.
	InboxEntry(ctx context.Context, account int64, k message.Key) (mailbox.Entry, error)
	// Enqueue adds jobs.
	Enqueue(ctx context.Context, jobs ...queue.Job) error
	// HeldSince lists held entries that were offered before before, the oldest first.
	HeldSince(ctx context.Context, before time.Time, limit int) ([]mailbox.Entry, error)
	// Forget removes answered offers that did not change since before (AM-6.20) and of
	// which no entry is held or arriving.
	Forget(ctx context.Context, before time.Time, limit int) (int, error)
}

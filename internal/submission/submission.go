// Package submission owns what an author does with a message before and after it
// is sent: draft, upload, seal, send, revoke.
package submission

import (
	"context"
	"crypto/ed25519"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
)

// Draft is what an author says about a message.
type Draft struct {
	From      vam.Address
	To, Bcc   []vam.Address
	Subject   string
	Text      string // plain, at most 64 KiB
	Kind      vam.Kind
	Name      string    // file name for the recipient's download
	Type      string    // media type of the file as the author's program knows it
	Size      vam.Bytes // announced, 0 when unknown (live)
	DeliverBy time.Time // zero: the server's horizon
	NotBefore time.Time // zero: at once
	Expires   time.Time // zero: never
	// MediaOf names a message of the author's mailbox whose media this one carries
	// again (forward, resend): no byte is uploaded.
	MediaOf message.Key
}

// Store keeps drafts and performs the send. Writes are durable when they return.
type Store interface {
	// SaveDraft adds or replaces what the author said of a message of this server, while
	// it is not sent, and puts it into the author's Sent folder as a draft. The first
	// call makes it the account's. Saying the same again is no change, also after the
	// send. A message that is not there is made of m first, in the same commit, when
	// priv, its key, is given. It returns the message as it stands and whether it is new.
	// Conflict with problem sent after the send, with id-taken when the message is
	// another account's or another domain of this server has one of this id; NotFound.
	SaveDraft(ctx context.Context, account int64, m message.Message, priv ed25519.PrivateKey, d Draft) (message.Message, bool, error)
	// Draft returns the draft and whose it is. NotFound.
	Draft(ctx context.Context, k message.Key) (Draft, int64, error)
	// Send makes a draft a sent message in one commit: the mail, its recipients and
	// offers, the jobs, SentAt, and that the recipients are the account's contacts
	// from now on. It returns false when the message was sent before; nothing changes then.
	Send(ctx context.Context, s Sending) (bool, error)
	// DeleteDraft removes an unsent message. Conflict when it was sent.
	DeleteDraft(ctx context.Context, k message.Key) error
	// OverdueLive lists live messages of this server, sent, whose every offer is past its
	// deliver-by, in the order in which they were made. It begins behind the message after,
	// and with the first when there is no such message.
	OverdueLive(ctx context.Context, now time.Time, after message.Key, limit int) ([]message.Key, error)
	// OldDrafts lists unsent messages that nothing was added to since before, sealed or
	// not, the oldest first.
	OldDrafts(ctx context.Context, before time.Time, limit int) ([]message.Key, error)
}

// Sending is what Store.Send commits.
type Sending struct {
	Account int64
	Key     message.Key
	Mail    []byte
	Offers  []delivery.Offer
	Jobs    []queue.Job
	At      time.Time
}

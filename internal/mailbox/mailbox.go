// Package mailbox owns what an account holds: one entry per message and account,
// with its state.
package mailbox

import (
	"context"
	"time"

	"github.com/videoactivmail/vam"
)

// Folder is where an entry is shown.
type Folder string

// The folders.
const (
	Inbox Folder = "inbox"
	Sent  Folder = "sent"
)

// State is where an entry stands for its holder.
type State string

// A sent entry is Draft until it is sent and then Stored. A received one is Held
// (a first contact, nothing pulled), Arriving, then Stored. Declined and Lapsed
// ended a hold; Failed says that the media cannot be had; Withdrawn and Expired
// follow the author's revoke or expiry: the entry stays, the media is gone.
const (
	Draft     State = "draft"
	Held      State = "held"
	Arriving  State = "arriving"
	Stored    State = "stored"
	Declined  State = "declined"
	Lapsed    State = "lapsed"
	Failed    State = "failed"
	Withdrawn State = "withdrawn"
	Expired   State = "expired"
)

// Entry is one message in one account's folder. (Account, Folder, Origin, ID) is
// unique: a second offer of the same message changes nothing.
type Entry struct {
	Account int64
	Folder  Folder
	Origin  vam.Domain
	ID      vam.MessageID

	Rcpt    vam.Address // the address that it was sent to (inbox), with its tag
	From    vam.Address
	Subject string
	Kind    vam.Kind
	Bounce  bool // an RFC 3464 report from this server, without media

	State    State
	Reason   string    // in plain words, for Failed, Withdrawn and Held
	Size     vam.Bytes // of the media as far as it is known; what the quota is charged
	Duration time.Duration
	At       time.Time // received or created
	Changed  time.Time
	Seen     bool
	// NotBefore hides the entry from its holder until then (AM-6.27); zero is not at all.
	NotBefore time.Time
}

// Filter selects entries for a listing.
type Filter struct {
	Folder Folder
	State  State         // "" is any
	Before vam.MessageID // only older ids (they sort by time): the cursor of the next page
	Limit  int           // 1 to 200, 0 is 50
}

// Store keeps entries. Writes are durable when they return. What an account uses is
// the sum of Size over its entries in Draft, Arriving and Stored, and changes in the
// same commit as they do. Entries are added by the services that make messages.
type Store interface {
	// Entries lists the newest ids first.
	Entries(ctx context.Context, account int64, f Filter) ([]Entry, error)
	// Entry finds one by message, in the inbox first. NotFound.
	Entry(ctx context.Context, account int64, origin vam.Domain, id vam.MessageID) (Entry, error)
	// FindEntries lists the entries whose message id begins or ends with part, so
	// that people may type the end of an id. The inbox first, then the newest ids. At
	// most limit.
	FindEntries(ctx context.Context, account int64, part string, limit int) ([]Entry, error)
	// MarkSeen is idempotent: the first time stands. NotFound.
	MarkSeen(ctx context.Context, account int64, origin vam.Domain, id vam.MessageID, at time.Time) error
	// DeleteEntry removes the entries of the message from the account, whatever their
	// state. Media that nobody else holds is left to retention. NotFound.
	DeleteEntry(ctx context.Context, account int64, origin vam.Domain, id vam.MessageID) error
}

// Package grant owns the links that let a person without an account watch a message:
// one for each recipient, unguessable, revocable, expiring, optionally behind a
// password.
//
// A link's token stands in a path and nowhere else. It is derived from the grant's
// random id under a key that is not in the database, so the same link can be shown
// again and a copy of the database opens nothing; the database holds the SHA-256 of the
// token alone.
package grant

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/message"
)

// ID names a grant inside this server: for its owner's listings, logs and metrics. It
// opens nothing. It is random and never used twice.
type ID [16]byte

// NewID mints an ID. It panics only when the system has no randomness.
func NewID() ID {
	var id ID
	if _, err := rand.Read(id[:]); err != nil {
		panic(err)
	}
	return id
}

// ParseID reads the String form. Errors: Invalid.
func ParseID(s string) (ID, error) {
	var id ID
	if b, err := hex.DecodeString(s); err != nil || copy(id[:], b) != len(id) || id.String() != s {
		return ID{}, vam.Errorf(vam.Invalid, "that is not the name of a link: 32 lower-case hex digits are wanted")
	}
	return id, nil
}

// String is 32 lower-case hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Grant is the right of one recipient to watch one message.
type Grant struct {
	ID      ID
	Account int64       // who gave it, and may list and revoke it
	Key     message.Key // what it opens
	Rcpt    vam.Address // for whom it is
	Created time.Time
	Expires time.Time // zero: never
	Revoked time.Time // zero: it is not
	// Locked says that a password is asked for; it is never known here.
	Locked bool

	// What was really played: see Viewed.
	Plays    int       // play sessions
	Watched  float64   // 0 to 1: the furthest that any session came
	LastPlay time.Time // zero: never
}

// Link is a grant with the secret that opens it.
type Link struct {
	Token string // 32 characters of base64url
	Grant
}

// Play is one play session, as the watch page tells it.
type Play struct {
	Session string    // names the session inside its grant, at most 64 octets
	At      time.Time // of the report
	UpTo    float64   // 0 to 1: the furthest that was played
}

// Secret is what the store keeps of a grant beside the Grant itself.
type Secret struct {
	Sum   activmail.Sum // SHA-256 of the token
	Maker uint32        // names the key that the token was made with
	Lock  []byte        // salted hash of the password with its parameters; nil: none
}

// Store keeps grants. Writes are durable when they return. It may be asked for grants
// at the rate of a busy web page: GrantBySum reads a constant number of rows.
type Store interface {
	// AddGrant adds a grant. When there is one of the same message, recipient (by
	// vam.Address.Key), account and maker that is not revoked, it returns that one and
	// false, and changes nothing. NotFound for an unknown message or account.
	AddGrant(ctx context.Context, g Grant, s Secret) (Grant, Secret, bool, error)
	// SetGrant changes the expiry, and the lock unless it is nil; one that is empty but not
	// nil takes the lock off. With another lock the tries are forgotten. NotFound.
	SetGrant(ctx context.Context, id ID, expires time.Time, lock []byte) error
	// GrantBySum finds a grant by the hash of its token. NotFound.
	GrantBySum(ctx context.Context, sum activmail.Sum) (Grant, Secret, error)
	// Grants lists the grants that an account gave to a message, those that were revoked
	// too, oldest first.
	Grants(ctx context.Context, account int64, k message.Key) ([]Grant, error)
	// Revoke is idempotent: the first time stands. NotFound also for a grant of another
	// account.
	Revoke(ctx context.Context, account int64, id ID, at time.Time) (Grant, error)
	// Try counts one try of the password before it is judged, wherever it came from, so that
	// tries at the same time count too. Busy with RetryAfter while the grant waits, for as
	// long as Pause says after the last counted try; then nothing is counted. NotFound.
	Try(ctx context.Context, id ID, now time.Time) error
	// Solved forgets the tries. NotFound.
	Solved(ctx context.Context, id ID) error
	// SavePlay records a play session, or for one that is known how far it came since;
	// the furthest counts. Of one grant the first MaxPlays sessions are kept, later ones
	// change LastPlay and Watched alone. NotFound.
	SavePlay(ctx context.Context, id ID, p Play) error
}

// MaxPlays is how many play sessions of one grant are told apart.
const MaxPlays = 256

// Pause is how long a grant waits for another password after the n-th wrong one from 1,
// when none that was right came between. It holds for whoever has the link, so it is the
// last resort against guesses from many networks: one network alone is slowed down first
// (see Service.Unlock), and leaves room for others even when it goes on for weeks.
func Pause(n int) time.Duration {
	if n < 100 {
		return 0
	}
	return 6 * time.Minute
}

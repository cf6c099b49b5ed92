// Package message owns a message's log and its media, whoever made the message:
// appending, verifying, reading while it grows, and what of it is here.
package message

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/blob"
)

// Key names a message: its origin domain and its id there.
type Key struct {
	Origin vam.Domain
	ID     vam.MessageID
}

// String is "origin/id", as logs and problem texts show it.
func (k Key) String() string { return string(k.Origin) + "/" + string(k.ID) }

// LogValue implements slog.LogValuer: one word in every format of a log.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// ParseKey reads the String form. Invalid.
func ParseKey(s string) (Key, error) {
	origin, id, _ := strings.Cut(s, "/")
	d, err := vam.ParseDomain(origin)
	if err != nil {
		return Key{}, err
	}
	mid, err := vam.ParseMessageID(id)
	if err != nil {
		return Key{}, err
	}
	return Key{Origin: d, ID: mid}, nil
}

// Message is what is known of one message.
type Message struct {
	Key
	State     vam.State
	Kind      vam.Kind
	Author    vam.Address
	Subject   string
	Text      string // the author's words, plain
	PublicKey ed25519.PublicKey
	Head      Head
	Media     blob.ID   // where its bytes are; the zero ID before the first byte
	Announced vam.Bytes // the size that the offer or the draft named, 0 when unknown
	Created   time.Time
	SentAt    time.Time // zero for a draft
	Expires   time.Time // zero: never
	Complete  bool      // sealed, and every byte that its log names is durable here
	// Forwards are the messages that this one was forwarded from, oldest first (AM-6.29).
	Forwards []activmail.MessageRef
}

// Head is what appending to the log changes. It is stored with the lines in one
// commit.
type Head struct {
	State      vam.State
	Lines      int64
	Root       activmail.Hash
	Checkpoint []byte
	MediaBytes int64 // sum of the main track's init and part records
	Duration   time.Duration
	SealedAt   time.Time
	Digest     activmail.Hash // of the whole file, from the seal
	Identity   activmail.Hash // see activmail.MediaIdentity; set at the seal
	Expires    time.Time      // from an expire record; zero is none
	Sides      int            // records whose blob stands beside the media: posters, texts, extra tracks
}

// Line is one record of a log. Offset is where its bytes stand in the media, -1 for
// a record without main-track bytes.
type Line struct {
	N      int64
	Raw    []byte
	Offset int64
	Length int64
}

// Store keeps messages, their log lines and which spans of media are durable. Every
// write is durable when it returns.
type Store interface {
	// CreateMessage adds a message, or returns the one that is there and false. priv is
	// nil for a message of another origin.
	CreateMessage(ctx context.Context, m Message, priv ed25519.PrivateKey) (Message, bool, error)
	// Message returns NotFound for an unknown key.
	Message(ctx context.Context, k Key) (Message, error)
	// PrivateKey returns NotFound when this server is not the origin.
	PrivateKey(ctx context.Context, k Key) (ed25519.PrivateKey, error)
	// Mail returns the RFC 5322 mail of a sent or received message. NotFound.
	Mail(ctx context.Context, k Key) ([]byte, error)

	// AppendLines extends the log from exactly from lines, sets the head and the
	// have-set of the media, and charges the media's size to the mailbox entries of
	// the message. A nil have leaves the have-set as it is. Conflict with problem
	// log-position when the log has another size.
	//
	// In the same commit: when a sent message becomes sealed or revoked or gets a line
	// after its seal (AM-6.30), a poke job is queued for every domain that has an offer
	// of it; when it becomes revoked, its recipients that have no copy yet become
	// withdrawn, and so do the inbox entries of it here and their recipients, each of
	// these with a receipt job; when a message of this server becomes sealed, all that
	// SetComplete does is done.
	//
	// A state never goes back: an append to a message that has expired leaves it so.
	AppendLines(ctx context.Context, k Key, from int64, lines []Line, h Head, have Ranges) error
	// Lines returns up to max lines from line from on.
	Lines(ctx context.Context, k Key, from, max int64) ([]Line, error)

	// AttachMedia names the media object of a message that has none yet; it returns
	// the one that is set, which is another one when a concurrent call was first.
	AttachMedia(ctx context.Context, k Key, id blob.ID) (blob.ID, error)
	// LinkMedia points a message at the complete media of another message. Doing it
	// again is no error. NotFound when there is no such complete media, Conflict when
	// the message has other media, unless its log is sealed and not all of it has come.
	LinkMedia(ctx context.Context, k Key, id blob.ID) error
	// Have returns the durable spans of a media object. NotFound.
	Have(ctx context.Context, id blob.ID) (Ranges, error)
	// SaveHave replaces them; the caller has synced the object before. NotFound.
	SaveHave(ctx context.Context, id blob.ID, have Ranges) error
	// SetComplete records that everything a sealed log names is durable and that peer,
	// when not empty, has shown to hold the media. In the same commit the arriving
	// inbox entries of the message become stored, and so do the accepted recipients of
	// the offers that it came with, each with a receipt job. It is idempotent. Conflict
	// when the log is not sealed.
	SetComplete(ctx context.Context, k Key, peer vam.Domain) error
	// FindMedia finds complete media by identity that peer is known to hold. NotFound.
	FindMedia(ctx context.Context, identity activmail.Hash, peer vam.Domain) (blob.ID, error)
	// SameSize lists messages with complete media of n octets that peer is known to hold,
	// the newest first.
	SameSize(ctx context.Context, n vam.Bytes, peer vam.Domain, limit int) ([]Key, error)
	// KeepEvidence stores two checkpoints of one message that do not fit; of the
	// quarrels of one message the first 16.
	KeepEvidence(ctx context.Context, k Key, have, got []byte, at time.Time) error
}

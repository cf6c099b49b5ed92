package amserver

import (
	"context"
	"io"
	"net/netip"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// Inbound is the side of a recipient's domain: it takes offers. All methods are called
// concurrently. An error that is no *[vam.Error] is Internal towards the peer, which
// tries again.
type Inbound interface {
	// PutOffer decides on an offer and stores it durably before it returns. The same
	// bytes again are no error: the present state is answered with OfferSame.
	// Errors: Conflict (offer-conflict: other bytes under the same name), Denied,
	// NotFound (not-our-domain), OverQuota, Busy, TooLarge.
	PutOffer(ctx context.Context, req OfferRequest) (OfferResult, error)
	// OfferState is the present answer for each recipient of an offer.
	// Errors: NotFound.
	OfferState(ctx context.Context, req StateRequest) (activmail.OfferAnswer, error)
	// Poke says that a log has grown. It is a hint: nothing follows from it that the
	// log itself does not say. Errors: NotFound, Busy.
	Poke(ctx context.Context, req PokeRequest) error
}

// Outbound is the side of a message's origin: it answers those who pull. All methods
// are called concurrently. Each checks the token of its [Pull] first.
// Errors of all: Unauthenticated (token-invalid), NotFound, Gone (revoked, expired).
type Outbound interface {
	// Head is where the message stands.
	Head(ctx context.Context, pull Pull) (activmail.Head, error)
	// Log is the records from index from on. With wait > 0 and nothing there yet, it
	// blocks until there is news, wait is over or ctx ends. A log that will hardly grow,
	// a sealed one, need not be waited for. After revocation and expiry the log stays
	// readable (AM-7.19).
	Log(ctx context.Context, pull Pull, from int64, wait time.Duration) (Log, error)
	// Entry is record n with its blob, under the same waiting rule.
	Entry(ctx context.Context, pull Pull, n int64, wait time.Duration) (Entry, error)
	// Media is the main track, as far as it is there.
	Media(ctx context.Context, pull Pull) (Media, error)
	// Blob is the blob of that name, where a record of this message names it.
	Blob(ctx context.Context, pull Pull, name activmail.Sum) (Blob, error)
	// Proof proves inclusion or consistency. Errors also: any kind with a
	// *activmail.PositionError in its chain where the log has not reached req.Size.
	Proof(ctx context.Context, pull Pull, req ProofRequest) (activmail.Proof, error)
	// PutReceipt takes what a recipient's domain says of one recipient and reports
	// whether it was new. The token is not used here. Errors also: Denied.
	PutReceipt(ctx context.Context, req ReceiptRequest) (created bool, err error)
	// RenewToken mints a token for the domain that signed, where that domain is in the
	// envelope of the offer and has neither declined nor been revoked. The token is not
	// used here. Errors also: Denied.
	RenewToken(ctx context.Context, req RenewRequest) (activmail.TokenGrant, error)
}

// OfferRequest is a verified PUT /in/{origin}/{mid}/{offer}.
type OfferRequest struct {
	// Offer is parsed and valid, its names equal those of the path, and its origin is
	// Signed.Domain.
	Offer *activmail.Offer
	// Body is the exact bytes, Digest their SHA-256. The backend may keep Body.
	Body   []byte
	Digest activmail.Sum
	Signed activmail.VerifiedRequest
	Remote netip.AddrPort
}

// OfferStatus says how an offer was taken.
type OfferStatus uint8

// The ways to take an offer (AM-6.6).
const (
	OfferNew     OfferStatus = iota // 201: stored now
	OfferSame                       // 200: stored before; the present state
	OfferPending                    // 202: stored now, decided later
)

// OfferResult is the answer to an offer.
type OfferResult struct {
	Status OfferStatus
	Answer activmail.OfferAnswer
}

// OfferName names an offer.
type OfferName struct {
	Origin    vam.Domain
	MessageID vam.MessageID
	Offer     vam.MessageID
}

// StateRequest is a verified GET /in/{origin}/{mid}/{offer}; Signed.Domain is the
// origin.
type StateRequest struct {
	OfferName
	Signed activmail.VerifiedRequest
	Remote netip.AddrPort
}

// PokeRequest is a verified POST /in/{origin}/{mid}/poke; Signed.Domain is the origin.
type PokeRequest struct {
	Origin    vam.Domain
	MessageID vam.MessageID
	// Checkpoint is what the origin says; it is not verified against the message key.
	Checkpoint []byte
	Signed     activmail.VerifiedRequest
	Remote     netip.AddrPort
}

// Pull is who asks for which message.
type Pull struct {
	MessageID vam.MessageID
	// Token has the right form; whether it opens this message is the backend's to say.
	Token  activmail.Token
	Remote netip.AddrPort
}

// Log is a piece of a log. One without Lines says that there is nothing at that index:
// 204 while the log may grow, 416 when the index lies beyond Size or the log Ended.
type Log struct {
	// Size is the number of lines of the log now. Ended says that it ends in a revoke,
	// after which nothing can follow.
	Size  int64
	Ended bool
	// Lines is the raw lines from the asked index on, each with its LF: up to Size, or
	// fewer, but at least one. The handler closes it.
	Lines io.ReadCloser
	// Octets is the length of Lines; -1 where it is not known.
	Octets int64
	// Checkpoint covers at least Size lines.
	Checkpoint []byte
}

// Entry is one record of a log. One without Line says that it is not there: yet, or,
// with Ended, ever.
type Entry struct {
	// Size is the number of lines of the log now. Ended says that it ends in a revoke,
	// after which nothing can follow.
	Size  int64
	Ended bool
	// Line is the record without LF; Checkpoint covers it.
	Line       []byte
	Checkpoint []byte
	// Blob is nil for records without blob. The handler closes it.
	Blob   Content
	Length vam.Bytes
	// Withdrawn is that of Media.
	Withdrawn <-chan struct{}
}

// Content is bytes that stay the same under the reader's feet, and may grow. ReadAt is
// called with buffers of up to 1 MiB.
type Content interface {
	io.ReaderAt
	io.Closer
}

// Media is the main track of a message. The handler closes Content.
type Media struct {
	Content Content
	// Size is what is there now; Complete says that it will not grow.
	Size        vam.Bytes
	Complete    bool
	ContentType string // "" is application/octet-stream
	// ETag is a strong validator without quotes; required once Complete, and not looked at
	// before (AM-7.17).
	ETag string
	// Withdrawn, if not nil, is closed when the message is revoked or expires: what is
	// under way is then cut off (AM-7.20).
	Withdrawn <-chan struct{}
}

// Blob is a blob of a message, or the place where a store has it.
type Blob struct {
	// Content is closed by the handler; nil with Redirect.
	Content     Content
	Size        vam.Bytes
	ContentType string // "" is application/octet-stream
	// Withdrawn is that of Media.
	Withdrawn <-chan struct{}
	// Redirect is the https URL of a store that serves exactly these bytes to anyone
	// who knows the URL (AM-7.8).
	Redirect string
}

// ProofRequest asks for one of two proofs.
type ProofRequest struct {
	// Inclusion asks that leaf Leaf is in the tree of Size leaves; otherwise that the
	// tree of From leaves is a prefix of it. 0 <= Leaf < Size, 0 < From <= Size.
	Inclusion bool
	Leaf      int64
	From      int64
	Size      int64
}

// ReceiptRequest is a verified PUT /m/{mid}/rcpt/{rid}/{event}; the recipient's domain
// is Signed.Domain, and rid and event are those of Receipt.
type ReceiptRequest struct {
	MessageID vam.MessageID
	Receipt   activmail.Receipt
	Signed    activmail.VerifiedRequest
	Remote    netip.AddrPort
}

// RenewRequest is a verified POST /m/{mid}/token.
type RenewRequest struct {
	MessageID vam.MessageID
	Offer     vam.MessageID
	Signed    activmail.VerifiedRequest
	Remote    netip.AddrPort
}

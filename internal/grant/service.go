package grant

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/admission"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
)

// Entries tells whether an account still holds a message; mailbox.Store does.
type Entries interface {
	// Entry is NotFound when the account has none of the message.
	Entry(ctx context.Context, account int64, origin vam.Domain, id vam.MessageID) (mailbox.Entry, error)
}

// Options of New. Every field without a default is required.
type Options struct {
	Key      []byte // at least 32 random octets that are kept outside the database
	Messages *message.Service
	Entries  Entries
	For      time.Duration    // how long a link works when Terms do not say; 30 days
	PassFor  time.Duration    // how long a password is good for; 6 hours
	Now      func() time.Time // time.Now
}

// Service is safe for concurrent use.
type Service struct {
	store Store
	o     Options
	link  []byte // derived from Options.Key, one for each use
	pass  []byte
	maker uint32
	slots chan struct{}
	// guesses are counted in memory: a restart forgives them, and Store counts all together.
	guesses *admission.Buckets
}

// New returns a Service. Invalid for a key that is too short.
func New(store Store, o Options) (*Service, error) {
	if len(o.Key) < 32 {
		return nil, vam.Errorf(vam.Invalid, "the key of links has %d octets; at least 32 are wanted", len(o.Key))
	}
	if o.For == 0 {
		o.For = 30 * 24 * time.Hour
	}
	if o.PassFor == 0 {
		o.PassFor = 6 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Service{store: store, o: o, link: mac(o.Key, "vam link"), pass: mac(o.Key, "vam pass"), slots: make(chan struct{}, hashers)}
	s.guesses = admission.NewBuckets("passwords", o.Now)
	s.maker = binary.BigEndian.Uint32(mac(o.Key, "vam link key name"))
	return s, nil
}

func mac(key []byte, parts ...string) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}

// tokenBytes of the MAC are the token: 192 bits, 32 characters.
const tokenBytes = 24

func (s *Service) token(id ID) string {
	return base64.RawURLEncoding.EncodeToString(mac(s.link, string(id[:]))[:tokenBytes])
}

func sumOf(token string) activmail.Sum { return sha256.Sum256([]byte(token)) }

// Terms of a link.
type Terms struct {
	Expires  time.Time // zero: as Options.For says for a new link, as it was for one that is there
	Password *string   // nil: none for a new link, as it was for one that is there; "" takes it off
}

// Mint gives a recipient a link to a message that the account holds. Asked again it
// returns the same link until it is revoked, under the new terms if there are any; one
// that had expired works again. Rcpt is anybody that the account wants to give it to.
//
// Errors: NotFound when the account has no such message; Gone when it was taken back or
// has expired; Invalid for terms that cannot be.
func (s *Service) Mint(ctx context.Context, account int64, k message.Key, rcpt vam.Address, t Terms) (Link, error) {
	now := s.o.Now()
	if !t.Expires.IsZero() && !t.Expires.After(now) {
		return Link{}, vam.Errorf(vam.Invalid, "a link that has expired already opens nothing; name a later time")
	}
	if t.Password != nil && len(*t.Password) > maxPassword {
		return Link{}, vam.Errorf(vam.Invalid, "a password has at most %d octets", maxPassword)
	}
	m, err := s.held(ctx, account, k)
	if err == nil {
		err = s.o.Messages.Gone(m)
	}
	if err != nil {
		return Link{}, err
	}
	g := Grant{ID: NewID(), Account: account, Key: k, Rcpt: rcpt, Created: now, Expires: t.Expires}
	if g.Expires.IsZero() {
		g.Expires = now.Add(s.o.For)
	}
	token := s.token(g.ID)
	secret := Secret{Sum: sumOf(token), Maker: s.maker}
	if t.Password != nil && *t.Password != "" {
		if secret.Lock, err = s.lock(ctx, *t.Password); err != nil {
			return Link{}, err
		}
		g.Locked = true
	}
	got, kept, created, err := s.store.AddGrant(ctx, g, secret)
	if err != nil || created {
		return Link{Token: token, Grant: got}, err
	}
	return s.renew(ctx, got, kept, g, secret, t)
}

// renew brings the terms of a link that is there up to those that are asked for.
func (s *Service) renew(ctx context.Context, got Grant, kept Secret, want Grant, secret Secret, t Terms) (Link, error) {
	link := Link{Token: s.token(got.ID), Grant: got}
	expires, lock := got.Expires, []byte(nil) // nil leaves the lock to whoever sets one meanwhile
	if !t.Expires.IsZero() || over(got.Expires, s.o.Now()) {
		expires = want.Expires
	}
	link.Locked = kept.Lock != nil
	if t.Password != nil {
		if lock, link.Locked = secret.Lock, want.Locked; !link.Locked {
			lock = []byte{}
		}
	}
	if expires.Equal(got.Expires) && (lock == nil || !link.Locked && kept.Lock == nil) {
		return link, nil
	}
	link.Expires = expires
	return link, s.store.SetGrant(ctx, got.ID, expires, lock)
}

func over(expires, now time.Time) bool { return !expires.IsZero() && !now.Before(expires) }

// held returns the message when the account has it.
func (s *Service) held(ctx context.Context, account int64, k message.Key) (message.Message, error) {
	if _, err := s.o.Entries.Entry(ctx, account, k.Origin, k.ID); err != nil {
		return message.Message{}, err
	}
	return s.o.Messages.Get(ctx, k)
}

// Open returns the grant of a token. It changes nothing, and does not ask for the
// password: see Admit. NotFound for a token that never was; Gone with problem "revoked"
// or "expired" and a sentence for the person who has the link, also when the message
// itself was taken back, has expired, or was deleted by who gave the link.
func (s *Service) Open(ctx context.Context, token string) (Grant, error) {
	g, _, err := s.open(ctx, token)
	return g, err
}

func (s *Service) open(ctx context.Context, token string) (Grant, Secret, error) {
	if len(token) != base64.RawURLEncoding.EncodedLen(tokenBytes) {
		return Grant{}, Secret{}, errUnknown()
	}
	g, secret, err := s.store.GrantBySum(ctx, sumOf(token))
	if err != nil {
		if vam.KindOf(err) == vam.NotFound {
			err = errUnknown()
		}
		return Grant{}, Secret{}, err
	}
	if !g.Revoked.IsZero() {
		return g, secret, vam.Errorf(vam.Gone, "this link was taken back by who sent it").WithProblem("revoked")
	}
	m, err := s.held(ctx, g.Account, g.Key)
	if err != nil {
		if vam.KindOf(err) == vam.NotFound {
			err = errDeleted()
		}
		return g, secret, err
	}
	if m.State == vam.Purged {
		return g, secret, errDeleted()
	}
	if err := s.o.Messages.Gone(m); err != nil {
		return g, secret, err
	}
	if over(g.Expires, s.o.Now()) {
		return g, secret, vam.Errorf(vam.Gone, "this link expired on %s; ask the sender for a new one", g.Expires.UTC().Format("2 January 2006")).WithProblem("expired")
	}
	return g, secret, nil
}

func errUnknown() error {
	return vam.Errorf(vam.NotFound, "there is no such link; look whether the whole of it was copied")
}

func errDeleted() error {
	return vam.Errorf(vam.Gone, "the sender removed this message").WithProblem("revoked")
}

// List returns the links that the account gave to a message, oldest first, without
// their tokens.
func (s *Service) List(ctx context.Context, account int64, k message.Key) ([]Grant, error) {
	return s.store.Grants(ctx, account, k)
}

// Revoke ends a link at once and for ever. Doing it again is no error. NotFound also
// for a grant of another account.
func (s *Service) Revoke(ctx context.Context, account int64, id ID) (Grant, error) {
	return s.store.Revoke(ctx, account, id, s.o.Now())
}

// Viewed records that a link's media was really played: the caller has served media to
// this grant before, and was told by a POST of the page. One session counts once,
// however often it is told. Invalid for a play that cannot be; NotFound.
func (s *Service) Viewed(ctx context.Context, id ID, p Play) error {
	if p.Session == "" || len(p.Session) > 64 || !(p.UpTo >= 0 && p.UpTo <= 1) {
		return vam.Errorf(vam.Invalid, "a play has the name of its session and a part between 0 and 1")
	}
	if p.At.IsZero() {
		p.At = s.o.Now()
	}
	return s.store.SavePlay(ctx, id, p)
}

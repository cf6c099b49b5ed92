package reception

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/message"
)

// Mail is what was verified of the mail inside an offer.
type Mail struct {
	Author  vam.Address // From, aligned with a passing signature; its name is never shown (AM-12.12)
	Subject string
	Text    string
	Header  activmail.MessageHeader // what the mail says of the log
}

// Mails verifies the mail of an offer: DKIM, alignment, and that its one
// VAM-Message header names this offer's message and key (AM-12).
type Mails interface {
	Verify(ctx context.Context, o *activmail.Offer) (Mail, error)
}

// Options of New.
type Options struct {
	Messages *message.Service
	Accounts *account.Service
	Mails    Mails
	Peers    Peers
	// LocalReceipt takes the receipt of a message whose origin is this server.
	LocalReceipt func(ctx context.Context, from vam.Domain, k message.Key, r activmail.Receipt) (bool, error)
	Wake         func() // tells the queue's runners that there is work
	// HoldFirst holds a message from an address that the recipient does not know yet.
	HoldFirst bool
	HoldFor   time.Duration // 14 days
	// Admit is the limit of what one domain may offer. It is asked for an offer that was
	// not answered before, so that a repetition costs its domain nothing, and before its
	// mail is verified. nil admits all. Errors: Busy.
	Admit func(ctx context.Context, o *activmail.Offer) error
	// Grew is asked when a message turns out to have octets more than was known when its
	// pull began, and for the log of one that nobody accepted. nil admits all. Errors: Busy,
	// then the rest is pulled later.
	Grew    func(k message.Key, octets vam.Bytes) error
	MaxSize vam.Bytes // of a message; the limits' Message by default
	Free    func(ctx context.Context) (vam.Bytes, error)
	Lanes   int       // media requests at once for one message, 8
	Chunk   vam.Bytes // of one media request, 16 MiB
	Now     func() time.Time
	Log     *slog.Logger
}

// Service answers offers and pulls what was accepted. It is safe for concurrent
// use.
type Service struct {
	store  Store
	o      Options
	memory *semaphore.Weighted // of log lines that are not verified yet
}

// New returns a Service over store.
func New(store Store, o Options) *Service {
	if o.HoldFor == 0 {
		o.HoldFor = activmail.MaxHold
	}
	if o.MaxSize == 0 {
		o.MaxSize = o.Messages.Limits().Message
	}
	if o.Lanes == 0 {
		o.Lanes = 8
	}
	if o.Chunk == 0 {
		o.Chunk = 16 * vam.MiB
	}
	if o.Wake == nil {
		o.Wake = func() {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{store: store, o: o, memory: semaphore.NewWeighted(logMemory)}
}

// Offer decides on an offer whose request signature is verified and whose origin
// signed it. body is its exact bytes. The answer is durable when Offer returns; a
// repetition gets the present state and fresh is false, and those who were refused for
// the time being are decided on anew (AM-6.9).
//
// Errors: Conflict (offer-conflict), Denied and Unauthenticated (the mail), Invalid,
// TooLarge, OverQuota (disk full), Unavailable (DNS), Gone (revoked, expired), Corrupt
// (checkpoint-inconsistent) (AM-6.15).
func (s *Service) Offer(ctx context.Context, o *activmail.Offer, body []byte) (answer activmail.OfferAnswer, fresh bool, err error) {
	k := message.Key{Origin: o.Origin, ID: o.MessageID}
	digest := activmail.Sum(sha256.Sum256(body))
	old, err := s.store.Offered(ctx, k, o.ID)
	switch {
	case err == nil && old.Digest != digest: // AM-6.9
		return answer, false, errOfferConflict(o.ID)
	case err == nil:
		old, err = s.again(ctx, old, o)
		return old.answer(), false, err
	case vam.KindOf(err) != vam.NotFound:
		return answer, false, err
	}
	mail, err := s.examine(ctx, k, o)
	if err != nil {
		return answer, false, err
	}
	t := s.taking(k, o, mail, digest)
	for _, a := range o.Envelope.To {
		if err := s.decide(ctx, &t, a, o, mail); err != nil {
			return answer, false, err
		}
	}
	taken, err := s.store.Take(ctx, t)
	if err != nil {
		return answer, false, err
	}
	s.o.Messages.Forget(k) // it may have come back from purged
	if taken.Digest != digest {
		return answer, false, errOfferConflict(o.ID)
	}
	if err := s.begin(ctx, t, o); err != nil {
		return answer, false, err
	}
	s.o.Log.Info("offer", "message", k, "offer", o.ID, "from", mail.Author, "bytes", o.Size, "answer", taken.summary())
	return taken.answer(), true, nil
}

// begin follows the log of an offer that somebody takes or decides on, and lets the pull
// begin.
func (s *Service) begin(ctx context.Context, t Taking, o *activmail.Offer) error {
	defer s.o.Wake()
	if len(t.Entries) == 0 || len(o.Log) == 0 {
		return nil
	}
	_, err := s.o.Messages.Follow(ctx, t.Offered.Key, 0, o.Log, o.Checkpoint)
	return err
}

// examine holds an offer that was not answered before to the rules, what is cheap first
// (AM-6.11), and proves who wrote it.
func (s *Service) examine(ctx context.Context, k message.Key, o *activmail.Offer) (Mail, error) {
	if s.o.Admit != nil {
		if err := s.o.Admit(ctx, o); err != nil {
			return Mail{}, err
		}
	}
	if o.MailRef != nil {
		return Mail{}, vam.Errorf(vam.TooLarge, "a mail beside the offer is not taken here; one of up to %s fits into it (this server's limit)", s.o.Messages.Limits().Mail).WithProblem("too-large")
	}
	if err := s.known(ctx, k, o); err != nil {
		return Mail{}, err
	}
	if o.Size > s.o.MaxSize { // in words for the author, before the log says the same (AM-6.16)
		return Mail{}, s.tooLarge(o.Size, o.Envelope.To[0].Domain)
	}
	log, _, err := o.OpenLog(s.o.Messages.Limits())
	if err != nil {
		return Mail{}, err
	}
	if err := s.agrees(ctx, k, o); err != nil {
		return Mail{}, err
	}
	o.Size = max(o.Size, log.MediaBytes()) // it knows better than what is announced
	if err := s.room(ctx, o.Size); err != nil {
		return Mail{}, err
	}
	mail, err := s.o.Mails.Verify(ctx, o)
	if err == nil {
		err = promised(mail.Header, o.Log)
	}
	return mail, err
}

func errOfferConflict(id vam.MessageID) error {
	return vam.Errorf(vam.Conflict, "the offer %s was made before with other bytes; a changed offer needs an id of its own", id).WithProblem("offer-conflict")
}

// known checks an offer against what is here of its message: the key never changes, and
// what has ended does not begin again (AM-6.12).
func (s *Service) known(ctx context.Context, k message.Key, o *activmail.Offer) error {
	m, err := s.o.Messages.Get(ctx, k)
	if err != nil {
		if vam.KindOf(err) == vam.NotFound {
			return nil
		}
		return err
	}
	if !m.PublicKey.Equal(o.Key) {
		return vam.Errorf(vam.Conflict, "this message was offered before with another message key").WithProblem("offer-conflict")
	}
	return over(m)
}

// agrees compares the log of an offer with what is here of its message, before anything
// of the offer is kept: an origin that is told of two histories must not have been answered
// that one of them is accepted (AM-5.11).
func (s *Service) agrees(ctx context.Context, k message.Key, o *activmail.Offer) error {
	if len(o.Log) == 0 {
		return nil
	}
	err := s.o.Messages.Agrees(ctx, k, o.Log, o.Checkpoint)
	return ignore(err, vam.NotFound)
}

// over is Gone for a message that has ended. One that nobody held any more may come back.
func over(m message.Message) error {
	switch m.State {
	case vam.Revoked:
		return vam.Errorf(vam.Gone, "this message was revoked before").WithProblem("revoked")
	case vam.Expired:
		return vam.Errorf(vam.Gone, "this message has expired").WithProblem("expired")
	}
	return nil
}

func (s *Service) room(ctx context.Context, size vam.Bytes) error {
	if s.o.Free == nil {
		return nil
	}
	free, err := s.o.Free(ctx)
	if err != nil {
		return err
	}
	if size > free {
		return vam.Errorf(vam.OverQuota, "this server's disk has no room for %s now; try again later", size).WithProblem("disk-full").WithRetry(5 * time.Minute)
	}
	return nil
}

// taking is AM-5.7.
func (s *Service) taking(k message.Key, o *activmail.Offer, mail Mail, digest activmail.Sum) Taking {
	now := s.o.Now()
	return Taking{
		Offered: Offered{Key: k, ID: o.ID, Digest: digest, Token: o.Token, Expires: o.TokenExpires, At: now},
		Message: message.Message{
			Key: k, State: vam.Live, Kind: o.Kind, Author: mail.Author, Subject: mail.Subject, Text: mail.Text,
			PublicKey: o.Key, Announced: o.Size, Created: now, SentAt: now,
			Head: message.Head{State: vam.Live, Duration: o.Duration}, Forwards: o.Forwards,
		},
		Mail: o.Mail, HoldEnds: now.Add(s.o.HoldFor),
	}
}

// State is the present answer for an offer. NotFound.
func (s *Service) State(ctx context.Context, k message.Key, id vam.MessageID) (activmail.OfferAnswer, error) {
	o, err := s.store.Offered(ctx, k, id)
	if err != nil {
		return activmail.OfferAnswer{}, err
	}
	return o.present(), nil
}

// Poke says that the origin's log has news: the message is pulled again. NotFound.
func (s *Service) Poke(ctx context.Context, k message.Key) error {
	if _, err := s.o.Messages.Get(ctx, k); err != nil {
		return err
	}
	if err := s.store.Enqueue(ctx, s.pullJob(k)); err != nil {
		return err
	}
	s.o.Wake()
	return nil
}

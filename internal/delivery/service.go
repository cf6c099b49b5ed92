package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
)

// Reports writes the bounce of a message whose delivery failed for some of its
// recipients. mail is its letter, nil when there is none. Report is called inside of a
// store's commit: it only computes.
type Reports interface {
	Report(m message.Message, mail []byte, failed []Update) (*Bounce, error)
}

// Options of New.
type Options struct {
	Messages *message.Service
	Hosts    func(vam.Domain) bool
	Local    Carrier // for the domains of this server
	Native   Carrier // for all others
	Reports  Reports
	// Enqueue adds jobs to the queue that Offer, Poke and Hold are handlers of; nil looks
	// after no holds.
	Enqueue func(ctx context.Context, jobs ...queue.Job) error
	Limits  activmail.Limits
	Now     func() time.Time
	Log     *slog.Logger
}

// Service works the offer and poke jobs of the queue and takes receipts in. It is
// safe for concurrent use.
type Service struct {
	store Store
	o     Options
}

// New returns a Service over store.
func New(store Store, o Options) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{store: store, o: o}
}

// Offer is the queue handler of queue.Offer: one attempt to bring an offer to its
// domain. It returns a temporary error as long as a recipient waits for another
// attempt, and queue.ErrNotReached when nothing was offered any more.
func (s *Service) Offer(ctx context.Context, j queue.Job) error {
	offer, err := s.store.Offer(ctx, vam.MessageID(j.Key))
	if err != nil {
		return unlessMissing(err)
	}
	m, err := s.o.Messages.Get(ctx, offer.Key)
	if err != nil {
		return unlessMissing(err)
	}
	open := waiting(offer.Recipients)
	if len(open) == 0 || m.State == vam.Revoked || m.State == vam.Purged {
		return queue.ErrNotReached
	}
	offer.Recipients = open
	switch late := s.o.Now(); {
	case s.o.Messages.Gone(m) != nil:
		return s.giveUp(ctx, m, open, "5.4.7", "the message expired before %s took it")
	case !j.Deadline.IsZero() && late.After(j.Deadline):
		return s.giveUp(ctx, m, open, "4.4.7", "%s could not be reached before the message's time was over")
	}
	carrier := s.o.Native
	if s.o.Hosts(offer.Domain) {
		carrier = s.o.Local
	}
	updates, err := carrier.Deliver(ctx, Attempt{Offer: offer, Message: m, Body: func(ctx context.Context) ([]byte, error) {
		return s.body(ctx, offer.ID, m)
	}})
	if err != nil && ctx.Err() != nil {
		return err // stopped, not failed
	}
	return s.conclude(ctx, m, j, open, updates, err)
}

// unlessMissing is the end of a job whose offer or message cannot be read: one that is
// gone leaves nothing to do.
func unlessMissing(err error) error {
	if vam.KindOf(err) == vam.NotFound {
		return queue.ErrNotReached
	}
	return err
}

// waiting are the recipients that another attempt is for.
func waiting(all []Recipient) []Recipient {
	var out []Recipient
	for _, r := range all {
		if Rank(r.State) == 0 {
			out = append(out, r)
		}
	}
	return out
}

// conclude records the results of an attempt. Those that nobody answered for get
// the error of the whole attempt: permanent ends them, temporary lets them wait.
func (s *Service) conclude(ctx context.Context, m message.Message, j queue.Job, open []Recipient, updates []Update, cause error) error {
	now := s.o.Now()
	answers := map[string]Update{}
	for _, u := range updates {
		answers[u.Address.Key()] = u
	}
	updates = make([]Update, 0, len(open)) // whoever else it speaks of is for receipts
	retry := cause
	for _, r := range open {
		if u, ok := answers[r.Address.Key()]; ok {
			u.At, u.Attempt = now, true
			if u.State == vam.Waiting {
				u.NextAt = now.Add(queue.Backoff(j.Attempts+1, 0))
			}
			updates = append(updates, u)
			continue
		}
		if cause == nil {
			cause = vam.Errorf(vam.Busy, "%s gave no answer for this recipient", r.Address.Domain)
			retry = cause
		}
		updates = append(updates, s.unanswered(r, cause, j, now))
	}
	for _, u := range updates {
		if u.State == vam.Waiting && retry == nil {
			retry = vam.Errorf(vam.Busy, "%s", u.Text)
		}
	}
	if err := s.watchHolds(ctx, j, updates); err != nil {
		return err
	}
	if _, err := s.settle(ctx, m, updates); err != nil {
		return err
	}
	return retry
}

func (s *Service) unanswered(r Recipient, cause error, j queue.Job, now time.Time) Update {
	u := Update{Address: r.Address, Text: vam.Public(cause), At: now, Attempt: true}
	if kind := vam.KindOf(cause); kind.Temporary() {
		u.State, u.Code, u.NextAt = vam.Waiting, "4.4.1", now.Add(pause(cause, j))
		return u
	}
	u.State, u.Code = vam.Rejected, CodeOf(cause)
	return u
}

// pause is how long the next attempt is away.
func pause(cause error, j queue.Job) time.Duration {
	var e *vam.Error
	if errors.As(cause, &e) && e.RetryAfter > 0 {
		return e.RetryAfter
	}
	return queue.Backoff(j.Attempts+1, 0)
}

// CodeOf is the enhanced status code (RFC 3463) for an error of a whole attempt (AM-9.8).
func CodeOf(err error) string {
	if code := activmail.ProblemFor(err).Code; code != "" {
		return code
	}
	if vam.KindOf(err) == vam.NotVAM {
		return "5.1.2"
	}
	if vam.KindOf(err).Temporary() {
		return "4.0.0"
	}
	return "5.0.0"
}

// giveUp ends those who wait, and with them the job: ErrNotReached when it is recorded.
// why is a sentence about their domain.
func (s *Service) giveUp(ctx context.Context, m message.Message, open []Recipient, code, why string) error {
	updates := make([]Update, len(open))
	for i, r := range open {
		u := Update{Address: r.Address, State: vam.Failed, Code: code, At: s.o.Now(), Text: fmt.Sprintf(why, r.Address.Domain)}
		if r.Text != "" {
			u.Text += "; the last answer was: " + r.Text
		}
		updates[i] = u
	}
	if _, err := s.settle(ctx, m, updates); err != nil {
		return err
	}
	return queue.ErrNotReached
}

// settle records updates with the bounce for those that end without delivery (AM-8.11, AM-8.25).
func (s *Service) settle(ctx context.Context, m message.Message, updates []Update) ([]Update, error) {
	var mail []byte
	if slices.ContainsFunc(updates, Update.bounces) {
		var err error
		if mail, err = s.o.Messages.Mail(ctx, m.Key); err != nil && vam.KindOf(err) != vam.NotFound {
			return nil, err
		}
	}
	took, err := s.store.Settle(ctx, m.Key, updates, func(took []Update) (*Bounce, error) {
		failed := slices.DeleteFunc(slices.Clone(took), func(u Update) bool { return !u.bounces() })
		if len(failed) == 0 || m.Author.IsZero() {
			return nil, nil
		}
		return s.o.Reports.Report(m, mail, failed)
	})
	for _, u := range took {
		s.o.Log.Info("recipient", "message", m.Key, "rcpt", u.Address, "state", u.State, "code", u.Code, "text", u.Text)
	}
	return took, err
}

// bounces reports whether the author gets a report of it.
func (u Update) bounces() bool {
	return u.State == vam.Rejected || u.State == vam.Failed || u.State == vam.Lapsed
}

// body returns the durable bytes of an offer, making them at the first attempt.
func (s *Service) body(ctx context.Context, id vam.MessageID, m message.Message) ([]byte, error) {
	offer, err := s.store.Offer(ctx, id)
	if err != nil || len(offer.Body) > 0 {
		return offer.Body, err
	}
	mail, err := s.o.Messages.Mail(ctx, m.Key)
	if err != nil {
		return nil, err
	}
	now := s.o.Now()
	token := activmail.NewPullToken()
	o := activmail.Offer{
		MessageID: m.ID, Origin: m.Origin, ID: id, Key: m.PublicKey, Kind: m.Kind, State: vam.Live,
		Envelope:     activmail.Envelope{From: m.Author, DeliverBy: offer.DeliverBy, NotBefore: offer.NotBefore},
		Token:        token,
		TokenExpires: now.Add(activmail.MaxTokenLife).UTC().Truncate(time.Second),
		Size:         m.Announced,
		Forwards:     m.Forwards,
	}
	if !m.Head.SealedAt.IsZero() {
		o.State, o.Size, o.Duration = vam.Sealed, vam.Bytes(m.Head.MediaBytes), m.Head.Duration
	}
	for _, r := range offer.Recipients {
		o.Envelope.To = append(o.Envelope.To, r.Address)
	}
	if vam.Bytes(len(mail)) > s.o.Limits.Mail {
		return nil, vam.Errorf(vam.TooLarge, "the mail of this message has %s; %s fit into an offer", vam.Bytes(len(mail)), s.o.Limits.Mail)
	}
	o.Mail = mail
	if o.Log, o.Checkpoint, err = s.logHead(ctx, m); err != nil {
		return nil, err
	}
	body, err := o.Marshal(s.o.Limits)
	if err != nil {
		return nil, err
	}
	return s.store.SaveOfferBody(ctx, id, body, token.Hash(), o.TokenExpires)
}

// firstLines is how much of a log goes into an offer: about as much as leaves a server in
// the first flight of a connection, letter included, and still names the first 32 MiB of a
// file. More would be waited for before anything can be played.
const firstLines = 8 * vam.KiB

// logHead is the beginning of the log, with a checkpoint over exactly these lines: the
// recipient can verify and begin to pull while it fetches the rest.
func (s *Service) logHead(ctx context.Context, m message.Message) ([][]byte, []byte, error) {
	var out [][]byte
	var size vam.Bytes
	for int64(len(out)) < m.Head.Lines {
		lines, err := s.o.Messages.Lines(ctx, m.Key, int64(len(out)), min(500, m.Head.Lines-int64(len(out))))
		if err != nil {
			return nil, nil, err
		}
		for _, l := range lines {
			if size += vam.Bytes(len(l.Raw)); size > min(firstLines, s.o.Limits.OfferLog) {
				cp, err := s.o.Messages.SignPrefix(ctx, m.Key, int64(len(out)))
				return out, cp, err
			}
			out = append(out, l.Raw)
		}
		if len(lines) == 0 {
			break
		}
	}
	cp, err := s.o.Messages.SignPrefix(ctx, m.Key, int64(len(out)))
	return out, cp, err
}

// Poke is the queue handler of queue.Poke; its key is "origin/id domain".
func (s *Service) Poke(ctx context.Context, j queue.Job) error {
	name, _, _ := strings.Cut(j.Key, " ")
	k, err := message.ParseKey(name)
	if err != nil || s.o.Hosts(j.Domain) {
		return err
	}
	m, err := s.o.Messages.Get(ctx, k)
	if err != nil {
		return unlessMissing(err)
	}
	if !j.Deadline.IsZero() && s.o.Now().After(j.Deadline) {
		s.o.Log.Warn("a peer was not told of a change in time", "message", m.Key, "domain", j.Domain)
		return queue.ErrNotReached
	}
	err = s.o.Native.Poke(ctx, j.Domain, m)
	switch kind := vam.KindOf(err); {
	case err == nil || ctx.Err() != nil:
		return err
	case kind == vam.NotFound:
		return nil // the peer holds nothing of it
	case !kind.Temporary():
		// A record that is gone, a key that is not seen yet: it may be mended, and nobody else
		// tells of a message that was taken back (AM-6.32).
		return vam.Wrap(vam.Busy, err, "%s does not hear of the change now", j.Domain).WithRetry(time.Hour)
	}
	return err
}

// Receipt takes in what a recipient's domain says became of one recipient. It is
// idempotent. NotFound for a message that is not here or an address that is no recipient of
// it, Denied when from is not the address's domain (AM-8.5, AM-8.6, AM-8.9).
func (s *Service) Receipt(ctx context.Context, from vam.Domain, k message.Key, r activmail.Receipt) (fresh bool, err error) {
	m, err := s.o.Messages.Get(ctx, k)
	if err != nil {
		return false, err
	}
	if r.Recipient.Domain != from {
		return false, vam.Errorf(vam.Denied, "%s cannot speak for %s", from, r.Recipient)
	}
	all, err := s.store.Recipients(ctx, k)
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(all, func(x Recipient) bool { return x.Address.Key() == r.Recipient.Key() })
	if i < 0 {
		return false, vam.Errorf(vam.NotFound, "%s is no recipient of this message", r.Recipient)
	}
	state := r.Event.State()
	if state == "" {
		return false, nil // an event of a later version
	}
	var took []Update
	if Advances(all[i].State, state) { // what was said before costs no commit
		took, err = s.settle(ctx, m, []Update{{Address: r.Recipient, State: state, Code: r.Code, Text: r.Text, At: s.o.Now()}})
		if err != nil {
			return false, err
		}
	}
	if state.Arrived() && (len(took) > 0 || all[i].State.Arrived()) {
		err = s.store.NoteHolder(ctx, k, from)
	}
	return len(took) > 0, err
}

// OfferedTo finds the message of an id that was offered to a domain. NotFound.
func (s *Service) OfferedTo(ctx context.Context, id vam.MessageID, d vam.Domain) (message.Key, error) {
	return s.store.OfferedTo(ctx, id, d)
}

// Recipients lists the recipients of a message for its author.
func (s *Service) Recipients(ctx context.Context, k message.Key) ([]Recipient, error) {
	return s.store.Recipients(ctx, k)
}

// PullToken returns what a pull token opens. Unauthenticated.
func (s *Service) PullToken(ctx context.Context, token activmail.Token) (message.Key, vam.Domain, error) {
	k, d, err := s.store.TokenMessage(ctx, token.Hash(), s.o.Now())
	if vam.KindOf(err) == vam.NotFound && err != nil {
		err = vam.Errorf(vam.Unauthenticated, "the pull token is unknown or has run out; ask for another one").WithProblem("token-invalid")
	}
	return k, d, err
}

// RenewToken mints another pull token for a domain that holds an offer.
// Denied when the offer is not that domain's, or all its recipients declined, lapsed or were
// rejected.
func (s *Service) RenewToken(ctx context.Context, from vam.Domain, id vam.MessageID, k message.Key) (activmail.Token, time.Time, error) {
	o, err := s.store.Offer(ctx, id)
	if err != nil && vam.KindOf(err) != vam.NotFound {
		return "", time.Time{}, err
	}
	entitled := slices.ContainsFunc(o.Recipients, func(r Recipient) bool { // AM-7.21
		return r.State != vam.Declined && r.State != vam.Lapsed && r.State != vam.Rejected
	})
	if err != nil || o.Key != k || o.Domain != from || !entitled {
		return "", time.Time{}, vam.Errorf(vam.Denied, "%s has no open offer of this message", from).WithProblem("policy")
	}
	token := activmail.NewPullToken()
	expires := s.o.Now().Add(activmail.MaxTokenLife).UTC().Truncate(time.Second)
	return token, expires, s.store.AddToken(ctx, id, token.Hash(), expires)
}

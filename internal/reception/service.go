package reception

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
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
	Admit   func(ctx context.Context, o *activmail.Offer) error
	MaxSize vam.Bytes // of a message; the limits' Message by default
	Free    func(ctx context.Context) (vam.Bytes, error)
	Lanes   int       // media requests at once for one message, 4
	Chunk   vam.Bytes // of one media request, 16 MiB
	Now     func() time.Time
	Log     *slog.Logger
}

// Service answers offers and pulls what was accepted. It is safe for concurrent
// use.
type Service struct {
	store Store
	o     Options
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
		o.Lanes = 4
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
	return &Service{store: store, o: o}
}

// Offer decides on an offer whose request signature is verified and whose origin
// signed it. body is its exact bytes. The answer is durable when Offer returns; a
// repetition gets the present state and fresh is false.
//
// Errors: Conflict (offer-conflict), Denied and Unauthenticated (the mail), Invalid,
// TooLarge, OverQuota (disk full), Unavailable (DNS), Gone (revoked).
func (s *Service) Offer(ctx context.Context, o *activmail.Offer, body []byte) (answer activmail.OfferAnswer, fresh bool, err error) {
	k := message.Key{Origin: o.Origin, ID: o.MessageID}
	digest := activmail.Sum(sha256.Sum256(body))
	if old, err := s.store.Offered(ctx, k, o.ID); err == nil {
		if old.Digest != digest { // AM-6.9
			return activmail.OfferAnswer{}, false, errOfferConflict(o.ID)
		}
		old, err = s.again(ctx, old, o)
		return old.answer(), false, err
	} else if vam.KindOf(err) != vam.NotFound {
		return activmail.OfferAnswer{}, false, err
	}
	if s.o.Admit != nil {
		if err := s.o.Admit(ctx, o); err != nil {
			return activmail.OfferAnswer{}, false, err
		}
	}
	// AM-6.11: a signature of a mail, with its questions to DNS, is looked at last.
	if err := s.known(ctx, k, o); err != nil {
		return activmail.OfferAnswer{}, false, err
	}
	if len(o.Mail) == 0 { // AM-6.15
		return activmail.OfferAnswer{}, false, vam.Errorf(vam.TooLarge, "a mail beside the offer is not taken here; one of up to %s fits into it (this server's limit)", s.o.Messages.Limits().Mail).WithProblem("too-large")
	}
	if o.Size > s.o.MaxSize { // in words for the author, before the log says the same (AM-6.16)
		return activmail.OfferAnswer{}, false, s.tooLarge(o.Size, o.Envelope.To[0].Domain)
	}
	cp, err := s.checkLog(o)
	if err != nil {
		return activmail.OfferAnswer{}, false, err
	}
	if err := s.room(ctx, o.Size); err != nil {
		return activmail.OfferAnswer{}, false, err
	}
	mail, err := s.o.Mails.Verify(ctx, o)
	if err != nil {
		return activmail.OfferAnswer{}, false, err
	}
	if err := promised(mail.Header, o.Log); err != nil {
		return activmail.OfferAnswer{}, false, err
	}
	t := s.taking(k, o, mail, digest)
	for _, a := range o.Envelope.To {
		if err := s.decide(ctx, &t, a, o, mail); err != nil {
			return activmail.OfferAnswer{}, false, err
		}
	}
	taken, err := s.store.Take(ctx, t)
	if err != nil {
		return activmail.OfferAnswer{}, false, err
	}
	s.o.Messages.Forget(k) // it may have come back from purged
	if taken.Digest != digest {
		return activmail.OfferAnswer{}, false, errOfferConflict(o.ID)
	}
	if len(t.Entries) > 0 && cp.Size > 0 {
		if _, err := s.o.Messages.Follow(ctx, k, 0, o.Log, o.Checkpoint); err != nil {
			return activmail.OfferAnswer{}, false, err
		}
	}
	s.o.Wake()
	s.o.Log.Info("offer", "message", k, "offer", o.ID, "from", mail.Author, "bytes", o.Size, "answer", taken.summary())
	return taken.answer(), true, nil
}

func errOfferConflict(id vam.MessageID) error {
	return vam.Errorf(vam.Conflict, "the offer %s was made before with other bytes; a changed offer needs an id of its own", id).WithProblem("offer-conflict")
}

// known checks an offer against what is here of its message: the key never changes.
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
	if m.State == vam.Revoked {
		return vam.Errorf(vam.Gone, "this message was revoked before").WithProblem("revoked")
	}
	return nil
}

// checkLog verifies the log head of an offer on its own, before anything is stored.
func (s *Service) checkLog(o *activmail.Offer) (activmail.Checkpoint, error) {
	if len(o.Checkpoint) == 0 && len(o.Log) == 0 {
		return activmail.Checkpoint{}, nil // a live message that has not begun
	}
	cp, err := activmail.OpenCheckpoint(o.Checkpoint, o.Origin, o.MessageID, o.Key)
	if err != nil {
		return cp, err
	}
	v := activmail.NewValidator(s.o.Messages.Limits())
	for _, line := range o.Log {
		if _, err := v.Append(line); err != nil {
			return cp, err
		}
	}
	if cp.Size != v.Size() || cp.Root != v.Tree().Root() {
		return cp, vam.Errorf(vam.Corrupt, "the checkpoint of the offer is not over exactly the lines in it").WithProblem("checkpoint-inconsistent")
	}
	return cp, nil
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

func (s *Service) taking(k message.Key, o *activmail.Offer, mail Mail, digest activmail.Sum) Taking {
	now := s.o.Now()
	return Taking{
		Offered: Offered{Key: k, ID: o.ID, Digest: digest, Token: o.Token, Expires: o.TokenExpires, At: now},
		Message: message.Message{
			Key: k, State: vam.Live, Kind: o.Kind, Author: mail.Author, Subject: mail.Subject, Text: mail.Text,
			PublicKey: o.Key, Announced: o.Size, Created: now, SentAt: now,
			Head: message.Head{State: vam.Live, Duration: o.Duration}, Forwards: o.Forwards,
		},
		Mail: o.Mail,
	}
}

// decide adds the answer for one recipient to t.
func (s *Service) decide(ctx context.Context, t *Taking, a vam.Address, o *activmail.Offer, mail Mail) error {
	acct, state, reason, err := s.judge(ctx, a, mail.Author, o.Size)
	if err != nil {
		return err
	}
	loop := s.loops(o, a.Domain)
	if loop != nil {
		state, reason = vam.Rejected, loop
	}
	r := Rcpt{Address: a, Account: acct.ID, State: state}
	if reason != nil {
		r.Code, r.Text = delivery.CodeOf(reason), vam.Public(reason)
		if loop != nil {
			r.Code = "5.4.6" // RFC 3463 section 3.5: routing loop detected
		}
	}
	t.Offered.Rcpts = append(t.Offered.Rcpts, r)
	if state == vam.Rejected {
		return nil
	}
	e := mailbox.Entry{
		Account: acct.ID, Folder: mailbox.Inbox, Origin: o.Origin, ID: o.MessageID, Rcpt: a,
		From: mail.Author, Subject: mail.Subject, Kind: o.Kind, State: mailbox.Arriving,
		Size: o.Size, Duration: o.Duration, At: t.Offered.At, Changed: t.Offered.At, NotBefore: o.Envelope.NotBefore,
	}
	if state == vam.Held {
		e.State, e.Reason = mailbox.Held, "first message from this address"
	} else if len(t.Jobs) == 0 {
		t.Jobs = append(t.Jobs, s.pullJob(t.Offered.Key))
	}
	t.Entries = append(t.Entries, e)
	return nil
}

// loops refuses a chain of forwards that is too long, or that a program closed into a
// circle (AM-6.29).
func (s *Service) loops(o *activmail.Offer, own vam.Domain) error {
	limit := s.o.Messages.Limits().Forwards
	if len(o.Forwards) > limit {
		return vam.Errorf(vam.Invalid, "the message was forwarded %d times; at most %d are taken (AM-6.29)", len(o.Forwards), limit)
	}
	if o.Envelope.Auto && slices.ContainsFunc(o.Forwards, func(r activmail.MessageRef) bool { return r.Origin == own }) {
		return vam.Errorf(vam.Invalid, "a program forwards this message in a circle through %s", own)
	}
	return nil
}

func (s *Service) pullJob(k message.Key) queue.Job {
	now := s.o.Now()
	return queue.Job{Kind: queue.Pull, Key: k.String(), Domain: k.Origin, NextAt: now, Created: now}
}

// judge is the rule for one recipient: who receives it and whether it is accepted,
// held or rejected, with the reason of a rejection.
func (s *Service) judge(ctx context.Context, a, author vam.Address, size vam.Bytes) (account.Account, vam.RecipientState, error, error) {
	acct, err := s.o.Accounts.Resolve(ctx, a)
	if vam.KindOf(err) == vam.NotFound && err != nil {
		return acct, vam.Rejected, err, nil
	}
	if err != nil {
		return acct, "", nil, err
	}
	if size > s.o.MaxSize {
		return acct, vam.Rejected, s.tooLarge(size, a.Domain), nil
	}
	if room, limited := acct.Room(); limited && size > room {
		return acct, vam.Rejected, vam.Errorf(vam.OverQuota, "the mailbox %s is full: it has room for %s (its quota of %s is set by its server) and this message needs %s; ask its owner to make room", a, room, acct.Quota, size).WithProblem("quota"), nil
	}
	standing, err := s.o.Accounts.Store().Standing(ctx, acct.ID, author)
	if err != nil {
		return acct, "", nil, err
	}
	switch {
	case standing == account.Blocked:
		return acct, vam.Rejected, vam.Errorf(vam.Denied, "%s does not take messages from %s", a, author).WithProblem("blocked"), nil
	case standing == account.Known, !s.o.HoldFirst, author.Key() == acct.Address.Key():
		return acct, vam.Accepted, nil, nil
	}
	return acct, vam.Held, nil, nil
}

func (s *Service) tooLarge(size vam.Bytes, d vam.Domain) error {
	return vam.Errorf(vam.TooLarge, "the message has %s and %s takes at most %s (set by its server); send a shorter or smaller one", size, d, s.o.MaxSize).WithProblem("too-large")
}

// State is the present answer for an offer. NotFound.
func (s *Service) State(ctx context.Context, k message.Key, id vam.MessageID) (activmail.OfferAnswer, error) {
	o, err := s.store.Offered(ctx, k, id)
	if err != nil {
		return activmail.OfferAnswer{}, err
	}
	return o.answer(), nil
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

func (o Offered) answer() activmail.OfferAnswer {
	a := activmail.OfferAnswer{Recipients: map[vam.Address]activmail.RecipientAnswer{}}
	for _, r := range o.Rcpts {
		a.Recipients[r.Address] = activmail.RecipientAnswer{State: answerState(r.State), Code: r.codeForAnswer(), Text: r.Text}
	}
	return a
}

func (r Rcpt) codeForAnswer() string {
	switch {
	case answerState(r.State) != activmail.AnswerRejected:
		return ""
	case r.Code == "": // RFC 3463 section 3.5: the time for it is over
		return "5.4.7"
	}
	return r.Code
}

// answerState is the word of the offer's answer for a state: what came after the
// decision is told by receipts. A decline is not told (it is silent by default).
func answerState(st vam.RecipientState) activmail.AnswerState {
	switch st {
	case vam.Rejected, vam.Failed, vam.Lapsed:
		return activmail.AnswerRejected
	case vam.Held, vam.Declined:
		return activmail.AnswerHeld
	}
	return activmail.AnswerAccepted
}

func (o Offered) summary() string {
	n := map[vam.RecipientState]int{}
	for _, r := range o.Rcpts {
		n[r.State]++
	}
	return fmt.Sprint(n)
}

// Accept takes a held message: its author becomes a contact and the media is
// pulled. Conflict when the entry is not held.
func (s *Service) Accept(ctx context.Context, acct account.Account, k message.Key) error {
	e, err := s.held(ctx, acct, k)
	if err != nil {
		return err
	}
	m, err := s.o.Messages.Get(ctx, k)
	if err != nil {
		return err
	}
	if room, limited := acct.Room(); limited && m.Announced > room+e.Size {
		return vam.Errorf(vam.OverQuota, "your mailbox has %s of %s left and this message needs %s; delete something first", room, acct.Quota, m.Announced).WithProblem("quota")
	}
	now := s.o.Now()
	receipts := []Owed{owed(k, e.Rcpt, activmail.EventAccepted, now, "")}
	if err := s.store.Decide(ctx, acct.ID, k, vam.Accepted, receipts, []queue.Job{s.pullJob(k)}, now); err != nil {
		return err
	}
	s.o.Wake()
	return nil
}

// Decline refuses a held message. The author is not told unless tell is set.
func (s *Service) Decline(ctx context.Context, acct account.Account, k message.Key, tell bool) error {
	e, err := s.held(ctx, acct, k)
	if err != nil {
		return err
	}
	now := s.o.Now()
	defer s.o.Wake()
	if tell {
		receipts := []Owed{owed(k, e.Rcpt, activmail.EventDeclined, now, "")}
		return s.store.Decide(ctx, acct.ID, k, vam.Declined, receipts, nil, now)
	}
	// To the author it looks as if nobody had decided (AM-8.3).
	end := e.At.Add(s.o.HoldFor)
	lapsed, err := owed(k, e.Rcpt, activmail.EventLapsed, end, notDecided).Job(end)
	if err != nil {
		return err
	}
	return s.store.Decide(ctx, acct.ID, k, vam.Declined, nil, []queue.Job{lapsed}, now)
}

func (s *Service) held(ctx context.Context, acct account.Account, k message.Key) (mailbox.Entry, error) {
	e, err := s.store.InboxEntry(ctx, acct.ID, k)
	if err != nil {
		return e, err
	}
	if e.State != mailbox.Held {
		return e, vam.Errorf(vam.Conflict, "the message is %s, not held; there is nothing to decide", e.State)
	}
	return e, nil
}

// notDecided is what an author is told of a hold that ended by itself.
const notDecided = "the recipient did not decide in time"

// Lapse ends holds that nobody decided on in time, at most limit, and says how many.
func (s *Service) Lapse(ctx context.Context, limit int) (int, error) {
	now := s.o.Now()
	held, err := s.store.HeldSince(ctx, now.Add(-s.o.HoldFor), limit)
	if err != nil {
		return 0, err
	}
	for _, e := range held {
		k := message.Key{Origin: e.Origin, ID: e.ID}
		receipt := owed(k, e.Rcpt, activmail.EventLapsed, now, notDecided)
		err := s.store.Decide(ctx, e.Account, k, vam.Lapsed, []Owed{receipt}, nil, now)
		if err != nil && vam.KindOf(err) != vam.Conflict {
			return 0, err
		}
	}
	if len(held) > 0 {
		s.o.Wake()
	}
	return len(held), nil
}

func owed(k message.Key, a vam.Address, event activmail.ReceiptEvent, at time.Time, text string) Owed {
	return Owed{Key: k, Receipt: activmail.Receipt{Recipient: a, Event: event, At: at.UTC().Truncate(time.Second), Text: text}}
}

// Receipt is the queue handler of queue.Receipt: it tells the origin.
func (s *Service) Receipt(ctx context.Context, j queue.Job) error {
	r, err := activmail.ParseReceipt(j.Payload, s.o.Messages.Limits())
	if err != nil {
		return err
	}
	name, _, _ := strings.Cut(j.Key, " ")
	k, err := message.ParseKey(name)
	if err != nil {
		return err
	}
	if late := s.o.Now(); !j.Deadline.IsZero() && late.After(j.Deadline) {
		s.o.Log.Warn("an origin was not told of a receipt in time", "message", k, "rcpt", r.Recipient, "event", r.Event, "reason", j.Reason)
		return nil
	}
	if s.o.Accounts.Hosts(k.Origin) {
		_, err := s.o.LocalReceipt(ctx, r.Recipient.Domain, k, r)
		return err
	}
	err = s.o.Peers.PutReceipt(ctx, r.Recipient.Domain, k, r)
	switch kind := vam.KindOf(err); {
	case err == nil:
		return nil
	case kind == vam.NotFound, kind == vam.Gone, kind == vam.Denied:
		s.o.Log.Warn("a receipt was refused", "message", k, "rcpt", r.Recipient, "event", r.Event, "err", err)
		return nil
	}
	return err
}

package submission

import (
	"context"
	"errors"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
)

// Send takes responsibility for a message: when it returns, the mail, its
// recipients and the work for them are durable. A message that is not sealed goes
// out live. Sending twice is no error and changes nothing.
//
// Errors: NotFound, Gone (revoked), Busy (too many messages), Invalid (its times are
// over), and those of the letter (AM-8.14, AM-13.12).
func (s *Service) Send(ctx context.Context, acct account.Account, k message.Key) (message.Message, error) {
	d, err := s.own(ctx, acct, k)
	if err != nil {
		return message.Message{}, err
	}
	m, err := s.o.Messages.Get(ctx, k)
	if err != nil || !m.SentAt.IsZero() {
		return m, err
	}
	if m.State == vam.Revoked {
		return m, vam.Errorf(vam.Gone, "you took this message back").WithProblem("revoked")
	}
	if m, err = s.carry(ctx, m, d); err != nil { // what a crash left of Put
		return m, err
	}
	now := s.o.Now()
	if err := checkTimes(d, now); err != nil {
		return m, err
	}
	if s.o.Admit != nil {
		if err := s.o.Admit(acct); err != nil {
			return m, err
		}
	}
	mail, err := s.o.Letters.Letter(ctx, m, d, headerOf(m))
	if err != nil {
		return m, err
	}
	offers := s.offers(k, d, now)
	jobs := make([]queue.Job, len(offers))
	for i, o := range offers {
		jobs[i] = delivery.OfferJob(o, now)
	}
	sent, err := s.store.Send(ctx, Sending{Account: acct.ID, Key: k, Mail: mail, Offers: offers, Jobs: jobs, At: now})
	if err != nil {
		return m, err
	}
	s.o.Messages.Forget(k)
	if m, err = s.o.Messages.Get(ctx, k); err != nil {
		return m, err
	}
	if m.SentAt.IsZero() {
		return m, vam.Errorf(vam.Conflict, "the message is %s and was not sent", m.State).WithProblem("sealed")
	}
	if sent {
		s.o.Wake()
		s.o.Log.Info("message accepted", "message", k, "recipients", len(d.To)+len(d.Bcc), "bytes", m.Head.MediaBytes, "state", m.Head.State)
	}
	return m, nil
}

// headerOf binds a letter to a message as it stands.
func headerOf(m message.Message) activmail.MessageHeader {
	h := activmail.MessageHeader{ID: m.ID, Origin: m.Origin, Key: m.PublicKey}
	if !m.Head.SealedAt.IsZero() {
		h.Sealed = true
		h.Checkpoint = activmail.Checkpoint{Size: m.Head.Lines, Root: m.Head.Root}
		h.Bytes, h.Duration = vam.Bytes(m.Head.MediaBytes), m.Head.Duration
	}
	return h
}

// offers groups the recipients: those in To by domain, at most 100 in one offer,
// and each Bcc alone, so that nobody learns of it (AM-6.24).
func (s *Service) offers(k message.Key, d Draft, now time.Time) []delivery.Offer {
	deliverBy := d.DeliverBy
	if deliverBy.IsZero() {
		deliverBy = now.Add(s.o.Horizon)
		if d.NotBefore.After(now) {
			deliverBy = d.NotBefore.Add(s.o.Horizon)
		}
	}
	limit := s.o.Messages.Limits().Recipients
	var out []delivery.Offer
	open := map[vam.Domain]int{}
	add := func(a vam.Address, hidden bool) {
		i, ok := open[a.Domain]
		if hidden || !ok || len(out[i].Recipients) >= limit {
			i = len(out)
			out = append(out, delivery.Offer{ID: vam.NewMessageID(now), Key: k, Domain: a.Domain, DeliverBy: deliverBy, NotBefore: d.NotBefore})
			if !hidden {
				open[a.Domain] = i
			}
		}
		out[i].Recipients = append(out[i].Recipients, delivery.Recipient{
			Address: a, Hidden: hidden, Offer: out[i].ID, State: vam.Queued, NextAt: d.NotBefore, Changed: now,
		})
	}
	for _, a := range d.To {
		add(a, false)
	}
	for _, a := range d.Bcc {
		add(a, true)
	}
	return out
}

// SealOverdue seals recordings that were sent live and reached their deliver-by: what
// is there is the message, marked as cut (AM-4.21). It does limit at a time and says how
// many it looked at. Those that cannot be sealed do not keep the others: then it goes on
// behind them, up to the last.
func (s *Service) SealOverdue(ctx context.Context, limit int) (n int, err error) {
	now := s.o.Now()
	var last message.Key
	var errs []error
	for {
		keys, err := s.store.OverdueLive(ctx, now, last, limit)
		if err != nil {
			return n, errors.Join(append(errs, err)...)
		}
		for _, k := range keys {
			if err := s.cut(ctx, k); err != nil {
				errs = append(errs, err)
			}
		}
		if n += len(keys); len(keys) > 0 {
			s.o.Wake()
			last = keys[len(keys)-1]
		}
		if len(errs) == 0 || len(keys) < limit || ctx.Err() != nil {
			return n, errors.Join(errs...)
		}
	}
}

func (s *Service) cut(ctx context.Context, k message.Key) error {
	d, _, err := s.store.Draft(ctx, k)
	if err != nil {
		return err
	}
	seal := sealOf(d)
	seal.Why = "cut"
	_, err = s.o.Messages.Seal(ctx, k, activmail.Sum{}, seal)
	if err != nil {
		return vam.Wrap(vam.KindOf(err), err, "the recording %s could not be sealed at its deliver-by", k)
	}
	s.o.Log.Info("recording sealed at its deliver-by", "message", k)
	return nil
}

// Revoke takes a message back: whoever does not have it yet never gets it, the
// others are told. The store queues the pokes in the commit of the revoke record.
// Conflict when it was not sent: discard it (AM-8.15, AM-13.14).
func (s *Service) Revoke(ctx context.Context, acct account.Account, k message.Key) (message.Message, error) {
	if _, err := s.own(ctx, acct, k); err != nil {
		return message.Message{}, err
	}
	m, err := s.o.Messages.Get(ctx, k)
	if err != nil {
		return m, err
	}
	if m.SentAt.IsZero() {
		return m, vam.Errorf(vam.Conflict, "the message was not sent; delete it").WithProblem("sealed")
	}
	m, err = s.o.Messages.Revoke(ctx, k, "sender")
	s.o.Wake()
	return m, err
}

// Discard removes an unsent message. Conflict when it was sent: revoke it.
func (s *Service) Discard(ctx context.Context, acct account.Account, k message.Key) error {
	if _, err := s.own(ctx, acct, k); err != nil {
		return err
	}
	defer s.o.Messages.Forget(k)
	return s.store.DeleteDraft(ctx, k)
}

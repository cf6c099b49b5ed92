package reception

import (
	"context"
	"errors"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
)

// Accept takes a held message: its author becomes a contact and the media is
// pulled. Accepting it again is no error. Conflict when it was decided otherwise,
// OverQuota when the mailbox has no room for it.
func (s *Service) Accept(ctx context.Context, acct account.Account, k message.Key) error {
	e, err := s.store.InboxEntry(ctx, acct.ID, k)
	if err != nil {
		return err
	}
	if e.State == mailbox.Arriving || e.State == mailbox.Stored {
		return nil
	}
	m, err := s.o.Messages.Get(ctx, k)
	if err != nil {
		return err
	}
	size := max(m.Announced, vam.Bytes(m.Head.MediaBytes))
	if room, limited := acct.Room(); limited && size > room && e.State == mailbox.Held {
		return vam.Errorf(vam.OverQuota, "your mailbox has %s of %s left and this message needs %s; delete something first", room, acct.Quota, size).WithProblem("quota")
	}
	return s.settle(ctx, acct.ID, k, decision{to: vam.Accepted, event: activmail.EventAccepted, jobs: []queue.Job{s.pullJob(k)}})
}

// Decline refuses a held message. The author is not told unless tell is set: then a
// silent refusal looks like no decision, up to the lapse that would have been (AM-8.3).
// Declining it again is no error. Conflict when it was decided otherwise (AM-6.23).
func (s *Service) Decline(ctx context.Context, acct account.Account, k message.Key, tell bool) error {
	e, err := s.store.InboxEntry(ctx, acct.ID, k)
	if err != nil || e.State == mailbox.Declined {
		return err
	}
	if tell {
		return s.settle(ctx, acct.ID, k, decision{to: vam.Declined, event: activmail.EventDeclined})
	}
	end := e.At.Add(s.o.HoldFor)
	return s.settle(ctx, acct.ID, k, decision{to: vam.Declined, event: activmail.EventLapsed, text: notDecided, due: end})
}

// decision ends a hold.
type decision struct {
	to    vam.RecipientState
	event activmail.ReceiptEvent
	text  string
	due   time.Time // of the receipts; zero is now
	jobs  []queue.Job
}

// settle commits a decision, with a receipt for each address of the account that the
// message was offered to.
func (s *Service) settle(ctx context.Context, acct int64, k message.Key, d decision) error {
	now := s.o.Now()
	at := now
	if d.due.After(now) {
		at = d.due
	}
	var receipts []Owed
	offers, err := s.store.Offers(ctx, k)
	if err != nil {
		return err
	}
	for _, o := range offers {
		for _, r := range o.Rcpts {
			if r.Account != acct || r.State != vam.Held {
				continue
			}
			w := Owed{Key: k, Receipt: activmail.Receipt{Recipient: r.Address, Event: d.event, At: at.UTC().Truncate(time.Second), Text: d.text}}
			if at.Equal(now) {
				receipts = append(receipts, w)
				continue
			}
			job, err := w.Job(at)
			if err != nil {
				return err
			}
			d.jobs = append(d.jobs, job)
		}
	}
	if err := s.store.Decide(ctx, acct, k, d.to, receipts, d.jobs, now); err != nil {
		return err
	}
	s.o.Wake()
	return nil
}

// Lapse ends holds that nobody decided on in time, at most limit, and says how many.
// One that fails does not keep the others.
func (s *Service) Lapse(ctx context.Context, limit int) (int, error) {
	held, err := s.store.HeldSince(ctx, s.o.Now().Add(-s.o.HoldFor), limit)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, e := range held {
		k := message.Key{Origin: e.Origin, ID: e.ID}
		err := s.settle(ctx, e.Account, k, decision{to: vam.Lapsed, event: activmail.EventLapsed, text: notDecided})
		if err != nil && vam.KindOf(err) != vam.Conflict {
			errs = append(errs, err)
		}
	}
	return len(held), errors.Join(errs...)
}

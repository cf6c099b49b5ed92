package delivery

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/queue"
)

// holdHorizon is after how long a hold that its domain says nothing of counts as lapsed
// (AM-8.4).
const holdHorizon = 21 * 24 * time.Hour

// watchHolds sees to it that a recipient who is held now is looked at again. The job is
// there before the state, so that a crash cannot leave it out.
func (s *Service) watchHolds(ctx context.Context, j queue.Job, updates []Update) error {
	if s.o.Enqueue == nil || !slices.ContainsFunc(updates, func(u Update) bool { return u.State == vam.Held }) {
		return nil
	}
	offer, err := s.store.Offer(ctx, vam.MessageID(j.Key))
	if err != nil {
		return err
	}
	now := s.o.Now()
	// A second later than needed: the states are settled after this.
	return s.o.Enqueue(ctx, queue.Job{Kind: queue.Hold, Key: j.Key, Domain: offer.Key.Origin, NextAt: now.Add(holdHorizon + time.Second), Created: now})
}

// Hold is the queue handler of queue.Hold: recipients who are held, and whom their domain
// has said nothing of for 21 days, have lapsed. Whoever was held later waits on. It asks
// nobody.
func (s *Service) Hold(ctx context.Context, j queue.Job) error {
	offer, err := s.store.Offer(ctx, vam.MessageID(j.Key))
	if err != nil {
		return unlessMissing(err)
	}
	m, err := s.o.Messages.Get(ctx, offer.Key)
	if err != nil {
		return unlessMissing(err)
	}
	now := s.o.Now()
	var lapsed []Update
	var next time.Time
	for _, r := range offer.Recipients {
		end := r.Changed.Add(holdHorizon)
		switch {
		case r.State != vam.Held:
		case now.Before(end):
			if next.IsZero() || end.Before(next) {
				next = end
			}
		default:
			lapsed = append(lapsed, Update{
				Address: r.Address, State: vam.Lapsed, Code: "5.4.7", At: now,
				Text: fmt.Sprintf("%s said nothing of a decision for 21 days", r.Address.Domain),
			})
		}
	}
	if !next.IsZero() && s.o.Enqueue != nil {
		j.NextAt = next
		if err := s.o.Enqueue(ctx, j); err != nil {
			return err
		}
	}
	if len(lapsed) > 0 {
		if _, err = s.settle(ctx, m, lapsed); err != nil {
			return err
		}
	}
	return queue.ErrNotReached
}

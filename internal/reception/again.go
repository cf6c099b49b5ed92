package reception

import (
	"context"

	"github.com/videoactivmail/vam/activmail"
)

// again decides anew on those recipients of an answered offer who were refused for the
// time being, and leaves the others as they are (AM-6.9). Its mail was verified when the
// offer came first. Gone when the message has ended meanwhile.
func (s *Service) again(ctx context.Context, old Offered, o *activmail.Offer) (Offered, error) {
	if !old.undecided() {
		return old, nil
	}
	m, err := s.o.Messages.Get(ctx, old.Key)
	if err == nil {
		err = over(m)
	}
	if err != nil {
		return old, err
	}
	if err := s.agrees(ctx, old.Key, o); err != nil {
		return old, err
	}
	mail := Mail{Author: m.Author, Subject: m.Subject, Text: m.Text}
	t := s.taking(old.Key, o, mail, old.Digest)
	changed := false
	for _, r := range old.Rcpts {
		if !r.undecided() {
			continue
		}
		if err := s.decide(ctx, &t, r.Address, o, mail); err != nil {
			return old, err
		}
		now := t.Offered.Rcpts[len(t.Offered.Rcpts)-1]
		changed = changed || now.State != r.State || now.Code != r.Code
	}
	if !changed {
		return old, nil
	}
	taken, err := s.store.Redecide(ctx, t)
	if err != nil {
		return old, err
	}
	s.o.Messages.Forget(old.Key) // it may have come back from purged
	if err := s.begin(ctx, t, o); err != nil {
		return old, err
	}
	s.o.Log.Info("offer decided anew", "message", old.Key, "offer", o.ID, "answer", taken.summary())
	return taken, nil
}

package reception

import (
	"context"
	"errors"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
)

// digestJob is the work that is left when every part of a message is here: its whole media
// is compared with its seal. The job belongs to the recipients' domain, as nobody else is
// needed for it.
func (s *Service) digestJob(ctx context.Context, k message.Key) (queue.Job, error) {
	domain := k.Origin
	o, err := s.bestOffer(ctx, k)
	if err == nil {
		domain = o.Rcpts[0].Address.Domain
	}
	now := s.o.Now()
	return queue.Job{Kind: queue.Digest, Key: k.String(), Domain: domain, NextAt: now, Created: now}, ignore(err, vam.NotFound)
}

// Digest is the queue handler of queue.Digest: it reads the whole media and compares it
// with the seal (AM-4.23). An origin whose seal contradicts its own records has its
// message withdrawn, and is told that it failed; the media is kept. Where this disk is at
// fault, nobody is told but the operator. It asks nobody.
func (s *Service) Digest(ctx context.Context, j queue.Job) error {
	k, err := message.ParseKey(j.Key)
	if err != nil {
		return err
	}
	m, err := s.o.Messages.Get(ctx, k)
	if err != nil || !m.Complete {
		return notReached(ignore(err, vam.NotFound)) // what is pulled again is looked at again
	}
	err = s.o.Messages.VerifyDigest(ctx, k)
	var e *vam.Error
	switch {
	case err == nil, vam.KindOf(err) == vam.NotFound, vam.KindOf(err) == vam.Gone:
		return queue.ErrNotReached
	case !errors.As(err, &e) || e.Problem != "digest-mismatch":
		return err
	}
	damaged := false
	if _, err := s.o.Messages.Check(ctx, k, func(message.Line, error) { damaged = true }); err != nil {
		return err
	}
	s.o.Log.Error("the whole media is not what its seal says", "message", k, "damaged_here", damaged, "err", err)
	if damaged {
		return queue.ErrNotReached // every check says so again
	}
	defer s.o.Wake()
	p := activmail.ProblemFor(err)
	return notReached(s.store.Conclude(ctx, k, vam.Withdrawn, activmail.EventFailed, p.Code, p.Detail, s.o.Now()))
}

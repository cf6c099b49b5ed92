package reception

import (
	"context"
	"errors"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/rfc5322"
)

// kept compares a sealed log with what the letter of the message says of it (AM-12.9): a
// letter that was written over another log was not written for this message. Errors:
// Corrupt checkpoint-inconsistent.
func (s *Service) kept(ctx context.Context, m message.Message) error {
	letter, err := s.o.Messages.Mail(ctx, m.Key)
	if err != nil {
		return ignore(err, vam.NotFound)
	}
	mail, err := rfc5322.Scan(letter)
	if err != nil {
		return err
	}
	h, err := activmail.ParseMessageHeader(mail.Get(activmail.MessageHeaderName))
	if err != nil || !h.Sealed {
		return err
	}
	if h.Checkpoint.Size > m.Head.Lines || int64(h.Bytes) != m.Head.MediaBytes {
		return vam.Errorf(vam.Corrupt, "the log has %d lines and %d octets of media, and its letter was written over %d and %d",
			m.Head.Lines, m.Head.MediaBytes, h.Checkpoint.Size, int64(h.Bytes)).WithProblem("checkpoint-inconsistent")
	}
	leaves, err := s.o.Messages.Leaves(ctx, m.Key)(0, h.Checkpoint.Size)
	if err != nil {
		return err
	}
	var tree activmail.Tree
	for _, leaf := range leaves {
		tree.Append(leaf)
	}
	return fits(h, tree.Root())
}

// digestJob is the work that is left when every part of a message is here: its whole media
// is compared with its seal. The job belongs to the recipients' domain, as nobody else is
// needed for it.
func (s *Service) digestJob(ctx context.Context, k message.Key) (queue.Job, error) {
	offers, err := s.store.Offers(ctx, k)
	if err != nil {
		return queue.Job{}, err
	}
	domain := k.Origin
	if len(offers) > 0 {
		domain = offers[0].Rcpts[0].Address.Domain
	}
	now := s.o.Now()
	return queue.Job{Kind: queue.Digest, Key: k.String(), Domain: domain, NextAt: now, Created: now}, nil
}

// Digest is the queue handler of queue.Digest: it reads the whole media and compares it
// with the seal (AM-4.23). An origin whose seal contradicts its own records has its
// message withdrawn, and is told that it failed; the media is kept.
func (s *Service) Digest(ctx context.Context, j queue.Job) error {
	k, err := message.ParseKey(j.Key)
	if err != nil {
		return err
	}
	m, err := s.o.Messages.Get(ctx, k)
	if err != nil || !m.Complete {
		return ignore(err, vam.NotFound) // what is pulled again is looked at again
	}
	err = s.o.Messages.VerifyDigest(ctx, k)
	var e *vam.Error
	switch {
	case err == nil, vam.KindOf(err) == vam.NotFound, vam.KindOf(err) == vam.Gone:
		return nil
	case errors.As(err, &e) && e.Problem == "digest-mismatch":
		s.o.Log.Error("the whole media is not what its seal says; the message is withdrawn", "message", k, "err", err)
		defer s.o.Wake()
		return s.store.Conclude(ctx, k, vam.Withdrawn, activmail.EventFailed, activmail.ProblemFor(err).Code, vam.Public(err), s.o.Now())
	}
	return err
}

// ignore is err unless it is of a kind.
func ignore(err error, kind vam.ErrorKind) error {
	if err != nil && vam.KindOf(err) == kind {
		return nil
	}
	return err
}

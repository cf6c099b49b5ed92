package reception

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
)

// Peers reaches other domains.
type Peers interface {
	// Origin opens the way to a message at its origin, in the name of the domain as.
	// Errors: NotVAM, Unavailable.
	Origin(ctx context.Context, as vam.Domain, k message.Key, token activmail.Token) (Origin, error)
	// RenewToken asks k's origin, in the name of the domain as, for another pull token.
	RenewToken(ctx context.Context, as vam.Domain, k message.Key, offer vam.MessageID) (activmail.Token, time.Time, error)
	// PutReceipt tells k's origin, in the name of the domain as. Errors: NotFound,
	// Gone, Denied, and temporary ones.
	PutReceipt(ctx context.Context, as vam.Domain, k message.Key, r activmail.Receipt) error
}

// Origin reads one message at its origin. Methods are safe for concurrent use; a
// failed transfer may be asked for again, and then goes another way if there is
// one. Gone says that the message was revoked or has expired, Unauthenticated that the
// token is not taken.
type Origin interface {
	// Log gives take the lines from from on, each valid until take returns, and returns a
	// checkpoint that covers at least these; no lines and no checkpoint after at most wait
	// when there are none yet. It ends with the error of take.
	Log(ctx context.Context, from int64, wait time.Duration, take func(line []byte) error) (checkpoint []byte, err error)
	// Entry returns line n with a checkpoint and its blob; a nil line after wait says
	// that it is not there yet. Conflict: it will never be there.
	Entry(ctx context.Context, n int64, wait time.Duration) (line, checkpoint, blob []byte, err error)
	// Media reads n octets from off on, or fewer at the present end of the media.
	Media(ctx context.Context, off, n int64) (io.ReadCloser, error)
	// Blob reads one blob and verifies it. Corrupt.
	Blob(ctx context.Context, sum activmail.Sum, length int64) ([]byte, error)
	Close() error
}

const (
	// giveUpAfter is how long a message that was accepted is tried for without any
	// progress before its recipients are told (AM-8.21).
	giveUpAfter = 7 * 24 * time.Hour
	// notNow is when an origin is asked again that answers, and does not serve a message.
	notNow = time.Hour
	// tokenMargin is how long a pull token is good for at least when it is used (AM-7.22).
	tokenMargin = time.Hour
)

// fault is something that a message cannot get over, whenever it is tried again: its
// origin signed or served what contradicts itself.
type fault struct{ err error }

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// Pull is the queue handler of queue.Pull: it fetches what is missing of a message
// until it is complete, ended, or the origin cannot be reached. Progress is kept
// across attempts: what is here and verified is never asked for again. ErrNotReached when
// it ends without a word of the origin.
func (s *Service) Pull(ctx context.Context, j queue.Job) error {
	k, err := message.ParseKey(j.Key)
	if err != nil || s.o.Accounts.Hosts(k.Origin) {
		return err // what was made here is here
	}
	m, err := s.o.Messages.Get(ctx, k)
	if vam.KindOf(err) == vam.NotFound && err != nil {
		return queue.ErrNotReached
	}
	if err != nil {
		return err
	}
	switch m.State {
	case vam.Revoked:
		return notReached(s.withdraw(ctx, k))
	case vam.Expired, vam.Purged:
		return queue.ErrNotReached // its people were told, and nobody else is (AM-8.18)
	}
	wanted, err := s.store.Wanted(ctx, k)
	if err != nil {
		return err
	}
	if m.Complete || !wanted {
		return s.idle(j, s.lookForEnd(ctx, k))
	}
	moved, err := s.get(ctx, m)
	return s.outcome(ctx, k, j, moved, err)
}

// notReached is the end of a job that had no answer of its domain.
func notReached(err error) error {
	if err == nil {
		return queue.ErrNotReached
	}
	return err
}

// get brings a message here and reports whether anything of it came. ErrNotReached when
// it was here.
func (s *Service) get(ctx context.Context, m message.Message) (moved bool, err error) {
	if err := s.fitsStill(ctx, m, m.Head.MediaBytes); err != nil {
		return false, err
	}
	reused, err := s.o.Messages.Reuse(ctx, m.Key, m.Origin)
	if err != nil {
		return false, err
	}
	if reused && m.Head.Sides == 0 {
		if err := s.kept(ctx, m.Key); err != nil {
			return true, err
		}
		return true, notReached(s.stored(ctx, m.Key))
	}
	err = s.withOrigin(ctx, m, func(origin Origin) error {
		t := s.newTransfer(m, origin)
		err := t.run(ctx)
		moved = moved || t.moved.Load()
		return err
	})
	if errors.Is(err, errHere) { // the end of the log showed that its media is here
		if _, err = s.o.Messages.Reuse(ctx, m.Key, m.Origin); err == nil {
			if moved, err = s.get(ctx, m); errors.Is(err, queue.ErrNotReached) {
				err = nil // the log came
			}
			return moved, err
		}
	}
	if err != nil {
		return moved, err
	}
	return true, s.stored(ctx, m.Key)
}

// idle ends the attempts for news of a message that nobody waits for.
func (s *Service) idle(j queue.Job, err error) error {
	var f *fault
	switch {
	case err == nil, errors.As(err, &f):
		return nil // whatever a peer says now, what is here stays (AM-8.17)
	case s.o.Now().Sub(j.Created) > giveUpAfter:
		return queue.ErrNotReached
	}
	return notServed(err)
}

// outcome turns the end of an attempt into what people see.
func (s *Service) outcome(ctx context.Context, k message.Key, j queue.Job, moved bool, err error) error {
	if err == nil || ctx.Err() != nil || errors.Is(err, queue.ErrNotReached) {
		return err
	}
	var f *fault
	if errors.As(err, &f) {
		s.o.Log.Error("a message cannot be stored as its origin serves it", "message", k, "err", err)
		return s.fail(ctx, k, activmail.ProblemFor(f.err).Code, activmail.ProblemFor(f.err).Detail)
	}
	if errors.Is(err, errNobody) {
		s.o.Messages.GiveUp(k, vam.Errorf(vam.OverQuota, "the message cannot be had: the mailbox is full"))
		s.o.Wake()
		return nil
	}
	if vam.KindOf(err) == vam.Gone {
		if lerr := s.lookForEnd(ctx, k); lerr != nil {
			err = errors.Join(err, lerr)
		}
		if m, merr := s.o.Messages.Get(ctx, k); merr == nil && m.State == vam.Revoked {
			return s.withdraw(ctx, k) // whatever else the origin said: the record is here
		}
	}
	tired, terr := s.tired(ctx, k, j, moved)
	if terr != nil {
		return errors.Join(err, terr)
	}
	if tired {
		s.o.Log.Warn("a message is given up", "message", k, "since", j.Created, "err", err)
		return notReached(s.fail(ctx, k, "4.4.7", "the media could not be fetched from its origin for a week"))
	}
	return notServed(err)
}

// notServed classifies what an origin does: whatever it is, only a revoke record under
// the message key deletes (AM-8.17), and the message is asked for again.
func notServed(err error) error {
	switch vam.KindOf(err) {
	case vam.Unavailable, vam.Busy, vam.OverQuota, vam.Internal:
		return err
	case vam.NotVAM:
		return vam.Wrap(vam.Unavailable, err, "the origin does not take part in VAM now")
	}
	// Busy, not Unavailable: the domain answers, and its other messages need not wait.
	return vam.Wrap(vam.Busy, err, "the origin does not serve this message now").WithRetry(notNow)
}

// tired reports whether a message was tried for long enough: for a week neither its job
// began nor anything of it came (AM-8.21).
func (s *Service) tired(ctx context.Context, k message.Key, j queue.Job, moved bool) (bool, error) {
	now := s.o.Now()
	if moved {
		return false, s.store.Moved(ctx, k, now)
	}
	if now.Sub(j.Created) <= giveUpAfter {
		return false, nil
	}
	last, err := s.store.LastMoved(ctx, k)
	return now.Sub(last) > giveUpAfter, err
}

// fail ends a message that cannot be had for everybody here who waits for it.
func (s *Service) fail(ctx context.Context, k message.Key, code, text string) error {
	if err := s.store.Conclude(ctx, k, vam.Failed, activmail.EventFailed, code, text, s.o.Now()); err != nil {
		return err
	}
	s.o.Messages.GiveUp(k, vam.Errorf(vam.NotFound, "the message cannot be had: %s", text))
	s.o.Wake()
	return nil
}

// withdraw tells people and the origin that the message was taken back.
func (s *Service) withdraw(ctx context.Context, k message.Key) error {
	defer s.o.Wake()
	return s.store.Conclude(ctx, k, vam.Withdrawn, activmail.EventWithdrawn, "", "the sender took this message back", s.o.Now())
}

// lookForEnd brings the log up to date, as a poke asks for, and tells everybody when it
// ends in a revoke. A long log of a message that nobody accepted waits for an acceptance,
// and whatever is at its end with it.
func (s *Service) lookForEnd(ctx context.Context, k message.Key) error {
	m, err := s.o.Messages.Get(ctx, k)
	if err != nil {
		return err
	}
	if m.State == vam.Revoked {
		return s.withdraw(ctx, k)
	}
	wanted, err := s.store.Wanted(ctx, k)
	if err != nil {
		return err
	}
	err = s.withOrigin(ctx, m, func(origin Origin) error {
		m, _, err = s.extend(ctx, k, origin, wanted || m.Complete)
		return err
	})
	if errors.Is(err, errUnwanted) {
		return nil
	}
	if err != nil || m.State != vam.Revoked {
		return err
	}
	return s.withdraw(ctx, k)
}

// withOrigin calls f with the way to the message, and once more with a fresh token when
// the one at hand is not taken (AM-7.22).
func (s *Service) withOrigin(ctx context.Context, m message.Message, f func(Origin) error) error {
	for renew := false; ; renew = true {
		origin, err := s.origin(ctx, m, renew)
		if err != nil {
			return err
		}
		err = errors.Join(f(origin), origin.Close())
		if renew || err == nil || vam.KindOf(err) != vam.Unauthenticated {
			return err
		}
	}
}

// origin opens the way to the message with a token that is valid for a while yet, or
// with a fresh one.
func (s *Service) origin(ctx context.Context, m message.Message, renew bool) (Origin, error) {
	o, err := s.bestOffer(ctx, m.Key)
	if err != nil {
		return nil, err
	}
	as := o.Rcpts[0].Address.Domain
	if renew || o.Expires.Before(s.o.Now().Add(tokenMargin)) {
		if o.Token, o.Expires, err = s.o.Peers.RenewToken(ctx, as, m.Key, o.ID); err != nil {
			return nil, err
		}
		if err := s.store.RenewToken(ctx, m.Key, o.ID, o.Token, o.Expires); err != nil {
			return nil, err
		}
	}
	return s.o.Peers.Origin(ctx, as, m.Key, o.Token)
}

// bestOffer is the offer whose token is used: of those that somebody here still takes
// part in the one whose token lives longest (AM-6.25).
func (s *Service) bestOffer(ctx context.Context, k message.Key) (best Offered, err error) {
	offers, err := s.store.Offers(ctx, k)
	if err != nil {
		return best, err
	}
	found, live := false, false
	for _, o := range offers {
		l := o.entitled()
		if len(o.Rcpts) == 0 || found && (live && !l || live == l && !o.Expires.After(best.Expires)) {
			continue
		}
		best, found, live = o, true, l
	}
	if !found {
		return best, vam.Errorf(vam.NotFound, "no offer of %s is here", k)
	}
	return best, nil
}

// entitled reports whether a recipient of the offer has not refused it.
func (o Offered) entitled() bool {
	for _, r := range o.Rcpts {
		switch r.State {
		case vam.Declined, vam.Lapsed, vam.Rejected, vam.Failed:
		default:
			return true
		}
	}
	return false
}

// stored records a complete message and tells everybody; what is left is to look at the
// file as a whole.
func (s *Service) stored(ctx context.Context, k message.Key) error {
	job, err := s.digestJob(ctx, k)
	if err != nil {
		return err
	}
	if err := s.store.Enqueue(ctx, job); err != nil { // before, so that a crash cannot leave it out
		return err
	}
	if err := s.o.Messages.Complete(ctx, k, k.Origin); err != nil {
		return err
	}
	s.o.Wake()
	s.o.Log.Info("message stored", "message", k)
	return nil
}

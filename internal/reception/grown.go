package reception

import (
	"context"
	"errors"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/message"
)

// growStep is how much more a log may name before it is looked at what that means. What
// an offer announces is only a word: what the log names is what is stored.
const growStep = 256 << 10

// errNobody ends a transfer when nobody has room for it any more; they were all told.
var errNobody = errors.New("nobody who waits for the message has room for it")

// grown holds what the log names by now to the limits, before its media is asked for
// (AM-6.16), and to what the origin's domain may send in a day (AM-10.25). Errors: a fault
// for a fixed limit, OverQuota (disk-full), Busy, errNobody.
func (t *transfer) grown(ctx context.Context, m message.Message) error {
	size, sealed := m.Head.MediaBytes, !m.Head.SealedAt.IsZero()
	if size <= t.looked || size < t.looked+growStep && !sealed {
		return nil
	}
	if err := t.s.fitsStill(ctx, m, t.w.Total()); err != nil {
		return err
	}
	if more := size - t.charged; more > 0 && t.s.o.Grew != nil {
		if err := t.s.o.Grew(t.k, vam.Bytes(more)); err != nil {
			return err
		}
	}
	t.looked, t.charged = size, max(size, t.charged)
	return nil
}

// fitsStill compares a message of which the log names more than was announced with the
// limit of the server, the room of its disk and that of each mailbox that waits for it;
// have of its octets are here. Those who have no room are told so.
func (s *Service) fitsStill(ctx context.Context, m message.Message, have int64) error {
	size := vam.Bytes(m.Head.MediaBytes)
	if size <= m.Announced {
		return nil
	}
	if size > s.o.MaxSize {
		return &fault{s.tooLarge(size, m.Key.Origin)}
	}
	left, err := s.store.FailFull(ctx, m.Key, s.o.Now())
	if err != nil {
		return err
	}
	s.o.Wake() // there may be receipts
	if !left {
		return errNobody
	}
	return s.room(ctx, size-vam.Bytes(have))
}

// Full is what somebody is refused with whose mailbox has no room.
func Full(a vam.Address, room, quota, size vam.Bytes) error {
	return vam.Errorf(vam.OverQuota, "the mailbox %s is full: it has room for %s (its quota of %s is set by its server) and this message needs %s; ask its owner to make room", a, room, quota, size).WithProblem("quota")
}

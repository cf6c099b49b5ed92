package reception

import (
	"context"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
)

// Receipt is the queue handler of queue.Receipt: it tells the origin, for as long as
// the job's deadline allows (AM-8.12).
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
		return queue.ErrNotReached
	}
	if s.o.Accounts.Hosts(k.Origin) {
		_, err := s.o.LocalReceipt(ctx, r.Recipient.Domain, k, r)
		return err
	}
	err = s.o.Peers.PutReceipt(ctx, r.Recipient.Domain, k, r)
	if err == nil || ctx.Err() != nil {
		return err
	}
	switch vam.KindOf(err) {
	case vam.NotFound, vam.Gone, vam.Denied, vam.Invalid, vam.TooLarge, vam.Conflict:
		s.o.Log.Warn("a receipt was refused", "message", k, "rcpt", r.Recipient, "event", r.Event, "err", err)
		return nil
	case vam.NotVAM, vam.Unauthenticated, vam.Corrupt:
		// A record that is gone, a key that is not seen yet: it may be mended.
		return vam.Wrap(vam.Busy, err, "%s does not take the receipt now", k.Origin).WithRetry(time.Hour)
	}
	return err
}

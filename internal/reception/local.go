package reception

import (
	"context"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/message"
)

// Local is the Carrier for recipients on the author's own server: the message is
// here already, so an offer is only the decision. The rule is the same as for an
// offer that came over the network.
type Local struct{ *Service }

var _ delivery.Carrier = Local{}

// Deliver decides for each recipient. Stored follows as a receipt when the message
// is complete, at once or when a live one is sealed.
func (l Local) Deliver(ctx context.Context, a delivery.Attempt) ([]delivery.Update, error) {
	k := a.Offer.Key
	taken, err := l.store.Offered(ctx, k, a.Offer.ID)
	switch {
	case vam.KindOf(err) == vam.NotFound && err != nil:
		taken, err = l.take(ctx, a)
	case err == nil:
		o, _ := localOffer(a)
		taken, err = l.again(ctx, taken, o)
	}
	if err != nil {
		return nil, err
	}
	updates := make([]delivery.Update, 0, len(taken.Rcpts))
	for _, r := range taken.Rcpts {
		state := r.State
		if delivery.Rank(state) > delivery.Rank(vam.Accepted) && !state.Final() {
			state = vam.Accepted
		}
		switch {
		case r.undecided():
			state = vam.Waiting // AM-6.7
		case state == vam.Declined:
			state = vam.Held // a refusal is silent unless it is told by a receipt (AM-8.3)
		}
		updates = append(updates, delivery.Update{Address: r.Address, State: state, Code: r.Code, Text: r.Text})
	}
	return updates, nil
}

// localOffer is what an offer would say of a message that is here.
func localOffer(a delivery.Attempt) (*activmail.Offer, Mail) {
	m := a.Message
	size := max(m.Announced, vam.Bytes(m.Head.MediaBytes))
	o := &activmail.Offer{
		Origin: m.Origin, MessageID: m.ID, ID: a.Offer.ID, Kind: m.Kind, Size: size, Duration: m.Head.Duration, Forwards: m.Forwards,
		Envelope: activmail.Envelope{NotBefore: a.Offer.NotBefore},
	}
	return o, Mail{Author: m.Author, Subject: m.Subject, Text: m.Text}
}

func (l Local) take(ctx context.Context, a delivery.Attempt) (Offered, error) {
	m := a.Message
	o, mail := localOffer(a)
	now := l.o.Now()
	t := Taking{Offered: Offered{Key: m.Key, ID: a.Offer.ID, At: now}, Message: m, HoldEnds: now.Add(l.o.HoldFor)}
	for _, r := range a.Offer.Recipients {
		if err := l.decide(ctx, &t, r.Address, o, mail); err != nil {
			return Offered{}, err
		}
	}
	t.Jobs = nil // nothing is pulled from oneself
	taken, err := l.store.Take(ctx, t)
	l.o.Wake()
	return taken, err
}

// Poke does nothing: local mailboxes follow the log itself.
func (Local) Poke(context.Context, vam.Domain, message.Message) error { return nil }

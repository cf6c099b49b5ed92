// Package nativein is the front door for other domains: it turns VAM/1 requests into
// calls of the services.
package nativein

import (
	"context"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/reception"
)

// Inbound answers offers to the domains of this server.
type Inbound struct {
	Reception *reception.Service
	Hosts     func(vam.Domain) bool
	// Pokes is the limit of pokes of one message (AM-10.26); nil is none. Errors: Busy.
	Pokes func(message.Key) error
}

var _ amserver.Inbound = Inbound{}

// PutOffer implements amserver.Inbound (AM-6.3).
func (i Inbound) PutOffer(ctx context.Context, req amserver.OfferRequest) (amserver.OfferResult, error) {
	for _, a := range req.Offer.Envelope.To {
		if !i.Hosts(a.Domain) {
			return amserver.OfferResult{}, vam.Errorf(vam.NotFound, "%s is not a domain of this server; look its record up again", a.Domain).WithProblem("not-our-domain")
		}
	}
	answer, fresh, err := i.Reception.Offer(ctx, req.Offer, req.Body)
	if err != nil {
		return amserver.OfferResult{}, err
	}
	status := amserver.OfferSame
	if fresh {
		status = amserver.OfferNew
	}
	return amserver.OfferResult{Status: status, Answer: answer}, nil
}

// OfferState implements amserver.Inbound.
func (i Inbound) OfferState(ctx context.Context, req amserver.StateRequest) (activmail.OfferAnswer, error) {
	return i.Reception.State(ctx, message.Key{Origin: req.Origin, ID: req.MessageID}, req.Offer)
}

// Poke implements amserver.Inbound (AM-6.31).
func (i Inbound) Poke(ctx context.Context, req amserver.PokeRequest) error {
	k := message.Key{Origin: req.Origin, ID: req.MessageID}
	if i.Pokes != nil {
		if err := i.Pokes(k); err != nil {
			return err
		}
	}
	return i.Reception.Poke(ctx, k)
}

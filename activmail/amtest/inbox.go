package amtest

import (
	"context"
	"sync"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amserver"
)

// Inbox is the inbound side of a domain in memory. It implements [amserver.Inbound],
// durability and the checks of the letter excepted, and is safe for concurrent use.
type Inbox struct {
	Domain vam.Domain
	// Decide answers for one recipient; nil accepts everybody. Set it before use.
	Decide func(o *activmail.Offer, to vam.Address) activmail.RecipientAnswer
	// Arrived, if not nil, is called with each offer that was new.
	Arrived func(o *activmail.Offer)

	mu     sync.Mutex
	offers map[amserver.OfferName]taken
	pokes  []amserver.PokeRequest
}

type taken struct {
	digest activmail.Sum
	answer activmail.OfferAnswer
}

// NewInbox makes an inbox without offers.
func NewInbox(domain vam.Domain) *Inbox {
	return &Inbox{Domain: domain, offers: make(map[amserver.OfferName]taken)}
}

// PutOffer implements amserver.Inbound.
func (in *Inbox) PutOffer(_ context.Context, req amserver.OfferRequest) (amserver.OfferResult, error) {
	o := req.Offer
	for _, to := range o.Envelope.To {
		if to.Domain != in.Domain {
			return amserver.OfferResult{}, vam.Errorf(vam.NotFound, "%s is not served here", to.Domain).WithProblem("not-our-domain")
		}
	}
	result, err := in.take(req)
	if err == nil && result.Status == amserver.OfferNew && in.Arrived != nil {
		in.Arrived(o)
	}
	return result, err
}

func (in *Inbox) take(req amserver.OfferRequest) (amserver.OfferResult, error) {
	o := req.Offer
	name := amserver.OfferName{Origin: o.Origin, MessageID: o.MessageID, Offer: o.ID}
	in.mu.Lock()
	defer in.mu.Unlock()
	if before, ok := in.offers[name]; ok {
		if before.digest != req.Digest {
			return amserver.OfferResult{}, vam.Errorf(vam.Conflict, "another offer was taken under this name").WithProblem("offer-conflict")
		}
		return amserver.OfferResult{Status: amserver.OfferSame, Answer: before.answer}, nil
	}
	answer := activmail.OfferAnswer{Recipients: make(map[vam.Address]activmail.RecipientAnswer)}
	for _, to := range o.Envelope.To {
		a := activmail.RecipientAnswer{State: activmail.AnswerAccepted}
		if in.Decide != nil {
			a = in.Decide(o, to)
		}
		answer.Recipients[to] = a
	}
	in.offers[name] = taken{req.Digest, answer}
	return amserver.OfferResult{Status: amserver.OfferNew, Answer: answer}, nil
}

// OfferState implements amserver.Inbound.
func (in *Inbox) OfferState(_ context.Context, req amserver.StateRequest) (activmail.OfferAnswer, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	t, ok := in.offers[req.OfferName]
	if !ok {
		return activmail.OfferAnswer{}, vam.Errorf(vam.NotFound, "there is no such offer here").WithProblem("not-found")
	}
	return t.answer, nil
}

// Poke implements amserver.Inbound.
func (in *Inbox) Poke(_ context.Context, req amserver.PokeRequest) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	for name := range in.offers {
		if name.Origin == req.Origin && name.MessageID == req.MessageID {
			in.pokes = append(in.pokes, req)
			return nil
		}
	}
	return vam.Errorf(vam.NotFound, "there is no such message here").WithProblem("not-found")
}

// Pokes is how many pokes were taken.
func (in *Inbox) Pokes() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.pokes)
}

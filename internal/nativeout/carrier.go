package nativeout

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amclient"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/reception"
)

var (
	_ delivery.Carrier = (*Peers)(nil)
	_ reception.Peers  = (*Peers)(nil)
)

// Deliver implements delivery.Carrier: it offers the message to the recipients'
// domain.
func (p *Peers) Deliver(ctx context.Context, a delivery.Attempt) ([]delivery.Update, error) {
	c, done, err := p.client(ctx, a.Offer.Key.Origin, a.Offer.Domain)
	if err != nil {
		return nil, err
	}
	defer done()
	// What its policy rules out is said before anything is offered.
	found, err := p.o.Finder.Lookup(ctx, a.Offer.Domain)
	if err != nil {
		return nil, err
	}
	sealed, size := !a.Message.Head.SealedAt.IsZero(), max(a.Message.Announced, vam.Bytes(a.Message.Head.MediaBytes))
	if err := found.Policy.Accepts(a.Offer.Domain, sealed, size); err != nil {
		return nil, err
	}
	body, err := a.Body(ctx)
	if err != nil {
		return nil, err
	}
	name := amclient.OfferName{Origin: a.Offer.Key.Origin, MessageID: a.Offer.Key.ID, Offer: a.Offer.ID}
	res, err := c.PutOffer(ctx, name, body)
	if err != nil {
		p.suspect(a.Offer.Domain, err)
		return nil, err
	}
	return updates(a.Offer.Recipients, res.Answer), nil
}

// updates reads an answer for those who were asked about; an address that was not
// offered is ignored.
func updates(rcpts []delivery.Recipient, answer activmail.OfferAnswer) []delivery.Update {
	byKey := map[string]activmail.RecipientAnswer{}
	for a, r := range answer.Recipients {
		byKey[a.Key()] = r
	}
	var out []delivery.Update
	for _, r := range rcpts {
		got, ok := byKey[r.Address.Key()]
		if !ok {
			continue
		}
		out = append(out, update(r.Address, got))
	}
	return out
}

// update is what an answer means for a recipient (AM-6.7). A peer that tells the newest
// event in its place is understood too (AM-6.10).
func update(a vam.Address, got activmail.RecipientAnswer) delivery.Update {
	u := delivery.Update{Address: a, Code: got.Code, Text: got.Text}
	switch got.State {
	case activmail.AnswerAccepted, activmail.AnswerStored, activmail.AnswerDisplayed, activmail.AnswerPlayed:
		u.State = vam.Accepted // the rest is for a receipt to say
	case activmail.AnswerHeld:
		u.State = vam.Held
	case activmail.AnswerRejected:
		u.State = vam.Rejected
		if strings.HasPrefix(got.Code, "4.") {
			u.State = vam.Waiting // the same offer again may reach them
		}
	case activmail.AnswerDeclined, activmail.AnswerLapsed, activmail.AnswerFailed, activmail.AnswerWithdrawn:
		u.State = activmail.ReceiptEvent(got.State).State()
	default:
		u.State = vam.Waiting // pending: the same offer later gets the decision
		if u.Text == "" {
			u.Text = "the recipient's server has not decided yet"
		}
	}
	return u
}

// suspect asks DNS again at the next attempt when the peer could not be reached or
// says that it is not the domain's server any more.
func (p *Peers) suspect(d vam.Domain, err error) {
	var e *vam.Error
	if vam.KindOf(err) == vam.Unavailable || errors.As(err, &e) && e.Problem == "not-our-domain" {
		p.o.Finder.Forget(d)
	}
}

// Poke implements delivery.Carrier.
func (p *Peers) Poke(ctx context.Context, d vam.Domain, m message.Message) error {
	c, done, err := p.client(ctx, m.Origin, d)
	if err != nil {
		return err
	}
	defer done()
	err = c.Poke(ctx, m.Origin, m.ID, m.Head.Checkpoint)
	p.suspect(d, err)
	return err
}

// RenewToken implements reception.Peers.
func (p *Peers) RenewToken(ctx context.Context, as vam.Domain, k message.Key, offer vam.MessageID) (activmail.Token, time.Time, error) {
	c, done, err := p.client(ctx, as, k.Origin)
	if err != nil {
		return "", time.Time{}, err
	}
	defer done()
	grant, err := c.RenewToken(ctx, k.ID, offer)
	p.suspect(k.Origin, err)
	return grant.Token, grant.Expires, err
}

// PutReceipt implements reception.Peers.
func (p *Peers) PutReceipt(ctx context.Context, as vam.Domain, k message.Key, r activmail.Receipt) error {
	c, done, err := p.client(ctx, as, k.Origin)
	if err != nil {
		return err
	}
	defer done()
	err = c.PutReceipt(ctx, k.ID, r)
	p.suspect(k.Origin, err)
	return err
}

// Origin implements reception.Peers.
func (p *Peers) Origin(ctx context.Context, as vam.Domain, k message.Key, token activmail.Token) (reception.Origin, error) {
	c, done, err := p.client(ctx, as, k.Origin)
	if err != nil {
		return nil, err
	}
	return &origin{p: p, c: c, done: done, domain: k.Origin, pull: amclient.Pull{MessageID: k.ID, Token: token}}, nil
}

// origin is one message at its origin.
type origin struct {
	p      *Peers
	c      *amclient.Client
	done   func()
	domain vam.Domain
	pull   amclient.Pull
}

func (o *origin) Close() error {
	o.done()
	return nil
}

// Log implements reception.Origin.
func (o *origin) Log(ctx context.Context, from int64, wait time.Duration, take func(line []byte) error) (checkpoint []byte, err error) {
	log, err := o.c.Log(ctx, o.pull, from, wait)
	if err != nil {
		o.p.suspect(o.domain, err)
		if position(err, from) {
			return nil, nil // nothing after what is known
		}
		return nil, err
	}
	defer func() { _ = log.Close() }()
	if log.Empty() {
		return nil, nil
	}
	for {
		line, err := log.Next()
		if errors.Is(err, io.EOF) {
			return log.Checkpoint(), nil
		}
		if err == nil {
			err = take(line)
		}
		if err != nil {
			return nil, err
		}
	}
}

// position reports whether err says that the log ends where we stand.
func position(err error, from int64) bool {
	var pos *activmail.PositionError
	return errors.As(err, &pos) && pos.Size == from
}

// Entry implements reception.Origin.
func (o *origin) Entry(ctx context.Context, n int64, wait time.Duration) (line, checkpoint, blob []byte, err error) {
	e, err := o.c.Entry(ctx, o.pull, n, wait)
	o.p.suspect(o.domain, err)
	return e.Line, e.Checkpoint, e.Blob, err
}

// Media implements reception.Origin.
func (o *origin) Media(ctx context.Context, off, n int64) (io.ReadCloser, error) {
	m, err := o.c.Media(ctx, o.pull, vam.Bytes(off), vam.Bytes(off+n))
	if err != nil {
		o.p.suspect(o.domain, err)
		return nil, err
	}
	if c := o.p.media[m.Network]; c != nil {
		c.Add(int64(m.To - m.From))
	}
	return m, nil
}

// Blob implements reception.Origin.
func (o *origin) Blob(ctx context.Context, sum activmail.Sum, length int64) ([]byte, error) {
	data, err := o.c.Blob(ctx, o.pull, sum, vam.Bytes(length))
	o.p.suspect(o.domain, err)
	return data, err
}

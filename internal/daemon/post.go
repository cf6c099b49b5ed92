package daemon

import (
	"context"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/keyring"
	"github.com/videoactivmail/vam/internal/letter"
	"github.com/videoactivmail/vam/internal/mailauth"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/reception"
	"github.com/videoactivmail/vam/internal/rfc5322"
	"github.com/videoactivmail/vam/internal/submission"
)

// post writes, signs and verifies the mail of messages, for the services that need it.
type post struct {
	accounts *account.Service
	keys     map[vam.Domain]keyring.Keys
	verifier mailauth.Verifier
	now      func() time.Time
}

var (
	_ submission.Letters = (*post)(nil)
	_ delivery.Reports   = (*post)(nil)
	_ reception.Mails    = (*post)(nil)
)

// Letter implements submission.Letters.
func (p *post) Letter(ctx context.Context, m message.Message, d submission.Draft, header activmail.MessageHeader) ([]byte, error) {
	base, _ := d.From.SplitPlus()
	author, err := p.accounts.Store().AccountByAddress(ctx, base)
	if err != nil {
		return nil, err
	}
	l := letter.Letter{
		From: rfc5322.Mailbox{Name: author.Name, Addr: d.From}, Subject: d.Subject, Words: d.Text,
		Date: p.now(), Kind: m.Kind, Header: header, Expires: m.Expires,
	}
	for _, a := range d.To {
		l.To = append(l.To, rfc5322.Mailbox{Addr: a})
	}
	mail, err := l.Compose()
	if err != nil {
		return nil, err
	}
	k, ok := p.keys[d.From.Domain]
	if !ok {
		return nil, vam.Errorf(vam.Internal, "there is no key for %s", d.From.Domain)
	}
	signer := mailauth.Signer{Domain: d.From.Domain, Keys: []mailauth.SigningKey{k.Mail}, Now: p.now}
	return signer.Sign(mail)
}

// Report implements delivery.Reports.
func (p *post) Report(m message.Message, mail []byte, failed []delivery.Update) (*delivery.Bounce, error) {
	now := p.now()
	b := letter.Bounce{
		ID: vam.NewMessageID(now), Reporting: m.Origin, To: m.Author, Date: now,
		Original: m.ID, Kind: m.Kind, Subject: m.Subject, Sent: m.SentAt, Mail: mail,
	}
	for _, u := range failed {
		r := letter.BouncedRecipient{Addr: u.Address, Action: letter.Failed, Status: u.Code, Reason: u.Text, LastAttempt: u.At}
		if u.Address.Domain != m.Origin && u.State != vam.Failed {
			r.Remote = u.Address.Domain
		}
		b.Recipients = append(b.Recipients, r)
	}
	text, err := b.Compose()
	if err != nil {
		return nil, err
	}
	view, err := letter.Read(text)
	if err != nil {
		return nil, err
	}
	return &delivery.Bounce{ID: b.ID, From: view.From.Addr, Subject: view.Subject, Text: view.Text, Mail: text, At: now}, nil
}

// Verify implements reception.Mails.
func (p *post) Verify(ctx context.Context, o *activmail.Offer) (reception.Mail, error) {
	verified, err := p.verifier.Verify(ctx, o.Mail)
	if err != nil {
		return reception.Mail{}, err
	}
	if err := mailauth.CheckOffer(verified, o); err != nil {
		return reception.Mail{}, err
	}
	view, err := letter.Read(o.Mail)
	if err != nil {
		return reception.Mail{}, err
	}
	return reception.Mail{Author: verified.From, Subject: verified.Subject, Text: view.Text, Header: verified.Header}, nil
}

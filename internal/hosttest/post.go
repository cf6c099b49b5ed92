package hosttest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/letter"
	"github.com/videoactivmail/vam/internal/mailauth"
	"github.com/videoactivmail/vam/internal/mailauth/mailauthtest"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/reception"
	"github.com/videoactivmail/vam/internal/rfc5322"
	"github.com/videoactivmail/vam/internal/submission"
)

var (
	_ submission.Letters = (*Post)(nil)
	_ delivery.Reports   = (*Post)(nil)
	_ reception.Mails    = (*Post)(nil)
)

// Post writes, signs and verifies letters with real DKIM keys in a zone in memory.
type Post struct {
	accounts *account.Service
	signers  map[vam.Domain]*mailauth.Signer
	verifier mailauth.Verifier
	now      func() time.Time

	mu       sync.Mutex
	verified int
}

func newPost(t testing.TB, zone *mailauthtest.Zone, domains []vam.Domain, now func() time.Time) *Post {
	t.Helper()
	p := &Post{signers: map[vam.Domain]*mailauth.Signer{}, verifier: mailauth.Verifier{DNS: zone, Now: now}, now: now}
	for _, d := range domains {
		p.signers[d] = mailauthtest.Signer(t, zone, d)
	}
	return p
}

// Letter implements submission.Letters.
func (p *Post) Letter(_ context.Context, m message.Message, d submission.Draft, header activmail.MessageHeader) ([]byte, error) {
	l := letter.Letter{
		From: rfc5322.Mailbox{Addr: d.From}, Subject: d.Subject, Words: d.Text,
		Date: p.now(), Kind: m.Kind, Header: header, Expires: m.Expires,
	}
	for _, a := range d.To {
		l.To = append(l.To, rfc5322.Mailbox{Addr: a})
	}
	mail, err := l.Compose()
	if err != nil {
		return nil, err
	}
	return p.signers[d.From.Domain].Sign(mail)
}

// Report implements delivery.Reports.
func (p *Post) Report(m message.Message, mail []byte, failed []delivery.Update) (*delivery.Bounce, error) {
	now := p.now()
	b := letter.Bounce{
		ID: vam.NewMessageID(now), Reporting: m.Origin, To: m.Author, Date: now,
		Original: m.ID, Kind: m.Kind, Subject: m.Subject, Sent: m.SentAt, Mail: mail,
	}
	for _, u := range failed {
		b.Recipients = append(b.Recipients, letter.BouncedRecipient{Addr: u.Address, Action: letter.Failed, Status: u.Code, Reason: u.Text, LastAttempt: u.At})
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
func (p *Post) Verify(ctx context.Context, o *activmail.Offer) (reception.Mail, error) {
	p.mu.Lock()
	p.verified++
	p.mu.Unlock()
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

// Verified is how many letters were looked at.
func (p *Post) Verified() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.verified
}

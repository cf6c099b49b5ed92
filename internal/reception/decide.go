package reception

import (
	"context"
	"fmt"
	"slices"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
)

// verdict is the decision for one recipient.
type verdict struct {
	acct   account.Account
	state  vam.RecipientState // accepted, held or rejected
	reason error              // of a rejection
	code   string             // of a rejection; "" is that of the reason
}

func accepted(acct account.Account) verdict { return verdict{acct: acct, state: vam.Accepted} }

func rejected(acct account.Account, reason error) verdict {
	return verdict{acct: acct, state: vam.Rejected, reason: reason}
}

// decide adds the answer for one recipient to t.
func (s *Service) decide(ctx context.Context, t *Taking, a vam.Address, o *activmail.Offer, mail Mail) error {
	v, err := s.judge(ctx, t.Offered.Key, a, mail.Author, o)
	if err != nil {
		return err
	}
	r := Rcpt{Address: a, Account: v.acct.ID, State: v.state}
	if v.reason != nil {
		if r.Code = v.code; r.Code == "" {
			r.Code = delivery.CodeOf(v.reason)
		}
		r.Text = activmail.ProblemFor(v.reason).Detail // cut to what an answer may hold
	}
	t.Offered.Rcpts = append(t.Offered.Rcpts, r)
	if v.state == vam.Rejected {
		return nil
	}
	e := mailbox.Entry{
		Account: v.acct.ID, Folder: mailbox.Inbox, Origin: o.Origin, ID: o.MessageID, Rcpt: a,
		From: mail.Author, Subject: mail.Subject, Kind: o.Kind, State: mailbox.Arriving,
		Size: o.Size, Duration: o.Duration, At: t.Offered.At, Changed: t.Offered.At, NotBefore: o.Envelope.NotBefore,
	}
	if v.state == vam.Held {
		e.State, e.Reason = mailbox.Held, "first message from this address"
	} else if len(t.Jobs) == 0 {
		t.Jobs = append(t.Jobs, s.pullJob(t.Offered.Key))
	}
	t.Entries = append(t.Entries, e)
	return nil
}

// judge is the rule for one recipient: who receives it and whether it is accepted,
// held or rejected, with the reason of a rejection (AM-6.17, AM-6.21).
func (s *Service) judge(ctx context.Context, k message.Key, a, author vam.Address, o *activmail.Offer) (verdict, error) {
	acct, err := s.o.Accounts.Resolve(ctx, a)
	if vam.KindOf(err) == vam.NotFound && err != nil {
		return rejected(acct, err), nil
	}
	if err != nil {
		return verdict{}, err
	}
	if loop := s.loops(o, a.Domain); loop != nil {
		return verdict{acct: acct, state: vam.Rejected, reason: loop, code: "5.4.6"}, nil // RFC 3463: routing loop detected
	}
	if o.Size > s.o.MaxSize {
		return rejected(acct, s.tooLarge(o.Size, a.Domain)), nil
	}
	standing, err := s.o.Accounts.Store().Standing(ctx, acct.ID, author)
	if err != nil {
		return verdict{}, err
	}
	if standing == account.Blocked {
		return rejected(acct, vam.Errorf(vam.Denied, "%s does not take messages from %s", a, author).WithProblem("blocked")), nil
	}
	switch e, err := s.store.InboxEntry(ctx, acct.ID, k); {
	case err == nil && (e.State == mailbox.Arriving || e.State == mailbox.Stored):
		return accepted(acct), nil // another offer of what is here already (AM-6.18)
	case err == nil && e.State == mailbox.Held:
		return verdict{acct: acct, state: vam.Held}, nil
	case err != nil && vam.KindOf(err) != vam.NotFound:
		return verdict{}, err
	}
	if room, limited := acct.Room(); limited && o.Size > room {
		return rejected(acct, Full(a, room, acct.Quota, o.Size)), nil
	}
	if standing == account.Known || !s.o.HoldFirst || author.Key() == acct.Address.Key() {
		return accepted(acct), nil
	}
	return verdict{acct: acct, state: vam.Held}, nil
}

// loops refuses a chain of forwards that is too long, or that a program closed into a
// circle (AM-6.29) (AM-6.28).
func (s *Service) loops(o *activmail.Offer, own vam.Domain) error {
	limit := s.o.Messages.Limits().Forwards
	if len(o.Forwards) > limit {
		return vam.Errorf(vam.Invalid, "the message was forwarded %d times; at most %d are taken (AM-6.29)", len(o.Forwards), limit)
	}
	if o.Envelope.Auto && slices.ContainsFunc(o.Forwards, func(r activmail.MessageRef) bool { return r.Origin == own }) {
		return vam.Errorf(vam.Invalid, "a program forwards this message in a circle through %s", own)
	}
	return nil
}

func (s *Service) tooLarge(size vam.Bytes, d vam.Domain) error {
	return vam.Errorf(vam.TooLarge, "the message has %s and %s takes at most %s (set by its server); send a shorter or smaller one", size, d, s.o.MaxSize).WithProblem("too-large")
}

func (s *Service) pullJob(k message.Key) queue.Job {
	now := s.o.Now()
	return queue.Job{Kind: queue.Pull, Key: k.String(), Domain: k.Origin, NextAt: now, Created: now}
}

// answer is what an offer is answered with, also when it is repeated (AM-6.7).
func (o Offered) answer() activmail.OfferAnswer { return o.tell(Rcpt.answer) }

// present is the newest that may be told of each recipient (AM-6.10).
func (o Offered) present() activmail.OfferAnswer { return o.tell(Rcpt.present) }

func (o Offered) tell(one func(Rcpt) activmail.RecipientAnswer) activmail.OfferAnswer {
	a := activmail.OfferAnswer{Recipients: make(map[vam.Address]activmail.RecipientAnswer, len(o.Rcpts))}
	for _, r := range o.Rcpts {
		a.Recipients[r.Address] = one(r)
	}
	return a
}

// answer knows the decisions only: what came after them is told by receipts.
func (r Rcpt) answer() activmail.RecipientAnswer {
	switch r.State {
	case vam.Held, vam.Declined: // a decline is silent (AM-8.3)
		return activmail.RecipientAnswer{State: activmail.AnswerHeld}
	case vam.Rejected, vam.Failed, vam.Lapsed:
		a := activmail.RecipientAnswer{State: activmail.AnswerRejected, Code: r.Code, Text: r.Text}
		if a.Code == "" {
			a.Code = "5.4.7"
		}
		return a
	}
	return activmail.RecipientAnswer{State: activmail.AnswerAccepted}
}

// present names the receipt event where there is one that is told in any case.
func (r Rcpt) present() activmail.RecipientAnswer {
	switch r.State {
	case vam.Stored:
		return activmail.RecipientAnswer{State: activmail.AnswerStored}
	case vam.Lapsed:
		return activmail.RecipientAnswer{State: activmail.AnswerLapsed, Text: r.Text}
	case vam.Failed:
		return activmail.RecipientAnswer{State: activmail.AnswerFailed, Code: r.Code, Text: r.Text}
	case vam.Withdrawn:
		return activmail.RecipientAnswer{State: activmail.AnswerWithdrawn}
	}
	return r.answer()
}

func (o Offered) summary() string {
	n := map[vam.RecipientState]int{}
	for _, r := range o.Rcpts {
		n[r.State]++
	}
	return fmt.Sprint(n)
}

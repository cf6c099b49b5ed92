package delivery_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/submission"
)

// peer is the domain of the recipients: it answers every offer with the same state.
type peer struct {
	state vam.RecipientState
	code  string
	tried int
}

func (p *peer) Deliver(ctx context.Context, a delivery.Attempt) ([]delivery.Update, error) {
	p.tried++
	if _, err := a.Body(ctx); err != nil {
		return nil, err
	}
	var out []delivery.Update
	for _, r := range a.Offer.Recipients {
		out = append(out, delivery.Update{Address: r.Address, State: p.state, Code: p.code, Text: "said the peer"})
	}
	return out, nil
}

func (p *peer) Poke(context.Context, vam.Domain, message.Message) error { return nil }

// sent is a message from alice at a.example to bob at b.example.
func sent(t *testing.T, p *peer) (*hosttest.Host, account.Account, message.Key, vam.MessageID) {
	t.Helper()
	h := hosttest.New(t, hosttest.Options{Domains: []vam.Domain{"a.example"}, Native: p})
	alice := h.Account("alice@a.example", 0)
	id := vam.NewMessageID(h.Clock.Now())
	m, _, err := h.Submission.Put(t.Context(), alice, id, submission.Draft{To: []vam.Address{hosttest.Address(t, "bob@b.example")}, Kind: vam.File})
	if err == nil {
		_, err = h.Submission.Seal(t.Context(), alice, m.Key, activmail.Sum{})
	}
	if err == nil {
		_, err = h.Submission.Send(t.Context(), alice, m.Key)
	}
	if err != nil {
		t.Fatal(err)
	}
	work(t, h)
	rcpts, err := h.Delivery.Recipients(t.Context(), m.Key)
	if err != nil {
		t.Fatal(err)
	}
	return h, alice, m.Key, rcpts[0].Offer
}

// work runs the jobs that are due, once.
func work(t *testing.T, h *hosttest.Host) {
	t.Helper()
	now := h.Clock.Now()
	jobs, err := h.DB.Queue().Lease(t.Context(), queue.Want{Owner: "x", Kinds: []queue.Kind{queue.Offer, queue.Hold}, Now: now, Until: now.Add(time.Minute), Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		handler := h.Delivery.Offer
		if j.Kind == queue.Hold {
			handler = h.Delivery.Hold
		}
		if err := handler(t.Context(), j); err != nil && vam.KindOf(err).Temporary() {
			err = h.DB.Queue().Retry(t.Context(), "x", j.ID, now.Add(time.Hour), err.Error())
			if err != nil {
				t.Fatal(err)
			}
		} else if err := h.DB.Queue().Finish(t.Context(), "x", j.ID); err != nil {
			t.Fatal(err)
		}
	}
}

func recipient(t *testing.T, h *hosttest.Host, k message.Key) delivery.Recipient {
	t.Helper()
	rcpts, err := h.Delivery.Recipients(t.Context(), k)
	if err != nil || len(rcpts) != 1 {
		t.Fatalf("%d recipients: %v", len(rcpts), err)
	}
	return rcpts[0]
}

func reports(t *testing.T, h *hosttest.Host, a account.Account) int {
	t.Helper()
	entries, err := h.DB.Mailboxes().Entries(t.Context(), a.ID, mailbox.Filter{Folder: mailbox.Inbox})
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestHoldThatIsForgotten is AM-8.4: 21 days of silence after a hold are a lapse.
func TestHoldThatIsForgotten(t *testing.T) {
	h, alice, k, _ := sent(t, &peer{state: vam.Held})
	if r := recipient(t, h, k); r.State != vam.Held {
		t.Fatalf("the recipient is %+v", r)
	}
	h.Reopen()
	h.Clock.Advance(21*24*time.Hour - time.Minute)
	work(t, h)
	if r := recipient(t, h, k); r.State != vam.Held {
		t.Errorf("before the time the recipient is %s", r.State)
	}
	h.Clock.Advance(2 * time.Minute)
	work(t, h)
	if r := recipient(t, h, k); r.State != vam.Lapsed || reports(t, h, alice) != 1 {
		t.Errorf("after it the recipient is %+v, with %d reports", r, reports(t, h, alice))
	}
}

// TestClass4IsOfferedAgain is AM-6.7.
func TestClass4IsOfferedAgain(t *testing.T) {
	p := &peer{state: vam.Waiting, code: "4.2.2"}
	h, alice, k, _ := sent(t, p)
	if r := recipient(t, h, k); r.State != vam.Waiting || r.Code != "4.2.2" || r.NextAt.IsZero() || reports(t, h, alice) != 0 {
		t.Errorf("the recipient is %+v", r)
	}
	p.state, p.code = vam.Accepted, ""
	h.Clock.Advance(2 * time.Hour)
	work(t, h)
	if r := recipient(t, h, k); r.State != vam.Accepted || p.tried != 2 {
		t.Errorf("after %d attempts the recipient is %+v", p.tried, r)
	}
}

// TestReceipts sends receipts in any order and again and again: each event counts once
// (AM-8.5, AM-8.9), states go forward only, and nobody but the recipient's own
// domain speaks of them (AM-8.6). The author hears of an end once (AM-8.11, AM-8.25).
func TestReceipts(t *testing.T) {
	h, alice, k, offer := sent(t, &peer{state: vam.Accepted})
	bob := hosttest.Address(t, "bob@b.example")
	tell := func(from vam.Domain, to vam.Address, e activmail.ReceiptEvent) (bool, error) {
		return h.Delivery.Receipt(t.Context(), from, k, activmail.Receipt{Recipient: to, Event: e, At: h.Clock.Now(), Code: "5.0.0"})
	}
	if _, err := tell("c.example", bob, activmail.EventStored); vam.KindOf(err) != vam.Denied {
		t.Errorf("another domain: %v", err)
	}
	if _, err := tell("b.example", hosttest.Address(t, "ann@b.example"), activmail.EventStored); vam.KindOf(err) != vam.NotFound {
		t.Errorf("no recipient: %v", err)
	}
	for i, step := range []struct {
		event activmail.ReceiptEvent
		fresh bool
		state vam.RecipientState
	}{
		{activmail.EventPlayed, true, vam.Played},
		{activmail.EventStored, false, vam.Played},
		{activmail.EventDisplayed, false, vam.Played},
		{"transcribed", false, vam.Played},
		{activmail.EventFailed, true, vam.Failed},
		{activmail.EventAccepted, false, vam.Failed},
		{activmail.EventWithdrawn, true, vam.Withdrawn}, // AM-8.8
	} {
		for again := range 3 {
			fresh, err := tell("b.example", bob, step.event)
			if err != nil || fresh != (step.fresh && again == 0) {
				t.Errorf("%d: %s is fresh: %v, %v", i, step.event, fresh, err)
			}
			if r := recipient(t, h, k); r.State != step.state {
				t.Errorf("%d: after %s the recipient is %s", i, step.event, r.State)
			}
		}
	}
	if n := reports(t, h, alice); n != 1 {
		t.Errorf("%d reports were made", n)
	}
	// The log of what was withdrawn stays readable for whoever took the offer (AM-7.21).
	if _, _, err := h.Delivery.RenewToken(t.Context(), "b.example", offer, k); err != nil {
		t.Errorf("a token after the withdrawal: %v", err)
	}
}

// TestTokensOfRefused is AM-7.21: who declined, lapsed or was rejected gets no token.
func TestTokensOfRefused(t *testing.T) {
	for _, state := range []vam.RecipientState{vam.Declined, vam.Lapsed, vam.Rejected} {
		t.Run(fmt.Sprint(state), func(t *testing.T) {
			h, _, k, offer := sent(t, &peer{state: state, code: "5.0.0"})
			if _, _, err := h.Delivery.RenewToken(t.Context(), "b.example", offer, k); vam.KindOf(err) != vam.Denied {
				t.Errorf("a token for whom is %s: %v", state, err)
			}
		})
	}
}

package delivery_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/submission"
)

// tell is a receipt of a domain, "address event".
func (d *desk) tell(t *testing.T, from vam.Domain, k message.Key, what string) (bool, error) {
	t.Helper()
	address, event, _ := strings.Cut(what, " ")
	return d.Delivery.Receipt(t.Context(), from, k, activmail.Receipt{
		Recipient: hosttest.Address(t, address), Event: activmail.ReceiptEvent(event), At: d.Clock.Now(),
	})
}

func TestReceiptsInEveryOrder(t *testing.T) {
	for name, tt := range map[string]struct {
		first  vam.RecipientState
		events string
		fresh  string // one letter for each event: f, or - for one without effect
		state  string
		report bool
	}{
		"as it goes":               {vam.Accepted, "stored displayed played", "fff", "played", false},
		"twice":                    {vam.Accepted, "stored stored", "f-", "stored", false},
		"late":                     {vam.Accepted, "played displayed stored accepted", "f---", "played", false},
		"held, then accepted":      {vam.Held, "accepted stored", "ff", "stored", false},
		"declined":                 {vam.Held, "declined stored", "f-", "declined", false},
		"lapsed":                   {vam.Held, "lapsed lapsed", "f-", "lapsed", true},
		"failed":                   {vam.Accepted, "failed stored", "f-", "failed", true},
		"taken back":               {vam.Accepted, "stored withdrawn withdrawn", "ff-", "withdrawn", false},
		"taken back and it failed": {vam.Accepted, "failed withdrawn stored", "ff-", "withdrawn", true},
		"the answer got lost":      {vam.Waiting, "stored", "f", "stored", false},
		"an event of later times":  {vam.Accepted, "framed stored", "-f", "stored", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, hosttest.Options{})
			d.net.deliver = all(delivery.Update{State: tt.first})
			k := d.sent(t, submission.Draft{To: to(t, "bob@b.example", "carol@b.example")})
			d.Work(t.Context(), queue.Offer)
			for i, event := range strings.Fields(tt.events) {
				fresh, err := d.tell(t, "b.example", k, "bob@b.example "+event)
				if err != nil || fresh != (tt.fresh[i] == 'f') {
					t.Errorf("%s is news: %v, %v", event, fresh, err)
				}
			}
			got := d.states(t, k)
			if state := strings.Fields(got[0])[1]; state != tt.state || !strings.HasPrefix(got[1], "carol@b.example "+string(tt.first)) {
				t.Errorf("they are %v", got)
			}
			if reports := d.bounces(t); (len(reports) == 1) != tt.report || len(reports) > 1 {
				t.Errorf("%d reports", len(reports))
			}
		})
	}
}

func TestReceiptRefused(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	k := d.sent(t, submission.Draft{To: to(t, "bob@b.example", "carol@c.example")})
	d.Work(t.Context())
	for name, tt := range map[string]struct {
		from vam.Domain
		what string
		kind vam.ErrorKind
	}{
		"another domain":     {"c.example", "bob@b.example stored", vam.Denied},
		"a parent domain":    {"example", "bob@b.example stored", vam.Denied},
		"no recipient":       {"b.example", "eve@b.example stored", vam.NotFound},
		"no recipient there": {"d.example", "bob@d.example stored", vam.NotFound},
	} {
		if _, err := d.tell(t, tt.from, k, tt.what); err == nil || vam.KindOf(err) != tt.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := message.Key{Origin: k.Origin, ID: vam.NewMessageID(d.Clock.Now())}
	if _, err := d.tell(t, "b.example", other, "bob@b.example stored"); vam.KindOf(err) != vam.NotFound {
		t.Errorf("no such message: %v", err)
	}
	if got := d.states(t, k); !cmp.Equal(got, []string{"bob@b.example accepted", "carol@c.example accepted"}) {
		t.Errorf("they are %v", got)
	}
}

// Whoever says that media has arrived holds it, if it was to arrive there: otherwise a
// receipt were enough to be taken for a source of it (AM-4.25).
func TestReceiptOfAHolder(t *testing.T) {
	for first, holds := range map[vam.RecipientState]bool{vam.Accepted: true, vam.Rejected: false} {
		d := newDesk(t, hosttest.Options{})
		d.net.deliver = all(delivery.Update{State: first})
		k := d.draft(t, submission.Draft{To: to(t, "bob@b.example")})
		d.part(t, k, []byte("film"))
		if _, err := d.Submission.Seal(t.Context(), d.alice, k, activmail.Sum{}); err != nil {
			t.Fatal(err)
		}
		d.send(t, k)
		d.Work(t.Context())
		for range 2 {
			if _, err := d.tell(t, "b.example", k, "bob@b.example stored"); err != nil {
				t.Fatal(err)
			}
		}
		keys, err := d.DB.Messages().SameSize(t.Context(), vam.Bytes(len("film")), "b.example", 1)
		if err != nil || (len(keys) == 1) != holds {
			t.Errorf("after %s b.example holds %v: %v", first, keys, err)
		}
	}
}

// A hold that nobody speaks of any more is over after three weeks (AM-8.4).
func TestHoldIsForgotten(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	d.net.deliver = all(delivery.Update{State: vam.Held})
	k := d.sent(t, submission.Draft{To: to(t, "bob@b.example", "carol@b.example", "dave@c.example")})
	d.Work(t.Context())
	if _, err := d.tell(t, "b.example", k, "carol@b.example accepted"); err != nil {
		t.Fatal(err)
	}
	d.Clock.Advance(21*24*time.Hour - time.Minute)
	d.Work(t.Context())
	if got := d.states(t, k); !cmp.Equal(got, []string{"bob@b.example held", "carol@b.example accepted", "dave@c.example held"}) {
		t.Errorf("they are %v", got)
	}
	d.Reopen()
	d.Clock.Advance(2 * time.Minute)
	for range 2 {
		d.Work(t.Context())
	}
	if got := d.states(t, k); !cmp.Equal(got, []string{"bob@b.example lapsed 5.4.7", "carol@b.example accepted", "dave@c.example lapsed 5.4.7"}) {
		t.Errorf("they are %v", got)
	}
	if reports := d.bounces(t); len(reports) != 2 { // one for each domain's attempt
		t.Errorf("%d reports", len(reports))
	}
	if left := d.jobs(t, queue.Hold); len(left) != 0 {
		t.Errorf("jobs are left: %v", left)
	}
}

func TestTokens(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	k := d.sent(t, submission.Draft{To: to(t, "bob@b.example"), Bcc: to(t, "carol@b.example")})
	d.Work(t.Context())
	offers := d.offers(t, "b.example")
	if len(offers) != 2 {
		t.Fatal(len(offers))
	}
	token, id := offers[0].Token, offers[0].ID
	opens := func(token activmail.Token) bool {
		t.Helper()
		got, from, err := d.Delivery.PullToken(t.Context(), token)
		if err != nil && vam.KindOf(err) != vam.Unauthenticated || err == nil && (got != k || from != "b.example") {
			t.Errorf("it opens %s for %s: %v", got, from, err)
		}
		return err == nil
	}
	if !opens(token) || !opens(offers[1].Token) || opens(activmail.NewPullToken()) {
		t.Error("the wrong tokens open the message")
	}
	renew := func(from vam.Domain, offer vam.MessageID, k message.Key) (activmail.Token, error) {
		t.Helper()
		token, expires, err := d.Delivery.RenewToken(t.Context(), from, offer, k)
		if err == nil && (expires.After(d.Clock.Now().Add(activmail.MaxTokenLife)) || !expires.After(d.Clock.Now())) {
			t.Errorf("it is good until %s", expires)
		}
		return token, err
	}
	fresh, err := renew("b.example", id, k)
	if err != nil || !opens(fresh) || !opens(token) {
		t.Fatalf("a fresh token: %v", err)
	}
	for name, bad := range map[string]struct {
		from  vam.Domain
		offer vam.MessageID
		k     message.Key
	}{
		"another domain":  {"c.example", id, k},
		"no offer":        {"b.example", vam.NewMessageID(d.Clock.Now()), k},
		"another message": {"b.example", id, message.Key{Origin: k.Origin, ID: id}},
	} {
		if _, err := renew(bad.from, bad.offer, bad.k); vam.KindOf(err) != vam.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
	d.Clock.Advance(activmail.MaxTokenLife + time.Second)
	if opens(token) || opens(fresh) {
		t.Error("a token opens the message for ever")
	}
	if fresh, err = renew("b.example", id, k); err != nil || !opens(fresh) {
		t.Errorf("after its time: %v", err)
	}
	// What is taken back can be asked about, what was refused cannot (AM-7.21).
	if _, err := d.tell(t, "b.example", k, "bob@b.example withdrawn"); err != nil {
		t.Fatal(err)
	}
	if _, err := renew("b.example", id, k); err != nil {
		t.Errorf("of a message that was taken back: %v", err)
	}
	d.net.deliver = all(delivery.Update{State: vam.Held})
	k = d.sent(t, submission.Draft{To: to(t, "bob@b.example", "carol@b.example")})
	d.Work(t.Context())
	all := d.offers(t, "b.example")
	id = all[len(all)-1].ID
	for i, event := range []string{"bob@b.example declined", "carol@b.example lapsed"} {
		if _, err := d.tell(t, "b.example", k, event); err != nil {
			t.Fatal(err)
		}
		if _, err := renew("b.example", id, k); (err == nil) != (i == 0) {
			t.Errorf("after %s: %v", event, err)
		}
	}
}

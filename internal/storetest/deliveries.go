package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
)

// Deliveries tests delivery.Store.
func Deliveries(t *testing.T, open Opener) {
	run(t, open, map[string]func(*world){
		"Offer":       testOffer,
		"OfferBody":   testOfferBody,
		"BodyRace":    testOfferBodyRace,
		"Settle":      testSettle,
		"SettleRanks": testSettleRanks,
		"SettleRace":  testSettleRace,
		"Bounce":      testBounce,
		"BounceFails": testBounceFails,
		"BounceAlone": testBounceAlone,
		"Tokens":      testTokens,
		"TokenBound":  testTokenBound,
		"OfferedTo":   testOfferedTo,
		"NoteHolder":  testNoteHolder,
	})
}

func testOffer(w *world) {
	bob := w.account("bob")
	k, offers := w.sent(bob, "zoe@away.example", "carl@third.example", "amy@away.example")
	w.stays(func() {
		for _, o := range offers {
			w.equal("the offer", got(w.Deliveries.Offer(w.Context(), o.ID))(w), o)
		}
		var order []string
		for _, r := range got(w.Deliveries.Recipients(w.Context(), k))(w) {
			order = append(order, r.Address.String())
		}
		w.equal("the recipients in the order of the offers", order, []string{"zoe@away.example", "amy@away.example", "carl@third.example"})
	})
	_, err := w.Deliveries.Offer(w.Context(), k.ID)
	w.wantKind("an unknown offer", err, vam.NotFound)
	w.equal("the recipients of nothing", len(got(w.Deliveries.Recipients(w.Context(), w.key(home)))(w)), 0)
}

// testOfferBody is AM-6.5.
func testOfferBody(w *world) {
	k, offers := w.sent(w.account("bob"), "amy@away.example")
	save := func(body string, token byte) string {
		w.Helper()
		return string(got(w.Deliveries.SaveOfferBody(w.Context(), offers[0].ID, []byte(body), activmail.Sum{token}, w.now().Add(time.Hour)))(w))
	}
	w.equal("the first body", save("first", 1), "first")
	w.equal("the same again", save("first", 1), "first")
	w.equal("another one", save("second", 2), "first")
	w.stays(func() {
		w.equal("what is stored", string(got(w.Deliveries.Offer(w.Context(), offers[0].ID))(w).Body), "first")
		found, d, err := w.Deliveries.TokenMessage(w.Context(), activmail.Sum{1}, w.now())
		w.ok(err)
		w.equal("what its token opens", found, k)
		w.equal("for whom", d, away)
		_, _, err = w.Deliveries.TokenMessage(w.Context(), activmail.Sum{2}, w.now())
		w.wantKind("the token of the body that came second", err, vam.NotFound)
	})
	_, err := w.Deliveries.SaveOfferBody(w.Context(), k.ID, []byte("x"), activmail.Sum{3}, w.now())
	w.wantKind("the body of no offer", err, vam.NotFound)
}

func testOfferBodyRace(w *world) {
	_, offers := w.sent(w.account("bob"), "amy@away.example")
	bodies := make([]string, 8)
	won := w.together(len(bodies), func(i int) (bool, error) {
		b, err := w.Deliveries.SaveOfferBody(w.Context(), offers[0].ID, fmt.Append(nil, i), activmail.Sum{byte(i)}, w.now().Add(time.Hour))
		bodies[i] = string(b)
		return bodies[i] == fmt.Sprint(i), err
	})
	if won != 1 {
		w.Errorf("%d callers got their own bytes: %q", won, bodies)
	}
}

func testSettle(w *world) {
	k, offers := w.sent(w.account("bob"), "amy@away.example", "zoe@away.example")
	w.pass(time.Second)
	next := w.now().Add(time.Hour)
	updates := []delivery.Update{
		{Address: addr(w, "AMY@away.example"), State: vam.Waiting, Code: "4.4.1", Text: "no answer", NextAt: next, At: w.now(), Attempt: true},
		{Address: addr(w, "stranger@away.example"), State: vam.Stored, At: w.now()},
		{Address: addr(w, "zoe@away.example"), State: vam.Accepted, At: w.now(), Attempt: true},
	}
	took := got(w.Deliveries.Settle(w.Context(), k, updates, noBounce))(w)
	w.equal("what took effect", took, []delivery.Update{updates[0], updates[2]})
	took = got(w.Deliveries.Settle(w.Context(), k, updates, noBounce))(w)
	w.equal("the second time", took, updates[:1])        // waiting counts one more attempt
	w.settle(k, addr(w, "zoe@away.example"), vam.Stored) // a receipt is no attempt
	want := []delivery.Recipient{
		{Address: addr(w, "amy@away.example"), Offer: offers[0].ID, State: vam.Waiting, Code: "4.4.1", Text: "no answer", Attempts: 2, NextAt: next, Changed: w.now()},
		{Address: addr(w, "zoe@away.example"), Offer: offers[0].ID, State: vam.Stored, Attempts: 1, Changed: w.now()},
	}
	w.stays(func() {
		w.equal("recipients", got(w.Deliveries.Recipients(w.Context(), k))(w), want)
		w.equal("of the offer", got(w.Deliveries.Offer(w.Context(), offers[0].ID))(w).Recipients, want)
	})
	called := false
	note := func([]delivery.Update) (*delivery.Bounce, error) { called = true; return nil, nil }
	_, err := w.Deliveries.Settle(w.Context(), w.key(home), updates, note)
	w.wantKind("the recipients of nothing", err, vam.NotFound)
	if got(w.Deliveries.Settle(w.Context(), k, nil, note))(w); called {
		w.Error("a bounce was made of no update")
	}
}

var recipientStates = [...]vam.RecipientState{
	vam.Queued, vam.Offering, vam.Waiting, vam.Held, vam.Accepted, vam.Stored, vam.Displayed, vam.Played,
	vam.Declined, vam.Lapsed, vam.Rejected, vam.Failed, vam.Withdrawn,
}

// Every state meets every other: a state never goes back.
func testSettleRanks(w *world) {
	var to []string
	name := func(from, to vam.RecipientState) string { return fmt.Sprintf("%s.%s@away.example", from, to) }
	for _, a := range recipientStates {
		for _, b := range recipientStates {
			to = append(to, name(a, b))
		}
	}
	k, _ := w.sent(w.account("bob"), to...)
	var first, then []delivery.Update
	want := map[string]vam.RecipientState{}
	for _, a := range recipientStates {
		for _, b := range recipientStates {
			at := addr(w, name(a, b))
			if a != vam.Queued {
				first = append(first, delivery.Update{Address: at, State: a, Text: "first"})
			}
			then = append(then, delivery.Update{Address: at, State: b, Text: "then"})
			want[at.String()] = a
			if delivery.Advances(a, b) {
				want[at.String()] = b
			}
		}
	}
	w.equal("the first states", len(got(w.Deliveries.Settle(w.Context(), k, first, noBounce))(w)), len(first))
	var seen []delivery.Update
	took := got(w.Deliveries.Settle(w.Context(), k, then, func(took []delivery.Update) (*delivery.Bounce, error) {
		seen = took
		return nil, nil
	}))(w)
	w.equal("what a bounce is made of", seen, took)
	w.stays(func() {
		for _, r := range got(w.Deliveries.Recipients(w.Context(), k))(w) {
			if r.State != want[r.Address.String()] {
				w.Errorf("%s became %s, want %s", r.Address.Local, r.State, want[r.Address.String()])
			}
			if moved := r.Text == "then"; moved != contains(took, r.Address) {
				w.Errorf("%s: moved %v, told %v", r.Address.Local, moved, !moved)
			}
		}
	})
}

func contains(updates []delivery.Update, a vam.Address) bool {
	for _, u := range updates {
		if u.Address == a {
			return true
		}
	}
	return false
}

func testSettleRace(w *world) {
	k, _ := w.sent(w.account("bob"), "amy@away.example")
	took := w.together(8, func(int) (bool, error) {
		took, err := w.Deliveries.Settle(w.Context(), k, []delivery.Update{{Address: addr(w, "amy@away.example"), State: vam.Stored}}, noBounce)
		return len(took) > 0, err
	})
	if took != 1 {
		w.Errorf("one receipt took effect %d times", took)
	}
}

func failed(a vam.Address, at time.Time) []delivery.Update {
	return []delivery.Update{{Address: a, State: vam.Failed, Code: "5.4.4", Text: "no", At: at}}
}

func (w *world) bounce() *delivery.Bounce {
	return &delivery.Bounce{
		ID: w.key(home).ID, From: vam.Address{Local: "postmaster", Domain: home}, Subject: "not delivered", Text: "sorry", Mail: []byte("report"), At: w.now(),
	}
}

// testBounce is AM-8.11, AM-8.25.
func testBounce(w *world) {
	bob := w.account("bob")
	k, _ := w.sent(bob, "amy@away.example")
	b := w.bounce()
	w.equal("took", len(got(w.Deliveries.Settle(w.Context(), k, failed(addr(w, "amy@away.example"), w.now()), func([]delivery.Update) (*delivery.Bounce, error) { return b, nil }))(w)), 1)
	bk := message.Key{Origin: home, ID: b.ID}
	w.stays(func() {
		w.equal("the author's entry", w.entry(bob, bk), mailbox.Entry{
			Account: bob.ID, Folder: mailbox.Inbox, Origin: home, ID: b.ID, Rcpt: bob.Address, From: b.From, Subject: b.Subject, Kind: vam.File,
			Bounce: true, State: mailbox.Stored, At: b.At, Changed: b.At,
		})
		w.equal("its mail", got(w.Messages.Mail(w.Context(), bk))(w), b.Mail)
		w.equal("its words", w.message(bk).Text, b.Text)
		w.equal("nothing is charged", w.used(bob), vam.Bytes(announced))
	})
	again := w.bounce()
	got(w.Deliveries.Settle(w.Context(), k, failed(addr(w, "amy@away.example"), w.now()), func([]delivery.Update) (*delivery.Bounce, error) { return again, nil }))(w)
	w.equal("reports after the second time", len(got(w.Mailboxes.Entries(w.Context(), bob.ID, mailbox.Filter{Folder: mailbox.Inbox}))(w)), 1)
}

// A report that cannot be written takes the outcome with it: it is tried again.
func testBounceFails(w *world) {
	k, _ := w.sent(w.account("bob"), "amy@away.example")
	mine := errors.New("no pen")
	_, err := w.Deliveries.Settle(w.Context(), k, failed(addr(w, "amy@away.example"), w.now()), func([]delivery.Update) (*delivery.Bounce, error) { return nil, mine })
	if !errors.Is(err, mine) {
		w.Errorf("Settle: %v, want the report's own error", err)
	}
	w.stays(func() { w.equal("the state", got(w.Deliveries.Recipients(w.Context(), k))(w)[0].State, vam.Queued) })
}

// Nobody is left to be told, and the outcome counts all the same.
func testBounceAlone(w *world) {
	bob := w.account("bob")
	k, _ := w.sent(bob, "amy@away.example")
	w.ok(w.Accounts.DeleteAccount(w.Context(), bob.ID))
	eve := w.account("eve")
	got(w.Deliveries.Settle(w.Context(), k, failed(addr(w, "amy@away.example"), w.now()), func([]delivery.Update) (*delivery.Bounce, error) { return w.bounce(), nil }))(w)
	w.stays(func() {
		w.equal("the state", got(w.Deliveries.Recipients(w.Context(), k))(w)[0].State, vam.Failed)
		for _, a := range []account.Account{bob, eve} {
			w.equal("inbox", len(got(w.Mailboxes.Entries(w.Context(), a.ID, mailbox.Filter{Folder: mailbox.Inbox}))(w)), 0)
		}
	})
}

// testTokens is AM-10.19.
func testTokens(w *world) {
	k, offers := w.sent(w.account("bob"), "amy@away.example", "carl@third.example")
	end := w.now().Add(time.Hour)
	w.twice(func() error { return w.Deliveries.AddToken(w.Context(), offers[1].ID, activmail.Sum{7}, end) })
	w.ok(w.Deliveries.AddToken(w.Context(), offers[0].ID, activmail.Sum{8}, end.Add(time.Hour)))
	opens := func(token byte, want vam.Domain) {
		w.Helper()
		found, d, err := w.Deliveries.TokenMessage(w.Context(), activmail.Sum{token}, w.now())
		if want == "" {
			w.wantKind("a token that opens nothing", err, vam.NotFound)
			return
		}
		w.ok(err)
		w.equal("message", found, k)
		w.equal("domain", d, want)
	}
	w.stays(func() { opens(7, "third.example"); opens(8, away); opens(9, "") })
	w.clock.Store(end.UnixMicro() - 1)
	opens(7, "third.example")
	w.pass(time.Microsecond)
	opens(7, "")
	opens(8, away)
	w.wantKind("a token of no offer", w.Deliveries.AddToken(w.Context(), k.ID, activmail.Sum{1}, end), vam.NotFound)
}

// A peer that asks again and again does not fill the store, and its latest token works.
func testTokenBound(w *world) {
	_, offers := w.sent(w.account("bob"), "amy@away.example", "carl@third.example")
	add := func(token byte, offer int, life time.Duration) {
		w.ok(w.Deliveries.AddToken(w.Context(), offers[offer].ID, activmail.Sum{token}, w.now().Add(life)))
	}
	add(200, 1, time.Hour)
	for i := range byte(40) {
		add(i, 0, time.Hour+time.Duration(i)*time.Second)
	}
	add(100, 0, time.Minute) // ends before all others
	w.stays(func() {
		for token, want := range map[byte]bool{0: false, 8: false, 9: true, 39: true, 100: true, 200: true} {
			if _, _, err := w.Deliveries.TokenMessage(w.Context(), activmail.Sum{token}, w.now()); (err == nil) != want {
				w.Errorf("token %d: %v, want it to open: %v", token, err, want)
			}
		}
	})
}

func testOfferedTo(w *world) {
	k, _ := w.sent(w.account("bob"), "amy@away.example", "carl@third.example")
	w.received()
	w.stays(func() {
		for _, d := range []vam.Domain{away, "third.example"} {
			w.equal("offered to "+string(d), got(w.Deliveries.OfferedTo(w.Context(), k.ID, d))(w), k)
		}
	})
	_, err := w.Deliveries.OfferedTo(w.Context(), k.ID, "fourth.example")
	w.wantKind("a domain that it was not offered to", err, vam.NotFound)
	_, err = w.Deliveries.OfferedTo(w.Context(), w.key(home).ID, away)
	w.wantKind("an unknown id", err, vam.NotFound)
	d := w.draft(w.account("eve"), "amy@away.example")
	_, err = w.Deliveries.OfferedTo(w.Context(), d.ID, away)
	w.wantKind("a draft", err, vam.NotFound)
}

func testNoteHolder(w *world) {
	bob := w.account("bob")
	k, _ := w.sent(bob, "amy@away.example")
	w.twice(func() error { return w.Deliveries.NoteHolder(w.Context(), k, away) }) // there is no media yet
	id := w.complete(k, "x", "")
	_, err := w.Messages.FindMedia(w.Context(), hashOf("x"), away)
	w.wantKind("before it was noted", err, vam.NotFound)
	w.twice(func() error { return w.Deliveries.NoteHolder(w.Context(), k, away) })
	w.stays(func() { w.equal("after", got(w.Messages.FindMedia(w.Context(), hashOf("x"), away))(w), id) })
	w.wantKind("of nothing", w.Deliveries.NoteHolder(w.Context(), w.key(home), away), vam.NotFound)
}

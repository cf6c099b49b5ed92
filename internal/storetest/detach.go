package storetest

import (
	"slices"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
)

// Media goes with the last mailbox that shows it.
func testDetach(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	k := w.received(answer{bob, vam.Accepted}, answer{ann, vam.Held})
	w.complete(k, "x", away)
	w.detach(10)
	w.delete(bob, k)
	w.equal("while one is held", w.detach(10), []message.Key(nil))
	w.stays(func() { w.equal("the state", w.message(k).State, vam.Sealed) })
	w.ok(w.Receptions.Decide(w.Context(), ann.ID, k, vam.Declined, nil, nil, w.now()))
	w.equal("with the last one", w.detach(10), []message.Key{k})
	w.equal("once", w.detach(10), []message.Key(nil))
	w.stays(func() {
		m := w.message(k)
		w.equal("the message", []any{m.State, m.Media, m.Complete}, []any{vam.Purged, blob.ID{}, false})
		if len(got(w.Receptions.Offers(w.Context(), k))(w)) != 1 || m.Head.Lines != 3 {
			w.Error("a repeated offer would not be recognised")
		}
	})
}

func testDetachSent(w *world) {
	bob := w.account("bob")
	open := []vam.RecipientState{vam.Queued, vam.Offering, vam.Waiting, vam.Held, vam.Accepted}
	to := []string{"zoe@away.example"}
	for _, st := range open {
		to = append(to, string(st)+"@away.example")
	}
	k, _ := w.sent(bob, to...)
	w.complete(k, "x", "")
	w.delete(bob, k)
	for _, st := range open {
		w.settle(k, addr(w, "zoe@away.example"), st)
		w.settle(k, addr(w, string(st)+"@away.example"), vam.Stored) // one more has it
		w.equal("while zoe is "+string(st), w.detach(10), []message.Key(nil))
	}
	w.settle(k, addr(w, "zoe@away.example"), vam.Failed)
	w.equal("when nobody will", w.detach(10), []message.Key{k})

	mine, _ := w.sent(bob, "amy@away.example")
	w.settle(mine, addr(w, "amy@away.example"), vam.Stored)
	w.equal("what its author keeps", w.detach(10), []message.Key(nil))

	d := w.draft(bob, "amy@away.example")
	w.media(d)
	w.delete(bob, d)
	w.equal("a draft", w.detach(10), []message.Key(nil))
}

func testDetachEnded(w *world) {
	bob := w.account("bob")
	revoked, expired := w.received(answer{bob, vam.Accepted}), w.received(answer{bob, vam.Accepted})
	w.media(revoked)
	w.complete(expired, "x", away)
	w.revoke(revoked)
	w.equal("revoked", w.detach(10), []message.Key{revoked})
	w.expire(expired, 0)
	got(w.Retention.Expire(w.Context(), w.now(), 10))(w)
	w.equal("expired", w.detach(10), []message.Key{expired})
	w.equal("once", w.detach(10), []message.Key(nil))
	w.stays(func() {
		for k, want := range map[message.Key]vam.State{revoked: vam.Revoked, expired: vam.Expired} {
			m := w.message(k)
			w.equal("the message", []any{m.State, m.Media, m.Complete}, []any{want, blob.ID{}, false})
		}
		w.wantEntry(bob, revoked, mailbox.Withdrawn)
		w.wantEntry(bob, expired, mailbox.Expired)
		got(w.Messages.Mail(w.Context(), revoked))(w) // its words are still shown
	})
	// Media that comes in after the end goes too.
	w.media(revoked)
	w.equal("attached after the end", w.detach(10), []message.Key{revoked})
}

func testDetachMailbox(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	shared, alone := w.received(answer{bob, vam.Accepted}, answer{ann, vam.Accepted}), w.received(answer{bob, vam.Accepted})
	w.complete(shared, "x", away)
	w.ok(w.Accounts.DeleteAccount(w.Context(), bob.ID))
	w.equal("only what nobody else holds", w.detach(10), []message.Key{alone})
	failed := w.received(answer{ann, vam.Accepted})
	w.media(failed)
	w.ok(w.Receptions.Conclude(w.Context(), failed, vam.Failed, "failed", "5.6.0", "broken", w.now()))
	w.equal("what failed", w.detach(10), []message.Key{failed})
	w.stays(func() { w.equal("what ann keeps", w.message(shared).State, vam.Sealed) })
}

// The limit bounds one call, and calls come to an end with everything done.
func testDetachMany(w *world) {
	bob := w.account("bob")
	var want, found []message.Key
	for i := range 30 {
		k := w.received(answer{bob, vam.Accepted})
		w.media(k)
		if i%3 == 0 {
			w.delete(bob, k)
			want = append(want, k)
		}
	}
	for range 5 {
		keys := w.detach(3)
		if len(keys) > 3 {
			w.Errorf("%d keys of at most 3", len(keys))
		}
		if found = append(found, keys...); len(keys) < 3 {
			break
		}
	}
	slices.SortFunc(found, func(a, b message.Key) int { return slices.Index(want, a) - slices.Index(want, b) })
	w.equal("all that nobody holds", found, want)
}

// A letter goes with the last entry that shows it, and at once when there is none.
func testDetachLetter(w *world) {
	bob := w.account("bob")
	nobody := w.received(answer{account.Account{Address: addr(w, "no@home.example")}, vam.Rejected})
	declined := w.received(answer{bob, vam.Held})
	w.ok(w.Receptions.Decide(w.Context(), bob.ID, declined, vam.Declined, nil, nil, w.now()))
	w.equal("detached", len(w.detach(10)), 2)
	_, err := w.Messages.Mail(w.Context(), nobody)
	w.wantKind("a letter to nobody", err, vam.NotFound)
	w.stays(func() { got(w.Messages.Mail(w.Context(), declined))(w) })
	w.delete(bob, declined)
	w.detach(10)
	_, err = w.Messages.Mail(w.Context(), declined)
	w.wantKind("after the entry", err, vam.NotFound)

	k, _ := w.sent(bob, "amy@away.example")
	w.delete(bob, k)
	w.detach(10)
	w.stays(func() { got(w.Messages.Mail(w.Context(), k))(w) }) // it is still to be offered
}

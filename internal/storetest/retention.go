package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
)

// Retention tests retention.Store.
func Retention(t *testing.T, open Opener) {
	run(t, open, map[string]func(*world){
		"Expire":          testExpire,
		"Detach":          testDetach,
		"DetachSent":      testDetachSent,
		"DetachEnded":     testDetachEnded,
		"DetachMailbox":   testDetachMailbox,
		"DetachMany":      testDetachMany,
		"DetachLetter":    testDetachLetter,
		"Condemn":         testCondemn,
		"SharedMedia":     testSharedMedia,
		"LinkOrCondemn":   testLinkOrCondemn,
		"DropMedia":       testDropMedia,
		"DropMessages":    testDropMessages,
		"DropMessagesFew": testDropMessagesFew,
	})
}

func (w *world) detach(limit int) []message.Key {
	w.Helper()
	return got(w.Retention.Detach(w.Context(), limit))(w)
}

func (w *world) condemn() []blob.ID {
	w.Helper()
	return got(w.Retention.Condemn(w.Context(), w.now(), 100))(w)
}

func (w *world) delete(a account.Account, k message.Key) {
	w.Helper()
	w.ok(w.Mailboxes.DeleteEntry(w.Context(), a.ID, k.Origin, k.ID))
}

// expire gives the log of a message an end.
func (w *world) expire(k message.Key, in time.Duration) {
	w.Helper()
	w.append(k, 1, func(h *message.Head) { h.Expires = w.now().Add(in) })
}

func testExpire(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	own, _ := w.sent(bob, "ann@home.example", "amy@away.example")
	w.take(w.taking(own, answer{ann, vam.Accepted}))
	theirs := w.received(answer{bob, vam.Held})
	later, never, revoked, draft := w.received(answer{bob, vam.Accepted}), w.received(answer{bob, vam.Accepted}), w.received(answer{bob, vam.Accepted}), w.draft(bob, "amy@away.example")
	w.expire(own, 2*time.Hour)
	w.expire(theirs, time.Hour)
	w.expire(later, 9*time.Hour)
	w.expire(revoked, time.Hour)
	w.revoke(revoked)
	w.expire(draft, time.Hour)
	expire := func(limit int, want ...message.Key) {
		w.Helper()
		w.equal("expired", got(w.Retention.Expire(w.Context(), w.now(), limit))(w), want)
	}
	expire(10)
	w.pass(2 * time.Hour)
	expire(1, theirs)
	expire(10, own)
	expire(10)
	w.stays(func() {
		for k, want := range map[message.Key]vam.State{own: vam.Expired, theirs: vam.Expired, later: vam.Live, never: vam.Live, revoked: vam.Revoked, draft: vam.Draft} {
			w.equal(k.String(), w.message(k).State, want)
		}
		w.wantEntry(ann, own, mailbox.Expired)
		w.wantEntry(bob, theirs, mailbox.Expired)
		w.wantEntry(bob, later, mailbox.Arriving)
		w.wantEntry(bob, revoked, mailbox.Withdrawn)
		w.equal("the author's entry", got(w.Mailboxes.Entry(w.Context(), bob.ID, own.Origin, own.ID))(w).State, mailbox.Expired)
		if w.entry(bob, theirs).Reason == "" {
			w.Error("nobody is told why")
		}
	})
}

func testCondemn(w *world) {
	bob := w.account("bob")
	kept, gone := w.received(answer{bob, vam.Accepted}), w.received(answer{bob, vam.Accepted})
	w.complete(kept, "kept", away)
	id := w.complete(gone, "gone", away)
	w.delete(bob, gone)
	w.pass(time.Second)
	w.equal("while a message names it", w.condemn(), []blob.ID(nil))
	w.detach(10)
	w.equal("media that is too young", len(got(w.Retention.Condemn(w.Context(), w.now().Add(-time.Hour), 10))(w)), 0)
	w.equal("after that", w.condemn(), []blob.ID{id})
	w.stays(func() {
		w.equal("until it is dropped", w.condemn(), []blob.ID{id})
		if !got(w.Retention.HasMedia(w.Context(), id))(w) {
			w.Error("there is no row for it")
		}
	})
	_, err := w.Messages.FindMedia(w.Context(), hashOf("gone"), away)
	w.wantKind("finding it", err, vam.NotFound)
	w.wantKind("linking it", w.Messages.LinkMedia(w.Context(), w.create(), id), vam.NotFound)
	w.twice(func() error { return w.Retention.DropMedia(w.Context(), id) })
	w.stays(func() {
		w.equal("nothing is left", w.condemn(), []blob.ID(nil))
		if got(w.Retention.HasMedia(w.Context(), id))(w) {
			w.Error("there is still a row")
		}
	})
	for range 5 {
		d := w.draft(bob, "amy@away.example")
		w.media(d)
		w.ok(w.Submissions.DeleteDraft(w.Context(), d))
	}
	w.pass(time.Second)
	w.equal("at most three", len(got(w.Retention.Condemn(w.Context(), w.now(), 3))(w)), 3)
}

// Media that several messages name goes with the last of them (AM-8.19).
func testSharedMedia(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	k := w.received(answer{bob, vam.Accepted})
	id := w.complete(k, "x", away)
	forward := w.draft(bob, "ann@home.example")
	w.ok(w.Messages.LinkMedia(w.Context(), forward, id))
	resent := w.received(answer{ann, vam.Accepted})
	w.ok(w.Messages.LinkMedia(w.Context(), resent, id))
	w.pass(time.Minute)

	w.revoke(k)
	w.equal("the first", w.detach(10), []message.Key{k})
	w.equal("while two name it", w.condemn(), []blob.ID(nil))
	w.ok(w.Submissions.DeleteDraft(w.Context(), forward))
	w.equal("while one does", w.condemn(), []blob.ID(nil))
	w.stays(func() {
		w.equal("what the last one has", w.message(resent).Media, id)
		w.equal("it can be found", got(w.Messages.FindMedia(w.Context(), hashOf("x"), away))(w), id)
	})
	w.delete(ann, resent)
	w.detach(10)
	w.equal("with the last", w.condemn(), []blob.ID{id})
}

// Media that found another message before it was condemned stays; after, none finds it.
func testLinkOrCondemn(w *world) {
	bob := w.account("bob")
	for range 5 {
		k := w.received(answer{bob, vam.Accepted})
		id := w.complete(k, "x", away)
		w.delete(bob, k)
		w.detach(10)
		w.pass(time.Second)
		next := w.received(answer{bob, vam.Accepted})
		outcome := w.together(2, func(i int) (bool, error) {
			if i == 0 {
				ids, err := w.Retention.Condemn(w.Context(), w.now(), 10)
				return slices.Contains(ids, id), err
			}
			err := w.Messages.LinkMedia(w.Context(), next, id)
			if err != nil && vam.KindOf(err) == vam.NotFound {
				return false, nil
			}
			return err == nil, err
		})
		w.equal("either condemned or linked", outcome, 1)
		for _, id := range w.condemn() {
			w.ok(w.Retention.DropMedia(w.Context(), id))
		}
		w.ok(w.Messages.SetComplete(w.Context(), w.sealed(next), away))
		w.delete(bob, next)
		w.detach(10)
		for _, id := range w.condemn() {
			w.ok(w.Retention.DropMedia(w.Context(), id))
		}
	}
}

// sealed seals a message and returns its key.
func (w *world) sealed(k message.Key) message.Key {
	w.Helper()
	w.seal(k, "x")
	return k
}

func testDropMedia(w *world) {
	bob := w.account("bob")
	k, growing := w.received(answer{bob, vam.Accepted}), w.received(answer{bob, vam.Accepted})
	for _, id := range []blob.ID{w.complete(k, "x", away), w.media(growing), blob.NewID()} {
		w.twice(func() error { return w.Retention.DropMedia(w.Context(), id) }) // not condemned: nothing happens
	}
	w.stays(func() {
		for _, k := range []message.Key{k, growing} {
			if !got(w.Retention.HasMedia(w.Context(), w.message(k).Media))(w) {
				w.Errorf("the media of %s is gone", k)
			}
		}
		if got(w.Retention.HasMedia(w.Context(), blob.NewID()))(w) {
			w.Error("unknown media has a row")
		}
	})
}

func testDropMessages(w *world) {
	bob := w.account("bob")
	const memory = 60 * 24 * time.Hour
	drop := func(what string, want int) {
		w.Helper()
		w.equal(what, got(w.Retention.DropMessages(w.Context(), w.now().Add(-memory), 100))(w), want)
	}
	deleted, shown, kept := w.received(answer{bob, vam.Accepted}), w.received(answer{bob, vam.Accepted}), w.received(answer{bob, vam.Accepted})
	w.complete(deleted, "x", away)
	w.complete(kept, "y", away)
	w.delete(bob, deleted)
	w.revoke(shown)
	w.detach(10)
	own, _ := w.sent(bob, "amy@away.example")
	w.settle(own, addr(w, "amy@away.example"), vam.Stored)
	w.delete(bob, own)
	w.detach(10)
	drop("at once", 0)
	w.pass(memory + time.Hour)
	forgotten := got(w.Receptions.Forget(w.Context(), w.now().Add(-memory), 100))(w)
	w.equal("forgotten offers", forgotten, 3)
	drop("after their time", 2)
	w.stays(func() {
		for k, gone := range map[message.Key]bool{deleted: true, own: true, shown: false, kept: false} {
			if _, err := w.Messages.Message(w.Context(), k); (err != nil) != gone {
				w.Errorf("%s: %v, want it gone: %v", k, err, gone)
			}
		}
		w.equal("lines", len(got(w.Messages.Lines(w.Context(), deleted, 0, 10))(w)), 0)
	})
	// A fresh offer is remembered with its message, however old that is.
	late := w.received(answer{bob, vam.Accepted})
	w.delete(bob, late)
	w.detach(10)
	w.pass(memory - time.Hour)
	w.take(w.taking(late, answer{account.Account{Address: addr(w, "no@home.example")}, vam.Rejected}))
	w.pass(2 * time.Hour)
	drop("with a fresh offer", 0)
	w.equal("its offers", len(got(w.Receptions.Offers(w.Context(), late))(w)), 2)
	w.delete(bob, shown)
	for range 3 { // it may take as long again
		w.pass(memory + time.Hour)
		w.detach(10)
		got(w.Retention.DropMessages(w.Context(), w.now().Add(-memory), 100))(w)
	}
	_, err := w.Messages.Message(w.Context(), shown)
	w.wantKind("after its entry was deleted", err, vam.NotFound)
	w.equal("what somebody keeps", w.message(kept).State, vam.Sealed)
}

func testDropMessagesFew(w *world) {
	bob := w.account("bob")
	for i := range 12 {
		k := w.received(answer{bob, vam.Accepted})
		w.revoke(k)
		if i%2 == 0 {
			w.delete(bob, k)
		}
	}
	w.detach(100)
	w.pass(61 * 24 * time.Hour)
	got(w.Receptions.Forget(w.Context(), w.now(), 100))(w)
	var all []int
	for range 4 {
		all = append(all, got(w.Retention.DropMessages(w.Context(), w.now().Add(-time.Hour), 4))(w))
	}
	w.equal("four at a time, past those that are shown", all, []int{4, 2, 0, 0})
}

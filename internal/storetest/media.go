package storetest

import (
	"fmt"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
)

func testComplete(w *world) {
	bob, ann, eve := w.account("bob"), w.account("ann"), w.account("eve")
	k := w.received(answer{bob, vam.Accepted}, answer{ann, vam.Held}, answer{w.account("x"), vam.Rejected})
	w.pass(time.Second)
	w.take(w.taking(k, answer{eve, vam.Accepted}))
	id := w.media(k)
	w.grow(k, 2, announced)
	w.wantKind("completing a log without its seal", w.Messages.SetComplete(w.Context(), k, away), vam.Conflict)
	w.seal(k, "x")
	if w.message(k).Complete {
		w.Error("a pulled message is complete before somebody said so")
	}
	w.wantJobs(queue.Receipt)
	w.ok(w.Messages.SetComplete(w.Context(), k, away))
	w.stays(func() {
		if !w.message(k).Complete {
			w.Error("the message is not complete")
		}
		w.wantEntry(bob, k, "stored")
		w.wantEntry(eve, k, "stored")
		w.wantEntry(ann, k, "held")
		offers := got(w.Receptions.Offers(w.Context(), k))(w)
		w.equal("the first offer", []vam.RecipientState{offers[1].Rcpts[0].State, offers[1].Rcpts[1].State, offers[1].Rcpts[2].State},
			[]vam.RecipientState{vam.Stored, vam.Held, vam.Rejected})
		w.equal("the second offer", offers[0].Rcpts[0].State, vam.Stored)
		w.equal("its media", got(w.Messages.FindMedia(w.Context(), hashOf("x"), away))(w), id)
	})
	jobs := w.jobs(queue.Receipt)
	told := map[string]activmail.ReceiptEvent{}
	for _, j := range jobs {
		r := got(activmail.ParseReceipt(j.Payload, activmail.DefaultLimits()))(w)
		told[r.Recipient.String()] = r.Event
		if j.Domain != away {
			w.Errorf("the receipt goes to %s", j.Domain)
		}
	}
	w.equal("receipts", told, map[string]activmail.ReceiptEvent{"bob@home.example": activmail.EventStored, "eve@home.example": activmail.EventStored})
	w.ok(w.Messages.SetComplete(w.Context(), k, away))
	w.wantJobs(queue.Receipt)
	w.wantKind("completing nothing", w.Messages.SetComplete(w.Context(), w.key(away), away), vam.NotFound)

	empty := w.received(answer{bob, vam.Accepted})
	w.seal(empty, "empty")
	w.twice(func() error { return w.Messages.SetComplete(w.Context(), empty, away) })
	w.wantEntry(bob, empty, "stored")
}

func testAttachMedia(w *world) {
	k := w.create()
	ids := make([]blob.ID, 8)
	w.together(len(ids), func(i int) (_ bool, err error) {
		ids[i], err = w.Messages.AttachMedia(w.Context(), k, blob.NewID())
		return true, err
	})
	for _, id := range ids {
		w.equal("everybody's media", id, ids[0])
	}
	w.equal("again", got(w.Messages.AttachMedia(w.Context(), k, ids[0]))(w), ids[0])
	w.stays(func() {
		w.equal("the message's media", w.message(k).Media, ids[0])
		w.equal("what is here of it", got(w.Messages.Have(w.Context(), ids[0]))(w), message.Ranges{})
	})
	_, err := w.Messages.AttachMedia(w.Context(), w.key(home), blob.NewID())
	w.wantKind("the media of nothing", err, vam.NotFound)
}

func testLinkMedia(w *world) {
	src, dst, busy := w.create(), w.create(), w.create()
	id := w.media(src)
	w.wantKind("media that is not complete", w.Messages.LinkMedia(w.Context(), dst, id), vam.NotFound)
	w.grow(src, 1, announced)
	w.seal(src, "x")
	w.twice(func() error { return w.Messages.LinkMedia(w.Context(), dst, id) })
	w.stays(func() { w.equal("the linked media", w.message(dst).Media, id) })
	own := w.media(busy)
	w.wantKind("a message with media of its own", w.Messages.LinkMedia(w.Context(), busy, id), vam.Conflict)
	w.equal("it keeps that", w.message(busy).Media, own)
	// What has come of a sealed log so far gives way to the whole.
	half := w.received()
	old := w.media(half)
	w.wantKind("a log without its seal", w.Messages.LinkMedia(w.Context(), half, id), vam.Conflict)
	w.seal(half, "x")
	w.twice(func() error { return w.Messages.LinkMedia(w.Context(), half, id) })
	w.equal("the media of the half message", w.message(half).Media, id)
	w.pass(time.Second)
	w.equal("what had come is for retention", w.condemn(), []blob.ID{old})
	w.ok(w.Messages.SetComplete(w.Context(), half, away))
	w.wantKind("a complete message", w.Messages.LinkMedia(w.Context(), half, blob.NewID()), vam.Conflict)
	w.wantKind("unknown media", w.Messages.LinkMedia(w.Context(), w.create(), blob.NewID()), vam.NotFound)
	w.wantKind("no message", w.Messages.LinkMedia(w.Context(), w.key(home), id), vam.NotFound)
}

// Whoever names a hash does not have the media for that (AM-4.25).
func testFindMedia(w *world) {
	bob := w.account("bob")
	find := func(identity string, peer vam.Domain) (blob.ID, error) {
		return w.Messages.FindMedia(w.Context(), hashOf(identity), peer)
	}
	k := w.received(answer{bob, vam.Accepted})
	id := w.media(k)
	w.grow(k, 1, announced)
	w.seal(k, "x")
	w.ok(w.Deliveries.NoteHolder(w.Context(), k, away))
	_, err := find("x", away)
	w.wantKind("media that is not complete", err, vam.NotFound)
	sized := func(n vam.Bytes, peer vam.Domain, limit int) []message.Key {
		return got(w.Messages.SameSize(w.Context(), n, peer, limit))(w)
	}
	w.equal("of its size before", sized(announced, away, 2), []message.Key(nil))
	w.ok(w.Messages.SetComplete(w.Context(), k, away))
	w.equal("of its size", sized(announced, away, 2), []message.Key{k})
	w.equal("of its size, of another domain", sized(announced, "third.example", 2), []message.Key(nil))
	w.equal("of another size", sized(announced+1, away, 2), []message.Key(nil))
	second := w.received(answer{bob, vam.Accepted})
	w.media(second)
	w.grow(second, 1, announced)
	w.seal(second, "x2")
	w.ok(w.Messages.SetComplete(w.Context(), second, away))
	w.equal("the newest first", sized(announced, away, 2), []message.Key{second, k})
	w.equal("no more than asked for", sized(announced, away, 1), []message.Key{second})
	w.stays(func() {
		w.equal("from who sent it", got(find("x", away))(w), id)
		_, err = find("x", "third.example")
		w.wantKind("from who never had it", err, vam.NotFound)
		_, err = find("y", away)
		w.wantKind("another identity", err, vam.NotFound)
	})
	w.twice(func() error { return w.Deliveries.NoteHolder(w.Context(), k, "third.example") })
	w.equal("from who got it", got(find("x", "third.example"))(w), id)

	unnamed := w.create()
	other := w.media(unnamed)
	w.grow(unnamed, 1, 10)
	w.seal(unnamed, "z")
	_, err = find("z", home)
	w.wantKind("media that no domain is known to have had", err, vam.NotFound)
	w.twice(func() error { return w.Messages.SetComplete(w.Context(), unnamed, "fourth.example") })
	w.equal("then it is", got(find("z", "fourth.example"))(w), other)

	w.revoke(k)
	got(w.Retention.Detach(w.Context(), 10))(w)
	got(w.Retention.Condemn(w.Context(), w.now().Add(time.Second), 10))(w)
	_, err = find("x", away)
	w.wantKind("condemned media", err, vam.NotFound)
}

func testHave(w *world) {
	k := w.create()
	id := w.media(k)
	for _, have := range []message.Ranges{{{Start: 0, End: 10}}, {{Start: 5, End: 7}, {Start: 1 << 40, End: 1<<40 + 1}}, {}} {
		w.twice(func() error { return w.Messages.SaveHave(w.Context(), id, have) })
		w.stays(func() { w.equal("what is here", got(w.Messages.Have(w.Context(), id))(w), have) })
	}
	_, err := w.Messages.Have(w.Context(), blob.NewID())
	w.wantKind("no media", err, vam.NotFound)
	w.wantKind("saving that of none", w.Messages.SaveHave(w.Context(), blob.NewID(), nil), vam.NotFound)
}

func testEvidence(w *world) {
	k, other := w.received(), w.received()
	var want [][2][]byte
	for i := range 20 {
		pair := [2][]byte{fmt.Appendf(nil, "have %d", i), fmt.Appendf(nil, "got %d", i)}
		w.ok(w.Messages.KeepEvidence(w.Context(), k, pair[0], pair[1], w.now()))
		if i < 16 {
			want = append(want, pair)
		}
	}
	w.ok(w.Messages.KeepEvidence(w.Context(), other, []byte("a"), []byte("b"), w.now()))
	w.stays(func() {
		w.equal("evidence", got(w.Messages.Evidence(w.Context(), k))(w), want)
		w.equal("of the other", got(w.Messages.Evidence(w.Context(), other))(w), [][2][]byte{{[]byte("a"), []byte("b")}})
	})
}

package storetest

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
)

// Messages tests message.Store.
func Messages(t *testing.T, open Opener) {
	run(t, open, map[string]func(*world){
		"Create":         testCreateMessage,
		"CreateRace":     testCreateMessageRace,
		"Mail":           testMail,
		"Append":         testAppend,
		"AppendRace":     testAppendRace,
		"AppendNowhere":  testAppendNowhere,
		"Lines":          testLines,
		"StatesGoOn":     testStatesGoOn,
		"Pokes":          testPokes,
		"Revoke":         testRevoke,
		"RevokeReceived": testRevokeReceived,
		"SealOfOwn":      testSealOfOwn,
		"Complete":       testComplete,
		"AttachMedia":    testAttachMedia,
		"LinkMedia":      testLinkMedia,
		"FindMedia":      testFindMedia,
		"Have":           testHave,
		"Evidence":       testEvidence,
	})
}

func testCreateMessage(w *world) {
	k := w.key(home)
	m := message.Message{
		Key: k, State: vam.Draft, Kind: vam.Voice, Author: addr(w, `"a b"@home.example`), Subject: "héllo", Text: "words\nwords", PublicKey: publicKey(k),
		Announced: 5 * vam.GiB, Created: w.now(), Expires: w.now().Add(time.Hour), Head: message.Head{State: vam.Draft, Duration: 3 * time.Second},
		Forwards: []activmail.MessageRef{{Origin: away, MessageID: k.ID}, {Origin: home, MessageID: k.ID}},
	}
	made, created, err := w.Messages.CreateMessage(w.Context(), m, privateKey(k))
	w.ok(err)
	if !created {
		w.Error("the message is not new")
	}
	w.equal("the message as made", made, m)
	other := m
	other.Kind, other.PublicKey = vam.File, publicKey(message.Key{})
	again, created, err := w.Messages.CreateMessage(w.Context(), other, privateKey(message.Key{}))
	w.ok(err)
	if created {
		w.Error("the same key was new twice")
	}
	w.equal("the message that was there", again, m)
	w.stays(func() {
		w.equal("the message", w.message(k), m)
		w.equal("its key", got(w.Messages.PrivateKey(w.Context(), k))(w), privateKey(k))
	})
	_, err = w.Messages.Message(w.Context(), message.Key{Origin: away, ID: k.ID})
	w.wantKind("the id at another origin", err, vam.NotFound)

	theirs := w.received()
	_, err = w.Messages.PrivateKey(w.Context(), theirs)
	w.wantKind("the private key of another origin's message", err, vam.NotFound)
	_, err = w.Messages.PrivateKey(w.Context(), w.key(home))
	w.wantKind("the private key of no message", err, vam.NotFound)
}

func testCreateMessageRace(w *world) {
	k := w.key(home)
	keys := make([]ed25519.PublicKey, 8)
	made := w.together(len(keys), func(i int) (bool, error) {
		pair := message.Key{Origin: home, ID: vam.MessageID(fmt.Sprint(i))}
		m, created, err := w.Messages.CreateMessage(w.Context(), message.Message{Key: k, State: vam.Draft, PublicKey: publicKey(pair)}, privateKey(pair))
		keys[i] = m.PublicKey
		return created, err
	})
	if made != 1 {
		w.Errorf("%d of %d made the message", made, len(keys))
	}
	for _, key := range keys {
		w.equal("everybody's key", key, keys[0])
	}
	w.equal("the private key fits", got(w.Messages.PrivateKey(w.Context(), k))(w).Public(), keys[0])
}

func testMail(w *world) {
	bob := w.account("bob")
	d := w.draft(bob, "amy@away.example")
	_, err := w.Messages.Mail(w.Context(), d)
	w.wantKind("the mail of a draft", err, vam.NotFound)
	_, err = w.Messages.Mail(w.Context(), w.key(home))
	w.wantKind("the mail of nothing", err, vam.NotFound)
	sent, _ := w.sent(bob, "amy@away.example")
	k := w.key(away)
	t := w.taking(k, answer{bob, vam.Held})
	w.take(t)
	w.stays(func() {
		w.equal("received", got(w.Messages.Mail(w.Context(), k))(w), t.Mail)
		w.equal("sent", string(got(w.Messages.Mail(w.Context(), sent))(w)), "From: bob@home.example\r\n\r\n")
	})
}

func testAppend(w *world) {
	k := w.received()
	id := w.media(k)
	have := message.Ranges{{Start: 0, End: 300}, {Start: 500, End: 600}}
	head := message.Head{
		State: vam.Live, Lines: 3, Root: hashOf("root"), Checkpoint: []byte("checkpoint"), MediaBytes: 300, Duration: 4 * time.Second, Sides: 2,
	}
	w.ok(w.Messages.AppendLines(w.Context(), k, 0, someLines(0, 3), head, have))
	err := w.Messages.AppendLines(w.Context(), k, 0, someLines(0, 3), head, nil)
	w.wantProblem("the same append again", err, vam.Conflict, "log-position")
	var at *activmail.PositionError
	if !errors.As(err, &at) || at.Size != 3 {
		w.Errorf("%v does not say that the log has 3 lines", err)
	}
	w.wantProblem("an append behind the end", w.Messages.AppendLines(w.Context(), k, 4, someLines(4, 1), head, nil), vam.Conflict, "log-position")
	w.stays(func() {
		w.equal("the head", w.message(k).Head, head)
		w.equal("the lines", got(w.Messages.Lines(w.Context(), k, 0, 10))(w), someLines(0, 3))
		w.equal("what is here", got(w.Messages.Have(w.Context(), id))(w), have)
	})

	sealed := message.Head{
		State: vam.Sealed, Lines: 5, Root: hashOf("more"), Checkpoint: []byte("another"), MediaBytes: 400, Duration: 5 * time.Second,
		SealedAt: w.now(), Digest: hashOf("d"), Identity: hashOf("i"), Expires: w.now().Add(time.Hour), Sides: 3,
	}
	w.ok(w.Messages.AppendLines(w.Context(), k, 3, someLines(3, 2), sealed, nil))
	w.stays(func() {
		m := w.message(k)
		w.equal("the message expires with its log", m.Expires, sealed.Expires)
		want := sealed
		want.Expires = m.Head.Expires // it stands with the message
		w.equal("the sealed head", m.Head, want)
		w.equal("the state", m.State, vam.Sealed)
		w.equal("a nil set leaves what is here", got(w.Messages.Have(w.Context(), id))(w), have)
	})
}

func testAppendRace(w *world) {
	k := w.create()
	won := w.together(8, func(i int) (bool, error) {
		h := message.Head{State: vam.Draft, Lines: int64(i + 1), Checkpoint: []byte{byte(i)}}
		err := w.Messages.AppendLines(w.Context(), k, 0, someLines(0, i+1), h, nil)
		if err != nil && vam.KindOf(err) == vam.Conflict {
			return false, nil
		}
		return err == nil, err
	})
	h := w.message(k).Head
	if won != 1 || len(got(w.Messages.Lines(w.Context(), k, 0, 100))(w)) != int(h.Lines) || h.Checkpoint[0] != byte(h.Lines-1) {
		w.Errorf("%d of 8 appends at the start succeeded, and the head is %+v", won, h)
	}
}

func testAppendNowhere(w *world) {
	w.wantKind("an append to nothing", w.Messages.AppendLines(w.Context(), w.key(home), 0, someLines(0, 1), message.Head{Lines: 1}, nil), vam.NotFound)
	w.equal("the lines of nothing", len(got(w.Messages.Lines(w.Context(), w.key(home), 0, 10))(w)), 0)
}

func testLines(w *world) {
	k, other := w.create(), w.create()
	w.grow(k, 7, 0)
	w.grow(other, 2, 0)
	w.grow(k, 5, 0)
	w.stays(func() {
		for _, tt := range []struct{ from, limit, first, n int64 }{{0, 100, 0, 12}, {0, 5, 0, 5}, {5, 5, 5, 5}, {10, 5, 10, 2}, {12, 5, 0, 0}, {3, 1, 3, 1}} {
			lines := got(w.Messages.Lines(w.Context(), k, tt.from, tt.limit))(w)
			w.equal(fmt.Sprintf("%d lines from %d", tt.limit, tt.from), lines, someLines(tt.first, int(tt.n)))
		}
	})
}

// A head that was read before a send, an expiry or a revoke does not undo it.
func testStatesGoOn(w *world) {
	bob := w.account("bob")
	k := w.draft(bob, "amy@away.example")
	stale := w.message(k).Head
	stale.Checkpoint = []byte("old")
	w.ok(second(w.Submissions.Send(w.Context(), w.sending(bob, k))))
	after := func(what string, lines int64, st, want vam.State) {
		w.Helper()
		h := stale
		h.State, h.Lines = st, lines
		w.ok(w.Messages.AppendLines(w.Context(), k, lines-1, someLines(lines-1, 1), h, nil))
		w.equal(what, w.message(k).State, want)
	}
	after("a stale draft that was sent", 1, vam.Draft, vam.Live)
	h := w.message(k).Head
	h.Lines, h.Expires = 2, w.now()
	w.ok(w.Messages.AppendLines(w.Context(), k, 1, someLines(1, 1), h, nil))
	w.equal("expired", got(w.Retention.Expire(w.Context(), w.now(), 10))(w), []message.Key{k})
	after("a stale live one that has expired", 3, vam.Live, vam.Expired)
	after("a revoke of it", 4, vam.Revoked, vam.Revoked)
	after("a stale one that was revoked", 5, vam.Sealed, vam.Revoked)
}

func second[A any](_ A, err error) error { return err }

// A poke is for who was offered the message, when the log goes on where nobody follows (AM-6.30, AM-6.32).
func testPokes(w *world) {
	bob := w.account("bob")
	k, offers := w.sent(bob, "amy@away.example", "carl@third.example")
	poke := k.String() + " away.example"
	got(w.Deliveries.SaveOfferBody(w.Context(), offers[0].ID, []byte("offer"), activmail.Sum{1}, w.now().Add(time.Hour)))(w)
	w.grow(k, 2, 10)
	w.wantJobs(queue.Poke)
	w.seal(k, "x")
	w.stays(func() {
		jobs := got(w.Queue.Jobs(w.Context(), away, 10))(w)
		if len(jobs) != 2 || jobs[1].Kind != queue.Poke || jobs[1].Domain != away || jobs[1].Deadline.Before(w.now().Add(96*time.Hour)) {
			w.Errorf("the jobs are %+v, want the offer and a poke for at least 4 days", jobs)
		}
	})
	w.wantJobs(queue.Poke, poke)
	w.append(k, 1, func(*message.Head) {})
	w.wantJobs(queue.Poke, poke)
	w.revoke(k)
	w.revoke(k)
	w.wantJobs(queue.Poke, poke)

	d := w.draft(bob, "amy@away.example")
	w.seal(d, "y")
	w.append(d, 1, func(*message.Head) {})
	w.wantJobs(queue.Poke)

	// Nobody could be told of the seal so far: what is told next has its whole time.
	k, offers = w.sent(bob, "amy@away.example")
	got(w.Deliveries.SaveOfferBody(w.Context(), offers[0].ID, []byte("offer"), activmail.Sum{2}, w.now().Add(time.Hour)))(w)
	w.seal(k, "z")
	w.pass(13 * 24 * time.Hour)
	w.revoke(k)
	if jobs := w.jobs(queue.Poke); len(jobs) != 1 || jobs[0].Deadline.Before(w.now().Add(96*time.Hour)) {
		w.Errorf("the jobs are %+v, want one poke for at least 4 days", jobs)
	}
}

func testRevoke(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	k, _ := w.sent(bob, "queued@away.example", "waiting@away.example", "held@away.example", "stored@away.example", "gone@away.example", "ann@home.example")
	for _, st := range []vam.RecipientState{vam.Waiting, vam.Held, vam.Stored} {
		w.settle(k, addr(w, string(st)+"@away.example"), st)
	}
	w.settle(k, addr(w, "gone@away.example"), vam.Rejected)
	w.take(w.taking(k, answer{ann, vam.Accepted}))
	w.complete(k, "x", "")
	w.settle(k, ann.Address, vam.Stored)
	w.wantJobs(queue.Receipt, receiptKey(k, ann.Address, activmail.EventStored))
	w.revoke(k)
	w.stays(func() {
		states := map[string]vam.RecipientState{}
		for _, r := range got(w.Deliveries.Recipients(w.Context(), k))(w) {
			states[r.Address.Local] = r.State
		}
		w.equal("recipients", states, map[string]vam.RecipientState{
			"queued": vam.Withdrawn, "waiting": vam.Withdrawn, "held": vam.Held, "stored": vam.Stored, "gone": vam.Rejected, "ann": vam.Stored,
		})
		w.wantEntry(ann, k, "withdrawn")
		if e := got(w.Mailboxes.Entry(w.Context(), bob.ID, k.Origin, k.ID))(w); e.State != "stored" {
			w.Errorf("the author's entry is %s", e.State)
		}
	})
	w.wantJobs(queue.Receipt, receiptKey(k, ann.Address, activmail.EventWithdrawn))
}

func testRevokeReceived(w *world) {
	bob, ann, eve := w.account("bob"), w.account("ann"), w.account("eve")
	k := w.received(answer{bob, vam.Accepted}, answer{ann, vam.Held}, answer{eve, vam.Held}, answer{w.account("x"), vam.Rejected})
	w.ok(w.Receptions.Decide(w.Context(), eve.ID, k, vam.Declined, nil, nil, w.now()))
	w.revoke(k)
	w.stays(func() {
		w.wantEntry(bob, k, "withdrawn")
		w.wantEntry(ann, k, "withdrawn")
		w.wantEntry(eve, k, "declined")
		w.equal("recipients", rcptStates(w, k), []vam.RecipientState{vam.Withdrawn, vam.Withdrawn, vam.Declined, vam.Rejected})
		if e := w.entry(bob, k); e.Reason == "" {
			w.Error("nobody is told why")
		}
	})
	w.wantJobs(queue.Receipt, receiptKey(k, bob.Address, activmail.EventWithdrawn), receiptKey(k, ann.Address, activmail.EventWithdrawn))
	w.ok(w.Receptions.Conclude(w.Context(), k, vam.Withdrawn, activmail.EventWithdrawn, "", "again", w.now()))
	w.wantJobs(queue.Receipt)
}

// rcptStates are the states of the recipients of the newest offer, in its order.
func rcptStates(w *world, k message.Key) []vam.RecipientState {
	w.Helper()
	var out []vam.RecipientState
	for _, r := range got(w.Receptions.Offers(w.Context(), k))(w)[0].Rcpts {
		out = append(out, r.State)
	}
	return out
}

// A message of this server is complete with its seal: a crash cannot come between.
func testSealOfOwn(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	k, _ := w.sent(bob, "ann@home.example")
	w.take(w.taking(k, answer{ann, vam.Accepted}))
	id := w.media(k)
	w.grow(k, 1, announced)
	w.ok(w.Deliveries.NoteHolder(w.Context(), k, away))
	w.seal(k, "x")
	w.stays(func() {
		if !w.message(k).Complete {
			w.Error("the sealed message is not complete")
		}
		w.wantEntry(ann, k, "stored")
		w.equal("its media can be found", got(w.Messages.FindMedia(w.Context(), hashOf("x"), away))(w), id)
	})
	w.wantJobs(queue.Receipt, receiptKey(k, ann.Address, activmail.EventStored))
}

package storetest

import (
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/reception"
)

// testTake is AM-12.13.
func testTake(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	k := w.key(away)
	t := w.taking(k, answer{bob, vam.Accepted}, answer{ann, vam.Held}, answer{account.Account{Address: addr(w, "No.Body@home.example")}, vam.Rejected})
	t.Message.Head.Duration = 90 * time.Second
	_, err := w.Receptions.Offered(w.Context(), k, t.Offered.ID)
	w.wantKind("before it was taken", err, vam.NotFound)
	w.equal("the answer", w.take(t), t.Offered)
	w.stays(func() {
		w.equal("the offer", got(w.Receptions.Offered(w.Context(), k, t.Offered.ID))(w), t.Offered)
		w.equal("the message", w.message(k), t.Message)
		w.equal("bob's entry", w.entry(bob, k), t.Entries[0])
		w.equal("ann's entry", w.entry(ann, k), t.Entries[1])
	})
	w.wantJobs(queue.Pull, k.String())
	_, err = w.Receptions.Offered(w.Context(), k, k.ID)
	w.wantKind("another offer", err, vam.NotFound)
	_, err = w.Receptions.Offered(w.Context(), w.key(away), t.Offered.ID)
	w.wantKind("of another message", err, vam.NotFound)
}

func testTakeTwice(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	k := w.key(away)
	first := w.taking(k, answer{bob, vam.Held})
	w.equal("of 6 at the same time", w.together(6, func(int) (bool, error) {
		o, err := w.Receptions.Take(w.Context(), first)
		return o.Digest == first.Offered.Digest, err
	}), 6)
	w.pass(time.Hour)
	// The same offer, with what would be decided now.
	again := w.taking(k, answer{bob, vam.Accepted}, answer{ann, vam.Accepted})
	again.Offered.ID = first.Offered.ID
	w.equal("the answer", w.take(again), first.Offered)
	w.stays(func() {
		w.equal("the offer", got(w.Receptions.Offers(w.Context(), k))(w), []reception.Offered{first.Offered})
		w.equal("the entry", w.entry(bob, k), first.Entries[0])
		_, err := w.Receptions.InboxEntry(w.Context(), ann.ID, k)
		w.wantKind("another entry", err, vam.NotFound)
	})
	w.wantJobs(queue.Pull)
}

// A second offer of a message shows it once in each mailbox (AM-6.19).
func testTakeAnother(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	k := w.received(answer{bob, vam.Held})
	held := w.entry(bob, k)
	w.pass(time.Hour)
	t := w.taking(k, answer{bob, vam.Accepted}, answer{ann, vam.Accepted})
	t.Message.Subject, t.Mail = "another letter", []byte("another letter")
	want := t.Offered
	want.Rcpts = []reception.Rcpt{{Address: bob.Address, Account: bob.ID, State: vam.Held}, t.Offered.Rcpts[1]}
	w.equal("its answer is what bob's mailbox says", w.take(t), want)
	w.stays(func() {
		w.equal("bob's entry", w.entry(bob, k), held)
		w.equal("ann's entry", w.entry(ann, k), t.Entries[1])
		w.equal("the message", w.message(k).Subject, "hello")
		w.equal("what bob has", len(got(w.Mailboxes.Entries(w.Context(), bob.ID, mailbox.Filter{Folder: mailbox.Inbox}))(w)), 1)
	})
	w.wantJobs(queue.Pull, k.String())
}

// ended is a message of which bob's entry ended, and what his mailbox then says.
func (w *world) ended(bob account.Account, as mailbox.State) message.Key {
	w.Helper()
	k := w.received(answer{bob, map[bool]vam.RecipientState{true: vam.Accepted, false: vam.Held}[as == mailbox.Failed]})
	switch as {
	case mailbox.Failed:
		w.ok(w.Receptions.Conclude(w.Context(), k, vam.Failed, activmail.EventFailed, "5.6.0", "broken", w.now()))
	default:
		to := vam.RecipientState(as)
		w.ok(w.Receptions.Decide(w.Context(), bob.ID, k, to, []reception.Owed{owed(k, bob.Address, activmail.EventLapsed, w.now())}, nil, w.now()))
	}
	w.ok(w.Mailboxes.MarkSeen(w.Context(), bob.ID, k.Origin, k.ID, w.now()))
	w.jobs(queue.Pull)
	w.pass(time.Hour)
	return k
}

// A new offer leaves what is final for a recipient, and what was still to be told of it
// (AM-8.8).
func testTakeAfterEnd(w *world) {
	bob := w.account("bob")
	for _, as := range []mailbox.State{mailbox.Failed, mailbox.Lapsed} {
		for _, state := range []vam.RecipientState{vam.Accepted, vam.Held} {
			k := w.ended(bob, as)
			t := w.taking(k, answer{bob, state})
			w.equal("the answer", w.take(t), t.Offered)
			w.stays(func() { w.equal("the entry", w.entry(bob, k), t.Entries[0]) })
			w.wantJobs(queue.Receipt)
			if state == vam.Held {
				w.equal("it lapses by its new time", len(got(w.Receptions.HeldSince(w.Context(), w.now(), 10))(w)), 0)
				w.ok(w.Receptions.Decide(w.Context(), bob.ID, k, vam.Accepted, nil, []queue.Job{pullJob(k, w.now())}, w.now()))
			}
			w.equal("it is wanted", got(w.Receptions.Wanted(w.Context(), k))(w), true)
			w.wantJobs(queue.Pull, k.String())
			w.complete(k, k.String(), away)
			w.wantEntry(bob, k, mailbox.Stored)
			w.wantJobs(queue.Receipt, receiptKey(k, bob.Address, activmail.EventStored))
			w.equal("the newest offer", rcptStates(w, k), []vam.RecipientState{vam.Stored})
		}
	}
}

// What a person declined stays so for a stranger, who is told no more than that it is held;
// not for somebody who is known by now (AM-8.3).
func testTakeAfterDecline(w *world) {
	bob := w.account("bob")
	k := w.ended(bob, mailbox.Declined)
	w.jobs(queue.Receipt)
	was := w.entry(bob, k)
	t := w.taking(k, answer{bob, vam.Held})
	t.HoldEnds = w.now().Add(14 * 24 * time.Hour)
	w.equal("the recipient", w.take(t).Rcpts, []reception.Rcpt{{Address: bob.Address, Account: bob.ID, State: vam.Declined}})
	w.stays(func() { w.equal("the entry", w.entry(bob, k), was) })
	jobs := w.jobs(queue.Receipt)
	if len(jobs) != 1 || jobs[0].Key != receiptKey(k, bob.Address, activmail.EventLapsed) || !jobs[0].NextAt.Equal(t.HoldEnds) {
		w.Errorf("%v is owed, want that it lapses at %v", jobs, t.HoldEnds)
	}
	w.pass(time.Hour)
	t = w.taking(k, answer{bob, vam.Accepted})
	w.equal("of somebody who is known", w.take(t), t.Offered)
	w.stays(func() { w.equal("the entry", w.entry(bob, k), t.Entries[0]) })
}

// A decision that was made while an offer was looked at is what the offer is answered
// with: whoever was accepted gets the receipt of it.
func testTakeMeanwhile(w *world) {
	bob := w.account("bob")
	k := w.received(answer{bob, vam.Held})
	second, third := w.taking(k, answer{bob, vam.Held}), w.taking(k, answer{bob, vam.Held})
	third.Offered.ID = vam.NewMessageID(w.now().Add(time.Millisecond))
	w.ok(w.Receptions.Decide(w.Context(), bob.ID, k, vam.Accepted, nil, nil, w.now()))
	w.equal("while it arrives", w.take(second).Rcpts[0].State, vam.Accepted)
	w.complete(k, "x", away)
	w.jobs(queue.Receipt)
	w.equal("when it is here", w.take(third).Rcpts[0].State, vam.Stored)
	w.wantJobs(queue.Receipt, receiptKey(k, bob.Address, activmail.EventStored))
	w.stays(func() {
		w.wantEntry(bob, k, mailbox.Stored)
		for _, o := range got(w.Receptions.Offers(w.Context(), k))(w) {
			w.equal("an offer", o.Rcpts[0].State, vam.Stored)
		}
	})
}

// Whatever was seen of a mailbox before, what is taken at the same time fits into it.
func testTakeFull(w *world) {
	bob := w.account("bob")
	w.ok(w.Accounts.SetQuota(w.Context(), bob.ID, 3*announced))
	offers := make([]reception.Taking, 8)
	for i := range offers {
		offers[i] = w.taking(w.key(away), answer{bob, vam.Accepted})
	}
	taken := make([]reception.Offered, len(offers))
	w.together(len(offers), func(i int) (_ bool, err error) {
		taken[i], err = w.Receptions.Take(w.Context(), offers[i])
		return true, err
	})
	accepted, full := 0, 0
	for i, o := range taken {
		switch r := o.Rcpts[0]; {
		case r.State == vam.Accepted:
			accepted++
		case r.State == vam.Rejected && r.Code == "4.2.2" && r.Text != "":
			full = i
			_, err := w.Receptions.InboxEntry(w.Context(), bob.ID, o.Key)
			w.wantKind("the entry of one that is refused", err, vam.NotFound)
		default:
			w.Errorf("one is answered %+v", r)
		}
	}
	w.equal("taken", accepted, 3)
	w.equal("used", w.used(bob), vam.Bytes(3*announced))
	w.equal("pulled", len(w.jobs(queue.Pull)), 3)
	again := offers[full]
	w.equal("decided anew, there is as little room", got(w.Receptions.Redecide(w.Context(), again))(w).Rcpts[0].Code, "4.2.2")
	w.ok(w.Accounts.SetQuota(w.Context(), bob.ID, 4*announced))
	w.equal("and when there is", got(w.Receptions.Redecide(w.Context(), again))(w).Rcpts[0].State, vam.Accepted)
	held := w.taking(w.key(away), answer{bob, vam.Held})
	w.equal("one that would be held", w.take(held).Rcpts[0].Code, "4.2.2")
}

func testTakeComplete(w *world) {
	bob, ann, eve := w.account("bob"), w.account("ann"), w.account("eve")
	k := w.received(answer{bob, vam.Accepted})
	w.complete(k, "x", away)
	w.jobs(queue.Receipt)
	w.jobs(queue.Pull)
	w.pass(time.Hour)
	t := w.taking(k, answer{ann, vam.Accepted}, answer{eve, vam.Held})
	o := w.take(t)
	w.equal("the answer", []vam.RecipientState{o.Rcpts[0].State, o.Rcpts[1].State}, []vam.RecipientState{vam.Stored, vam.Held})
	w.stays(func() {
		w.wantEntry(ann, k, mailbox.Stored)
		w.wantEntry(eve, k, mailbox.Held)
		w.equal("the offer", rcptStates(w, k), []vam.RecipientState{vam.Stored, vam.Held})
	})
	w.wantJobs(queue.Pull)
	w.wantJobs(queue.Receipt, receiptKey(k, ann.Address, activmail.EventStored))
}

// Whoever deletes a message does not take it from somebody to whom it is offered later.
func testTakePurged(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	k := w.received(answer{bob, vam.Accepted})
	w.complete(k, "x", away)
	w.ok(w.Mailboxes.DeleteEntry(w.Context(), bob.ID, k.Origin, k.ID))
	w.equal("detached", got(w.Retention.Detach(w.Context(), 10))(w), []message.Key{k})
	w.equal("its state", w.message(k).State, vam.Purged)
	w.jobs(queue.Pull)
	w.pass(time.Hour)
	w.take(w.taking(k, answer{account.Account{Address: addr(w, "nobody@home.example")}, vam.Rejected}))
	w.equal("for nobody it stays away", w.message(k).State, vam.Purged)
	w.pass(time.Hour)
	t := w.taking(k, answer{ann, vam.Accepted})
	w.take(t)
	w.stays(func() {
		m := w.message(k)
		w.equal("the message", []any{m.State, m.Complete, m.Head.Lines, m.Media}, []any{vam.Sealed, false, int64(3), blob.ID{}})
		w.equal("its mail", got(w.Messages.Mail(w.Context(), k))(w), t.Mail)
		w.wantEntry(ann, k, mailbox.Arriving)
	})
	w.wantJobs(queue.Pull, k.String())
	w.equal("it is held", len(got(w.Retention.Detach(w.Context(), 10))(w)), 0)
}

func testTakeIsWhole(w *world) {
	bob := w.account("bob")
	k := w.key(away)
	t := w.taking(k, answer{bob, vam.Accepted})
	t.Jobs = append(t.Jobs, queue.Job{Kind: queue.Pull, Key: "too large", Payload: make([]byte, queue.MaxPayload+1)})
	_, err := w.Receptions.Take(w.Context(), t)
	w.wantKind("an offer with a job that does not fit", err, vam.TooLarge)
	w.stays(func() {
		_, err := w.Messages.Message(w.Context(), k)
		w.wantKind("the message", err, vam.NotFound)
		_, err = w.Receptions.InboxEntry(w.Context(), bob.ID, k)
		w.wantKind("the entry", err, vam.NotFound)
	})
	w.wantJobs(queue.Pull)
}

// full refuses a recipient for now.
func full(t *reception.Taking, i int) {
	t.Offered.Rcpts[i] = reception.Rcpt{Address: t.Offered.Rcpts[i].Address, State: vam.Rejected, Code: "4.2.2", Text: "full"}
}

// A recipient who was full is decided anew, and nobody else (AM-6.9).
func testRedecide(w *world) {
	bob, ann, eve := w.account("bob"), w.account("ann"), w.account("eve")
	nobody := answer{account.Account{Address: addr(w, "no@home.example")}, vam.Rejected}
	k := w.key(away)
	first := w.taking(k, answer{bob, vam.Accepted}, answer{ann, vam.Accepted}, answer{eve, vam.Held}, nobody)
	full(&first, 0)
	full(&first, 1)
	first.Entries, first.Jobs = first.Entries[2:], nil
	w.take(first)
	w.pass(time.Hour)

	dan := w.account("dan")
	again := w.taking(k, answer{bob, vam.Accepted}, answer{ann, vam.Accepted}, answer{eve, vam.Accepted}, answer{account.Account{Address: nobody.account.Address, ID: dan.ID}, vam.Accepted})
	again.Offered.ID, again.Offered.Digest, again.Offered.Token, again.Offered.Expires = first.Offered.ID, first.Offered.Digest, first.Offered.Token, first.Offered.Expires
	full(&again, 1)
	again.Entries = append(again.Entries[:1], again.Entries[2:]...)
	want := first.Offered
	want.Rcpts = append([]reception.Rcpt{again.Offered.Rcpts[0]}, first.Offered.Rcpts[1:]...)
	w.equal("the answer", got(w.Receptions.Redecide(w.Context(), again))(w), want)
	w.wantJobs(queue.Pull, k.String())
	w.equal("again", got(w.Receptions.Redecide(w.Context(), again))(w), want)
	w.stays(func() {
		w.equal("the offer", got(w.Receptions.Offered(w.Context(), k, first.Offered.ID))(w), want)
		w.equal("the entry", w.entry(bob, k), again.Entries[0])
		w.wantEntry(eve, k, mailbox.Held)
		_, err := w.Receptions.InboxEntry(w.Context(), ann.ID, k)
		w.wantKind("one who is still full", err, vam.NotFound)
		_, err = w.Receptions.InboxEntry(w.Context(), dan.ID, k)
		w.wantKind("one who was refused for good", err, vam.NotFound)
	})
	other := again
	other.Offered.ID = k.ID
	_, err := w.Receptions.Redecide(w.Context(), other)
	w.wantKind("an unknown offer", err, vam.NotFound)
	other.Offered.Key = w.key(away)
	_, err = w.Receptions.Redecide(w.Context(), other)
	w.wantKind("an unknown message", err, vam.NotFound)
}

func testRedecideComplete(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	k := w.key(away)
	t := w.taking(k, answer{bob, vam.Accepted}, answer{ann, vam.Accepted})
	entries := t.Entries
	full(&t, 1)
	t.Entries = entries[:1]
	w.take(t)
	w.complete(k, "x", away)
	w.jobs(queue.Pull)
	w.jobs(queue.Receipt)
	t.Offered.Rcpts[1] = reception.Rcpt{Address: ann.Address, Account: ann.ID, State: vam.Accepted}
	t.Entries = entries
	o := got(w.Receptions.Redecide(w.Context(), t))(w)
	w.equal("the answer", []vam.RecipientState{o.Rcpts[0].State, o.Rcpts[1].State}, []vam.RecipientState{vam.Stored, vam.Stored})
	w.wantEntry(ann, k, mailbox.Stored)
	w.wantJobs(queue.Pull)
	w.wantJobs(queue.Receipt, receiptKey(k, ann.Address, activmail.EventStored))
}

// What is not to be seen yet is pulled and counted, and not shown (AM-6.27).
func testNotBefore(w *world) {
	bob := w.account("bob")
	k := w.key(away)
	t := w.taking(k, answer{bob, vam.Accepted})
	t.Entries[0].NotBefore = w.now().Add(time.Hour)
	w.take(t)
	seen := func(want int) {
		w.Helper()
		w.equal("listed", len(got(w.Mailboxes.Entries(w.Context(), bob.ID, mailbox.Filter{Folder: mailbox.Inbox}))(w)), want)
		w.equal("found", len(got(w.Mailboxes.FindEntries(w.Context(), bob.ID, string(k.ID), 10))(w)), want)
		_, err := w.Mailboxes.Entry(w.Context(), bob.ID, k.Origin, k.ID)
		w.equal("there", err == nil, want == 1)
	}
	w.equal("the entry", w.entry(bob, k), t.Entries[0])
	w.equal("used", w.used(bob), vam.Bytes(announced))
	w.pass(time.Hour - time.Microsecond)
	w.stays(func() { seen(0) })
	w.pass(time.Microsecond)
	seen(1)
}

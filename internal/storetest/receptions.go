package storetest

import (
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/reception"
)

// Receptions tests reception.Store.
func Receptions(t *testing.T, open Opener) {
	run(t, open, map[string]func(*world){
		"Take":          testTake,
		"TakeTwice":     testTakeTwice,
		"TakeAnother":   testTakeAnother,
		"TakeAfterEnd":  testTakeAfterEnd,
		"TakeDeclined":  testTakeAfterDecline,
		"TakeMeanwhile": testTakeMeanwhile,
		"TakeFull":      testTakeFull,
		"TakeComplete":  testTakeComplete,
		"TakePurged":    testTakePurged,
		"TakeIsWhole":   testTakeIsWhole,
		"Redecide":      testRedecide,
		"RedecideDone":  testRedecideComplete,
		"NotBefore":     testNotBefore,
		"Offers":        testOffers,
		"RenewToken":    testRenewToken,
		"Accept":        testAccept,
		"AcceptStored":  testAcceptComplete,
		"Refuse":        testRefuse,
		"DecideRefused": testDecideRefused,
		"DecideRace":    testDecideRace,
		"Fail":          testConcludeFailed,
		"Withdraw":      testConcludeWithdrawn,
		"Broken":        testConcludeBroken,
		"FailFull":      testFailFull,
		"Wanted":        testWanted,
		"Moved":         testMoved,
		"Enqueue":       testReceptionEnqueue,
		"HeldSince":     testHeldSince,
		"Forget":        testForget,
	})
}

func testOffers(w *world) {
	bob := w.account("bob")
	k := w.key(away)
	var want []reception.Offered
	for range 3 {
		t := w.taking(k, answer{bob, vam.Accepted})
		w.take(t)
		want = append([]reception.Offered{t.Offered}, want...)
		w.pass(time.Second)
	}
	w.received(answer{bob, vam.Accepted})
	w.stays(func() { w.equal("offers, the newest first", got(w.Receptions.Offers(w.Context(), k))(w), want) })
	_, err := w.Receptions.Offers(w.Context(), w.key(away))
	w.wantKind("of nothing", err, vam.NotFound)
}

func testRenewToken(w *world) {
	bob := w.account("bob")
	k := w.key(away)
	o := w.take(w.taking(k, answer{bob, vam.Accepted}))
	other := w.take(w.taking(w.key(away), answer{bob, vam.Accepted}))
	o.Token, o.Expires = activmail.NewPullToken(), w.now().Add(48*time.Hour)
	w.twice(func() error { return w.Receptions.RenewToken(w.Context(), k, o.ID, o.Token, o.Expires) })
	w.stays(func() {
		w.equal("the offer", got(w.Receptions.Offered(w.Context(), k, o.ID))(w), o)
		w.equal("another one", got(w.Receptions.Offered(w.Context(), other.Key, other.ID))(w), other)
	})
	w.wantKind("of another offer", w.Receptions.RenewToken(w.Context(), k, other.ID, o.Token, o.Expires), vam.NotFound)
	w.wantKind("of nothing", w.Receptions.RenewToken(w.Context(), w.key(away), o.ID, o.Token, o.Expires), vam.NotFound)
}

func owed(k message.Key, a vam.Address, event activmail.ReceiptEvent, at time.Time) reception.Owed {
	return reception.Owed{Key: k, Receipt: activmail.Receipt{Recipient: a, Event: event, At: at.Truncate(time.Second)}}
}

func testAccept(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	k := w.received(answer{bob, vam.Held}, answer{ann, vam.Held})
	w.pass(time.Hour)
	w.ok(w.Receptions.Decide(w.Context(), bob.ID, k, vam.Accepted, []reception.Owed{owed(k, bob.Address, activmail.EventAccepted, w.now())}, []queue.Job{pullJob(k, w.now())}, w.now()))
	w.stays(func() {
		e := w.entry(bob, k)
		w.equal("the entry", []any{e.State, e.Reason, e.Changed}, []any{mailbox.Arriving, "", w.now()})
		w.wantEntry(ann, k, mailbox.Held)
		w.equal("the recipients", rcptStates(w, k), []vam.RecipientState{vam.Accepted, vam.Held})
		w.equal("the author", got(w.Accounts.Standing(w.Context(), bob.ID, w.message(k).Author))(w), account.Known)
		w.equal("for the other", got(w.Accounts.Standing(w.Context(), ann.ID, w.message(k).Author))(w), account.Unknown)
	})
	w.wantJobs(queue.Pull, k.String())
	w.wantJobs(queue.Receipt, receiptKey(k, bob.Address, activmail.EventAccepted))
}

func testAcceptComplete(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	k := w.received(answer{bob, vam.Accepted}, answer{ann, vam.Held})
	w.complete(k, "x", away)
	w.jobs(queue.Receipt)
	w.jobs(queue.Pull)
	w.ok(w.Receptions.Decide(w.Context(), ann.ID, k, vam.Accepted, []reception.Owed{owed(k, ann.Address, activmail.EventAccepted, w.now())}, []queue.Job{pullJob(k, w.now())}, w.now()))
	w.stays(func() {
		w.wantEntry(ann, k, mailbox.Stored)
		w.equal("the recipients", rcptStates(w, k), []vam.RecipientState{vam.Stored, vam.Stored})
	})
	w.wantJobs(queue.Pull)
	w.wantJobs(queue.Receipt, receiptKey(k, ann.Address, activmail.EventAccepted), receiptKey(k, ann.Address, activmail.EventStored))
}

func testRefuse(w *world) {
	bob := w.account("bob")
	for to, want := range map[vam.RecipientState]mailbox.State{vam.Declined: mailbox.Declined, vam.Lapsed: mailbox.Lapsed} {
		k := w.received(answer{bob, vam.Held})
		event := activmail.ReceiptEvent(to)
		w.ok(w.Receptions.Decide(w.Context(), bob.ID, k, to, []reception.Owed{owed(k, bob.Address, event, w.now())}, nil, w.now()))
		w.stays(func() {
			w.wantEntry(bob, k, want)
			w.equal("the recipient", rcptStates(w, k), []vam.RecipientState{to})
			w.equal("the author", got(w.Accounts.Standing(w.Context(), bob.ID, w.message(k).Author))(w), account.Unknown)
		})
		w.wantJobs(queue.Pull)
		w.wantJobs(queue.Receipt, receiptKey(k, bob.Address, event))
	}
	// A silent refusal owes nothing now, and looks like a lapse when that is due (AM-8.3).
	silent := w.received(answer{bob, vam.Held})
	later, err := owed(silent, bob.Address, activmail.EventLapsed, w.now()).Job(w.now())
	w.ok(err)
	w.ok(w.Receptions.Decide(w.Context(), bob.ID, silent, vam.Declined, nil, []queue.Job{later}, w.now()))
	w.wantJobs(queue.Receipt, receiptKey(silent, bob.Address, activmail.EventLapsed))
}

func testDecideRefused(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	k := w.received(answer{bob, vam.Accepted}, answer{ann, vam.Held})
	decide := func(a account.Account, k message.Key, to vam.RecipientState) error {
		var jobs []queue.Job
		if to == vam.Accepted {
			jobs = append(jobs, pullJob(k, w.now()))
		}
		return w.Receptions.Decide(w.Context(), a.ID, k, to, []reception.Owed{owed(k, a.Address, activmail.EventAccepted, w.now())}, jobs, w.now())
	}
	w.jobs(queue.Pull)
	w.wantKind("an entry that is not held", decide(bob, k, vam.Declined), vam.Conflict)
	w.ok(decide(ann, k, vam.Declined))
	w.jobs(queue.Receipt)
	w.wantKind("deciding twice", decide(ann, k, vam.Accepted), vam.Conflict)
	w.wantKind("no entry", decide(w.account("eve"), k, vam.Accepted), vam.NotFound)
	w.wantKind("no message", decide(ann, w.key(away), vam.Accepted), vam.NotFound)
	w.wantKind("a state that is no decision", decide(ann, w.received(answer{ann, vam.Held}), vam.Played), vam.Internal)
	w.jobs(queue.Pull)
	w.wantKind("deciding once more", decide(ann, k, vam.Lapsed), vam.Conflict)
	w.stays(func() {
		w.wantEntry(bob, k, mailbox.Arriving)
		w.wantEntry(ann, k, mailbox.Declined)
		w.equal("the recipients", rcptStates(w, k), []vam.RecipientState{vam.Accepted, vam.Declined})
	})
	w.wantJobs(queue.Pull)
	w.wantJobs(queue.Receipt)
}

func testDecideRace(w *world) {
	bob := w.account("bob")
	k := w.received(answer{bob, vam.Held})
	won := w.together(6, func(i int) (bool, error) {
		to := []vam.RecipientState{vam.Accepted, vam.Declined, vam.Lapsed}[i%3]
		err := w.Receptions.Decide(w.Context(), bob.ID, k, to, []reception.Owed{owed(k, bob.Address, activmail.ReceiptEvent(to), w.now())}, nil, w.now())
		if err != nil && vam.KindOf(err) == vam.Conflict {
			return false, nil
		}
		return err == nil, err
	})
	w.equal("decisions", won, 1)
	w.equal("receipts", len(w.jobs(queue.Receipt)), 1)
}

func testConcludeFailed(w *world) {
	bob, ann, eve := w.account("bob"), w.account("ann"), w.account("eve")
	k := w.received(answer{bob, vam.Accepted}, answer{ann, vam.Held}, answer{account.Account{Address: addr(w, "no@home.example")}, vam.Rejected})
	done := w.received(answer{eve, vam.Accepted})
	w.complete(done, "x", away)
	w.jobs(queue.Receipt)
	w.pass(time.Hour)
	conclude := func(k message.Key) {
		w.Helper()
		w.ok(w.Receptions.Conclude(w.Context(), k, vam.Failed, activmail.EventFailed, "5.6.0", "it is broken", w.now()))
	}
	conclude(k)
	conclude(done)
	w.stays(func() {
		e := w.entry(bob, k)
		w.equal("the entry", []any{e.State, e.Reason, e.Changed}, []any{mailbox.Failed, "it is broken", w.now()})
		w.wantEntry(ann, k, mailbox.Held)
		w.wantEntry(eve, done, mailbox.Stored)
		w.equal("the recipients", rcptStates(w, k), []vam.RecipientState{vam.Failed, vam.Held, vam.Rejected})
		o := got(w.Receptions.Offers(w.Context(), k))(w)[0]
		w.equal("the reason", []string{o.Rcpts[0].Code, o.Rcpts[0].Text}, []string{"5.6.0", "it is broken"})
		w.equal("stored ones", rcptStates(w, done), []vam.RecipientState{vam.Stored})
	})
	jobs := w.jobs(queue.Receipt)
	if len(jobs) != 1 {
		w.Fatalf("%d receipts are owed, want one", len(jobs))
	}
	r := got(activmail.ParseReceipt(jobs[0].Payload, activmail.DefaultLimits()))(w)
	w.equal("the receipt", r, activmail.Receipt{Recipient: bob.Address, Event: activmail.EventFailed, Code: "5.6.0", Text: "it is broken", At: w.now().Truncate(time.Second)})
	w.equal("the job", []any{jobs[0].Key, jobs[0].Domain, jobs[0].NextAt}, []any{receiptKey(k, bob.Address, activmail.EventFailed), away, w.now()})
	if jobs[0].Deadline.Before(w.now().Add(96 * time.Hour)) {
		w.Errorf("the receipt is tried until %v, want at least 4 days", jobs[0].Deadline)
	}
	conclude(k)
	w.wantJobs(queue.Receipt)
}

func testConcludeWithdrawn(w *world) {
	bob, ann, eve, dan := w.account("bob"), w.account("ann"), w.account("eve"), w.account("dan")
	k := w.received(answer{bob, vam.Accepted}, answer{ann, vam.Held}, answer{eve, vam.Held})
	w.pass(time.Second)
	w.complete(k, "x", away)
	w.ok(w.Receptions.Decide(w.Context(), eve.ID, k, vam.Lapsed, nil, nil, w.now()))
	w.take(w.taking(k, answer{dan, vam.Held}))
	w.jobs(queue.Receipt)
	for range 2 {
		w.ok(w.Receptions.Conclude(w.Context(), k, vam.Withdrawn, activmail.EventWithdrawn, "", "taken back", w.now()))
	}
	w.stays(func() {
		for a, want := range map[*account.Account]mailbox.State{&bob: mailbox.Withdrawn, &ann: mailbox.Withdrawn, &dan: mailbox.Withdrawn, &eve: mailbox.Lapsed} {
			w.wantEntry(*a, k, want)
		}
		w.equal("the newest offer", rcptStates(w, k), []vam.RecipientState{vam.Withdrawn})
	})
	w.wantJobs(queue.Receipt, receiptKey(k, bob.Address, activmail.EventWithdrawn), receiptKey(k, ann.Address, activmail.EventWithdrawn), receiptKey(k, dan.Address, activmail.EventWithdrawn))
	w.ok(w.Receptions.Conclude(w.Context(), w.key(away), vam.Withdrawn, activmail.EventWithdrawn, "", "", w.now()))
}

// Media that is here and broken goes from every mailbox, and for its origin it failed, also
// for those who had not decided (AM-8.2).
func testConcludeBroken(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	k := w.received(answer{bob, vam.Accepted}, answer{ann, vam.Held})
	w.complete(k, "x", away)
	w.jobs(queue.Receipt)
	w.ok(w.Receptions.Conclude(w.Context(), k, vam.Withdrawn, activmail.EventFailed, "5.6.0", "broken", w.now()))
	w.stays(func() {
		w.wantEntry(bob, k, mailbox.Withdrawn)
		w.wantEntry(ann, k, mailbox.Withdrawn)
		w.equal("the recipients", rcptStates(w, k), []vam.RecipientState{vam.Failed, vam.Failed})
	})
	w.wantJobs(queue.Receipt, receiptKey(k, bob.Address, activmail.EventFailed), receiptKey(k, ann.Address, activmail.EventFailed))
}

// A message that grew fails for those whose mailbox it has filled, and for nobody else.
func testFailFull(w *world) {
	bob, ann, eve, dan := w.account("bob"), w.account("ann"), w.account("eve"), w.account("dan")
	for _, a := range []account.Account{bob, dan} {
		w.ok(w.Accounts.SetQuota(w.Context(), a.ID, 3*announced))
	}
	w.ok(w.Accounts.SetQuota(w.Context(), eve.ID, 4*announced))
	k := w.received(answer{bob, vam.Accepted}, answer{ann, vam.Accepted}, answer{eve, vam.Accepted}, answer{dan, vam.Held})
	small := w.received(answer{bob, vam.Accepted})
	fail := func(k message.Key, left bool) {
		w.Helper()
		w.equal("somebody is left", got(w.Receptions.FailFull(w.Context(), k, w.now()))(w), left)
	}
	w.grow(k, 1, 2*announced)
	fail(k, true)
	w.wantJobs(queue.Receipt)
	w.grow(k, 1, announced)
	w.pass(time.Hour)
	fail(k, true)
	w.stays(func() {
		w.equal("the recipients", rcptStates(w, k), []vam.RecipientState{vam.Failed, vam.Accepted, vam.Accepted, vam.Held})
		w.wantEntry(bob, k, mailbox.Failed)
		w.wantEntry(ann, k, mailbox.Arriving)
		w.wantEntry(bob, small, mailbox.Arriving)
		r := got(w.Receptions.Offers(w.Context(), k))(w)[0].Rcpts[0]
		w.equal("the code", r.Code, "4.2.2")
		w.equal("what bob is told", w.entry(bob, k).Reason, r.Text)
		w.equal("what bob uses", w.used(bob), vam.Bytes(announced))
	})
	fail(k, true)
	w.wantJobs(queue.Receipt, receiptKey(k, bob.Address, activmail.EventFailed))
	w.ok(w.Accounts.SetQuota(w.Context(), ann.ID, announced))
	w.grow(k, 1, 2*announced)
	fail(k, false)
	w.wantJobs(queue.Receipt, receiptKey(k, ann.Address, activmail.EventFailed), receiptKey(k, eve.Address, activmail.EventFailed))
	fail(w.key(away), false)
}

func testWanted(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	wanted := func(k message.Key, want bool) {
		w.Helper()
		if yes := got(w.Receptions.Wanted(w.Context(), k))(w); yes != want {
			w.Errorf("wanted: %v, want %v", yes, want)
		}
	}
	k := w.received(answer{bob, vam.Held})
	wanted(k, false)
	w.pass(time.Second)
	w.take(w.taking(k, answer{ann, vam.Accepted}))
	w.stays(func() { wanted(k, true) })
	w.ok(w.Mailboxes.DeleteEntry(w.Context(), ann.ID, k.Origin, k.ID))
	wanted(k, false)
	w.ok(w.Receptions.Decide(w.Context(), bob.ID, k, vam.Accepted, nil, nil, w.now()))
	wanted(k, true)
	w.complete(k, "x", away)
	wanted(k, false)
	wanted(w.key(away), false)
}

func testMoved(w *world) {
	k, other := w.received(answer{w.account("bob"), vam.Accepted}), w.received(answer{w.account("ann"), vam.Accepted})
	last := func(k message.Key) time.Time {
		w.Helper()
		return got(w.Receptions.LastMoved(w.Context(), k))(w)
	}
	w.equal("before", last(k), time.Time{})
	first := w.now()
	w.pass(time.Hour)
	w.ok(w.Receptions.Moved(w.Context(), k, w.now()))
	w.ok(w.Receptions.Moved(w.Context(), k, first))
	w.stays(func() {
		w.equal("the latest", last(k), w.now())
		w.equal("of another message", last(other), time.Time{})
	})
	_, err := w.Receptions.LastMoved(w.Context(), w.key(away))
	w.wantKind("of nothing", err, vam.NotFound)
	w.wantKind("nothing", w.Receptions.Moved(w.Context(), w.key(away), w.now()), vam.NotFound)
}

func testReceptionEnqueue(w *world) {
	k := w.key(away)
	w.twice(func() error { return w.Receptions.Enqueue(w.Context(), pullJob(k, w.now())) })
	w.stays(func() {})
	w.wantJobs(queue.Pull, k.String())
}

func testHeldSince(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	first := w.received(answer{bob, vam.Held})
	w.pass(time.Hour)
	second := w.received(answer{ann, vam.Held}, answer{bob, vam.Accepted})
	w.pass(time.Hour)
	third := w.received(answer{bob, vam.Held})
	decided := w.received(answer{bob, vam.Held})
	w.ok(w.Receptions.Decide(w.Context(), bob.ID, decided, vam.Declined, nil, nil, w.now()))
	held := func(before time.Duration, limit int) []message.Key {
		w.Helper()
		return keysOf(got(w.Receptions.HeldSince(w.Context(), w.now().Add(-before), limit))(w))
	}
	w.stays(func() { w.equal("all", held(-time.Second, 10), []message.Key{first, second, third}) })
	w.equal("at most two", held(-time.Second, 2), []message.Key{first, second})
	w.equal("older ones", held(30*time.Minute, 10), []message.Key{first, second})
	w.equal("none so old", held(3*time.Hour, 10), []message.Key(nil))
	w.equal("whose", got(w.Receptions.HeldSince(w.Context(), w.now(), 10))(w)[1].Account, ann.ID)
}

func testForget(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	nobody := answer{account.Account{Address: addr(w, "no@home.example")}, vam.Rejected}
	rejected, held, late, arriving := w.received(nobody), w.received(answer{bob, vam.Held}), w.received(answer{bob, vam.Held}), w.received(answer{bob, vam.Accepted}, answer{ann, vam.Accepted})
	w.pass(50 * 24 * time.Hour)
	w.ok(w.Receptions.Decide(w.Context(), bob.ID, late, vam.Lapsed, nil, nil, w.now()))
	w.pass(20 * 24 * time.Hour)
	fresh := w.received(nobody)
	forget := func(what string, want int) {
		w.Helper()
		w.equal(what, got(w.Receptions.Forget(w.Context(), w.now().Add(-60*24*time.Hour), 10))(w), want)
	}
	offers := func(k message.Key) int { return len(got(w.Receptions.Offers(w.Context(), k))(w)) }
	forget("first", 1)
	forget("again", 0)
	w.stays(func() {
		w.equal("a rejected one", offers(rejected), 0)
		w.equal("one that is held", offers(held), 1)
		w.equal("one that was decided lately", offers(late), 1)
		w.equal("one that is arriving", offers(arriving), 1)
		w.equal("a fresh one", offers(fresh), 1)
	})
	w.pass(41 * 24 * time.Hour)
	forget("60 days after the decision", 1)
	w.ok(w.Mailboxes.DeleteEntry(w.Context(), bob.ID, held.Origin, held.ID))
	w.ok(w.Mailboxes.DeleteEntry(w.Context(), bob.ID, arriving.Origin, arriving.ID))
	forget("whose entry was deleted", 1)
	w.ok(w.Accounts.DeleteAccount(w.Context(), ann.ID))
	forget("whose account was", 1)
	w.pass(60 * 24 * time.Hour)
	// Of two offers of a message only the one goes that nobody waits for.
	two := w.received(answer{bob, vam.Held})
	w.ok(w.Receptions.Decide(w.Context(), bob.ID, two, vam.Declined, nil, nil, w.now()))
	w.take(w.taking(two, answer{w.account("dan"), vam.Held}))
	w.pass(61 * 24 * time.Hour)
	forget("one of two, and the fresh one", 2)
	w.equal("what is left", rcptStates(w, two), []vam.RecipientState{vam.Held})
	for range 4 {
		w.received(nobody)
	}
	w.pass(61 * 24 * time.Hour)
	w.equal("at most three of four", got(w.Receptions.Forget(w.Context(), w.now().Add(-60*24*time.Hour), 3))(w), 3)
	forget("the rest", 1)
}

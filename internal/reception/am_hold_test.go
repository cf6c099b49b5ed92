package reception_test

import (
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/queue"
)

// held is a world in which bob was offered a first message.
func held(t *testing.T) *world {
	w := newWorld(t, hosttest.Options{Hold: true})
	w.file(100_000)
	w.wantAnswer(w.offer(), activmail.AnswerHeld, "")
	w.work()
	w.wantState(mailbox.Held)
	if len(w.origin.asked) > 0 {
		t.Fatalf("media of a held message was fetched: %v", w.origin.asked)
	}
	w.wantTold()
	return w
}

// TestHoldAccepted is AM-6.21 and AM-8.3: nothing is fetched before the recipient has
// accepted, and the author is known from then on.
func TestHoldAccepted(t *testing.T) {
	w := held(t)
	if err := w.Reception.Poke(t.Context(), w.rec.Key); err != nil {
		t.Fatal(err)
	}
	w.work()
	if len(w.origin.asked) > 0 {
		t.Errorf("after a poke media was fetched: %v", w.origin.asked)
	}
	if err := w.Reception.Accept(t.Context(), w.bob, w.rec.Key); err != nil {
		t.Fatal(err)
	}
	w.wantTold(activmail.EventAccepted)
	w.Reopen() // AM-8.12, AM-8.13: the decision is durable
	w.work()
	w.wantState(mailbox.Stored)
	w.wantTold(activmail.EventAccepted, activmail.EventStored)
	w.begin()
	w.file(10)
	w.wantAnswer(w.offer(), activmail.AnswerAccepted, "")
	w.work()
	w.wantTold(activmail.EventStored) // "accepted" was the answer
}

// TestHoldDeclined is AM-8.3 and AM-6.23: the author is told of a refusal only when the
// recipient wants it; a silent one looks like no decision.
func TestHoldDeclined(t *testing.T) {
	told := held(t)
	if err := told.Reception.Decline(t.Context(), told.bob, told.rec.Key, true); err != nil {
		t.Fatal(err)
	}
	told.wantTold(activmail.EventDeclined)
	if r := told.origin.receipts[0]; r.Code != "" || r.Text != "" {
		t.Errorf("the author is told more than that: %+v", r)
	}

	silent := held(t)
	silent.Clock.Advance(24 * time.Hour)
	o := silent.offer()
	if err := silent.Reception.Decline(t.Context(), silent.bob, silent.rec.Key, false); err != nil {
		t.Fatal(err)
	}
	silent.wantTold()
	silent.Clock.Advance(13*24*time.Hour - time.Minute)
	silent.wantTold()
	silent.Clock.Advance(2 * time.Minute)
	silent.wantTold(activmail.EventLapsed)
	if standing, err := silent.DB.Accounts().Standing(t.Context(), silent.bob.ID, o.Envelope.From); err != nil || standing != account.Unknown {
		t.Errorf("the author is %s: %v", standing, err)
	}
}

// TestHoldLapses is AM-8.4.
func TestHoldLapses(t *testing.T) {
	w := held(t)
	o := w.offer()
	w.wantAnswer(o, activmail.AnswerHeld, "")
	w.Clock.Advance(14*24*time.Hour - time.Minute)
	if n, err := w.Reception.Lapse(t.Context(), 10); n != 0 || err != nil {
		t.Errorf("%d holds ended early: %v", n, err)
	}
	w.Clock.Advance(2 * time.Minute)
	if n, err := w.Reception.Lapse(t.Context(), 10); n != 1 || err != nil {
		t.Errorf("%d holds ended: %v", n, err)
	}
	w.wantState(mailbox.Lapsed)
	w.wantTold(activmail.EventLapsed)
	// A repetition of the offer is answered with what became of it (AM-6.7).
	w.wantAnswer(o, activmail.AnswerRejected, "5.4.7")
	if err := w.Reception.Accept(t.Context(), w.bob, w.rec.Key); vam.KindOf(err) != vam.Conflict {
		t.Errorf("accepting what has lapsed: %v", err)
	}
}

// TestSeenIsNotTold is AM-8.10: nobody has agreed to it.
func TestSeenIsNotTold(t *testing.T) {
	w := newWorld(t, hosttest.Options{})
	w.file(100)
	w.wantAnswer(w.offer(), activmail.AnswerAccepted, "")
	w.work()
	if _, err := w.media(); err != nil {
		t.Fatal(err)
	}
	if err := w.DB.Mailboxes().MarkSeen(t.Context(), w.bob.ID, w.rec.Key.Origin, w.rec.Key.ID, w.Clock.Now()); err != nil {
		t.Fatal(err)
	}
	w.work()
	w.wantTold(activmail.EventStored)
}

// TestReceiptsAreRepeated is AM-8.12: an origin that does not answer is told again, for 4
// days at the least, also by a server that was restarted.
func TestReceiptsAreRepeated(t *testing.T) {
	w := newWorld(t, hosttest.Options{})
	w.file(100)
	w.wantAnswer(w.offer(), activmail.AnswerAccepted, "")
	w.work(queue.Pull, queue.Digest)
	w.origin.down = vam.Errorf(vam.Unavailable, "a.example does not answer")
	for range 5 {
		w.work(queue.Receipt)
		w.Reopen()
		w.Clock.Advance(24 * time.Hour)
	}
	w.wantTold()
	w.origin.down = nil
	w.Clock.Advance(2 * time.Hour)
	w.wantTold(activmail.EventStored)
}

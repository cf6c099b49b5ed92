package retention_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/submission"
)

// Media stays as long as one mailbox shows it, and goes soon after the last.
func TestMediaGoesWithItsLastHolder(t *testing.T) {
	h := newHouse(t)
	ann, bob := h.Account("ann@b.example", 0), h.Account("bob@b.example", 0)
	h.ok(h.DB.Accounts().SetStanding(h.Context(), bob.ID, ann.Address, "known", h.Clock.Now()))
	k := h.send(ann, submission.Draft{To: []vam.Address{bob.Address}})
	h.after(day)
	h.wantFiles("while both hold it", 1)
	h.ok(h.DB.Mailboxes().DeleteEntry(h.Context(), ann.ID, k.Origin, k.ID))
	h.after(day)
	h.wantFiles("while the recipient does", 1)
	h.ok(h.readable(k))
	h.ok(h.DB.Mailboxes().DeleteEntry(h.Context(), bob.ID, k.Origin, k.ID))
	h.after(0)
	h.wantFiles("when nobody does", 0)
	if err := h.readable(k); err == nil {
		t.Error("the media can still be opened")
	}
	h.after(0)
}

// Media that was made a moment ago is left alone, whoever names it.
func TestFreshMediaIsLeft(t *testing.T) {
	h := newHouse(t)
	ann := h.Account("ann@b.example", 0)
	k := h.draft(ann, submission.Draft{To: []vam.Address{ann.Address}})
	h.ok(h.Submission.Discard(h.Context(), ann, k))
	h.after(59 * time.Second)
	h.wantFiles("within the minute", 1)
	h.after(2 * time.Second)
	h.wantFiles("after it", 0)
}

func TestExpiry(t *testing.T) {
	h := newHouse(t)
	ann := h.Account("ann@b.example", 0)
	k := h.send(ann, submission.Draft{To: []vam.Address{ann.Address}, Expires: h.Clock.Now().Add(2 * time.Hour)})
	h.after(time.Hour)
	h.ok(h.readable(k))
	h.after(time.Hour)
	h.wantKind("an expired message, at once", h.readable(k), vam.Gone)
	h.after(0)
	h.wantFiles("after the expiry", 0)
	if e, err := h.DB.Mailboxes().Entry(h.Context(), ann.ID, k.Origin, k.ID); err != nil || e.State != mailbox.Expired {
		t.Errorf("the entry is %s, %v", e.State, err)
	}
}

func TestForgottenDrafts(t *testing.T) {
	h := newHouse(t)
	ann := h.Account("ann@b.example", 0)
	old := h.draft(ann, submission.Draft{To: []vam.Address{ann.Address}})
	h.after(29 * day)
	touched := h.draft(ann, submission.Draft{To: []vam.Address{ann.Address}})
	h.after(2 * day)
	h.after(time.Hour)
	_, err := h.Messages.Get(h.Context(), old)
	h.wantKind("a draft of a month", err, vam.NotFound)
	if _, err := h.Messages.Get(h.Context(), touched); err != nil {
		t.Errorf("a younger one: %v", err)
	}
	h.wantFiles("after a month", 1)
}

// A recording that nobody ended is sealed when its time is over (AM-4.21).
func TestAbandonedRecording(t *testing.T) {
	h := newHouse(t)
	ann := h.Account("ann@b.example", 0)
	k := h.draft(ann, submission.Draft{To: []vam.Address{ann.Address}})
	h.sendNow(ann, k)
	h.after(time.Hour)
	if m, err := h.Messages.Get(h.Context(), k); err != nil || m.State != vam.Live {
		t.Fatalf("after an hour it is %s, %v", m.State, err)
	}
	h.after(5 * day)
	if m, err := h.Messages.Get(h.Context(), k); err != nil || m.State != vam.Sealed || !m.Complete {
		t.Errorf("after days it is %s (complete %v), %v", m.State, m.Complete, err)
	}
	h.ok(h.readable(k))
}

// A hold that nobody decides lapses, and in the end nothing is left of it.
func TestHoldsLapse(t *testing.T) {
	h := newHouse(t)
	ann, bob := h.Account("ann@b.example", 0), h.Account("bob@b.example", 0)
	k := h.send(ann, submission.Draft{To: []vam.Address{bob.Address}})
	state := func() mailbox.State {
		e, err := h.DB.Mailboxes().Entry(h.Context(), bob.ID, k.Origin, k.ID)
		h.ok(err)
		return e.State
	}
	h.after(13 * day)
	if st := state(); st != mailbox.Held {
		t.Errorf("after 13 days the entry is %s", st)
	}
	h.after(day + time.Minute)
	if st := state(); st != mailbox.Lapsed {
		t.Errorf("after 14 days the entry is %s", st)
	}
	h.Work(h.Context())
	if r, err := h.Delivery.Recipients(h.Context(), k); err != nil || r[0].State != vam.Lapsed {
		t.Errorf("its author sees %+v, %v", r, err)
	}
	h.ok(h.DB.Mailboxes().DeleteEntry(h.Context(), ann.ID, k.Origin, k.ID))
	h.ok(h.DB.Mailboxes().DeleteEntry(h.Context(), bob.ID, k.Origin, k.ID))
	for range 4 {
		h.after(61 * day)
	}
	_, err := h.Messages.Get(h.Context(), k)
	h.wantKind("after months", err, vam.NotFound)
	h.wantFiles("after months", 0)
}

// stubborn is a store with one object that cannot be removed.
type stubborn struct {
	blob.Store
	id *blob.ID
}

func (s stubborn) Remove(ctx context.Context, id blob.ID) error {
	if id == *s.id {
		return errors.New("device busy")
	}
	return s.Store.Remove(ctx, id)
}

// One file that cannot be removed holds up no other, and goes when it can.
func TestStubbornFile(t *testing.T) {
	h := newHouse(t)
	ann := h.Account("ann@b.example", 0)
	var bad blob.ID
	h.sweeper = h.newSweeper(stubborn{h.Blobs, &bad})
	for range 5 {
		k := h.draft(ann, submission.Draft{To: []vam.Address{ann.Address}})
		m, err := h.DB.Messages().Message(h.Context(), k)
		h.ok(err)
		bad = m.Media
		h.ok(h.Submission.Discard(h.Context(), ann, k))
	}
	h.Clock.Advance(time.Hour)
	for range 2 {
		if err := h.sweeper.Sweep(h.Context()); err == nil {
			t.Error("the sweep says nothing of the file")
		}
		h.wantFiles("with one that cannot be removed", 1)
	}
	bad = blob.ID{}
	h.after(0)
	h.wantFiles("then", 0)
}

// What a crash left without a name is removed at start, and nothing else.
func TestRecover(t *testing.T) {
	h := newHouse(t)
	ann := h.Account("ann@b.example", 0)
	k := h.send(ann, submission.Draft{To: []vam.Address{ann.Address}})
	for range 20 { // more than there are good ones
		h.ok(h.Blobs.Create(h.Context(), blob.NewID()))
	}
	for range 2 {
		h.ok(h.sweeper.Recover(h.Context()))
		h.wantFiles("after recovery", 1)
	}
	h.ok(h.readable(k))
}

// A database that knows nothing of the media beside it is the wrong one: an empty file
// in place of the lost one must not cost everybody's mail.
func TestRecoverRefusesTheWrongDatabase(t *testing.T) {
	h := newHouse(t)
	for range 120 {
		h.ok(h.Blobs.Create(h.Context(), blob.NewID()))
	}
	h.wantKind("recovery beside a strange database", h.sweeper.Recover(h.Context()), vam.Conflict)
	h.wantFiles("after that", 120)
}

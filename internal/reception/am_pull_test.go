package reception_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/mailauth/mailauthtest"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
)

// accepted is a world in which bob waits for a file of n octets.
func accepted(t *testing.T, n int, o hosttest.Options) (*world, []byte) {
	t.Helper()
	w := newWorld(t, o)
	content := w.file(n)
	w.wantAnswer(w.offer(), activmail.AnswerAccepted, "")
	return w, content
}

// TestTokenThatIsRefused is AM-7.22: another token is asked for, at once.
func TestTokenThatIsRefused(t *testing.T) {
	w, content := accepted(t, 300_000, hosttest.Options{})
	w.origin.valid = activmail.NewPullToken() // not the one of the offer
	w.work(queue.Pull)
	w.wantState(mailbox.Stored)
	if got, err := w.media(); err != nil || !bytes.Equal(got, content) || w.origin.renewed != 1 {
		t.Errorf("%d octets are here after %d new tokens: %v", len(got), w.origin.renewed, err)
	}
	// The same for what is read of a log later.
	w.rec.Revoke()
	w.origin.valid = activmail.NewPullToken()
	if err := w.Reception.Poke(t.Context(), w.rec.Key); err != nil {
		t.Fatal(err)
	}
	w.work(queue.Pull)
	w.wantState(mailbox.Withdrawn)
}

// TestTokenThatEndsSoon is the other half of AM-7.22.
func TestTokenThatEndsSoon(t *testing.T) {
	w, _ := accepted(t, 1000, hosttest.Options{})
	w.Clock.Advance(activmail.MaxTokenLife - 59*time.Minute)
	w.work(queue.Pull)
	w.wantState(mailbox.Stored)
	if w.origin.renewed != 1 {
		t.Errorf("%d new tokens were asked for, 1 is right", w.origin.renewed)
	}
}

// TestPullGoesOn breaks the pull off: the next attempt asks for what is missing and for
// nothing else (AM-7.23).
func TestPullGoesOn(t *testing.T) {
	w, content := accepted(t, 2<<20, hosttest.Options{Lanes: 1, Chunk: 1 << 20})
	down := vam.Errorf(vam.Unavailable, "a.example does not answer")
	w.origin.during = func(_ context.Context, o *origin) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.cutAfter = 5*64<<10 + 100
		o.down = down // for the requests after this one
	}
	w.work(queue.Pull)
	w.wantState(mailbox.Arriving)
	w.origin.mu.Lock()
	w.origin.during, w.origin.cutAfter, w.origin.down, w.origin.asked = nil, 0, nil, nil
	w.origin.mu.Unlock()
	w.Reopen()
	w.Clock.Advance(2 * time.Hour)
	w.work(queue.Pull)
	w.wantState(mailbox.Stored)
	var again int64
	for _, r := range w.origin.asked {
		again += min(r.End, int64(len(content))) - r.Start
	}
	if got, err := w.media(); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d octets are here: %v", len(got), err)
	}
	if again > int64(len(content)) || again == 0 {
		t.Errorf("%d of %d octets were asked for after the break: %v", again, len(content), w.origin.asked)
	}
	if first := w.origin.asked[0]; first.Start == 0 {
		t.Errorf("the pull began anew: %v", w.origin.asked)
	}
}

// TestRequestsAtATime is AM-7.26: never more than 8 for media and blobs.
func TestRequestsAtATime(t *testing.T) {
	w := newWorld(t, hosttest.Options{Chunk: 128 << 10})
	for i := range 5 {
		w.rec.Add(activmail.Record{Kind: activmail.RecordPoster, ContentType: "image/jpeg"}, []byte{byte(i)})
	}
	w.file(3 << 20)
	w.wantAnswer(w.offer(), activmail.AnswerAccepted, "")
	w.work(queue.Pull)
	w.wantState(mailbox.Stored)
	if w.origin.most > 8 || len(w.origin.asked) < 10 {
		t.Errorf("%d requests at a time, %d in all", w.origin.most, len(w.origin.asked))
	}
}

// TestStoredIsEverything is AM-7.28: the poster is part of it, and what has arrived can be
// read before.
func TestStoredIsEverything(t *testing.T) {
	w := newWorld(t, hosttest.Options{})
	w.rec.Add(activmail.Record{Kind: activmail.RecordPoster, ContentType: "image/jpeg"}, []byte("a face"))
	content := w.file(300_000)
	w.wantAnswer(w.offer(), activmail.AnswerAccepted, "")
	w.origin.poster = func(activmail.Sum) error { return vam.Errorf(vam.Busy, "not now") }
	w.work(queue.Pull)
	w.wantState(mailbox.Arriving)
	w.wantTold()
	for range 20 { // how much of it came before the poster was given up is not said
		if got, err := w.media(); err == nil && len(got) > 0 {
			if !bytes.Equal(got, content[:len(got)]) {
				t.Error("other octets are read than were sent")
			}
			break
		}
		w.Clock.Advance(2 * time.Hour)
		w.work(queue.Pull)
	}
	w.origin.poster = nil
	w.Clock.Advance(2 * time.Hour)
	w.work()
	w.wantState(mailbox.Stored)
	w.wantTold(activmail.EventStored)
}

// TestWrongOctets is AM-4.22 and AM-7.24: octets that do not match their record are never
// read by anybody, and are asked for three times.
func TestWrongOctets(t *testing.T) {
	w, content := accepted(t, 1<<20, hosttest.Options{Lanes: 1})
	var sent atomic.Int64
	w.origin.spoil = func(off int64, data []byte) {
		const bad = 600_000
		if i := bad - off; i >= 0 && i < int64(len(data)) {
			data[i] ^= 1
			sent.Add(1)
		}
	}
	w.work()
	if sent.Load() != 3 {
		t.Errorf("the wrong octets were sent %d times, 3 are right", sent.Load())
	}
	w.wantState(mailbox.Failed)
	w.wantTold(activmail.EventFailed)
	if r := w.origin.receipts[0]; r.Code != "5.6.0" {
		t.Errorf("the origin was told %s %s", r.Code, r.Text)
	}
	got, err := w.media()
	if err != nil || len(got) > 600_000 || !bytes.Equal(got, content[:len(got)]) {
		t.Errorf("%d octets can be read: %v", len(got), err)
	}
}

// TestWrongOctetsTwice: what comes right at the third time is no failure (AM-7.24).
func TestWrongOctetsTwice(t *testing.T) {
	w, content := accepted(t, 1<<20, hosttest.Options{Lanes: 1})
	wrong := map[int64]int{}
	w.origin.spoil = func(off int64, data []byte) {
		for _, bad := range []int64{100_000, 300_000, 500_000, 700_000} {
			if i := bad - off; i >= 0 && i < int64(len(data)) && wrong[bad] < 2 {
				data[i] ^= 1
				wrong[bad]++
				return
			}
		}
	}
	w.work()
	w.wantState(mailbox.Stored)
	if got, err := w.media(); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d octets are here: %v", len(got), err)
	}
}

// TestSealThatLies is AM-4.23: every part is what its record says, and the whole is not
// what the seal says. The message is withdrawn from its recipient and reported.
func TestSealThatLies(t *testing.T) {
	w := newWorld(t, hosttest.Options{})
	w.rec.AddFile(hosttest.Pattern(200_000, 1), 64<<10)
	w.rec.Add(activmail.Record{Kind: activmail.RecordSeal, Bytes: 200_000, SHA256: sha256.Sum256([]byte("something else"))}, nil)
	o := w.rec.Offer(w.signer, w.Clock.Now(), w.rec.Size(), w.bob.Address)
	w.wantAnswer(o, activmail.AnswerAccepted, "")
	w.work(queue.Pull)
	w.wantState(mailbox.Stored)
	w.Reopen() // the comparison is not forgotten
	w.work(queue.Digest)
	w.wantState(mailbox.Withdrawn)
	w.wantTold(activmail.EventStored, activmail.EventFailed)
	if r := w.origin.receipts[1]; r.Code != "5.6.0" {
		t.Errorf("the origin was told %s %s", r.Code, r.Text)
	}
}

// TestOriginIsAwayForAWeek is AM-8.21.
func TestOriginIsAwayForAWeek(t *testing.T) {
	w, _ := accepted(t, 1000, hosttest.Options{})
	w.origin.down = vam.Errorf(vam.Unavailable, "a.example does not answer")
	for range 6 {
		w.work(queue.Pull)
		w.Clock.Advance(24 * time.Hour)
	}
	w.work(queue.Pull)
	w.wantState(mailbox.Arriving)
	w.Clock.Advance(25 * time.Hour)
	w.work(queue.Pull)
	w.wantState(mailbox.Failed)
	w.origin.down = nil
	w.wantTold(activmail.EventFailed)
	if r := w.origin.receipts[0]; r.Code != "4.4.7" {
		t.Errorf("the origin was told %s %s", r.Code, r.Text)
	}
}

// TestRevoked is AM-8.16: what was taken back can be read no more, and both sides know.
func TestRevoked(t *testing.T) {
	w, _ := accepted(t, 1000, hosttest.Options{})
	w.work()
	w.rec.Revoke()
	if err := w.Reception.Poke(t.Context(), w.rec.Key); err != nil { // AM-6.31
		t.Fatal(err)
	}
	w.work()
	w.wantState(mailbox.Withdrawn)
	_, err := w.media()
	w.wantKind("the media of a revoked message", err, vam.Gone)
	w.wantTold(activmail.EventStored, activmail.EventWithdrawn)
	if err := w.DB.Mailboxes().DeleteEntry(t.Context(), w.bob.ID, w.rec.Key.Origin, w.rec.Key.ID); err != nil {
		t.Errorf("the entry cannot be deleted: %v", err)
	}
}

// TestOriginSaysGone is AM-8.17: without a record under the message key nothing goes.
func TestOriginSaysGone(t *testing.T) {
	for _, kind := range []vam.ErrorKind{vam.Gone, vam.NotFound, vam.Denied} {
		w, content := accepted(t, 1000, hosttest.Options{})
		w.origin.down = vam.Errorf(kind, "there is nothing here")
		w.work(queue.Pull)
		w.wantState(mailbox.Arriving)
		w.origin.down = nil
		w.Clock.Advance(2 * time.Hour)
		w.work(queue.Pull)
		w.wantState(mailbox.Stored)
		w.origin.down = vam.Errorf(kind, "there is nothing here")
		if err := w.Reception.Poke(t.Context(), w.rec.Key); err != nil {
			t.Fatal(err)
		}
		w.work(queue.Pull)
		if got, err := w.media(); err != nil || !bytes.Equal(got, content) {
			t.Errorf("after %v %d octets are here: %v", kind, len(got), err)
		}
		w.wantState(mailbox.Stored)
	}
}

// TestExpired is AM-8.18: the media goes at the moment that the last expire record names,
// and nobody is told but the recipient.
func TestExpired(t *testing.T) {
	w := newWorld(t, hosttest.Options{})
	content := hosttest.Pattern(1000, 7)
	end := w.Clock.Now().Add(time.Hour).Truncate(time.Second)
	w.rec.AddFile(content, 1000)
	w.rec.Add(activmail.Record{Kind: activmail.RecordExpire, At: end.Add(-30 * time.Minute)}, nil)
	w.rec.Seal()
	w.rec.Add(activmail.Record{Kind: activmail.RecordExpire, At: end}, nil) // AM-4.17
	w.wantAnswer(w.offer(), activmail.AnswerAccepted, "")
	w.work()
	w.Clock.Advance(end.Sub(w.Clock.Now()) - time.Second)
	if got, err := w.media(); err != nil || !bytes.Equal(got, content) {
		t.Errorf("a second before, %d octets are here: %v", len(got), err)
	}
	w.Clock.Advance(time.Second)
	_, err := w.media()
	w.wantKind("the media at the moment of its expiry", err, vam.Gone)
	if keys, err := w.DB.Retention().Expire(t.Context(), w.Clock.Now(), 10); err != nil || !slices.Equal(keys, []message.Key{w.rec.Key}) {
		t.Errorf("expired are %v: %v", keys, err)
	}
	w.Messages.Forget(w.rec.Key)
	w.wantState(mailbox.Expired)
	if err := w.Reception.Poke(t.Context(), w.rec.Key); err != nil {
		t.Fatal(err)
	}
	w.work()
	w.wantTold(activmail.EventStored)
}

// TestPokeOfNothing is AM-6.31.
func TestPokeOfNothing(t *testing.T) {
	w := newWorld(t, hosttest.Options{})
	w.wantKind("a poke of a message that is not known", w.Reception.Poke(t.Context(), w.rec.Key), vam.NotFound)
}

// TestFarBehind is AM-7.12: whoever is many lines behind reads them as a log.
func TestFarBehind(t *testing.T) {
	w := newWorld(t, hosttest.Options{})
	o := w.rec.Offer(w.signer, w.Clock.Now(), 0, w.bob.Address)
	w.wantAnswer(o, activmail.AnswerAccepted, "")
	w.file(100 * 64 << 10)
	w.work(queue.Pull)
	w.wantState(mailbox.Stored)
	if w.origin.entries > 0 {
		t.Errorf("%d entries were asked for", w.origin.entries)
	}
}

// TestWhoIsAsked is AM-7.31 and AM-14.4: what is pulled is pulled from the origin of the
// offer, in the name of the recipients' domain, and from nobody else.
func TestWhoIsAsked(t *testing.T) {
	w, _ := accepted(t, 1000, hosttest.Options{})
	w.work()
	if !slices.Equal(w.origin.opened, []string{"b.example asks a.example"}) {
		t.Errorf("asked were %q", w.origin.opened)
	}
}

// TestSameIDOfAnotherOrigin is AM-1.3: a message id names a message at its origin only.
func TestSameIDOfAnotherOrigin(t *testing.T) {
	w, _ := accepted(t, 1000, hosttest.Options{})
	w.work()
	signer := mailauthtest.Signer(t, w.zone, "c.example")
	other := hosttest.NewRecording(t, "c.example", w.Clock.Now())
	other.Key.ID = w.rec.Key.ID
	other.AddFile([]byte("another film"), 100)
	other.Seal()
	w.wantAnswer(other.Offer(signer, w.Clock.Now(), other.Size(), w.bob.Address), activmail.AnswerAccepted, "")
	entries, err := w.DB.Mailboxes().Entries(t.Context(), w.bob.ID, mailbox.Filter{Folder: mailbox.Inbox})
	if err != nil || len(entries) != 2 || entries[0].State == entries[1].State {
		t.Errorf("the inbox has %+v: %v", entries, err)
	}
}

// TestPullOrder is the order of AM-7.26: a poster that stands at the end of the log, the
// first of the media, then its end, where many files have their index, then the rest; and
// nothing is asked for twice.
func TestPullOrder(t *testing.T) {
	w := newWorld(t, hosttest.Options{Lanes: 1, Chunk: 2 << 20})
	content := hosttest.Pattern(12<<20, 1)
	for at := 0; at < len(content); at += 1 << 20 {
		w.rec.Add(activmail.Record{Kind: activmail.RecordPart}, content[at:][:1<<20])
	}
	w.rec.Add(activmail.Record{Kind: activmail.RecordPoster, ContentType: "image/jpeg"}, []byte("a face"))
	w.rec.Seal()
	var order []string
	w.origin.poster = func(activmail.Sum) error { order = append(order, "poster"); return nil }
	w.origin.during = func(_ context.Context, o *origin) {
		o.mu.Lock()
		defer o.mu.Unlock()
		last := o.asked[len(o.asked)-1]
		order = append(order, fmt.Sprintf("%d-%d", last.Start>>20, last.End>>20))
	}
	w.wantAnswer(w.offer(), activmail.AnswerAccepted, "")
	w.work(queue.Pull)
	w.wantState(mailbox.Stored)
	if want := []string{"poster", "0-1", "8-12", "1-3", "3-5", "5-7", "7-8"}; !slices.Equal(order, want) {
		t.Errorf("fetched %v, want %v", order, want)
	}
	if got, err := w.media(); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d octets are here: %v", len(got), err)
	}
}

// TestPullOrderBehindAPoster: the first of the media is a short piece also when a poster
// stands before it in the log.
func TestPullOrderBehindAPoster(t *testing.T) {
	w := newWorld(t, hosttest.Options{Lanes: 4, Chunk: 2 << 20})
	w.rec.Add(activmail.Record{Kind: activmail.RecordPoster, ContentType: "image/jpeg"}, []byte("a face"))
	content := hosttest.Pattern(20<<20, 1) // more lines than are looked at ahead
	for at := 0; at < len(content); at += 1 << 20 {
		w.rec.Add(activmail.Record{Kind: activmail.RecordPart}, content[at:][:1<<20])
	}
	w.rec.Seal()
	var first []string
	w.origin.during = func(_ context.Context, o *origin) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if len(o.asked) == 1 {
			first = append(first, fmt.Sprintf("%d-%d", o.asked[0].Start>>20, o.asked[0].End>>20))
		}
	}
	w.wantAnswer(w.offer(), activmail.AnswerAccepted, "")
	w.work(queue.Pull)
	w.wantState(mailbox.Stored)
	if want := []string{"0-1"}; !slices.Equal(first, want) {
		t.Errorf("the media began with %v, want %v", first, want)
	}
}

// TestPullEndsTogether is AM-7.26: pieces become shorter towards the end, so that no lane is
// left alone with a long one.
func TestPullEndsTogether(t *testing.T) {
	w := newWorld(t, hosttest.Options{Lanes: 1, Chunk: 8 << 20})
	content := hosttest.Pattern(24<<20, 1)
	for at := 0; at < len(content); at += 1 << 20 {
		w.rec.Add(activmail.Record{Kind: activmail.RecordPart}, content[at:][:1<<20])
	}
	w.rec.Seal()
	w.wantAnswer(w.offer(), activmail.AnswerAccepted, "")
	w.work(queue.Pull)
	w.wantState(mailbox.Stored)
	var got []string
	for _, r := range w.origin.asked {
		got = append(got, fmt.Sprintf("%d-%d", r.Start>>20, r.End>>20))
	}
	if want := []string{"0-1", "20-24", "1-9", "9-16", "16-20"}; !slices.Equal(got, want) {
		t.Errorf("fetched %v, want %v", got, want)
	}
}

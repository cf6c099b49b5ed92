package reception_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/queue"
)

// TestOrderOfChecks changes one thing of an offer after the other: whatever can be said
// without looking at the letter is said without (AM-6.11).
func TestOrderOfChecks(t *testing.T) {
	w := newWorld(t, hosttest.Options{MaxSize: 1 << 20})
	w.file(100_000)
	known := w.offer()
	w.wantAnswer(known, activmail.AnswerAccepted, "")
	other := hosttest.NewRecording(t, "a.example", w.Clock.Now())
	for _, tc := range []struct {
		name    string
		change  func(o *activmail.Offer)
		kind    vam.ErrorKind
		letters int
	}{
		{"another message key (AM-6.12)", func(o *activmail.Offer) { o.Key = other.Public() }, vam.Conflict, 0},
		{"a letter by reference (AM-6.15)", func(o *activmail.Offer) { o.Mail, o.MailRef = nil, &activmail.BlobRef{Length: 5} }, vam.TooLarge, 0},
		{"too large (AM-6.16)", func(o *activmail.Offer) { o.Size = 2 << 20 }, vam.TooLarge, 0},
		{"a checkpoint of another key (AM-6.13)", func(o *activmail.Offer) {
			o.Log, o.Checkpoint = nil, must(activmail.SignCheckpoint((&activmail.Tree{}).Checkpoint(), w.rec.Key.Origin, w.rec.Key.ID, other.Priv))
		}, vam.Corrupt, 0},
		{"a checkpoint over fewer lines (AM-6.13)", func(o *activmail.Offer) { o.Checkpoint = w.rec.Checkpoint(1) }, vam.Corrupt, 0},
		{"a line that is none (AM-6.13)", func(o *activmail.Offer) { o.Log[0] = []byte(`{"k":"part"}`) }, vam.Invalid, 0},
		{"a letter that was changed (AM-6.14, AM-12.11)", func(o *activmail.Offer) {
			o.Mail = bytes.Replace(o.Mail, []byte("Subject: The harbour"), []byte("Subject: The arbour"), 1)
		}, vam.Unauthenticated, 1},
		{"somebody else's name (AM-12.10)", func(o *activmail.Offer) { o.Envelope.From.Local = "mallory" }, vam.Denied, 1},
		{"another size than the letter says (AM-12.9)", func(o *activmail.Offer) { o.Size++ }, vam.Denied, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := w.offer()
			o.Log = slices.Clone(o.Log)
			tc.change(o)
			before := w.Post.Verified()
			_, err := w.put(o)
			w.wantKind(tc.name, err, tc.kind)
			if n := w.Post.Verified() - before; n != tc.letters {
				t.Errorf("%d letters were looked at, %d are right", n, tc.letters)
			}
			if _, err := w.Reception.State(t.Context(), w.rec.Key, o.ID); vam.KindOf(err) != vam.NotFound {
				t.Errorf("an offer that was refused is known: %v", err)
			}
		})
	}
	w.wantAnswer(w.offer(), activmail.AnswerAccepted, "")
}

// TestLetterOfAnotherLog offers lines that the letter was not written over (AM-12.9).
func TestLetterOfAnotherLog(t *testing.T) {
	w := newWorld(t, hosttest.Options{})
	content := w.file(100_000)
	honest := w.offer()
	twin := w.rec // the same message with another log of the same size
	w.rec = hosttest.NewRecording(t, "a.example", w.Clock.Now())
	w.rec.Key, w.rec.Priv = twin.Key, twin.Priv
	w.rec.AddFile(content, 50_000)
	w.rec.Seal()
	w.origin.rec = w.rec
	lies := w.offer()
	lies.Mail = honest.Mail
	lies.Log = append(slices.Clone(lies.Log), []byte(`{"k":"later"}`))
	w.rec.AddLine(lies.Log[len(lies.Log)-1])
	lies.Checkpoint = w.rec.Checkpoint(w.rec.Size())
	_, err := w.put(lies)
	w.wantKind("all lines in the offer", err, vam.Corrupt)

	// With fewer lines in the offer it is found when the log is here.
	short := w.rec.Offer(w.signer, w.Clock.Now(), 1, w.bob.Address)
	short.Mail = honest.Mail
	w.wantAnswer(short, activmail.AnswerAccepted, "")
	w.work(queue.Pull)
	w.wantState(mailbox.Failed)
	w.wantTold(activmail.EventFailed)
}

// TestOfferAgain repeats offers: the same octets change nothing, except for whoever could
// not take it then (AM-6.9); other octets under the same name are refused.
func TestOfferAgain(t *testing.T) {
	w := newWorld(t, hosttest.Options{})
	w.file(100_000)
	poor := w.Account("poor@b.example", 10)
	o := w.offer(poor.Address, w.bob.Address, hosttest.Address(t, "nobody@b.example"))
	answer, err := w.put(o)
	if err != nil {
		t.Fatal(err)
	}
	states := func() (out []string) {
		for _, a := range o.Envelope.To {
			out = append(out, string(answer[a].State)+answer[a].Code)
		}
		return out
	}
	// AM-6.17 is the last of them, AM-6.16 the first.
	if want := []string{"rejected4.2.2", "accepted", "rejected5.1.1"}; !slices.Equal(states(), want) {
		t.Errorf("the answer is %q, %q is right", states(), want)
	}
	letters := w.Post.Verified()
	for _, quota := range []vam.Bytes{10, 1 << 20} {
		if err := w.DB.Accounts().SetQuota(t.Context(), poor.ID, quota); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if answer, err = w.put(o); err != nil {
				t.Fatal(err)
			}
			want := []string{"rejected4.2.2", "accepted", "rejected5.1.1"}
			if quota > 10 {
				want[0] = "accepted"
			}
			if !slices.Equal(states(), want) {
				t.Errorf("with %v of room the answer is %q, %q is right", quota, states(), want)
			}
		}
	}
	if w.Post.Verified() != letters {
		t.Error("a repetition looked at the letter again")
	}
	w.work(queue.Pull)
	for _, a := range []int64{poor.ID, w.bob.ID} {
		if e, err := w.DB.Mailboxes().Entry(t.Context(), a, w.rec.Key.Origin, w.rec.Key.ID); err != nil || e.State != mailbox.Stored {
			t.Errorf("account %d has the message %s: %v", a, e.State, err)
		}
	}
	changed := *o
	changed.Token = activmail.NewPullToken()
	_, err = w.put(&changed)
	w.wantKind("other octets", err, vam.Conflict)
	// The state is told under the name of the offer (AM-6.10), also after a restart
	// (AM-6.6, AM-6.20).
	w.Reopen()
	if _, err := w.Reception.State(t.Context(), w.rec.Key, o.ID); err != nil {
		t.Error(err)
	}
}

// TestOfferOfARevokedMessage is AM-6.12.
func TestOfferOfARevokedMessage(t *testing.T) {
	w := newWorld(t, hosttest.Options{})
	w.file(1000)
	w.wantAnswer(w.offer(), activmail.AnswerAccepted, "")
	w.work(queue.Pull)
	w.wantState(mailbox.Stored)
	w.rec.Revoke()
	if err := w.Reception.Poke(t.Context(), w.rec.Key); err != nil {
		t.Fatal(err)
	}
	w.work(queue.Pull)
	w.wantState(mailbox.Withdrawn)
	_, err := w.put(w.offer())
	w.wantKind("an offer of a message that was taken back", err, vam.Gone)
}

// TestForwardsThatAreRefused is AM-6.28, AM-6.29 and AM-10.10.
func TestForwardsThatAreRefused(t *testing.T) {
	w := newWorld(t, hosttest.Options{})
	w.file(1000)
	ref := func(d vam.Domain) activmail.MessageRef {
		return activmail.MessageRef{Origin: d, MessageID: vam.NewMessageID(w.Clock.Now())}
	}
	c, here := ref("c.example"), ref("b.example")
	for _, tc := range []struct {
		name string
		fwd  []activmail.MessageRef
		auto bool
		code string
	}{
		{"a chain of five", []activmail.MessageRef{c, c, c, c, c}, true, ""},
		{"a chain of six", []activmail.MessageRef{c, c, c, c, c, c}, false, "5.4.6"},
		{"back by a person", []activmail.MessageRef{c, here}, false, ""},
		{"back by a program", []activmail.MessageRef{here, c}, true, "5.4.6"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := w.offer()
			o.Forwards, o.Envelope.Auto = tc.fwd, tc.auto
			state := activmail.AnswerRejected
			if tc.code == "" {
				state = activmail.AnswerAccepted
			}
			w.wantAnswer(o, state, tc.code)
		})
	}
	// Nothing was answered to the program's message by a message.
	entries, err := w.DB.Mailboxes().Entries(t.Context(), w.bob.ID, mailbox.Filter{Folder: mailbox.Sent})
	if err != nil || len(entries) > 0 {
		t.Errorf("bob has sent %d messages: %v", len(entries), err)
	}
}

// TestOnceInAMailbox offers a message twice and to two addresses of one person: there is
// one entry (AM-6.19), and its media is fetched once (AM-6.18, AM-6.25).
func TestOnceInAMailbox(t *testing.T) {
	w := newWorld(t, hosttest.Options{})
	w.file(100_000)
	alias := hosttest.Address(t, "sales@b.example")
	if err := w.Accounts.AddAlias(t.Context(), alias, w.bob.ID); err != nil {
		t.Fatal(err)
	}
	ann := w.Account("ann@b.example", 0)
	w.wantAnswer(w.offer(w.bob.Address, alias), activmail.AnswerAccepted, "")
	w.wantAnswer(w.offer(ann.Address), activmail.AnswerAccepted, "")
	w.work(queue.Pull)
	w.wantState(mailbox.Stored)
	fetched := len(w.origin.asked)
	if fetched == 0 {
		t.Error("nothing was fetched")
	}
	w.wantAnswer(w.offer(alias), activmail.AnswerAccepted, "")
	w.work(queue.Pull)
	if len(w.origin.asked) != fetched {
		t.Errorf("a second offer moved media: %v", w.origin.asked)
	}
	for _, a := range []int64{w.bob.ID, ann.ID} {
		entries, err := w.DB.Mailboxes().Entries(t.Context(), a, mailbox.Filter{Folder: mailbox.Inbox})
		if err != nil || len(entries) != 1 {
			t.Errorf("account %d has %d entries: %v", a, len(entries), err)
		}
	}
	w.work(queue.Receipt)
	told := map[string]int{}
	for _, r := range w.origin.receipts {
		told[r.Recipient.String()+" "+string(r.Event)]++
	}
	for _, who := range []vam.Address{w.bob.Address, alias, ann.Address} {
		if told[who.String()+" stored"] != 1 { // AM-8.12: one job for each recipient and event
			t.Errorf("%s was told as stored %d times", who, told[who.String()+" stored"])
		}
	}
}

// TestNotBefore hides a message that is here from its recipient until it is time
// (AM-6.27), and no later than its origin has given it up (AM-6.26).
func TestNotBefore(t *testing.T) {
	w := newWorld(t, hosttest.Options{})
	content := w.file(100_000)
	o := w.offer()
	o.Envelope.NotBefore = w.Clock.Now().Add(time.Hour).Truncate(time.Second)
	w.wantAnswer(o, activmail.AnswerAccepted, "")
	w.work(queue.Pull)
	if got, err := w.media(); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d octets are here: %v", len(got), err)
	}
	seen := func() int {
		t.Helper()
		list, err := w.DB.Mailboxes().Entries(t.Context(), w.bob.ID, mailbox.Filter{Folder: mailbox.Inbox})
		if err != nil {
			t.Fatal(err)
		}
		found, err := w.DB.Mailboxes().FindEntries(t.Context(), w.bob.ID, string(w.rec.Key.ID)[20:], 10)
		if err != nil {
			t.Fatal(err)
		}
		n := len(list) + len(found)
		if w.state() != "" {
			n++
		}
		return n
	}
	w.Clock.Advance(59 * time.Minute)
	if n := seen(); n != 0 {
		t.Errorf("the message is shown in %d ways before its time", n)
	}
	w.Clock.Advance(time.Minute)
	if n := seen(); n != 3 {
		t.Errorf("the message is shown in %d ways at its time, 3 are right", n)
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

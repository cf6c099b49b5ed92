package storetest

import (
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/submission"
)

// Submissions tests submission.Store.
func Submissions(t *testing.T, open Opener) {
	run(t, open, map[string]func(*world){
		"SaveDraft":   testSaveDraft,
		"SaveAgain":   testSaveAgain,
		"SaveRefused": testSaveRefused,
		"SaveRace":    testSaveRace,
		"Send":        testSend,
		"SendSealed":  testSendSealed,
		"SendTwice":   testSendTwice,
		"SendWhole":   testSendIsWhole,
		"Contacts":    testSendContacts,
		"DeleteDraft": testDeleteDraft,
		"OldDrafts":   testOldDrafts,
		"OverdueLive": testOverdueLive,
	})
}

func testSaveDraft(w *world) {
	bob := w.account("bob")
	k := w.create()
	d := submission.Draft{
		From: addr(w, "Bob+tag@home.example"), To: []vam.Address{addr(w, "amy@away.example"), addr(w, `"a b"@away.example`)}, Bcc: []vam.Address{addr(w, "zoe@third.example")},
		Subject: "héllo", Text: "words\n", Kind: vam.File, Name: "a \"b\".pdf", Type: "application/pdf", Size: 5000,
		DeliverBy: w.now().Add(time.Hour), NotBefore: w.now().Add(time.Minute), Expires: w.now().Add(48 * time.Hour), MediaOf: message.Key{Origin: away, ID: k.ID},
	}
	w.stays(func() {}) // a crash after the message was made
	w.pass(time.Second)
	w.ok(w.save(bob, k, d))
	w.stays(func() {
		saved, owner, err := w.Submissions.Draft(w.Context(), k)
		w.ok(err)
		w.equal("the draft", saved, d)
		w.equal("its owner", owner, bob.ID)
		m := w.message(k)
		w.equal("of the message", []any{m.State, m.Kind, m.Author, m.Subject, m.Text, m.Announced, m.Expires}, []any{vam.Draft, d.Kind, d.From, d.Subject, d.Text, d.Size, d.Expires})
		w.equal("the entry", got(w.Mailboxes.Entry(w.Context(), bob.ID, k.Origin, k.ID))(w), mailbox.Entry{
			Account: bob.ID, Folder: mailbox.Sent, Origin: k.Origin, ID: k.ID, From: d.From, Subject: d.Subject, Kind: d.Kind,
			State: mailbox.Draft, Size: d.Size, At: m.Created, Changed: w.now(), Seen: true,
		})
	})
	fresh := message.Message{Key: w.key(home), State: vam.Draft, Kind: vam.File, Author: d.From, PublicKey: publicKey(k), Created: w.now(), Head: message.Head{State: vam.Draft}}
	for i := range 2 {
		m, created, err := w.Submissions.SaveDraft(w.Context(), bob.ID, fresh, privateKey(fresh.Key), d)
		w.ok(err)
		w.equal("made with its draft", []any{created, m.Key, m.Subject}, []any{i == 0, fresh.Key, d.Subject})
	}
	// Peers name a message by its id alone: no other domain of this server may have it, while
	// one that came from elsewhere is no hindrance.
	elsewhere := fresh
	elsewhere.Origin = "second.example"
	_, _, err := w.Submissions.SaveDraft(w.Context(), w.account("eve").ID, elsewhere, privateKey(elsewhere.Key), d)
	w.wantProblem("an id of another domain", err, vam.Conflict, "id-taken")
	here := fresh
	here.Key = message.Key{Origin: home, ID: w.received().ID}
	_, created, err := w.Submissions.SaveDraft(w.Context(), bob.ID, here, privateKey(here.Key), d)
	w.ok(err)
	w.equal("made with the id of a message that came", created, true)
	_, _, err = w.Submissions.Draft(w.Context(), w.create())
	w.wantKind("a message that nobody said anything of", err, vam.NotFound)
	_, _, err = w.Submissions.Draft(w.Context(), w.received())
	w.wantKind("the draft of a received message", err, vam.NotFound)
}

func testSaveAgain(w *world) {
	bob := w.account("bob")
	k := w.draft(bob, "amy@away.example")
	entry := func() mailbox.Entry { return got(w.Mailboxes.Entry(w.Context(), bob.ID, k.Origin, k.ID))(w) }
	d, _, err := w.Submissions.Draft(w.Context(), k)
	w.ok(err)
	first := entry()
	w.pass(time.Hour)
	w.ok(w.save(bob, k, d))
	w.equal("the entry after the same words", entry(), first)

	d.From, d.Subject, d.Kind, d.Size = addr(w, "robert@home.example"), "other", vam.Voice, 70
	w.twice(func() error { return w.save(bob, k, d) })
	w.stays(func() {
		e := entry()
		w.equal("the entry after other words", []any{e.From, e.Subject, e.Kind, e.Size, e.Changed}, []any{d.From, d.Subject, d.Kind, vam.Bytes(70), w.now()})
		w.equal("what is used", w.used(bob), vam.Bytes(70))
	})
	w.grow(k, 1, 500)
	d.Size = 90
	w.ok(w.save(bob, k, d))
	w.equal("less than is there is not charged", entry().Size, vam.Bytes(500))
	w.ok(w.Mailboxes.DeleteEntry(w.Context(), bob.ID, k.Origin, k.ID))
	d.Subject = "gone"
	w.ok(w.save(bob, k, d))
	w.equal("a deleted entry stays deleted", len(got(w.Mailboxes.Entries(w.Context(), bob.ID, mailbox.Filter{Folder: mailbox.Sent}))(w)), 0)
}

func testSaveRefused(w *world) {
	bob, eve := w.account("bob"), w.account("eve")
	d := submission.Draft{From: bob.Address, To: []vam.Address{addr(w, "amy@away.example")}, Kind: vam.Video}
	save := func(a account.Account, k message.Key, d submission.Draft) error {
		return w.save(a, k, d)
	}
	mine := w.draft(bob, "amy@away.example")
	w.wantProblem("somebody else's id", save(eve, mine, d), vam.Conflict, "id-taken")
	sent, _ := w.sent(bob, "amy@away.example")
	same, _, err := w.Submissions.Draft(w.Context(), sent)
	w.ok(err)
	w.ok(save(bob, sent, same))
	changed := same
	changed.Subject = "too late"
	w.wantProblem("other words after the send", save(bob, sent, changed), vam.Conflict, "sent")
	w.wantProblem("somebody else's sent one", save(eve, sent, same), vam.Conflict, "id-taken")
	w.wantKind("a received message", save(bob, w.received(), d), vam.Conflict)
	w.wantKind("no message", save(bob, w.key(home), d), vam.NotFound)
	w.stays(func() {
		if _, owner, err := w.Submissions.Draft(w.Context(), mine); err != nil || owner != bob.ID {
			w.Errorf("the draft belongs to %d, %v", owner, err)
		}
		w.equal("the sent subject", w.message(sent).Subject, "hello")
		w.equal("what eve has", len(got(w.Mailboxes.Entries(w.Context(), eve.ID, mailbox.Filter{Folder: mailbox.Sent}))(w)), 0)
	})
	w.ok(w.Accounts.DeleteAccount(w.Context(), bob.ID))
	w.wantProblem("the draft of somebody who left", save(eve, mine, d), vam.Conflict, "id-taken")
}

func testSaveRace(w *world) {
	bob, eve := w.account("bob"), w.account("eve")
	k := w.create()
	won := w.together(8, func(i int) (bool, error) {
		a := []account.Account{bob, eve}[i%2]
		err := w.save(a, k, submission.Draft{From: a.Address, Kind: vam.Video})
		if err != nil && vam.KindOf(err) == vam.Conflict {
			return false, nil
		}
		return err == nil, err
	})
	w.equal("of two people with 4 tries each", won, 4)
}

func testSend(w *world) {
	bob := w.account("bob")
	k := w.draft(bob, "amy@away.example", "carl@third.example")
	w.pass(time.Hour)
	x := w.sending(bob, k)
	x.Offers[0].NotBefore = w.now().Add(time.Minute)
	x.Offers[0].Recipients[0].Hidden = true
	x.Offers[0].Recipients[0].NextAt = w.now().Add(time.Minute)
	if sent, err := w.Submissions.Send(w.Context(), x); err != nil || !sent {
		w.Fatalf("Send: %v, %v", sent, err)
	}
	w.stays(func() {
		m := w.message(k)
		w.equal("the message", []any{m.State, m.Head.State, m.SentAt}, []any{vam.Live, vam.Live, x.At})
		w.equal("its mail", got(w.Messages.Mail(w.Context(), k))(w), x.Mail)
		for _, o := range x.Offers {
			w.equal("its offer", got(w.Deliveries.Offer(w.Context(), o.ID))(w), o)
		}
		e := got(w.Mailboxes.Entry(w.Context(), bob.ID, k.Origin, k.ID))(w)
		w.equal("the author's entry", []any{e.State, e.Changed}, []any{mailbox.Stored, x.At})
		if _, _, err := w.Submissions.Draft(w.Context(), k); err != nil {
			w.Errorf("what the author said: %v", err)
		}
	})
	w.wantJobs(queue.Offer, string(x.Offers[0].ID), string(x.Offers[1].ID))
	_, err := w.Submissions.Send(w.Context(), submission.Sending{Account: bob.ID, Key: w.key(home), At: w.now()})
	w.wantKind("sending nothing", err, vam.NotFound)
}

func testSendSealed(w *world) {
	bob := w.account("bob")
	k := w.draft(bob, "amy@away.example")
	w.complete(k, "x", "")
	if sent, err := w.Submissions.Send(w.Context(), w.sending(bob, k)); err != nil || !sent {
		w.Fatalf("Send: %v, %v", sent, err)
	}
	w.stays(func() { w.equal("a sealed message that was sent", w.message(k).State, vam.Sealed) })
	gone := w.draft(bob, "amy@away.example")
	w.revoke(gone)
	if sent, err := w.Submissions.Send(w.Context(), w.sending(bob, gone)); err != nil || sent {
		w.Errorf("sending a revoked draft: %v, %v", sent, err)
	}
}

func testSendTwice(w *world) {
	bob := w.account("bob")
	k := w.draft(bob, "amy@away.example")
	sent := w.together(6, func(int) (bool, error) {
		x := w.sending(bob, k)
		return w.Submissions.Send(w.Context(), x)
	})
	w.equal("of 6 sends", sent, 1)
	w.equal("jobs", len(w.jobs(queue.Offer)), 1)
	mail, recipients := got(w.Messages.Mail(w.Context(), k))(w), got(w.Deliveries.Recipients(w.Context(), k))(w)
	w.pass(time.Hour)
	x := w.sending(bob, k)
	x.Mail = []byte("other")
	if again, err := w.Submissions.Send(w.Context(), x); err != nil || again {
		w.Errorf("the next day: %v, %v", again, err)
	}
	w.stays(func() {
		w.equal("the mail", got(w.Messages.Mail(w.Context(), k))(w), mail)
		w.equal("the recipients", got(w.Deliveries.Recipients(w.Context(), k))(w), recipients)
		_, err := w.Deliveries.Offer(w.Context(), x.Offers[0].ID)
		w.wantKind("the second offer", err, vam.NotFound)
	})
	w.wantJobs(queue.Offer)
}

// Whatever of a send fails, nothing of it is there.
func testSendIsWhole(w *world) {
	bob := w.account("bob")
	k := w.draft(bob, "amy@away.example")
	x := w.sending(bob, k)
	x.Jobs = append(x.Jobs, queue.Job{Kind: queue.Offer, Key: "too large", Domain: away, Payload: make([]byte, queue.MaxPayload+1)})
	_, err := w.Submissions.Send(w.Context(), x)
	w.wantKind("a send with a job that does not fit", err, vam.TooLarge)
	w.stays(func() {
		w.equal("the message", w.message(k).State, vam.Draft)
		_, err := w.Deliveries.Offer(w.Context(), x.Offers[0].ID)
		w.wantKind("its offer", err, vam.NotFound)
		_, err = w.Messages.Mail(w.Context(), k)
		w.wantKind("its mail", err, vam.NotFound)
		w.equal("the contact", got(w.Accounts.Standing(w.Context(), bob.ID, addr(w, "amy@away.example")))(w), account.Unknown)
	})
	w.wantJobs(queue.Offer)
}

func testSendContacts(w *world) {
	bob := w.account("bob")
	w.ok(w.Accounts.SetStanding(w.Context(), bob.ID, addr(w, "zoe@away.example"), account.Blocked, w.now()))
	w.ok(w.Accounts.SetStanding(w.Context(), bob.ID, addr(w, "old@away.example"), account.Known, w.now()))
	since := w.now()
	w.pass(time.Hour)
	w.sent(bob, "Amy@away.example", "zoe@away.example", "old@away.example")
	w.stays(func() {
		for peer, want := range map[string]account.Standing{"amy": account.Known, "zoe": account.Blocked, "old": account.Known, "eve": account.Unknown} {
			w.equal(peer, got(w.Accounts.Standing(w.Context(), bob.ID, addr(w, peer+"@away.example")))(w), want)
		}
		for _, c := range got(w.Accounts.Contacts(w.Context(), bob.ID))(w) {
			if c.Address.Local == "old" && !c.Since.Equal(since) {
				w.Errorf("an old contact is one since %v", c.Since)
			}
		}
	})
}

func testDeleteDraft(w *world) {
	bob := w.account("bob")
	k := w.draft(bob, "amy@away.example")
	id := w.media(k)
	w.grow(k, 3, 300)
	w.ok(w.Submissions.DeleteDraft(w.Context(), k))
	w.wantKind("deleting it again", w.Submissions.DeleteDraft(w.Context(), k), vam.NotFound)
	w.stays(func() {
		_, err := w.Messages.Message(w.Context(), k)
		w.wantKind("the message", err, vam.NotFound)
		_, err = w.Mailboxes.Entry(w.Context(), bob.ID, k.Origin, k.ID)
		w.wantKind("the entry", err, vam.NotFound)
		w.equal("its lines", len(got(w.Messages.Lines(w.Context(), k, 0, 10))(w)), 0)
		w.equal("what is used", w.used(bob), vam.Bytes(0))
	})
	w.pass(time.Hour)
	w.equal("its media is for retention", got(w.Retention.Condemn(w.Context(), w.now(), 10))(w)[0], id)
	sent, _ := w.sent(bob, "amy@away.example")
	w.wantProblem("a sent message", w.Submissions.DeleteDraft(w.Context(), sent), vam.Conflict, "sent")
	w.equal("it is still there", w.message(sent).State, vam.Live)
}

func testOldDrafts(w *world) {
	bob := w.account("bob")
	first, sealed, third := w.draft(bob, "amy@away.example"), w.draft(bob, "amy@away.example"), w.draft(bob, "amy@away.example")
	w.sent(bob, "amy@away.example")
	w.received(answer{bob, vam.Accepted})
	bare := w.create()
	w.pass(time.Hour)
	w.seal(sealed, "x")
	w.pass(time.Hour)
	w.grow(first, 1, 1)
	old := func(before time.Duration, limit int, want ...message.Key) {
		w.Helper()
		w.equal("old drafts", got(w.Submissions.OldDrafts(w.Context(), w.now().Add(-before), limit))(w), want)
	}
	w.stays(func() { old(0, 10, third, bare, sealed) })
	old(-time.Second, 10, third, bare, sealed, first)
	old(0, 2, third, bare)
	old(90*time.Minute, 10, third, bare)
	old(3*time.Hour, 10)
}

// A recording that nobody ended is overdue when no offer of it has time left (AM-4.21).
func testOverdueLive(w *world) {
	bob := w.account("bob")
	live, _ := w.sent(bob, "amy@away.example")
	sealed, _ := w.sent(bob, "amy@away.example")
	w.seal(sealed, "x")
	revoked, _ := w.sent(bob, "amy@away.example")
	w.revoke(revoked)
	w.received(answer{bob, vam.Accepted})
	w.draft(bob, "amy@away.example")
	w.pass(time.Hour)
	d := w.draft(bob, "amy@away.example", "carl@third.example")
	x := w.sending(bob, d)
	x.Offers[0].DeliverBy = w.now().Add(-time.Minute)
	w.ok(second(w.Submissions.Send(w.Context(), x)))
	overdue := func(limit int, want ...message.Key) {
		w.Helper()
		w.equal("overdue", got(w.Submissions.OverdueLive(w.Context(), w.now(), message.Key{}, limit))(w), want)
	}
	w.stays(func() { overdue(10) })
	w.pass(95 * time.Hour)
	overdue(10, live)
	w.pass(time.Hour)
	overdue(10, live, d)
	overdue(1, live)
	w.equal("behind the first", got(w.Submissions.OverdueLive(w.Context(), w.now(), live, 1))(w), []message.Key{d})
	w.equal("behind the last", len(got(w.Submissions.OverdueLive(w.Context(), w.now(), d, 1))(w)), 0)
}

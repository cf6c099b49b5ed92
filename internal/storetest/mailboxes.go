package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
)

// Mailboxes tests mailbox.Store.
func Mailboxes(t *testing.T, open Opener) {
	run(t, open, map[string]func(*world){
		"List":    testEntries,
		"Limits":  testEntryLimits,
		"Entry":   testEntry,
		"Find":    testFindEntries,
		"Seen":    testMarkSeen,
		"Delete":  testDeleteEntry,
		"Charges": testCharges,
	})
}

func testEntries(w *world) {
	bob, eve := w.account("bob"), w.account("eve")
	old, held := w.received(answer{bob, vam.Accepted}), w.received(answer{bob, vam.Held})
	w.received(answer{eve, vam.Accepted})
	mine := w.draft(bob, "amy@away.example")
	fresh := w.received(answer{eve, vam.Held}, answer{bob, vam.Accepted})
	for _, tt := range []struct {
		name string
		f    mailbox.Filter
		want []message.Key
	}{
		{"inbox", mailbox.Filter{Folder: mailbox.Inbox}, []message.Key{fresh, held, old}},
		{"sent", mailbox.Filter{Folder: mailbox.Sent}, []message.Key{mine}},
		{"held", mailbox.Filter{Folder: mailbox.Inbox, State: mailbox.Held}, []message.Key{held}},
		{"arriving", mailbox.Filter{Folder: mailbox.Inbox, State: mailbox.Arriving}, []message.Key{fresh, old}},
		{"stored", mailbox.Filter{Folder: mailbox.Inbox, State: mailbox.Stored}, nil},
		{"older", mailbox.Filter{Folder: mailbox.Inbox, Before: held.ID}, []message.Key{old}},
		{"older than a stranger", mailbox.Filter{Folder: mailbox.Inbox, Before: mine.ID}, []message.Key{held, old}},
		{"older than all", mailbox.Filter{Folder: mailbox.Inbox, Before: old.ID}, nil},
		{"one", mailbox.Filter{Folder: mailbox.Inbox, Limit: 1}, []message.Key{fresh}},
		{"the next arriving one", mailbox.Filter{Folder: mailbox.Inbox, State: mailbox.Arriving, Before: fresh.ID, Limit: 1}, []message.Key{old}},
	} {
		w.equal(tt.name, keysOf(got(w.Mailboxes.Entries(w.Context(), bob.ID, tt.f))(w)), tt.want)
	}
	w.equal("nobody", got(w.Mailboxes.Entries(w.Context(), 77, mailbox.Filter{Folder: mailbox.Inbox}))(w), []mailbox.Entry(nil))
}

func keysOf(entries []mailbox.Entry) []message.Key {
	var out []message.Key
	for _, e := range entries {
		out = append(out, message.Key{Origin: e.Origin, ID: e.ID})
	}
	return out
}

func testEntryLimits(w *world) {
	bob := w.account("bob")
	const all = 203
	keys := make([]message.Key, all)
	for i := range keys {
		keys[i] = w.key(away)
	}
	w.together(all, func(i int) (bool, error) {
		_, err := w.Receptions.Take(w.Context(), w.taking(keys[i], answer{bob, vam.Accepted}))
		return true, err
	})
	slices.Reverse(keys)
	inbox := func(before vam.MessageID, limit int) []message.Key {
		return keysOf(got(w.Mailboxes.Entries(w.Context(), bob.ID, mailbox.Filter{Folder: mailbox.Inbox, Before: before, Limit: limit}))(w))
	}
	w.equal("the limit of 0", inbox("", 0), keys[:50])
	w.equal("the largest limit", inbox("", 200), keys[:200])
	w.equal("a limit beyond it", inbox("", 201), keys[:200])
	w.stays(func() {
		var paged []message.Key
		for page := inbox("", 60); len(page) > 0; page = inbox(page[len(page)-1].ID, 60) {
			paged = append(paged, page...)
		}
		w.equal("all pages", paged, keys)
	})
}

func testEntry(w *world) {
	bob := w.account("bob")
	k, _ := w.sent(bob, "bob@home.example")
	sent := got(w.Mailboxes.Entry(w.Context(), bob.ID, k.Origin, k.ID))(w)
	w.equal("the one in Sent", sent, mailbox.Entry{
		Account: bob.ID, Folder: mailbox.Sent, Origin: k.Origin, ID: k.ID, From: bob.Address, Subject: "hello", Kind: vam.Video,
		State: mailbox.Stored, Size: announced, At: w.now(), Changed: w.now(), Seen: true,
	})
	t := w.taking(k, answer{bob, vam.Accepted})
	t.Entries[0].Rcpt = addr(w, "Bob+tag@home.example")
	t.Entries[0].Duration = 90*time.Second + 123*time.Microsecond
	w.take(t)
	w.stays(func() {
		w.equal("the one in the inbox first", got(w.Mailboxes.Entry(w.Context(), bob.ID, k.Origin, k.ID))(w), t.Entries[0])
	})
	_, err := w.Mailboxes.Entry(w.Context(), bob.ID, away, k.ID)
	w.wantKind("the id at another origin", err, vam.NotFound)
	_, err = w.Mailboxes.Entry(w.Context(), bob.ID+1, k.Origin, k.ID)
	w.wantKind("another account's", err, vam.NotFound)
}

func testFindEntries(w *world) {
	bob, eve := w.account("bob"), w.account("eve")
	a := message.Key{Origin: away, ID: "019acf10-0000-7000-8000-00000000aaaa"}
	b := message.Key{Origin: away, ID: "019acf10-0000-7000-8000-00000000bbaa"}
	c := message.Key{Origin: away, ID: "019bcf10-0000-7000-8000-00000000bbaa"}
	for _, k := range []message.Key{a, b, c} {
		w.take(w.taking(k, answer{bob, vam.Accepted}))
	}
	w.take(w.taking(message.Key{Origin: away, ID: "019acf10-0000-7000-8000-00000000ddaa"}, answer{eve, vam.Accepted}))
	d := w.draft(bob, "amy@away.example")
	for _, tt := range []struct {
		part  string
		limit int
		want  []message.Key
	}{
		{"019acf10", 10, []message.Key{b, a}},
		{"bbaa", 10, []message.Key{c, b}},
		{"aa", 10, []message.Key{c, b, a}},
		{"aa", 2, []message.Key{c, b}},
		{string(b.ID), 10, []message.Key{b}},
		{string(d.ID), 10, []message.Key{d}},
		{"019acf10-0000-7000-8000-00000000bbaa0", 10, nil},
		{"7000", 10, nil},
		{"%", 10, nil},
		{"_9acf10", 10, nil},
		{"019ACF10", 10, nil},
	} {
		w.equal(tt.part, keysOf(got(w.Mailboxes.FindEntries(w.Context(), bob.ID, tt.part, tt.limit))(w)), tt.want)
	}
	prefix := string(d.ID[:8]) // of the time
	older := w.received(answer{bob, vam.Held})
	newer := w.draft(bob, "amy@away.example")
	w.equal("the inbox before what is newer", keysOf(got(w.Mailboxes.FindEntries(w.Context(), bob.ID, prefix, 10))(w)), []message.Key{older, newer, d})
	w.take(w.taking(d, answer{bob, vam.Accepted}))
	both := got(w.Mailboxes.FindEntries(w.Context(), bob.ID, string(d.ID[30:]), 10))(w)
	if len(both) != 2 || both[0].Folder != mailbox.Inbox {
		w.Errorf("a message in both folders is found as %v, want the inbox first", both)
	}
}

func testMarkSeen(w *world) {
	bob, eve := w.account("bob"), w.account("eve")
	k := w.received(answer{bob, vam.Accepted}, answer{eve, vam.Accepted})
	w.pass(time.Hour)
	first := w.now()
	w.ok(w.Mailboxes.MarkSeen(w.Context(), bob.ID, k.Origin, k.ID, first))
	w.pass(time.Hour)
	w.ok(w.Mailboxes.MarkSeen(w.Context(), bob.ID, k.Origin, k.ID, w.now()))
	w.stays(func() {
		if e := w.entry(bob, k); !e.Seen || !e.Changed.Equal(first) {
			w.Errorf("seen %v, changed %v, want true since %v", e.Seen, e.Changed, first)
		}
		if w.entry(eve, k).Seen {
			w.Error("the other account has seen it too")
		}
	})
	w.wantKind("a message that is not there", w.Mailboxes.MarkSeen(w.Context(), bob.ID, home, k.ID, w.now()), vam.NotFound)
}

func testDeleteEntry(w *world) {
	bob, eve := w.account("bob"), w.account("eve")
	held := w.received(answer{bob, vam.Held})
	both, _ := w.sent(bob, "bob@home.example")
	w.take(w.taking(both, answer{bob, vam.Accepted}, answer{eve, vam.Accepted}))
	for _, k := range []message.Key{held, both} {
		w.ok(w.Mailboxes.DeleteEntry(w.Context(), bob.ID, k.Origin, k.ID))
		w.wantKind("deleting it again", w.Mailboxes.DeleteEntry(w.Context(), bob.ID, k.Origin, k.ID), vam.NotFound)
	}
	w.stays(func() {
		for _, k := range []message.Key{held, both} {
			_, err := w.Mailboxes.Entry(w.Context(), bob.ID, k.Origin, k.ID)
			w.wantKind("a deleted entry", err, vam.NotFound)
		}
		w.wantEntry(eve, both, mailbox.Arriving)
		w.equal("what bob uses", w.used(bob), vam.Bytes(0))
		w.equal("what eve uses", w.used(eve), vam.Bytes(announced))
	})
}

// What an account uses follows every way into, through and out of the states.
func testCharges(w *world) {
	bob := w.account("bob")
	uses := func(what string, want vam.Bytes) {
		w.Helper()
		w.equal("used: "+what, w.used(bob), want)
	}
	held := w.received(answer{bob, vam.Held})
	uses("held", 0)
	w.ok(w.Receptions.Decide(w.Context(), bob.ID, held, vam.Accepted, nil, nil, w.now()))
	uses("accepted", announced)
	w.grow(held, 1, announced/2)
	uses("half here", announced)
	w.grow(held, 1, announced)
	uses("more than was announced", announced*3/2)
	w.seal(held, "x")
	w.ok(w.Messages.SetComplete(w.Context(), held, ""))
	w.stays(func() { uses("stored", announced*3/2) })
	w.take(w.taking(held, answer{bob, vam.Accepted}))
	uses("offered twice", announced*3/2)
	w.revoke(held)
	uses("withdrawn", 0)

	small := w.received(answer{bob, vam.Accepted})
	w.grow(small, 1, 10)
	w.seal(small, "y")
	uses("sealed with less than was announced", 10)
	w.ok(w.Receptions.Conclude(w.Context(), small, vam.Failed, "failed", "5.6.0", "broken", w.now()))
	uses("failed", 0)

	d := w.draft(bob, "amy@away.example")
	uses("draft", announced)
	w.grow(d, 1, 3*announced)
	uses("draft that grew", 3*announced)
	w.ok(w.Submissions.DeleteDraft(w.Context(), d))
	uses("no draft", 0)

	third := w.received(answer{bob, vam.Accepted})
	w.ok(w.Mailboxes.DeleteEntry(w.Context(), bob.ID, third.Origin, third.ID))
	uses("deleted while it arrived", 0)
	w.grow(third, 1, 5*announced)
	w.stays(func() { uses("deleted and growing on", 0) })
	w.equal("no entry is left over", len(got(w.Mailboxes.Entries(w.Context(), bob.ID, mailbox.Filter{Folder: mailbox.Sent}))(w)), 0)
}

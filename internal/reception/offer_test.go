package reception_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/queue"
)

func TestOfferDecidesForEach(t *testing.T) {
	in := newInbox(t, hosttest.Options{Hold: true, MaxSize: 5000})
	carol := in.Account("carol@b.example", 100)
	dave := in.Account("dave@b.example", 0)
	eve := in.Account("eve@b.example", 0)
	author := hosttest.Address(t, "alice@a.example")
	for acct, st := range map[int64]account.Standing{in.bob.ID: account.Known, eve.ID: account.Blocked} {
		if err := in.DB.Accounts().SetStanding(t.Context(), acct, author, st, in.Clock.Now()); err != nil {
			t.Fatal(err)
		}
	}
	r := in.recording(t, hosttest.Pattern(2*partSize, 1))
	r.Seal()
	o := in.offer(t, r, "bob@b.example", "bob+films@b.example", "carol@b.example", "dave@b.example", "eve@b.example", "nobody@b.example", "postmaster@b.example")
	want := map[string]string{
		"bob@b.example": "accepted", "bob+films@b.example": "accepted", "carol@b.example": "rejected 4.2.2",
		"dave@b.example": "held", "eve@b.example": "rejected 5.7.1", "nobody@b.example": "rejected 5.1.1", "postmaster@b.example": "accepted",
	}
	if got := in.taken(t, o); !cmp.Equal(got, want) {
		t.Errorf("answers %s", cmp.Diff(want, got))
	}
	for acct, st := range map[account.Account]mailbox.State{in.bob: mailbox.Arriving, carol: "", dave: mailbox.Held, eve: ""} {
		if got := in.state(t, acct, r); got != st {
			t.Errorf("%s has the message %q, want %q", acct.Address, got, st)
		}
	}
	if verified := in.Post.Verified(); verified != 1 {
		t.Errorf("the letter was verified %d times", verified)
	}
	jobs, err := in.DB.Queue().Jobs(t.Context(), "", 10)
	if err != nil || len(jobs) != 1 || jobs[0].Kind != queue.Pull {
		t.Errorf("jobs %v, %v", jobs, err)
	}
}

func TestOfferTwice(t *testing.T) {
	in := newInbox(t, hosttest.Options{})
	r := in.recording(t, hosttest.Pattern(2*partSize, 1))
	r.Seal()
	o := in.offer(t, r, "bob@b.example", "nobody@b.example")
	first := in.taken(t, o)
	for range 2 {
		a, fresh, err := in.put(t, o)
		if err != nil || fresh || !cmp.Equal(words(a), first) {
			t.Fatalf("%v, %v, %v", words(a), fresh, err)
		}
	}
	if in.Post.Verified() != 1 {
		t.Error("a repetition is verified again")
	}
	o.Envelope.To = o.Envelope.To[:1]
	_, _, err := in.put(t, o) // other bytes under the same name
	wantKind(t, err, vam.Conflict, "offer-conflict")
	if in.Work(t.Context()); in.state(t, in.bob, r) != mailbox.Stored {
		t.Fatal("not stored")
	}
	o = in.offer(t, r, "bob@b.example") // another offer of the same message
	if got := in.taken(t, o); got["bob@b.example"] != "accepted" {
		t.Errorf("%v", got)
	}
	before := in.away.MediaBytes()
	in.Work(t.Context())
	if in.away.MediaBytes() != before {
		t.Error("a second offer moved media")
	}
	if entries, err := in.DB.Mailboxes().Entries(t.Context(), in.bob.ID, mailbox.Filter{Folder: mailbox.Inbox}); err != nil || len(entries) != 1 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	state, err := in.Reception.State(t.Context(), r.Key, o.ID)
	if err != nil || words(state)["bob@b.example"] != "stored" {
		t.Errorf("state %v, %v", words(state), err)
	}
	_, err = in.Reception.State(t.Context(), r.Key, vam.NewMessageID(in.Clock.Now()))
	wantKind(t, err, vam.NotFound, "")
}

// Who was refused for the time being is decided anew by the same offer (AM-6.9), and
// nobody else is.
func TestOfferIsDecidedAnew(t *testing.T) {
	in := newInbox(t, hosttest.Options{})
	carol := in.Account("carol@b.example", 100)
	r := in.recording(t, hosttest.Pattern(2*partSize, 1))
	r.Seal()
	o := in.offer(t, r, "carol@b.example", "bob@b.example", "nobody@b.example")
	want := map[string]string{"carol@b.example": "rejected 4.2.2", "bob@b.example": "accepted", "nobody@b.example": "rejected 5.1.1"}
	if got := in.taken(t, o); !cmp.Equal(got, want) {
		t.Fatal(cmp.Diff(want, got))
	}
	if got := in.taken(t, o); !cmp.Equal(got, want) {
		t.Fatal(cmp.Diff(want, got))
	}
	if err := in.DB.Mailboxes().DeleteEntry(t.Context(), in.bob.ID, r.Key.Origin, r.Key.ID); err != nil {
		t.Fatal(err)
	}
	if err := in.DB.Accounts().SetQuota(t.Context(), carol.ID, 0); err != nil {
		t.Fatal(err)
	}
	in.Account("nobody@b.example", 0)
	want["carol@b.example"] = "accepted"
	for range 2 {
		if got := in.taken(t, o); !cmp.Equal(got, want) {
			t.Fatal(cmp.Diff(want, got))
		}
	}
	if st := in.state(t, in.bob, r); st != "" {
		t.Errorf("what bob deleted came back as %s", st)
	}
	if in.Post.Verified() != 1 {
		t.Errorf("the letter was verified %d times", in.Post.Verified())
	}
	if errs := in.Work(t.Context()); len(errs) > 0 {
		t.Fatal(errs)
	}
	if st := in.state(t, carol, r); st != mailbox.Stored {
		t.Errorf("carol has it %s", st)
	}
}

// An offer all of whose recipients were refused for the time being comes back, also
// after its message was swept away.
func TestOfferAfterTheSweep(t *testing.T) {
	in := newInbox(t, hosttest.Options{})
	carol := in.Account("carol@b.example", 100)
	r := in.recording(t, hosttest.Pattern(2*partSize, 1))
	r.Seal()
	o := in.offer(t, r, "carol@b.example")
	in.taken(t, o)
	if _, err := in.DB.Retention().Detach(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
	if err := in.DB.Accounts().SetQuota(t.Context(), carol.ID, 0); err != nil {
		t.Fatal(err)
	}
	if got := in.taken(t, o); got["carol@b.example"] != "accepted" {
		t.Fatal(got)
	}
	if errs := in.Work(t.Context()); len(errs) > 0 {
		t.Fatal(errs)
	}
	if st := in.state(t, carol, r); st != mailbox.Stored {
		t.Errorf("carol has it %s", st)
	}
	in.wantMedia(t, r)
}

func TestOfferRefusedAsAWhole(t *testing.T) {
	free := vam.Bytes(1 << 30)
	in := newInbox(t, hosttest.Options{MaxSize: 4 * partSize, Free: func(context.Context) (vam.Bytes, error) { return free, nil }})
	r := in.recording(t, hosttest.Pattern(2*partSize, 1))
	r.Seal()
	evil := hosttest.NewRecording(t, "a.example", in.Clock.Now())
	evil.Key = r.Key
	evil.AddFile(hosttest.Pattern(2*partSize, 2), partSize)
	evil.Seal()
	for name, tt := range map[string]struct {
		change  func(*activmail.Offer)
		kind    vam.ErrorKind
		problem string
	}{
		"another envelope": {func(o *activmail.Offer) { o.Envelope.From.Local = "eve" }, vam.Denied, "policy"},
		"another key": {func(o *activmail.Offer) {
			*o = *in.offer(t, evil, "bob@b.example")
			o.Mail = in.offer(t, r, "bob@b.example").Mail
		}, vam.Denied, "policy"},
		"another checkpoint": {func(o *activmail.Offer) { o.Checkpoint = evil.Checkpoint(3) }, vam.Corrupt, "checkpoint-inconsistent"},
		"other lines":        {func(o *activmail.Offer) { o.Log = evil.Lines(0, 3) }, vam.Corrupt, "checkpoint-inconsistent"},
		"fewer lines":        {func(o *activmail.Offer) { o.Log = o.Log[:2] }, vam.Corrupt, "checkpoint-inconsistent"},
		"a bad line":         {func(o *activmail.Offer) { o.Log[1] = []byte(`{"k":"part"}`) }, vam.Invalid, "malformed"},
		"a mail elsewhere": {func(o *activmail.Offer) {
			o.Mail, o.MailRef = nil, &activmail.BlobRef{Blob: activmail.Sum{1}, Length: 10}
		}, vam.TooLarge, "too-large"},
		"tampered mail": {func(o *activmail.Offer) { o.Mail = []byte(strings.Replace(string(o.Mail), "harbour", "garden!", 1)) }, vam.Unauthenticated, "signature-invalid"},
		"too large":     {func(o *activmail.Offer) { o.Size = 4*partSize + 1 }, vam.TooLarge, "too-large"},
		"no room":       {func(o *activmail.Offer) { free = 2*partSize - 1 }, vam.OverQuota, "disk-full"},
	} {
		t.Run(name, func(t *testing.T) {
			free = 1 << 30
			o := in.offer(t, r, "bob@b.example")
			tt.change(o)
			_, _, err := in.put(t, o)
			wantKind(t, err, tt.kind, tt.problem)
			if _, err := in.Messages.Get(t.Context(), r.Key); vam.KindOf(err) != vam.NotFound {
				t.Errorf("something of it was kept: %v", err)
			}
		})
	}
	free = 1 << 30
	if got := in.taken(t, in.offer(t, r, "bob@b.example")); got["bob@b.example"] != "accepted" {
		t.Errorf("the good one: %v", got)
	}
	o := in.offer(t, evil, "bob@b.example") // its key is another one than is known by now
	_, _, err := in.put(t, o)
	wantKind(t, err, vam.Conflict, "offer-conflict")
}

// An offer whose log contradicts what is here of its message is refused, and nothing of it
// is kept: neither of the lines that are known nor of those that would follow.
func TestOfferContradicts(t *testing.T) {
	in := newInbox(t, hosttest.Options{})
	carol := in.Account("carol@b.example", 0)
	r := in.recording(t, hosttest.Pattern(3*partSize, 1))
	in.taken(t, in.offer(t, r, "bob@b.example"))
	for name, parts := range map[string]int{"shorter": 2, "as long": 3, "longer": 5} {
		evil := hosttest.NewRecording(t, "a.example", in.Clock.Now())
		evil.Key, evil.Priv = r.Key, r.Priv
		evil.AddFile(hosttest.Pattern(parts*partSize, 2), partSize)
		o := in.offer(t, evil, "carol@b.example")
		for range 2 {
			_, _, err := in.put(t, o)
			wantKind(t, err, vam.Corrupt, "checkpoint-inconsistent")
		}
		if _, err := in.Reception.State(t.Context(), r.Key, o.ID); vam.KindOf(err) != vam.NotFound {
			t.Errorf("%s: the offer was taken: %v", name, err)
		}
	}
	if st := in.state(t, carol, r); st != "" {
		t.Errorf("carol has it %s", st)
	}
	r.AddFile(hosttest.Pattern(partSize, 3), partSize)
	if got := in.taken(t, in.offer(t, r, "carol@b.example")); got["carol@b.example"] != "accepted" {
		t.Errorf("what goes on: %v", got)
	}
}

// What is cheap is looked at first: a log that is wrong asks no DNS.
func TestOfferChecksTheLogBeforeTheMail(t *testing.T) {
	in := newInbox(t, hosttest.Options{})
	r := in.recording(t, hosttest.Pattern(2*partSize, 1))
	o := in.offer(t, r, "bob@b.example")
	o.Log = o.Log[:1]
	if _, _, err := in.put(t, o); err == nil {
		t.Fatal("taken")
	}
	if in.Post.Verified() != 0 {
		t.Error("the letter was looked at")
	}
}

func TestOfferForwards(t *testing.T) {
	in := newInbox(t, hosttest.Options{})
	r := in.recording(t, hosttest.Pattern(partSize, 1))
	r.Seal()
	chain := func(n int, d vam.Domain) (out []activmail.MessageRef) {
		for range n {
			out = append(out, activmail.MessageRef{Origin: d, MessageID: vam.NewMessageID(in.Clock.Now())})
		}
		return out
	}
	for name, tt := range map[string]struct {
		chain []activmail.MessageRef
		auto  bool
		want  string
	}{
		"five":                 {chain(5, "c.example"), true, "accepted"},
		"back by a person":     {chain(1, "b.example"), false, "accepted"},
		"a circle of programs": {chain(1, "b.example"), true, "rejected 5.4.6"},
	} {
		o := in.offer(t, r, "bob@b.example")
		o.Forwards, o.Envelope.Auto = tt.chain, tt.auto
		if got := in.taken(t, o)["bob@b.example"]; got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestOfferOfWhatEnded(t *testing.T) {
	in := newInbox(t, hosttest.Options{})
	r := in.recording(t, hosttest.Pattern(2*partSize, 1))
	r.Seal()
	o := in.offer(t, r, "bob@b.example")
	in.taken(t, o)
	r.Revoke()
	in.Work(t.Context())
	if st := in.state(t, in.bob, r); st != mailbox.Withdrawn {
		t.Fatalf("bob has it %s", st)
	}
	if got := in.taken(t, o)["bob@b.example"]; got != "accepted" { // the answer that it was
		t.Errorf("the old offer again: %s", got)
	}
	state, err := in.Reception.State(t.Context(), r.Key, o.ID)
	if err != nil || words(state)["bob@b.example"] != "withdrawn" {
		t.Errorf("%v, %v", words(state), err)
	}
	_, _, err = in.put(t, in.offer(t, r, "bob@b.example"))
	wantKind(t, err, vam.Gone, "revoked")
}

func TestEntryIsShownLater(t *testing.T) {
	in := newInbox(t, hosttest.Options{})
	r := in.recording(t, hosttest.Pattern(partSize, 1))
	r.Seal()
	o := in.offer(t, r, "bob@b.example")
	o.Envelope.NotBefore = in.Clock.Now().Add(time.Hour).Truncate(time.Second)
	if got := in.taken(t, o)["bob@b.example"]; got != "accepted" {
		t.Fatal(got)
	}
	in.Work(t.Context())
	if st := in.state(t, in.bob, r); st != "" {
		t.Errorf("it is shown as %s before its time", st)
	}
	in.Clock.Advance(2 * time.Hour)
	if st := in.state(t, in.bob, r); st != mailbox.Stored {
		t.Errorf("bob has it %s", st)
	}
}

func TestAcceptAndDecline(t *testing.T) {
	in := newInbox(t, hosttest.Options{Hold: true})
	carol := in.Account("carol@b.example", 3*partSize)
	if err := in.Accounts.AddAlias(t.Context(), hosttest.Address(t, "films@b.example"), in.bob.ID); err != nil {
		t.Fatal(err)
	}
	r := in.recording(t, hosttest.Pattern(2*partSize, 1))
	r.Seal()
	in.taken(t, in.offer(t, r, "bob@b.example", "films@b.example", "carol@b.example"))
	if errs := in.Work(t.Context()); len(errs) > 0 {
		t.Fatal(errs)
	}
	if in.away.MediaBytes() > 0 || in.away.Asked("log") > 0 {
		t.Fatal("a held message costs the recipient's server something")
	}
	if err := in.Reception.Poke(t.Context(), r.Key); err != nil {
		t.Fatal(err)
	}
	in.Work(t.Context())
	if in.away.MediaBytes() > 0 {
		t.Fatal("a poke moved the media of a held message")
	}
	for range 2 {
		if err := in.Reception.Accept(t.Context(), in.Refresh(in.bob), r.Key); err != nil {
			t.Fatal(err)
		}
	}
	in.Work(t.Context())
	if st := in.state(t, in.bob, r); st != mailbox.Stored {
		t.Errorf("bob has it %s", st)
	}
	if st := in.state(t, carol, r); st != mailbox.Held {
		t.Errorf("carol has it %s", st)
	}
	want := []string{"bob@b.example accepted", "bob@b.example stored", "films@b.example accepted", "films@b.example stored"}
	if got := in.away.Receipts(); !cmp.Equal(got, want) {
		t.Errorf("receipts %v, want %v", got, want)
	}
	if st, err := in.DB.Accounts().Standing(t.Context(), in.bob.ID, hosttest.Address(t, "alice@a.example")); err != nil || st != account.Known {
		t.Errorf("the author is %q, %v", st, err)
	}
	wantKind(t, in.Reception.Decline(t.Context(), in.bob, r.Key, true), vam.Conflict, "")

	for range 2 {
		if err := in.Reception.Decline(t.Context(), carol, r.Key, true); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, in.Reception.Accept(t.Context(), carol, r.Key), vam.Conflict, "")
	in.Work(t.Context())
	if got := in.away.Receipts(); !cmp.Equal(got[2:3], []string{"carol@b.example declined"}) {
		t.Errorf("receipts %v", got)
	}
	wantKind(t, in.Reception.Accept(t.Context(), in.Account("dave@b.example", 0), r.Key), vam.NotFound, "")
}

func TestAcceptNeedsRoom(t *testing.T) {
	in := newInbox(t, hosttest.Options{Hold: true})
	carol := in.Account("carol@b.example", 3*partSize)
	var held []*hosttest.Recording
	for i := range 2 {
		r := in.recording(t, hosttest.Pattern(2*partSize, byte(i)))
		r.Seal()
		if got := in.taken(t, in.offer(t, r, "carol@b.example"))["carol@b.example"]; got != "held" {
			t.Fatal(got)
		}
		held = append(held, r)
	}
	if err := in.Reception.Accept(t.Context(), in.Refresh(carol), held[0].Key); err != nil {
		t.Fatal(err)
	}
	wantKind(t, in.Reception.Accept(t.Context(), in.Refresh(carol), held[1].Key), vam.OverQuota, "quota")
	if st := in.state(t, carol, held[1]); st != mailbox.Held {
		t.Errorf("it is %s", st)
	}
}

// A silent decline looks like no decision, to the day (AM-8.3).
func TestSilentDeclineAndLapse(t *testing.T) {
	in := newInbox(t, hosttest.Options{Hold: true})
	carol := in.Account("carol@b.example", 0)
	r := in.recording(t, hosttest.Pattern(2*partSize, 1))
	r.Seal()
	o := in.offer(t, r, "bob@b.example", "carol@b.example")
	in.taken(t, o)
	in.Clock.Advance(24 * time.Hour)
	if err := in.Reception.Decline(t.Context(), in.bob, r.Key, false); err != nil {
		t.Fatal(err)
	}
	if got := in.taken(t, o); got["bob@b.example"] != "held" {
		t.Errorf("the answer tells of the decline: %v", got)
	}
	in.Clock.Advance(13*24*time.Hour - time.Hour)
	if n, err := in.Reception.Lapse(t.Context(), 10); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	in.Work(t.Context())
	if got := in.away.Receipts(); len(got) != 0 {
		t.Fatalf("receipts %v before the hold is over", got)
	}
	in.Clock.Advance(2 * time.Hour)
	if n, err := in.Reception.Lapse(t.Context(), 10); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := in.Reception.Lapse(t.Context(), 10); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	in.Work(t.Context())
	if got := in.away.Receipts(); !cmp.Equal(got, []string{"bob@b.example lapsed", "carol@b.example lapsed"}) {
		t.Errorf("receipts %v", got)
	}
	if st := in.state(t, carol, r); st != mailbox.Lapsed {
		t.Errorf("carol has it %s", st)
	}
	a, _, err := in.put(t, o)
	if _, merr := a.Marshal(); err != nil || merr != nil || !strings.HasPrefix(words(a)["carol@b.example"], "rejected 5") {
		t.Errorf("%v, %v, %v", words(a), err, merr)
	}
	if in.away.MediaBytes() != 0 {
		t.Error("media was moved")
	}
}

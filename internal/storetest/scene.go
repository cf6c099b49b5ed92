package storetest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/reception"
	"github.com/videoactivmail/vam/internal/submission"
)

// The scenes of the tests: home.example is the domain of this server, away.example
// another one.
const (
	home = vam.Domain("home.example")
	away = vam.Domain("away.example")

	announced = 1000 // octets of a message, unless a test says otherwise
)

// account makes local@home.example.
func (w *world) account(local string) account.Account {
	w.Helper()
	return got(w.Accounts.CreateAccount(w.Context(), account.Account{Address: vam.Address{Local: local, Domain: home}, Created: w.now()}))(w)
}

func (w *world) used(a account.Account) vam.Bytes {
	w.Helper()
	return got(w.Accounts.AccountByID(w.Context(), a.ID))(w).Used
}

// key mints the key of a message a millisecond after the last one.
func (w *world) key(origin vam.Domain) message.Key {
	w.pass(time.Millisecond)
	return message.Key{Origin: origin, ID: vam.NewMessageID(w.now())}
}

func (w *world) message(k message.Key) message.Message {
	w.Helper()
	return got(w.Messages.Message(w.Context(), k))(w)
}

// create makes a draft that nobody has said anything of yet.
func (w *world) create() message.Key {
	w.Helper()
	k := w.key(home)
	m := message.Message{Key: k, State: vam.Draft, Kind: vam.Video, PublicKey: publicKey(k), Created: w.now(), Head: message.Head{State: vam.Draft}}
	if _, created, err := w.Messages.CreateMessage(w.Context(), m, privateKey(k)); err != nil || !created {
		w.Fatalf("CreateMessage: %v, %v", created, err)
	}
	return k
}

func privateKey(k message.Key) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(k.String()))
	return ed25519.NewKeyFromSeed(seed[:])
}

func publicKey(k message.Key) ed25519.PublicKey {
	return privateKey(k).Public().(ed25519.PublicKey)
}

// save saves a draft of a message that is there.
func (w *world) save(author account.Account, k message.Key, d submission.Draft) error {
	_, _, err := w.Submissions.SaveDraft(w.Context(), author.ID, message.Message{Key: k}, nil, d)
	return err
}

// draft makes a draft of an author to some addresses.
func (w *world) draft(author account.Account, to ...string) message.Key {
	w.Helper()
	k := w.create()
	d := submission.Draft{From: author.Address, Subject: "hello", Kind: vam.Video, Size: announced}
	for _, a := range to {
		d.To = append(d.To, addr(w, a))
	}
	w.ok(w.save(author, k, d))
	return k
}

// sending groups the recipients of a draft by domain.
func (w *world) sending(author account.Account, k message.Key) submission.Sending {
	w.Helper()
	d, _, err := w.Submissions.Draft(w.Context(), k)
	w.ok(err)
	x := submission.Sending{Account: author.ID, Key: k, Mail: []byte("From: " + author.Address.String() + "\r\n\r\n"), At: w.now()}
	at := map[vam.Domain]int{}
	for _, a := range d.To {
		i, there := at[a.Domain]
		if !there {
			i = len(x.Offers)
			at[a.Domain] = i
			x.Offers = append(x.Offers, delivery.Offer{ID: vam.NewMessageID(w.now()), Key: k, Domain: a.Domain, DeliverBy: w.now().Add(96 * time.Hour)})
		}
		o := &x.Offers[i]
		o.Recipients = append(o.Recipients, delivery.Recipient{Address: a, Offer: o.ID, State: vam.Queued, Changed: w.now()})
	}
	for _, o := range x.Offers {
		x.Jobs = append(x.Jobs, delivery.OfferJob(o, w.now()))
	}
	return x
}

// sent makes a message and sends it.
func (w *world) sent(author account.Account, to ...string) (message.Key, []delivery.Offer) {
	w.Helper()
	k := w.draft(author, to...)
	x := w.sending(author, k)
	if yes, err := w.Submissions.Send(w.Context(), x); err != nil || !yes {
		w.Fatalf("Send: %v, %v", yes, err)
	}
	return k, x.Offers
}

// settle moves one recipient.
func (w *world) settle(k message.Key, a vam.Address, st vam.RecipientState) []delivery.Update {
	w.Helper()
	return got(w.Deliveries.Settle(w.Context(), k, []delivery.Update{{Address: a, State: st, At: w.now()}}, noBounce))(w)
}

func noBounce([]delivery.Update) (*delivery.Bounce, error) { return nil, nil }

// answer is how an offer was answered for one recipient here.
type answer struct {
	account account.Account
	state   vam.RecipientState // accepted, held or rejected
}

// taking is an offer of a message of another domain.
func (w *world) taking(k message.Key, answers ...answer) reception.Taking {
	now := w.now()
	author := vam.Address{Local: "eve", Domain: k.Origin}
	t := reception.Taking{
		Offered: reception.Offered{
			Key: k, ID: vam.NewMessageID(now), Digest: sha256.Sum256([]byte(now.String())), Token: activmail.NewPullToken(), Expires: now.Add(time.Hour), At: now,
		},
		Message: message.Message{
			Key: k, State: vam.Live, Kind: vam.Video, Author: author, Subject: "hello", Text: "words", PublicKey: publicKey(k),
			Announced: announced, Created: now, SentAt: now, Head: message.Head{State: vam.Live},
		},
		Mail: []byte("From: " + author.String() + "\r\n\r\nwords"),
	}
	for _, a := range answers {
		r := reception.Rcpt{Address: a.account.Address, Account: a.account.ID, State: a.state}
		e := mailbox.Entry{
			Account: a.account.ID, Folder: mailbox.Inbox, Origin: k.Origin, ID: k.ID, Rcpt: a.account.Address, From: author, Subject: "hello",
			Kind: vam.Video, State: mailbox.Arriving, Size: announced, At: now, Changed: now,
		}
		switch a.state {
		case vam.Rejected:
			r.Account, r.Code, r.Text = 0, "5.1.1", "nobody"
		case vam.Held:
			e.State = mailbox.Held
		case vam.Accepted:
			t.Jobs = []queue.Job{pullJob(k, now)}
		}
		t.Offered.Rcpts = append(t.Offered.Rcpts, r)
		if a.state != vam.Rejected {
			t.Entries = append(t.Entries, e)
		}
	}
	return t
}

func pullJob(k message.Key, now time.Time) queue.Job {
	return queue.Job{Kind: queue.Pull, Key: k.String(), Domain: k.Origin, NextAt: now, Created: now}
}

func (w *world) take(t reception.Taking) reception.Offered {
	w.Helper()
	return got(w.Receptions.Take(w.Context(), t))(w)
}

// received takes an offer of a fresh message of away.example.
func (w *world) received(answers ...answer) message.Key {
	w.Helper()
	k := w.key(away)
	w.take(w.taking(k, answers...))
	return k
}

// grow appends lines that name octets of media in all.
func (w *world) grow(k message.Key, lines int, octets int64) {
	w.Helper()
	w.append(k, lines, func(h *message.Head) { h.MediaBytes += octets })
}

// seal appends the seal; media with the same identity is the same.
func (w *world) seal(k message.Key, identity string) {
	w.Helper()
	w.append(k, 1, func(h *message.Head) {
		h.State, h.SealedAt, h.Identity, h.Digest = vam.Sealed, w.now(), hashOf(identity), hashOf("digest of "+identity)
	})
}

func (w *world) revoke(k message.Key) {
	w.Helper()
	w.append(k, 1, func(h *message.Head) { h.State = vam.Revoked })
}

func hashOf(s string) activmail.Hash { return activmail.Hash(sha256.Sum256([]byte(s))) }

// append adds lines under a head that change makes of the present one.
func (w *world) append(k message.Key, lines int, change func(*message.Head)) {
	w.Helper()
	h := w.message(k).Head
	from := h.Lines
	h.Lines += int64(lines)
	h.Root = hashOf(fmt.Sprint(k, h.Lines))
	h.Checkpoint = fmt.Appendf(nil, "%s\n%d\n", k, h.Lines)
	change(&h)
	w.ok(w.Messages.AppendLines(w.Context(), k, from, someLines(from, lines), h, nil))
}

func someLines(from int64, n int) []message.Line {
	out := make([]message.Line, n)
	for i := range out {
		at := from + int64(i)
		out[i] = message.Line{N: at, Raw: fmt.Appendf(nil, `{"line":%d}`, at), Offset: at * 100, Length: 100}
	}
	return out
}

// media gives a message a media object.
func (w *world) media(k message.Key) blob.ID {
	w.Helper()
	return got(w.Messages.AttachMedia(w.Context(), k, blob.NewID()))(w)
}

// complete gives a message sealed media that is all here.
func (w *world) complete(k message.Key, identity string, peer vam.Domain) blob.ID {
	w.Helper()
	id := w.media(k)
	w.grow(k, 2, announced)
	w.seal(k, identity)
	w.ok(w.Messages.SetComplete(w.Context(), k, peer))
	return id
}

// entry is the account's inbox entry.
func (w *world) entry(a account.Account, k message.Key) mailbox.Entry {
	w.Helper()
	return got(w.Receptions.InboxEntry(w.Context(), a.ID, k))(w)
}

func (w *world) wantEntry(a account.Account, k message.Key, want mailbox.State) {
	w.Helper()
	if e := w.entry(a, k); e.State != want {
		w.Errorf("the entry of %s is %s, want %s", a.Address, e.State, want)
	}
}

// jobs lists the keys of the waiting jobs of a kind and removes all jobs of it.
func (w *world) jobs(kind queue.Kind) []queue.Job {
	w.Helper()
	jobs := got(w.Queue.Lease(w.Context(), queue.Want{
		Owner: "test", Kinds: []queue.Kind{kind}, Now: w.now().Add(24 * 365 * time.Hour), Until: w.now().Add(48 * 365 * time.Hour), Limit: 1000,
	}))(w)
	for _, j := range jobs {
		w.ok(w.Queue.Finish(w.Context(), "test", j.ID))
	}
	return jobs
}

func (w *world) wantJobs(kind queue.Kind, want ...string) {
	w.Helper()
	keys := map[string]int{}
	for _, j := range w.jobs(kind) {
		keys[j.Key]++
	}
	wanted := map[string]int{}
	for _, k := range want {
		wanted[k]++
	}
	w.equal(fmt.Sprintf("%s jobs", kind), keys, wanted)
}

// receiptKey is the key of the job that owes a receipt.
func receiptKey(k message.Key, a vam.Address, event activmail.ReceiptEvent) string {
	return fmt.Sprintf("%s %s %s", k, a.Key(), event)
}

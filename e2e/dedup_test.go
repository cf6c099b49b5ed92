package e2e_test

import (
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/e2e/harness"
	"github.com/videoactivmail/vam/internal/userwire"
)

// TestMediaMovesOnce sends a file to a domain, and then to another person there, again
// to the same one, and from there back. Only the first time its octets move.
func TestMediaMovesOnce(t *testing.T) {
	t.Parallel()
	p := setPair(t, harness.Options{Env: []string{noHold}}, harness.Options{Env: []string{noHold}})
	carol := p.b.Account("carol")
	p.a.Start()
	p.b.Start()
	content := harness.Media(t, "bbb-480p-30s.mp4")
	first := p.alice.SendTo(content, p.bob)
	p.alice.AwaitRecipient(first.ID, p.bob.Addr, vam.Stored)
	p.bob.Holds(p.a.Domain, first.ID, content)

	const most = 64 << 10
	forward := func(what string, from, to *harness.User, of vam.Domain, id vam.MessageID) vam.MessageID {
		t.Helper()
		before, in := p.b.Metrics().Wire(), p.a.Metrics().MediaIn()+p.b.Metrics().MediaIn()
		c := from.Client(harness.Patience)
		d := harness.DraftTo(to.Addr)
		d.MediaOf = string(of) + "/" + string(id)
		m, err := c.Put(t.Context(), vam.NewMessageID(time.Now()), d)
		if err == nil {
			m, err = c.Send(t.Context(), m.ID)
		}
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		from.AwaitRecipient(m.ID, to.Addr, vam.Stored)
		if wire := p.b.Metrics().Wire() - before; wire > most {
			t.Errorf("%s: %d octets were on the wire, %d are right", what, wire, most)
		}
		if moved := p.a.Metrics().MediaIn() + p.b.Metrics().MediaIn() - in; moved != 0 {
			t.Errorf("%s: %d octets of media moved", what, moved)
		}
		to.Holds(from.Addr.Domain, m.ID, content)
		return m.ID
	}
	forward("another recipient at the same domain", p.alice, carol, p.a.Domain, first.ID)
	forward("the same recipient again", p.alice, p.bob, p.a.Domain, first.ID)
	back := forward("forward back", p.bob, p.alice, p.a.Domain, first.ID)
	forward("and forth", p.alice, carol, p.b.Domain, back)

	// The same file uploaded again is another upload, and not another transfer.
	before := p.a.Metrics().MediaOut()
	again := p.alice.SendTo(content, carol)
	p.alice.AwaitRecipient(again.ID, carol.Addr, vam.Stored)
	if moved := p.a.Metrics().MediaOut() - before; moved != 0 {
		t.Errorf("the same file uploaded again: %d octets of media moved", moved)
	}
	carol.Holds(p.a.Domain, again.ID, content)

	// Who deletes what they have takes it from nobody else.
	if err := p.bob.Client(harness.Patience).Delete(t.Context(), p.a.Domain, first.ID); err != nil {
		t.Fatal(err)
	}
	p.b.Stop()
	p.b.Start()
	carol.Holds(p.a.Domain, again.ID, content)
	p.b.Check()
}

// TestRevoke takes messages back before and after they arrived.
func TestRevoke(t *testing.T) {
	t.Parallel()
	p := newPair(t, harness.Options{}, harness.Options{})
	carol := p.b.Account("carol") // who does not know alice
	content := harness.Content(90, 500_000)
	m := p.alice.SendTo(content, p.bob, carol)
	p.bob.Holds(p.a.Domain, m.ID, content)
	carol.AwaitEntry("it is held", p.a.Domain, m.ID, harness.InState("held"))
	if _, err := p.alice.Client(harness.Patience).Revoke(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	for _, u := range []*harness.User{p.bob, carol} {
		e := u.AwaitEntry("it is withdrawn", p.a.Domain, m.ID, harness.InState("withdrawn"))
		if e.Reason == "" {
			t.Errorf("%s is not told why: %+v", u.Addr, e)
		}
		if _, err := u.Download(p.a.Domain, m.ID, 0); vam.KindOf(err) != vam.Gone {
			t.Errorf("%s reads what was taken back: %v", u.Addr, err)
		}
	}
	if err := carol.Client(harness.Patience).Accept(t.Context(), p.a.Domain, m.ID); err == nil {
		t.Error("what was taken back was accepted")
	}
	if _, err := p.alice.Download(p.a.Domain, m.ID, 0); vam.KindOf(err) != vam.Gone {
		t.Errorf("its author reads what was taken back: %v", err)
	}

	// While the recipient's server is away.
	away := p.alice.SendTo(content, p.bob)
	p.bob.Holds(p.a.Domain, away.ID, content)
	p.b.Stop()
	if _, err := p.alice.Client(harness.Patience).Revoke(t.Context(), away.ID); err != nil {
		t.Fatal(err)
	}
	p.b.Start()
	p.wake()
	p.bob.AwaitEntry("it is withdrawn", p.a.Domain, away.ID, harness.InState("withdrawn"))

	// Before anybody was told of it.
	p.b.Stop()
	never := p.alice.SendTo(content, p.bob)
	p.alice.AwaitRecipient(never.ID, p.bob.Addr, vam.Waiting)
	if _, err := p.alice.Client(harness.Patience).Revoke(t.Context(), never.ID); err != nil {
		t.Fatal(err)
	}
	p.b.Start()
	p.wake()
	content = []byte("something else")
	p.bob.Holds(p.a.Domain, p.alice.SendTo(content, p.bob).ID, content)
	for _, e := range p.bob.Inbox() {
		if e.ID == never.ID {
			t.Errorf("what was taken back before it was offered arrived: %+v", e)
		}
	}
}

// TestExpire sends a message that goes away by itself, at both ends.
func TestExpire(t *testing.T) {
	t.Parallel()
	p := newPair(t, harness.Options{}, harness.Options{})
	content := harness.Content(91, 200_000)
	d := harness.DraftTo(p.bob.Addr)
	d.Expires = time.Now().Add(3 * time.Second).UTC().Truncate(time.Second)
	m := p.alice.Send(d, content)
	p.bob.AwaitEntry("it arrives", p.a.Domain, m.ID, func(e userwire.Entry) bool { return e.State != "arriving" })
	// The sweep comes once a minute, and at each start.
	time.Sleep(time.Until(d.Expires.Add(time.Second)))
	for _, s := range []*harness.Server{p.a, p.b} {
		s.Stop()
		s.Start()
	}
	p.bob.AwaitEntry("it has expired", p.a.Domain, m.ID, harness.InState("expired"))
	for _, u := range []*harness.User{p.alice, p.bob} {
		if _, err := u.Download(p.a.Domain, m.ID, 0); vam.KindOf(err) != vam.Gone {
			t.Errorf("%s reads what has expired: %v", u.Addr, err)
		}
	}
}

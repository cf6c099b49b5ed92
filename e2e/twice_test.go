package e2e_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/e2e/harness"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

// TestEveryRequestTwice puts between all of them somebody who sends every request twice
// and loses the first answer: nothing is there twice, nothing fails.
func TestEveryRequestTwice(t *testing.T) {
	t.Parallel()
	tcp := harness.Options{Env: []string{"VAM_TRANSPORT_PREFER=tcp"}}
	p := setPair(t, tcp, tcp)
	p.a.Start()
	p.b.Start()
	toA, toB := p.a.Double(), p.b.Double()
	p.a.Publish(map[string]uint16{"tcp": toA.Addr.Port()})
	p.b.Publish(map[string]uint16{"tcp": toB.Addr.Port()})
	alice := p.alice.ClientAt(toA.Addr.String(), p.Roots(), harness.Patience)
	bob := p.bob.ClientAt(toB.Addr.String(), p.Roots(), harness.Patience)
	ok := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s, twice: %v", what, err)
		}
	}
	send := func(content []byte, change func(*userwire.Draft)) vam.MessageID {
		t.Helper()
		up := userclient.Upload{Client: alice, ID: vam.NewMessageID(time.Now()), Draft: harness.DraftTo(p.bob.Addr)}
		if change != nil {
			change(&up.Draft)
		}
		_, err := up.Send(t.Context(), bytes.NewReader(content), int64(len(content)))
		ok("send", err)
		return up.ID
	}
	content := harness.Content(80, 2<<20+77)

	// Held, and then accepted or declined.
	first, second := send(content, nil), send(content[:100], nil)
	for _, id := range []vam.MessageID{first, second} {
		p.alice.AwaitRecipient(id, p.bob.Addr, vam.Held)
	}
	ok("decline", bob.Decline(t.Context(), p.a.Domain, second, true))
	ok("accept", bob.Accept(t.Context(), p.a.Domain, first))
	p.alice.AwaitRecipient(first, p.bob.Addr, vam.Stored)
	p.alice.AwaitRecipient(second, p.bob.Addr, vam.Declined)
	p.bob.Holds(p.a.Domain, first, content)

	// Uploaded piece by piece, asking what is missing.
	third := vam.NewMessageID(time.Now())
	_, err := alice.Put(t.Context(), third, harness.DraftTo(p.bob.Addr))
	ok("put", err)
	missing, err := alice.Missing(t.Context(), third, []userwire.Piece{{Blob: harness.Sum(content[:1000]), Length: 1000, At: 0}})
	ok("have", err)
	if len(missing) != 1 {
		t.Errorf("missing are %+v", missing)
	}
	ok("discard", ignoreNotFound(alice.Discard(t.Context(), third)))

	// A recording.
	live := userclient.Upload{Client: alice, ID: vam.NewMessageID(time.Now()), Draft: harness.DraftTo(p.bob.Addr)}
	_, err = live.Live(t.Context(), bytes.NewReader(content[:300_000]))
	ok("live", err)
	p.bob.Holds(p.a.Domain, live.ID, content[:300_000])

	// Nobody there, taken back, looked at, deleted.
	lost := send([]byte("x"), func(d *userwire.Draft) { d.To = []string{"nobody@b.test"} })
	p.alice.AwaitRecipient(lost, vam.Address{Local: "nobody", Domain: "b.test"}, vam.Rejected)
	awaitBounce(t, p.alice, vam.Address{Local: "nobody", Domain: "b.test"})
	if n := len(p.alice.Inbox()); n != 1 {
		t.Errorf("one report is right, alice has %d", n)
	}
	_, err = alice.Revoke(t.Context(), live.ID)
	ok("revoke", err)
	p.bob.AwaitEntry("the message is withdrawn", p.a.Domain, live.ID, harness.InState("withdrawn"))
	ok("seen", bob.Seen(t.Context(), p.a.Domain, first))
	ok("contact", bob.SetContact(t.Context(), p.alice.Addr, "known"))
	ok("forget the contact", ignoreNotFound(bob.DropContact(t.Context(), p.alice.Addr)))
	ok("delete", ignoreNotFound(bob.Delete(t.Context(), p.a.Domain, second)))

	const base = "/vam/v1"
	for _, route := range []string{
		"PUT " + base + "/m/{}", "PUT " + base + "/m/{}/b/{}", "POST " + base + "/m/{}/have", "POST " + base + "/m/{}/log", "POST " + base + "/m/{}/seal",
		"POST " + base + "/m/{}/send", "POST " + base + "/m/{}/revoke", "DELETE " + base + "/m/{}", "PUT " + base + "/m/{}{}/stored", "GET " + base + "/m/{}/media",
	} {
		if toA.Seen()[route] == 0 {
			t.Errorf("%s was never sent to a.test", route)
		}
	}
	for _, route := range []string{
		"PUT " + base + "/in/a.test/{}/{}", "POST " + base + "/in/a.test/{}/poke", "POST " + base + "/box/a.test/{}/accept", "POST " + base + "/box/a.test/{}/decline",
	} {
		if toB.Seen()[route] == 0 {
			t.Errorf("%s was never sent to b.test", route)
		}
	}
}

// ignoreNotFound is for what is gone when it is asked for again.
func ignoreNotFound(err error) error {
	if err != nil && vam.KindOf(err) == vam.NotFound {
		return nil
	}
	return err
}

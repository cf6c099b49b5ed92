package e2e_test

import (
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/e2e/harness"
)

// TestHold sends first messages to somebody who does not know the author: not an octet
// of their media is fetched before the recipient says so.
func TestHold(t *testing.T) {
	t.Parallel()
	p := setPair(t, harness.Options{}, harness.Options{})
	p.a.Start()
	p.b.Start()
	bob := p.bob.Client(harness.Patience)
	content := harness.Content(20, 700_000)
	hold := func() vam.MessageID {
		t.Helper()
		m := p.alice.SendTo(content, p.bob)
		p.alice.AwaitRecipient(m.ID, p.bob.Addr, vam.Held)
		p.bob.AwaitEntry("the message is held", p.a.Domain, m.ID, harness.InState("held"))
		if _, err := p.bob.Download(p.a.Domain, m.ID, 0); vam.KindOf(err) != vam.Conflict {
			t.Errorf("reading a held message: %v", err)
		}
		return m.ID
	}
	silent, told, wanted := hold(), hold(), hold()
	noMedia := func(when string) {
		t.Helper()
		if in, out := p.b.Metrics().MediaIn(), p.a.Metrics().MediaOut(); in+out != 0 {
			t.Errorf("%s, %d octets of media were fetched and %d given", when, in, out)
		}
	}
	noMedia("while messages are held")

	if err := bob.Decline(t.Context(), p.a.Domain, silent, false); err != nil {
		t.Fatal(err)
	}
	if err := bob.Decline(t.Context(), p.a.Domain, told, true); err != nil {
		t.Fatal(err)
	}
	p.alice.AwaitRecipient(told, p.bob.Addr, vam.Declined)
	noMedia("after two were declined")
	if r := p.alice.Message(silent).Recipients[0]; r.State != vam.Held {
		t.Errorf("the author was told of a silent decline: %+v", r)
	}

	if err := bob.Accept(t.Context(), p.a.Domain, wanted); err != nil {
		t.Fatal(err)
	}
	p.alice.AwaitRecipient(wanted, p.bob.Addr, vam.Stored)
	p.bob.Holds(p.a.Domain, wanted, content)
	for _, id := range []vam.MessageID{silent, told} {
		if err := bob.Accept(t.Context(), p.a.Domain, id); vam.KindOf(err) != vam.Conflict {
			t.Errorf("accepting after declining: %v", err)
		}
	}
	if in := p.b.Metrics().MediaIn(); in != int64(len(content)) {
		t.Errorf("%d octets of media were fetched for one message of %d", in, len(content))
	}

	// The author is a contact now.
	m := p.alice.SendTo(content, p.bob)
	p.bob.Holds(p.a.Domain, m.ID, content)
	p.b.Check()
}

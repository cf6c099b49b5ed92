package e2e_test

import (
	"context"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/e2e/harness"
	"github.com/videoactivmail/vam/internal/netem"
)

// TestTransportForced forces either transport: the other one carries nothing.
func TestTransportForced(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"tcp", "udp"} {
		p := linkedPair(t, transport)
		content := harness.Content(100, 1<<20)
		m := p.alice.SendTo(content, p.bob)
		p.arrives(m.ID)
		p.bob.Holds(p.a.Domain, m.ID, content)
		tcp, udp := p.a.TCP.Stats(), p.a.UDP.Stats(netem.ToTarget)
		if (tcp.Accepted > 0) != (transport == "tcp") || (udp.In > 0) != (transport == "udp") {
			t.Errorf("%s is forced, and the link saw %d TCP connections and %d datagrams", transport, tcp.Accepted, udp.In)
		}
		// Where it cannot be had, nothing goes.
		if transport == "tcp" {
			if err := p.a.TCP.Refuse(); err != nil {
				t.Fatal(err)
			}
			p.a.TCP.Cut(netem.Fin)
		} else {
			p.a.UDP.Outage(true)
		}
		m = p.alice.SendTo(content[:1000], p.bob)
		p.alice.AwaitRecipient(m.ID, p.bob.Addr, vam.Accepted)
		tcp, udp = p.a.TCP.Stats(), p.a.UDP.Stats(netem.ToTarget)
		if (tcp.Accepted > 0) != (transport == "tcp") || (udp.In > 0) != (transport == "udp") {
			t.Errorf("%s is forced and gone, and the link saw %d TCP connections and %d datagrams", transport, tcp.Accepted, udp.In)
		}
	}
}

// TestTransportFallsBack takes either transport away, before a transfer and in the
// middle of one: the other one carries it, without an attempt that failed.
func TestTransportFallsBack(t *testing.T) {
	t.Parallel()
	slow := netem.Shape{Rate: 4 * vam.MiB, Queue: 64 * vam.KiB}
	setShapes := func(p *pair, s netem.Shape) {
		p.a.TCP.SetShape(netem.ToClient, s)
		p.a.UDP.SetShape(netem.ToClient, s)
	}
	passed := func(t *testing.T, what string, n func() int64) {
		harness.Await(t, what, func(context.Context) (bool, error) {
			if n() < oneMiB {
				return false, harness.ErrPending
			}
			return true, nil
		})
	}
	overTCP := func(p *pair) func() int64 {
		base := p.a.TCP.Stats().Carried[netem.ToClient]
		return func() int64 { return p.a.TCP.Stats().Carried[netem.ToClient] - base }
	}
	overUDP := func(p *pair) func() int64 {
		base := p.a.UDP.Stats(netem.ToClient).OutBytes
		return func() int64 { return p.a.UDP.Stats(netem.ToClient).OutBytes - base }
	}
	for _, tc := range []struct {
		name string
		run  func(t *testing.T, p *pair, send func() vam.MessageID)
	}{
		{"UDP is a black hole", func(t *testing.T, p *pair, send func() vam.MessageID) {
			p.a.UDP.Outage(true)
			tcp := overTCP(p)
			send()
			passed(t, "TCP carries it", tcp)
		}},
		{"TCP is refused", func(t *testing.T, p *pair, send func() vam.MessageID) {
			if err := p.a.TCP.Refuse(); err != nil {
				t.Fatal(err)
			}
			udp := overUDP(p)
			send()
			passed(t, "UDP carries it", udp)
		}},
		{"TCP is reset", func(t *testing.T, p *pair, send func() vam.MessageID) {
			p.a.TCP.ResetNew(true)
			udp := overUDP(p)
			send()
			passed(t, "UDP carries it", udp)
		}},
		{"TCP goes silent in the middle", func(t *testing.T, p *pair, send func() vam.MessageID) {
			setShapes(p, slow)
			tcp, udp := overTCP(p), overUDP(p)
			send()
			passed(t, "TCP carries the beginning", tcp)
			p.a.TCP.Stall()
			passed(t, "UDP carries the rest", udp)
			setShapes(p, netem.Shape{})
		}},
		{"UDP goes dark in the middle", func(t *testing.T, p *pair, send func() vam.MessageID) {
			if err := p.a.TCP.Refuse(); err != nil {
				t.Fatal(err)
			}
			setShapes(p, slow)
			udp := overUDP(p)
			send()
			passed(t, "UDP carries the beginning", udp)
			if err := p.a.TCP.Accept(); err != nil {
				t.Fatal(err)
			}
			tcp := overTCP(p)
			p.a.UDP.Outage(true)
			passed(t, "TCP carries the rest", tcp)
			setShapes(p, netem.Shape{})
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := linkedPair(t, "auto")
			content := harness.Content(101, 6<<20)
			var id vam.MessageID
			tc.run(t, p, func() vam.MessageID {
				id = p.alice.SendTo(content, p.bob).ID
				return id
			})
			p.alice.AwaitRecipient(id, p.bob.Addr, vam.Stored)
			p.bob.Holds(p.a.Domain, id, content)
			if cut := p.b.Metrics()[`vam_pulls_total{result="cut"}`]; cut != 0 {
				t.Errorf("%v attempts to pull failed; the other transport is to take over within one", cut)
			}
		})
	}
}

package e2e_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/e2e/harness"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/netem"
)

// oneMiB is what a cut may cost to receive again, for each connection in use.
const oneMiB = 1 << 20

// over makes a server use one transport.
func over(transport string) func(*config.Config) {
	return func(c *config.Config) {
		c.Transport.Prefer = transport
		// The long forms cut more often than a peer may offer in an hour.
		c.Limits.Peers.Offers = config.Rate{Events: 1_000_000, Per: time.Hour, Burst: 1_000_000}
	}
}

// linkedPair is a pair of servers inside of the test, with links in front of the
// author's: what the recipient's server pulls passes them.
func linkedPair(t *testing.T, transport string) *pair {
	t.Helper()
	return insidePair(t, harness.Options{Links: true, Tune: over(transport)}, harness.Options{Tune: over(transport)})
}

// arrives waits until a message is stored and the author knows. Whenever nothing
// happens for a while it sends another one: a server that hears of a domain tries at
// once what waits for it, and the test need not sit through the pauses between attempts.
func (p *pair) arrives(id vam.MessageID) {
	p.T.Helper()
	for range 100 {
		if p.arrivedWithin(id, time.Second) {
			return
		}
		p.alice.SendTo([]byte("nudge"), p.bob)
	}
	p.T.Fatalf("%s did not arrive; it is %+v", id, p.alice.Message(id).Recipients)
}

// arrivedWithin waits for a message and reports whether it came.
func (p *pair) arrivedWithin(id vam.MessageID, bound time.Duration) bool {
	alice := p.alice.Client(harness.Patience)
	_, err := harness.AwaitWithin(p.T, bound, func(ctx context.Context) (bool, error) {
		m, err := alice.Message(ctx, id)
		if err == nil && !m.Recipients[0].State.Arrived() {
			err = harness.ErrPending
		}
		return true, err
	})
	return err == nil
}

// cutOrArrived waits until a cut has happened, and reports true, or the message got
// through before it.
func (p *pair) cutOrArrived(cut <-chan struct{}, id vam.MessageID) bool {
	p.T.Helper()
	alice := p.alice.Client(harness.Patience)
	return harness.Await(p.T, "the cut, or the message", func(ctx context.Context) (bool, error) {
		select {
		case <-cut:
			return true, nil
		default:
		}
		m, err := alice.Message(ctx, id)
		if err == nil && !m.Recipients[0].State.Arrived() {
			err = harness.ErrPending
		}
		return false, err
	})
}

// TestCutSmall cuts the connections of a pull after n octets, for octets all over the
// stream from the first one of the handshake to the last one of the receipt: every one
// of them in a soak, a dense sample otherwise.
func TestCutSmall(t *testing.T) {
	t.Parallel()
	p := linkedPair(t, "tcp")
	size := 3000
	link := p.a.TCP
	base := link.Stats().Carried[netem.ToClient]
	p.arrives(p.alice.SendTo(harness.Content(40, size), p.bob).ID)
	whole := link.Stats().Carried[netem.ToClient] - base
	step := pick(max(whole/90, 1), 1)
	t.Logf("a message of %d octets moves %d towards its recipient; a cut every %d", size, whole, step)

	sent := map[vam.MessageID][]byte{}
	fired := 0
	for n := int64(0); n < whole; n += step {
		link.Cut(netem.Fin) // the next connection is a fresh one
		cut := link.CutAfter(netem.ToClient, n, netem.Ending(n/step%2))
		content := harness.Content(uint64(n), size)
		id := p.alice.SendTo(content, p.bob).ID
		sent[id] = content
		if p.cutOrArrived(cut, id) {
			fired++
		}
	}
	link.CutAfter(netem.ToClient, 1<<40, netem.Fin) // takes an unspent one back
	if int64(fired) < whole/step*8/10 {
		t.Errorf("of %d cuts only %d happened; the test does not test what it says", whole/step, fired)
	}
	for id := range sent {
		p.arrives(id)
	}
	for id, content := range sent {
		p.bob.Holds(p.a.Domain, id, content)
	}
	p.a.Stop()
	p.b.Stop()
	p.b.Check()
}

// TestCutLarge cuts the pull of a file of 4 MiB at many places. What was received before
// is not received again, but for the part that every connection was at.
func TestCutLarge(t *testing.T) {
	t.Parallel()
	p := linkedPair(t, "tcp")
	link := p.a.TCP
	content := harness.Content(41, 4<<20)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	var worst int64
	for i := range pick(25, 1000) {
		content[0], content[1] = byte(i), byte(i>>8) // another file each time
		link.Cut(netem.Fin)
		before := link.Stats()
		cut := link.CutAfter(netem.ToClient, rng.Int64N(int64(len(content))), netem.Ending(i%2))
		id := p.alice.SendTo(content, p.bob).ID
		p.cutOrArrived(cut, id)
		p.arrives(id)
		after := link.Stats()
		twice := after.Carried[netem.ToClient] - before.Carried[netem.ToClient] - int64(len(content))
		worst = max(worst, twice)
		if limit := int64(p.a.Config.Transport.Connections)*oneMiB + int64(len(content))/100 + 64<<10; twice > limit {
			t.Errorf("cut %d: %d octets beyond the media were received, more than %d", i, twice, limit)
		}
		p.bob.Holds(p.a.Domain, id, content)
	}
	t.Logf("at most %d octets beyond the media were received for one cut", worst)
}

// TestCutOverAndOver cuts one long transfer again and again.
func TestCutOverAndOver(t *testing.T) {
	t.Parallel()
	p := linkedPair(t, "tcp")
	link := p.a.TCP
	content := harness.Content(42, pick(64<<20, 2<<30))
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	link.SetShape(netem.ToClient, netem.Shape{Rate: 24 * vam.MiB, Queue: 256 * vam.KiB})
	before := link.Stats().Carried[netem.ToClient]
	next := func() <-chan struct{} {
		return link.CutAfter(netem.ToClient, 10*oneMiB+rng.Int64N(8*oneMiB), netem.Ending(rng.IntN(2)))
	}
	cut := next()
	id := p.alice.SendTo(content, p.bob).ID
	alice, cuts, nudged := p.alice.Client(harness.Patience), 0, time.Now()
	harness.Await(t, "a transfer that is cut over and over arrives", func(ctx context.Context) (bool, error) {
		select {
		case <-cut:
			cuts++
			cut = next()
		default:
		}
		if time.Since(nudged) > time.Second { // see arrives
			p.alice.SendTo([]byte("nudge"), p.bob)
			nudged = time.Now()
		}
		m, err := alice.Message(ctx, id)
		if err == nil && !m.Recipients[0].State.Arrived() {
			err = harness.ErrPending
		}
		return true, err
	})
	twice := link.Stats().Carried[netem.ToClient] - before - int64(len(content))
	t.Logf("%d cuts, %d octets beyond the media", cuts, twice)
	if cuts < len(content)/(32<<20) {
		t.Errorf("there were %d cuts only", cuts)
	}
	if limit := int64(cuts*p.a.Config.Transport.Connections*oneMiB+len(content)/100) + oneMiB; twice > limit {
		t.Errorf("%d octets beyond the media were received for %d cuts, more than %d", twice, cuts, limit)
	}
	p.bob.Holds(p.a.Domain, id, content)
}

// TestOffersCut cuts what the author's server sends and is answered, in both directions:
// the offer, its answer, and everything of the handshake.
func TestOffersCut(t *testing.T) {
	t.Parallel()
	p := insidePair(t, harness.Options{Tune: over("tcp")}, harness.Options{Links: true, Tune: over("tcp")})
	link := p.b.TCP
	base := link.Stats().Carried
	p.arrives(p.alice.SendTo([]byte("whole"), p.bob).ID)
	whole := link.Stats().Carried
	sent := map[vam.MessageID][]byte{}
	for _, d := range netem.Directions() {
		n := whole[d] - base[d]
		for at, step := int64(0), pick(max(n/16, 1), 3); at < n; at += step {
			link.Cut(netem.Fin)
			cut := link.CutAfter(d, at, netem.Ending(at%2))
			content := harness.Content(uint64(at), 100)
			id := p.alice.SendTo(content, p.bob).ID
			sent[id] = content
			p.cutOrArrived(cut, id)
			// Bob's server writes to alice's: that one hears of it and tries again.
			p.bob.SendTo([]byte("nudge"), p.alice)
		}
	}
	for id, content := range sent {
		for range 100 {
			if p.arrivedWithin(id, time.Second) {
				break
			}
			p.bob.SendTo([]byte("nudge"), p.alice)
		}
		p.bob.Holds(p.a.Domain, id, content)
	}
}

// TestStall lets a path go silent in the middle of a transfer without closing anything.
func TestStall(t *testing.T) {
	t.Parallel()
	p := linkedPair(t, "tcp")
	link := p.a.TCP
	content := harness.Content(43, 4<<20)
	link.SetShape(netem.ToClient, netem.Shape{Rate: 4 * vam.MiB, Queue: 64 * vam.KiB})
	id := p.alice.SendTo(content, p.bob).ID
	before := link.Stats()
	harness.Await(t, "some of it has passed", func(context.Context) (bool, error) {
		if link.Stats().Carried[netem.ToClient] < before.Carried[netem.ToClient]+oneMiB {
			return false, harness.ErrPending
		}
		return true, nil
	})
	link.Stall()
	accepted := link.Stats().Accepted
	harness.Await(t, "the silent connections are given up for others", func(context.Context) (bool, error) {
		if link.Stats().Accepted == accepted {
			return false, harness.ErrPending
		}
		return true, nil
	})
	link.SetShape(netem.ToClient, netem.Shape{})
	link.Resume()
	p.arrives(id)
	p.bob.Holds(p.a.Domain, id, content)
}

// TestBadPackets sends over UDP on paths that lose, double, reorder, forget who is who,
// and go dark.
func TestBadPackets(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		shape netem.Shape
		rough func(t *testing.T, u *netem.UDPLink, passed func(int64))
	}{
		{name: "loss", shape: netem.Shape{Loss: 0.05}},
		{name: "duplicates", shape: netem.Shape{Duplicate: 0.3}},
		{name: "reorder", shape: netem.Shape{Reorder: 0.2, Delay: 2 * time.Millisecond}},
		{name: "all of it", shape: netem.Shape{Loss: 0.02, Duplicate: 0.1, Reorder: 0.1}},
		{name: "rebind", shape: netem.Shape{Rate: 4 * vam.MiB}, rough: func(t *testing.T, u *netem.UDPLink, passed func(int64)) {
			for _, at := range []int64{1 << 20, 2 << 20, 3 << 20} {
				passed(at)
				if err := u.Rebind(); err != nil {
					t.Error(err)
				}
			}
		}},
		{name: "dark for a while", shape: netem.Shape{Rate: 4 * vam.MiB}, rough: func(t *testing.T, u *netem.UDPLink, passed func(int64)) {
			passed(1 << 20)
			u.Outage(true)
			in := u.Stats(netem.ToTarget).In
			harness.Await(t, "the silent path is tried again", func(context.Context) (bool, error) {
				if u.Stats(netem.ToTarget).In < in+20 {
					return false, harness.ErrPending
				}
				return true, nil
			})
			u.Outage(false)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := linkedPair(t, "udp")
			u := p.a.UDP
			for _, d := range netem.Directions() {
				u.SetShape(d, tc.shape)
			}
			content := harness.Content(44, 4<<20)
			id := p.alice.SendTo(content, p.bob).ID
			if tc.rough != nil {
				tc.rough(t, u, func(n int64) {
					harness.Await(t, "some of it has passed", func(context.Context) (bool, error) {
						if u.Stats(netem.ToClient).OutBytes < n {
							return false, harness.ErrPending
						}
						return true, nil
					})
				})
			}
			p.arrives(id)
			p.bob.Holds(p.a.Domain, id, content)
			if got := u.Stats(netem.ToClient).OutBytes; got < int64(len(content)) {
				t.Errorf("only %d octets came over the link", got)
			}
		})
	}
}

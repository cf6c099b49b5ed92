package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/bench/pair"
	"github.com/videoactivmail/vam/bench/race"
	"github.com/videoactivmail/vam/internal/netem"
)

// measureResume cuts a transfer at many points and counts what is received twice.
func measureResume(ctx context.Context, b *bench) error {
	const cuts, megabits = 12, 200
	size := b.size(64*vam.MiB, 32*vam.MiB)
	b.expect(size)
	r := race.Race{
		Name: "resume", Title: "Octets received twice after a cut, for each connection in use",
		Setting: fmt.Sprintf("A file of %s over links of 2 ms and %d Mbit/s, cut once at each of %d points spread over it; the worst of them. What the links have carried to the recipient counts, whether its program has read it or not.", size, megabits, cuts),
		Unit:    "MiB", Smaller: true,
	}
	for _, c := range []struct {
		name, transport, note string
		cut                   func(context.Context, *pair.Pair, int64) (int, error)
	}{
		{"vam over TCP, every connection reset", "tcp", "a cut is a TCP reset in the link, after what was granted before has arrived", reset},
		{"vam over UDP, the path gone", "udp", "a cut is an outage until the recipient has given up", outage},
		{"vam over TCP, the recipient killed", "tcp", "a cut is kill -9 of the recipient's server and a restart", kill},
	} {
		p, err := b.start(ctx, pair.Options{Transport: c.transport, Path: pair.Path{Links: true, Shapes: netem.Even(2*time.Millisecond, netem.Megabits(megabits))}})
		if err != nil {
			return err
		}
		defer func() { _ = p.Close() }()
		r.Contestants = append(r.Contestants, race.Contestant{Name: c.name, Note: c.note, Run: func(ctx context.Context) (race.Sample, error) {
			return b.cuts(ctx, p, size, cuts, c.transport, c.cut)
		}})
		r.Goals = append(r.Goals, race.Goal{Name: c.name, Ratio: 1, AtMost: true})
	}
	return b.race(ctx, r, 1)
}

// cuts measures one transfer without a cut, then one for each cut.
func (b *bench) cuts(ctx context.Context, p *pair.Pair, size vam.Bytes, n int64, transport string, cut func(context.Context, *pair.Pair, int64) (int, error)) (race.Sample, error) {
	whole, _, err := b.cutOnce(ctx, p, size, transport, nil)
	if err != nil {
		return race.Sample{}, err
	}
	out := race.Sample{Extra: map[string]float64{"connections": 0}}
	for i := range n {
		at := int64(size) * (2*i + 1) / (2 * n)
		got, conns, err := b.cutOnce(ctx, p, size, transport, func(ctx context.Context) (int, error) { return cut(ctx, p, at) })
		if err != nil {
			return race.Sample{}, fmt.Errorf("cut at %d: %w\n%s", at, err, p.B.Output())
		}
		twice := (got - whole) / float64(vam.MiB) / float64(max(conns, 1))
		if twice > out.Value {
			out.Value, out.Extra["connections"] = twice, float64(conns)
			out.Extra["worst at MiB"] = float64(at) / float64(vam.MiB)
		}
	}
	return out, nil
}

// cutOnce transfers a fresh file while cut runs, and returns what came to B over A's
// links, and how many connections for media were up at the cut.
func (b *bench) cutOnce(ctx context.Context, p *pair.Pair, size vam.Bytes, transport string, cut func(context.Context) (int, error)) (float64, int, error) {
	file, err := b.fresh(size)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = os.Remove(file.Path) }()
	alice := p.A.User(pair.Sender)
	id, err := prepare(ctx, alice, file, pair.Recipient)
	if err != nil {
		return 0, 0, err
	}
	before := toB(p, transport)
	type ending struct {
		conns int
		err   error
	}
	ended := make(chan ending, 1)
	if cut == nil {
		ended <- ending{}
	} else {
		ready := make(chan struct{})
		go func() {
			close(ready)
			n, err := cut(ctx)
			ended <- ending{n, err}
		}()
		<-ready
	}
	m, _, err := alice.Send(ctx, id)
	if err != nil {
		return 0, 0, err
	}
	e := <-ended
	if e.err != nil {
		return 0, 0, e.err
	}
	bob := p.B.User(pair.Recipient)
	if _, err := bob.Stored(ctx, m); err != nil {
		return 0, 0, err
	}
	return toB(p, transport) - before, e.conns, bob.Check(ctx, m, file.SHA256)
}

// toB is what A's links have carried towards B.
func toB(p *pair.Pair, transport string) float64 {
	if transport == "udp" {
		return float64(p.A.UDP.Stats(netem.ToClient).OutBytes)
	}
	return float64(p.A.TCP.Stats().Carried[netem.ToClient])
}

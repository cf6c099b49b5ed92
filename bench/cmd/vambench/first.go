package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/bench/pair"
	"github.com/videoactivmail/vam/bench/race"
	"github.com/videoactivmail/vam/internal/netem"
)

// warming is the size of the message that makes connections warm.
const warming = 8 * vam.MiB

// measureFirst times how soon the recipient can play, in round trips.
func measureFirst(ctx context.Context, b *bench) error {
	small, large := 8*vam.MiB, b.size(vam.GiB, 256*vam.MiB)
	b.expect(large)
	r := race.Race{
		Name: "first", Title: "First playable part at the recipient",
		Setting: fmt.Sprintf("From send accepted until the first part of 1 MiB is verified and can be read from the mailbox; %v round trip without a limit of rate. The links end TCP; end to end is over the wire, where TCP begins slowly as on a real path. Warm: a message of %s went the same way just before. Cold: both servers were just started; DNS, connections and handshakes included.", roundTrip, warming),
		Unit:    "round trips", Smaller: true,
	}
	links := pair.Path{Links: true, Shapes: netem.Even(roundTrip, 0)}
	paths := []struct {
		name, transport string
		path            pair.Path
	}{{vamTCP, "tcp", links}, {vamUDP, "udp", links}}
	w, err := netem.OpenWire(netem.WireConfig{Shapes: netem.Even(roundTrip, 0)})
	if err != nil {
		fmt.Fprintf(b.log, "first: %v\n", err)
	} else {
		defer func() { _ = w.Close() }()
		path := pair.Path{Wire: w}
		paths = append(paths, struct {
			name, transport string
			path            pair.Path
		}{vamTCP + " end to end", "tcp", path})
	}
	for _, c := range paths {
		p, err := b.start(ctx, pair.Options{Transport: c.transport, Path: c.path})
		if err != nil {
			return err
		}
		defer func() { _ = p.Close() }()
		for _, size := range []vam.Bytes{small, large} {
			name := fmt.Sprintf("%s, warm, %s", c.name, size)
			r.Contestants = append(r.Contestants, race.Contestant{Name: name, Run: func(ctx context.Context) (race.Sample, error) {
				if _, err := b.first(ctx, p, warming); err != nil {
					return race.Sample{}, err
				}
				return b.first(ctx, p, size)
			}})
			r.Goals = append(r.Goals, race.Goal{Name: name, Ratio: 3, AtMost: true})
		}
		r.Contestants = append(r.Contestants, race.Contestant{Name: c.name + ", cold, " + small.String(), Run: func(ctx context.Context) (race.Sample, error) {
			if err := errors.Join(p.A.Stop(), p.B.Stop(), p.A.Start(ctx), p.B.Start(ctx)); err != nil {
				return race.Sample{}, err
			}
			return b.first(ctx, p, small)
		}})
	}
	return b.race(ctx, r, b.runs)
}

// first sends one fresh file and times its first part.
func (b *bench) first(ctx context.Context, p *pair.Pair, size vam.Bytes) (race.Sample, error) {
	file, err := b.fresh(size)
	if err != nil {
		return race.Sample{}, err
	}
	defer func() { _ = os.Remove(file.Path) }()
	alice, bob := p.A.User(pair.Sender), p.B.User(pair.Recipient)
	id, err := prepare(ctx, alice, file, pair.Recipient)
	if err != nil {
		return race.Sample{}, err
	}
	m, start, err := alice.Send(ctx, id)
	if err != nil {
		return race.Sample{}, err
	}
	playable, err := bob.FirstPart(ctx, m)
	if err != nil {
		return race.Sample{}, err
	}
	if _, err := bob.Stored(ctx, m); err != nil {
		return race.Sample{}, err
	}
	took := playable.Sub(start)
	return race.Sample{
		Value: took.Seconds() / roundTrip.Seconds(),
		Extra: map[string]float64{"ms": float64(took.Microseconds()) / 1e3},
	}, bob.Check(ctx, m, file.SHA256)
}

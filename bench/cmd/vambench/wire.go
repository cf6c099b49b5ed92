package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/bench/pair"
	"github.com/videoactivmail/vam/bench/peer"
	"github.com/videoactivmail/vam/bench/race"
	"github.com/videoactivmail/vam/internal/netem"
)

// measureWire counts what crosses the path for one file, in both directions.
func measureWire(ctx context.Context, b *bench) error {
	size := b.size(256*vam.MiB, 64*vam.MiB)
	b.expect(size)
	file, err := b.file(size)
	if err != nil {
		return err
	}
	const (
		tcpBelow = vamTCP + ", TLS included"
		udpBelow = vamUDP + ", QUIC included"
	)
	r := race.Race{
		Name: "wire", Title: "Octets on the wire for one file of " + size.String(),
		Setting: "Both directions together, from the offer to the last receipt. HTTP counts the connections between the servers, headers included, before TLS or QUIC framing; below it counts the payload of TCP or UDP.",
		Unit:    "octets per octet of media", Smaller: true,
	}
	for _, c := range []struct{ transport, http, below string }{{"tcp", vamTCP, tcpBelow}, {"udp", vamUDP, udpBelow}} {
		p, err := b.start(ctx, pair.Options{Transport: c.transport, Path: pair.Path{Links: true}})
		if err != nil {
			return err
		}
		defer func() { _ = p.Close() }()
		var below race.Sample
		r.Contestants = append(r.Contestants,
			race.Contestant{Name: c.http, Note: "HTTP", Run: func(ctx context.Context) (race.Sample, error) {
				n, err := b.quiet(ctx, p, size)
				below = overhead(n.below, size)
				return overhead(n.http, size), err
			}},
			race.Contestant{Name: c.below, Note: "below HTTP; the run of the row above", Run: func(context.Context) (race.Sample, error) {
				return below, nil
			}},
		)
		r.Goals = append(r.Goals, race.Goal{Name: c.http, Ratio: 1.01, AtMost: true})
	}
	track := peer.Counted(b.congestion)
	r.Contestants = append(r.Contestants,
		race.Contestant{Name: bareTLS, Note: "below HTTP", Run: func(ctx context.Context) (race.Sample, error) {
			return share(peer.TLSCopy(ctx, track, file, b.scratch, false))
		}},
		b.tusd(track, file, share),
		b.postfix(track, file, share),
	)
	return b.race(ctx, r, 1)
}

// share is the octets on the wire for one of media.
func share(t peer.Transfer, err error) (race.Sample, error) {
	if err != nil {
		return race.Sample{}, err
	}
	return overhead(float64(t.Wire), t.Bytes), nil
}

// overhead is that share, and what it is over the media in percent.
func overhead(octets float64, media vam.Bytes) race.Sample {
	v := octets / float64(media)
	return race.Sample{Value: v, Extra: map[string]float64{"overhead %": 100 * (v - 1)}}
}

// octets is what a transfer took between two servers.
type octets struct{ http, below float64 }

// quiet transfers one fresh file and counts. No user speaks to B meanwhile, so that
// B's counters are of A alone.
func (b *bench) quiet(ctx context.Context, p *pair.Pair, size vam.Bytes) (octets, error) {
	return b.quietTo(ctx, p, size, pair.Recipient)
}

func (b *bench) quietTo(ctx context.Context, p *pair.Pair, size vam.Bytes, to ...string) (octets, error) {
	file, err := b.fresh(size)
	if err != nil {
		return octets{}, err
	}
	defer func() { _ = os.Remove(file.Path) }()
	alice := p.A.User(pair.Sender)
	id, err := prepare(ctx, alice, file, to...)
	if err != nil {
		return octets{}, err
	}
	return counted(ctx, p, p.A, len(to), func() error {
		_, _, err := alice.Send(ctx, id)
		return err
	})
}

// counted runs f, which sends a message from a domain to recipients of the other, and
// counts what the servers then exchange until the sender's knows that all have it.
func counted(ctx context.Context, p *pair.Pair, from *pair.Domain, recipients int, f func() error) (octets, error) {
	before, err := count(ctx, p)
	if err != nil {
		return octets{}, err
	}
	was, err := from.Metrics(ctx)
	if err != nil {
		return octets{}, err
	}
	if err := f(); err != nil {
		return octets{}, err
	}
	if err := delivered(ctx, from, was.Sum(deliveries)+float64(recipients)); err != nil {
		return octets{}, err
	}
	after, err := count(ctx, p)
	return octets{after.http - before.http, after.below - before.below}, err
}

// deliveries counts recipients that reached an end.
const deliveries = "vam_deliveries_total"

// delivered waits until the domain has delivered to that many recipients since its
// start. It asks for counters, so that the connections that are counted stay silent.
func delivered(ctx context.Context, d *pair.Domain, recipients float64) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		m, err := d.Metrics(ctx)
		if err != nil || m.Sum(deliveries) >= recipients {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// count reads the counters of B and of all links.
func count(ctx context.Context, p *pair.Pair) (octets, error) {
	m, err := p.B.Metrics(ctx)
	if err != nil {
		return octets{}, err
	}
	sent, received := m.Sum("vam_wire_sent_bytes_total"), m.Sum("vam_wire_received_bytes_total")
	if sent+received == 0 && m.Sum("vam_media_bytes_total") > 0 {
		return octets{}, errors.New("the server does not count what it exchanges")
	}
	return octets{http: sent + received, below: below(p)}, nil
}

// below is what all links of a pair have carried.
func below(p *pair.Pair) float64 {
	var sum int64
	for _, d := range []*pair.Domain{p.A, p.B} {
		sum += d.TCP.Stats().Total()
		for _, dir := range netem.Directions() {
			sum += d.UDP.Stats(dir).InBytes
		}
	}
	return float64(sum)
}

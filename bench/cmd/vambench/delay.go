package main

import (
	"context"
	"fmt"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/bench/pair"
	"github.com/videoactivmail/vam/bench/peer"
	"github.com/videoactivmail/vam/bench/race"
	"github.com/videoactivmail/vam/internal/netem"
)

// roundTrip is that of every emulated path.
const roundTrip = 50 * time.Millisecond

// measureDelay sends a file over links with a long round trip. They end TCP: what is
// measured is whether windows, ranges and acknowledgements keep a long path full, not
// how TCP recovers.
func measureDelay(ctx context.Context, b *bench) error {
	const megabits = 500
	size := b.size(512*vam.MiB, 128*vam.MiB)
	b.expect(size)
	shapes := netem.Even(roundTrip, netem.Megabits(megabits))
	file, err := b.file(size)
	if err != nil {
		return err
	}
	path := pair.Path{Links: true, Shapes: shapes}
	tcp, err := b.start(ctx, pair.Options{Transport: "tcp", Path: path})
	if err != nil {
		return err
	}
	defer func() { _ = tcp.Close() }()
	udp, err := b.start(ctx, pair.Options{Transport: "udp", Path: path})
	if err != nil {
		return err
	}
	defer func() { _ = udp.Close() }()

	track := peer.Relayed(b.congestion, shapes)
	const h2 = "bare Go h2 GET, default windows"
	r := race.Race{
		Name: "delay", Title: fmt.Sprintf("%s at %v round trip", size, roundTrip),
		Setting: fmt.Sprintf("Links in user space between the servers: %v each way, %d Mbit/s, no loss; they end TCP.", roundTrip/2, megabits),
		Unit:    "MB/s", Base: theLink,
		Contestants: []race.Contestant{
			{Name: theLink, Note: "its rate", Rounds: 1, Run: func(context.Context) (race.Sample, error) {
				return race.Sample{Value: float64(netem.Megabits(megabits)) / 1e6}, nil
			}},
			b.contestant(vamTCP, b.congestion, tcp, size),
			{
				Name: bareTLSDisk, Congestion: b.congestion, Note: "one connection",
				Run: func(ctx context.Context) (race.Sample, error) {
					return bare(peer.TLSCopy(ctx, track, file, b.scratch, true))
				},
			},
			{
				Name: h2, Congestion: b.congestion, Note: "hashed and synced",
				Run: func(ctx context.Context) (race.Sample, error) {
					return bare(peer.H2Get(ctx, track, file, b.scratch, true))
				},
			},
			b.contestant(vamUDP, quicCongestion, udp, size),
			{
				Name: bareQUIC, Congestion: quicCongestion,
				Run: func(ctx context.Context) (race.Sample, error) {
					return bare(peer.QUICGet(ctx, track, file, b.scratch, true))
				},
			},
		},
		Goals: []race.Goal{{Name: vamTCP, Of: theLink, Ratio: 0.9}},
	}
	return b.race(ctx, r, min(b.runs, 3))
}

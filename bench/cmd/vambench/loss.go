package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/bench/pair"
	"github.com/videoactivmail/vam/bench/peer"
	"github.com/videoactivmail/vam/bench/race"
	"github.com/videoactivmail/vam/internal/netem"
)

// measureLoss sends a file over a wire between two network namespaces that delays and
// loses packets, once for each congestion control that the kernel has.
func measureLoss(ctx context.Context, b *bench) error {
	var errs []error
	for _, cc := range []string{"cubic", "bbr"} {
		if !slices.Contains(peer.Congestions(), cc) {
			errs = append(errs, fmt.Errorf("the kernel has no %s", cc))
			continue
		}
		errs = append(errs, b.loss(ctx, cc))
	}
	return errors.Join(errs...)
}

func (b *bench) loss(ctx context.Context, cc string) error {
	const megabits, lost = 100, 0.01
	// One CUBIC connection moves some 0.4 MB/s here.
	size := b.size(32*vam.MiB, 16*vam.MiB)
	if cc == "bbr" {
		size = b.size(128*vam.MiB, 32*vam.MiB)
	}
	b.expect(size)
	file, err := b.file(size)
	if err != nil {
		return err
	}
	shapes := netem.Even(roundTrip, netem.Megabits(megabits))
	for i := range shapes {
		shapes[i].Loss = lost
	}
	w, err := netem.OpenWire(netem.WireConfig{Shapes: shapes, Seed: 1})
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }()
	// A is in the wire's Client and the peers' servers are in its Target; the path is
	// even, so that it does not matter which end sends.
	path := pair.Path{Wire: w}
	tcp, err := b.start(ctx, pair.Options{Transport: "tcp", Congestion: cc, Path: path})
	if err != nil {
		return err
	}
	defer func() { _ = tcp.Close() }()
	track := peer.OverWire(w, cc)
	r := race.Race{
		Name: "loss-" + cc, Title: fmt.Sprintf("%s at %v round trip and 1 %% loss, %s", size, roundTrip, cc),
		Setting: fmt.Sprintf("A wire between two network namespaces: %v each way, %d Mbit/s, 1 %% of the packets lost in each direction; TCP is end to end.", roundTrip/2, megabits),
		Unit:    "MB/s", Base: nginxCurl,
		Contestants: []race.Contestant{
			b.contestant(vamTCP, cc, tcp, size),
			b.nginx(track, file),
			{
				Name: bareTLSDisk, Congestion: cc, Note: "one connection",
				Run: func(ctx context.Context) (race.Sample, error) {
					return bare(peer.TLSCopy(ctx, track, file, b.scratch, true))
				},
			},
		},
		Goals: []race.Goal{{Name: vamTCP, Of: nginxCurl, Ratio: 4}},
		Before: func() {
			b.settle()
			if n, err := w.Overruns(); err == nil && n > 0 {
				fmt.Fprintf(b.log, "the wire itself has lost %d packets so far\n", n)
			}
		},
	}
	if cc == "bbr" {
		r.Setting += " One BBR connection fills most of this path, so that nothing can be four times as fast."
		r.Goals = append(r.Goals, race.Goal{Name: vamTCP, Of: bareTLSDisk, Ratio: 0.9})
		return b.race(ctx, r, min(b.runs, 3))
	}
	// What does not have this congestion control stands here once, beside what users
	// have without configuring anything.
	const asShipped = vamTCP + ", as it is without configuration"
	shipped, err := b.start(ctx, pair.Options{Transport: "tcp", Congestion: "auto", Path: path})
	if err != nil {
		return err
	}
	defer func() { _ = shipped.Close() }()
	udp, err := b.start(ctx, pair.Options{Transport: "udp", Path: path})
	if err != nil {
		return err
	}
	defer func() { _ = udp.Close() }()
	r.Contestants = append(r.Contestants,
		b.contestant(asShipped, "bbr, where the kernel has it", shipped, size),
		b.contestant(vamUDP, quicCongestion, udp, size),
		race.Contestant{
			Name: bareQUIC, Congestion: quicCongestion, Note: "one connection",
			Run: func(ctx context.Context) (race.Sample, error) {
				return bare(peer.QUICGet(ctx, track, file, b.scratch, true))
			},
		},
	)
	r.Goals = append(r.Goals, race.Goal{Name: asShipped, Of: nginxCurl, Ratio: 4})
	return b.race(ctx, r, min(b.runs, 3))
}

package main

import (
	"context"
	"time"

	"github.com/videoactivmail/vam/bench/pair"
	"github.com/videoactivmail/vam/internal/netem"
)

// connections is how many of a large transfer carry media, by default; one more
// carries the log.
const connections = 8

// outageFor is longer than a recipient waits for a silent path.
const outageFor = 7 * time.Second

// watch is how often a transfer is looked at, in order to be cut.
const watch = time.Millisecond

// reset resets every connection to A once it has sent at octets more.
func reset(ctx context.Context, p *pair.Pair, at int64) (int, error) {
	before := p.A.TCP.Stats().Cut
	select {
	case <-p.A.TCP.CutAfter(netem.ToClient, at, netem.Rst):
		return carrying(p.A.TCP.Stats().Cut - before), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// carrying is how many of the connections to A carry media.
func carrying(open int) int { return min(max(open-1, 1), connections) }

// outage takes the path away once it has carried at octets more.
func outage(ctx context.Context, p *pair.Pair, at int64) (int, error) {
	if err := passed(ctx, p, "udp", at); err != nil {
		return 0, err
	}
	links := []*netem.UDPLink{p.A.UDP, p.B.UDP}
	for _, l := range links {
		l.Outage(true)
		defer l.Outage(false)
	}
	select {
	case <-time.After(outageFor):
	case <-ctx.Done():
	}
	return connections, ctx.Err()
}

// kill kills B's server once the path has carried at octets more, and starts it again.
func kill(ctx context.Context, p *pair.Pair, at int64) (int, error) {
	if err := passed(ctx, p, "tcp", at); err != nil {
		return 0, err
	}
	open := p.A.TCP.Stats().Open
	if err := p.B.Kill(); err != nil {
		return 0, err
	}
	return carrying(open), p.B.Start(ctx)
}

// passed waits until A's link has carried at octets more towards B.
func passed(ctx context.Context, p *pair.Pair, transport string, at int64) error {
	start := toB(p, transport)
	tick := time.NewTicker(watch)
	defer tick.Stop()
	for toB(p, transport) < start+float64(at) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/bench/pair"
	"github.com/videoactivmail/vam/bench/peer"
	"github.com/videoactivmail/vam/bench/race"
)

// measureMemory sends one very large file and looks at the greatest resident size of
// both servers.
func measureMemory(ctx context.Context, b *bench) error {
	size := b.size(10*vam.GiB, vam.GiB)
	b.expect(size)
	r := race.Race{
		Name: "memory", Title: "Peak memory of a server in a transfer of " + size.String(),
		Setting: "VmHWM since the start of the process, the upload by the user included.",
		Unit:    "MiB", Smaller: true,
	}
	for _, c := range []struct{ transport, name string }{{"tcp", "over TCP"}, {"udp", "over UDP"}} {
		sender, recipient := "sender's server "+c.name, "recipient's server "+c.name
		var peak [2]vam.Bytes
		r.Contestants = append(r.Contestants,
			race.Contestant{Name: sender, Run: func(ctx context.Context) (race.Sample, error) {
				var err error
				peak, err = b.peak(ctx, c.transport, size)
				return race.Sample{Value: float64(peak[0]) / float64(vam.MiB)}, err
			}},
			race.Contestant{Name: recipient, Run: func(context.Context) (race.Sample, error) {
				return race.Sample{Value: float64(peak[1]) / float64(vam.MiB)}, nil
			}},
		)
		r.Goals = append(r.Goals, race.Goal{Name: sender, Ratio: 150, AtMost: true}, race.Goal{Name: recipient, Ratio: 150, AtMost: true})
	}
	return b.race(ctx, r, 1)
}

// peak transfers one file between two fresh servers.
func (b *bench) peak(ctx context.Context, transport string, size vam.Bytes) (out [2]vam.Bytes, err error) {
	p, err := b.start(ctx, pair.Options{Transport: transport})
	if err != nil {
		return out, err
	}
	defer func() { _ = p.Close() }()
	if _, err := b.transfer(ctx, p, size); err != nil {
		return out, err
	}
	for i, d := range []*pair.Domain{p.A, p.B} {
		m, err := d.Memory()
		if err != nil {
			return out, err
		}
		out[i] = m.Peak
	}
	return out, nil
}

// idleServer is the first argument of the process that is a bare server.
const idleServer = "idle-server"

// lean makes both servers collect early, so that what is compared is what connections
// keep, not garbage of their handshakes.
const lean = "GOGC=20"

// measureIdle compares what an idle connection costs.
func measureIdle(ctx context.Context, b *bench) error {
	conns := int(b.size(2000, 500))
	b.expect(0)
	r := race.Race{
		Name: "idle", Title: "Memory of an idle connection",
		Setting: fmt.Sprintf("Resident size of the server by connection, from %d more of them, each with one request behind it; "+lean+" for all.", conns),
		Unit:    "KiB", Smaller: true,
	}
	for _, c := range []struct{ network, bare, name string }{
		{"tcp", "bare Go h2 server", vamTCP},
		{"udp", "bare quic-go server", vamUDP},
	} {
		r.Contestants = append(r.Contestants,
			race.Contestant{Name: c.bare, Run: func(ctx context.Context) (race.Sample, error) { return bareIdle(ctx, c.network, conns) }},
			race.Contestant{Name: c.name, Run: func(ctx context.Context) (race.Sample, error) { return b.vamIdle(ctx, c.network, conns) }},
		)
		r.Goals = append(r.Goals, race.Goal{Name: c.name, Of: c.bare, Ratio: 1.2, AtMost: true})
	}
	return b.race(ctx, r, min(b.runs, 3))
}

func bareIdle(ctx context.Context, network string, conns int) (race.Sample, error) {
	self, err := os.Executable()
	if err != nil {
		return race.Sample{}, err
	}
	cmd := exec.Command(self, idleServer, network)
	cmd.Env = append(os.Environ(), lean)
	s, err := peer.StartIdle(ctx, cmd)
	if err != nil {
		return race.Sample{}, err
	}
	defer s.Stop()
	crowd, err := peer.NewCrowd(ctx, network, s.Addr, "peer.test", nil)
	if err != nil {
		return race.Sample{}, err
	}
	defer func() { _ = crowd.Close() }()
	return perConnection(ctx, crowd, conns, func() (pair.Memory, error) { return pair.MemoryOf(s.Pid) })
}

func (b *bench) vamIdle(ctx context.Context, network string, conns int) (race.Sample, error) {
	p, err := b.start(ctx, pair.Options{Environ: []string{lean}})
	if err != nil {
		return race.Sample{}, err
	}
	defer func() { _ = p.Close() }()
	host, addr, trust := p.B.Endpoint()
	crowd, err := peer.NewCrowd(ctx, network, addr.String(), host, trust)
	if err != nil {
		return race.Sample{}, err
	}
	defer func() { _ = crowd.Close() }()
	return perConnection(ctx, crowd, conns, p.B.Memory)
}

// rest is how long a server is left alone before its memory is read.
const rest = 2 * time.Second

// perConnection opens some connections, so that whatever is made once is there, then
// conns more.
func perConnection(ctx context.Context, crowd *peer.Crowd, conns int, memory func() (pair.Memory, error)) (race.Sample, error) {
	var size [2]vam.Bytes
	for i, n := range []int{conns / 4, conns} {
		if err := crowd.Grow(ctx, n); err != nil {
			return race.Sample{}, err
		}
		select {
		case <-time.After(rest):
		case <-ctx.Done():
			return race.Sample{}, ctx.Err()
		}
		m, err := memory()
		if err != nil {
			return race.Sample{}, err
		}
		size[i] = m.Now
	}
	return race.Sample{Value: float64(size[1]-size[0]) / float64(vam.KiB) / float64(conns)}, nil
}

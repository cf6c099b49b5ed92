package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/bench/pair"
	"github.com/videoactivmail/vam/bench/peer"
	"github.com/videoactivmail/vam/bench/race"
	"github.com/videoactivmail/vam/bench/viewer"
)

// step is how much a player asks for at a time.
const step = 8 * vam.MiB

// origin is one that serves the same file, and what its processes cost.
type origin struct {
	name string
	site viewer.Site
	path string
	pids []int
}

func (o origin) cpu() (sum float64, err error) {
	for _, pid := range o.pids {
		s, err := pair.CPUOf(pid)
		if err != nil {
			return 0, err
		}
		sum += s
	}
	return sum, nil
}

func (o origin) resident() (sum vam.Bytes, err error) {
	for _, pid := range o.pids {
		m, err := pair.MemoryOf(pid)
		if err != nil {
			return 0, err
		}
		sum += m.Now
	}
	return sum, nil
}

// origins starts both. Without nginx the first is its zero value, and missing says why.
func (b *bench) origins(ctx context.Context, file peer.File) (nginx, ours origin, missing error, closeAll func(), err error) {
	p, err := b.start(ctx, pair.Options{})
	if err != nil {
		return nginx, ours, nil, nil, err
	}
	closeAll = func() { _ = p.Close() }
	w, err := b.deliver(ctx, p, file)
	if err != nil {
		closeAll()
		return nginx, ours, nil, nil, err
	}
	ours = origin{"watch page", site(p.B), w.path + "/play/original", []int{p.B.Pid()}}
	n, missing := peer.StartSite(ctx, peer.Loopback(b.congestion), file, b.scratch)
	if missing != nil {
		return nginx, ours, missing, closeAll, nil
	}
	nginx = origin{"nginx", bareSite(n), peer.NginxFile, pair.Family(n.Pid())}
	return nginx, ours, nil, func() { n.Stop(); _ = p.Close() }, nil
}

// measureStatic compares what it costs to serve one file to browsers.
func measureStatic(ctx context.Context, b *bench) error {
	size, total := b.size(vam.GiB, 256*vam.MiB), b.size(4*vam.GiB, vam.GiB)
	b.expect(size)
	file, err := b.movie(ctx, hd(size, false))
	if err != nil {
		return err
	}
	nginx, ours, missing, closeAll, err := b.origins(ctx, file)
	if err != nil {
		return err
	}
	defer closeAll()
	r := race.Race{Name: "static", Title: "Serving ranges of a recording of " + size.String() + " over HTTPS", Unit: "MB/CPU-s", Base: "nginx, " + viewer.H1}
	suite := ""
	for _, protocol := range []string{viewer.H1, viewer.H2} {
		for _, o := range []origin{nginx, ours} {
			if o.name == "" {
				r.Contestants = append(r.Contestants, race.Contestant{Name: "nginx, " + protocol, Run: func(context.Context) (race.Sample, error) { return race.Sample{}, missing }})
				continue
			}
			o.site = o.site.With(protocol)
			used, err := verify(ctx, o, file)
			if err != nil {
				return fmt.Errorf("%s: %w", o.name, err)
			}
			if suite == "" {
				suite = used
			}
			if used != suite {
				return fmt.Errorf("%s has %s, the one before had %s", o.name, used, suite)
			}
			r.Contestants = append(r.Contestants, race.Contestant{Name: o.name + ", " + protocol, Run: func(ctx context.Context) (race.Sample, error) {
				return serve(ctx, o, file, int64(total))
			}})
		}
		r.Goals = append(r.Goals, race.Goal{Name: "watch page, " + protocol, Of: "nginx, " + protocol, Ratio: 0.8})
	}
	r.Setting = fmt.Sprintf("One viewer, ranges of %s one after the other, %s in all; processor time of the server alone, its kernel's included. %s on both sides.", step, total, suite)
	return b.race(ctx, r, b.runs)
}

// verify compares what o serves with the file, outside of what is measured, and returns
// the cipher suite.
func verify(ctx context.Context, o origin, file peer.File) (string, error) {
	c := o.site.NewClient()
	defer c.Close()
	h := sha256.New()
	if err := c.Ranges(ctx, o.path, file.Size, int64(step), h); err != nil {
		return "", err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != file.SHA256 {
		return "", errors.New("what is served is not the file")
	}
	return c.Cipher, nil
}

// serve reads total octets of the file and says how many there were for a second of the
// server's processor time.
func serve(ctx context.Context, o origin, file peer.File, total int64) (race.Sample, error) {
	c := o.site.NewClient()
	defer c.Close()
	before, err := o.cpu()
	if err != nil {
		return race.Sample{}, err
	}
	start := time.Now()
	for left := total; left > 0; left -= file.Size {
		if err := c.Ranges(ctx, o.path, min(left, file.Size), int64(step), io.Discard); err != nil {
			return race.Sample{}, err
		}
	}
	took := time.Since(start).Seconds()
	after, err := o.cpu()
	if err != nil || after <= before {
		return race.Sample{}, errors.Join(err, errors.New("the kernel counted no processor time"))
	}
	return race.Sample{Value: float64(total) / 1e6 / (after - before), Extra: map[string]float64{"MB/s": float64(total) / 1e6 / took}}, nil
}

// Slow viewers: a video of 400 kbit/s over a line that has no more.
const (
	slowViewers = 2000
	slowRate    = 50_000 // octets a second, each
)

// measureViewers compares what slow ones hold.
func measureViewers(ctx context.Context, b *bench) error {
	b.expect(0)
	hold := 20 * time.Second
	if b.short {
		hold = 6 * time.Second
	}
	file, err := b.movie(ctx, hd(64*vam.MiB, false))
	if err != nil {
		return err
	}
	r := race.Race{
		Name: "viewers", Title: fmt.Sprintf("Resident memory with %d slow viewers of one recording", slowViewers),
		Setting: fmt.Sprintf("Each over a TLS connection of its own, reading %d kB a second of a file that is larger than what it reads; the greatest resident size of the server within %v, seen five times a second.", slowRate/1000, hold),
		Unit:    "MiB", Smaller: true, Base: "nginx, " + viewer.H1,
	}
	for _, protocol := range []string{viewer.H1, viewer.H2} {
		for _, ours := range []bool{false, true} {
			name := "nginx, " + protocol
			if ours {
				name = "watch page, " + protocol
				r.Goals = append(r.Goals, race.Goal{Name: name, Ratio: 200, AtMost: true})
			}
			r.Contestants = append(r.Contestants, race.Contestant{Name: name, Run: func(ctx context.Context) (race.Sample, error) {
				return b.slow(ctx, file, ours, protocol, hold)
			}})
		}
	}
	return b.race(ctx, r, min(b.runs, 3))
}

// slow gathers slow viewers at a fresh server.
func (b *bench) slow(ctx context.Context, file peer.File, ours bool, protocol string, hold time.Duration) (race.Sample, error) {
	nginx, o, missing, closeAll, err := b.origins(ctx, file)
	if err != nil {
		return race.Sample{}, err
	}
	defer closeAll()
	if !ours {
		if o = nginx; missing != nil {
			return race.Sample{}, missing
		}
	}
	empty, err := o.resident()
	if err != nil {
		return race.Sample{}, err
	}
	crowd, err := viewer.Gather(ctx, o.site.With(protocol), o.path, slowViewers, slowRate)
	if err != nil {
		return race.Sample{}, err
	}
	defer crowd.Close()
	read, start := crowd.Read(), time.Now()
	before, err := o.cpu()
	if err != nil {
		return race.Sample{}, err
	}
	most, err := greatest(ctx, o, hold)
	if err = errors.Join(err, crowd.Err()); err != nil {
		return race.Sample{}, err
	}
	after, err := o.cpu()
	took := time.Since(start).Seconds()
	return race.Sample{Value: float64(most) / float64(vam.MiB), Extra: map[string]float64{
		"KiB a viewer": float64(most-empty) / float64(vam.KiB) / slowViewers,
		"kB/s each":    float64(crowd.Read()-read) / 1000 / took / slowViewers,
		"cores":        (after - before) / took,
	}}, err
}

// greatest is the greatest resident size within some time.
func greatest(ctx context.Context, o origin, d time.Duration) (most vam.Bytes, err error) {
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); {
		now, err := o.resident()
		if err != nil {
			return 0, err
		}
		most = max(most, now)
		select {
		case <-look.C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return most, nil
}

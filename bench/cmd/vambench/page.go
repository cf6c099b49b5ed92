package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/bench/pair"
	"github.com/videoactivmail/vam/bench/peer"
	"github.com/videoactivmail/vam/bench/race"
	"github.com/videoactivmail/vam/internal/netem"
)

// A phone in a train: its line, and how many times slower than this machine it is.
const (
	slowTrip  = 150 * time.Millisecond
	slowMbits = 1.6
	slowCPU   = 4
)

// slowLine is a link to addr. Little waits in it: a router with a large buffer would put
// seconds of video before whatever is asked for next.
func slowLine(addr netip.AddrPort) (*netem.TCPLink, netip.AddrPort, error) {
	shapes := netem.Even(slowTrip, netem.Megabits(slowMbits))
	for i := range shapes {
		shapes[i].Queue = 64 * vam.KiB
	}
	l, err := netem.OpenTCP(netem.Config{Listen: "127.0.0.1:0", Target: addr.String(), Shapes: shapes, Seed: 1})
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	return l, l.Addr().(*net.TCPAddr).AddrPort(), nil
}

// short is half a minute of video.
func short(last bool) peer.Movie {
	return peer.Movie{Size: 4_000_000, Rate: 900_000, Width: 854, Height: 480, IndexLast: last}
}

// measurePage weighs the watch page and times it over a slow line in a slowed browser.
// The visits give two tables: the time and the octets.
func measurePage(ctx context.Context, b *bench) error {
	b.expect(0)
	p, err := b.start(ctx, pair.Options{Media: true})
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	host, addr, _ := p.B.Watch()
	link, near, err := slowLine(addr)
	if err != nil {
		return err
	}
	defer func() { _ = link.Close() }()
	hosts := map[string]netip.AddrPort{host: near}
	var pages []slowPage
	for _, last := range []bool{false, true} {
		file, err := b.movie(ctx, short(last))
		if err != nil {
			return err
		}
		bare, ours := slowPage{name: nginxBare}, slowPage{name: watchPage}
		if last {
			bare.name, ours.name = bare.name+indexLast, ours.name+indexLast
		}
		n, missing := peer.StartSite(ctx, peer.Loopback(b.congestion), file, b.scratch)
		if bare.missing = missing; missing == nil {
			defer n.Stop()
			_, addr, _ := n.Endpoint()
			link, near, err := slowLine(addr)
			if err != nil {
				return err
			}
			defer func() { _ = link.Close() }()
			host := fmt.Sprintf("nginx%d.test", len(pages))
			hosts[host], bare.url = near, "https://"+host+peer.NginxPage
		}
		w, err := b.deliverWhole(ctx, p, file)
		if err != nil {
			return err
		}
		if err := settled(ctx, p, w); err != nil {
			return err
		}
		ours.url = w.url
		pages = append(pages, bare, ours)
	}
	chrome, err := b.browser(ctx, p, hosts)
	if err != nil {
		return err
	}
	defer func() { _ = chrome.Close() }()
	if _, err := chrome.Visit(pages[1].url, 1); err != nil {
		return err
	}
	file, err := b.movie(ctx, short(false))
	if err != nil {
		return err
	}
	took := race.Race{
		Name: "page", Title: "First picture of a short video over a slow line",
		Setting: fmt.Sprintf("%s, headless, a processor %d times slower than here; %g Mbit/s and %v round trip, by a relay. Nothing cached, no connection. The video has 30 s, 480 lines and %.1f MB. From the navigation on; play is pressed as soon as the page is there. The watch page has all that was made of the video.", chrome.Version, slowCPU, slowMbits, slowTrip, float64(file.Size)/1e6),
		Unit:    "ms", Smaller: true, Base: nginxBare,
	}
	weight := race.Race{
		Name: "page-octets", Title: "Octets of the page until then", Setting: "Headers and bodies as they were sent: page, style, script. Pictures and the video are not counted.",
		Unit: "kB", Smaller: true, Base: nginxBare, Before: func() {},
		Goals: []race.Goal{{Name: watchPage, Ratio: 60, AtMost: true}},
	}
	seen := make([][]float64, len(pages))
	for i, page := range pages {
		took.Contestants = append(took.Contestants, race.Contestant{Name: page.name, Run: func(context.Context) (race.Sample, error) {
			if page.missing != nil {
				return race.Sample{}, page.missing
			}
			v, err := chrome.Visit(page.url, slowCPU)
			seen[i] = append(seen[i], float64(v.Octets)/1000)
			return race.Sample{Value: v.FrameMS, Extra: map[string]float64{
				"first paint ms": v.PaintMS, "requests": float64(v.Requests),
				"page kB": float64(v.Octets) / 1000, "pictures kB": float64(v.ImageOctets) / 1000, "video kB": float64(v.MediaOctets) / 1000,
			}}, err
		}})
		weight.Contestants = append(weight.Contestants, race.Contestant{Name: page.name, Run: func(context.Context) (race.Sample, error) {
			if len(seen[i]) == 0 {
				return race.Sample{}, errors.New("it was not seen")
			}
			return race.Sample{Value: race.Median(seen[i])}, nil
		}})
	}
	if err := b.race(ctx, took, b.runs); err != nil {
		return err
	}
	return b.race(ctx, weight, 1)
}

// slowPage is a page and its row.
type slowPage struct {
	name, url string
	missing   error // why there is none
}

// settled waits until nothing is made of a message any more.
func settled(ctx context.Context, p *pair.Pair, w watched) error {
	c := site(p.B).NewClient()
	defer c.Close()
	return c.Settled(ctx, w.path)
}

package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/videoactivmail/vam/bench/pair"
	"github.com/videoactivmail/vam/bench/peer"
	"github.com/videoactivmail/vam/bench/race"
	"github.com/videoactivmail/vam/bench/viewer"
)

// slowLine is a phone in a train: 1.6 Mbit/s, 150 ms to every answer, a processor that is
// four times slower than this one.
func slowLine() *viewer.Throttle { return &viewer.Throttle{Down: 200_000, Latency: 150, CPU: 4} }

// measurePage weighs the watch page and times it in a slowed browser. The visits give two
// tables: the time and the octets.
func measurePage(ctx context.Context, b *bench) error {
	b.expect(0)
	file, err := b.movie(ctx, peer.Movie{Size: 4_000_000, Rate: 900_000, Width: 854, Height: 480})
	if err != nil {
		return err
	}
	p, err := b.start(ctx, pair.Options{Media: true})
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	w, err := b.deliver(ctx, p, file)
	if err != nil {
		return err
	}
	if err := settled(ctx, p, w); err != nil {
		return err
	}
	chrome, err := b.browser(ctx, p)
	if err != nil {
		return err
	}
	defer func() { _ = chrome.Close() }()
	if _, err := chrome.Visit(w.url, nil); err != nil {
		return err
	}
	n, missing := peer.StartSite(ctx, peer.Loopback(b.congestion), file, b.scratch)
	if missing == nil {
		defer n.Stop()
	}
	pages := []struct {
		name string
		url  func() (string, error)
	}{
		{nginxBare, func() (string, error) {
			if missing != nil {
				return "", missing
			}
			return n.URL(peer.NginxPage), nil
		}},
		{watchPage, func() (string, error) { return w.url, nil }},
	}
	t := slowLine()
	took := race.Race{
		Name: "page", Title: "First picture of a short video over a slow line",
		Setting: fmt.Sprintf("%s, headless, slowed to %.1f Mbit/s, %d ms more for each request and a processor %g times slower; nothing cached. %.1f MB, 30 s, 480 lines. From the navigation on; play is pressed as soon as the page is there. The watch page has all that was made of the video: poster, storyboard.", chrome.Version, float64(t.Down)*8/1e6, t.Latency, t.CPU, float64(file.Size)/1e6),
		Unit:    "ms", Smaller: true, Base: nginxBare,
	}
	weight := race.Race{
		Name: "page-octets", Title: "Octets of the page until then, the video apart", Setting: "Headers and bodies as they were sent: page, style, script, poster.",
		Unit: "kB", Smaller: true, Base: nginxBare, Before: func() {},
		Goals: []race.Goal{{Name: watchPage, Ratio: 60, AtMost: true}},
	}
	seen := make([][]float64, len(pages))
	for i, page := range pages {
		took.Contestants = append(took.Contestants, race.Contestant{Name: page.name, Run: func(context.Context) (race.Sample, error) {
			url, err := page.url()
			if err != nil {
				return race.Sample{}, err
			}
			v, err := chrome.Visit(url, t)
			seen[i] = append(seen[i], float64(v.Octets)/1000)
			return race.Sample{Value: v.FrameMS, Extra: map[string]float64{
				"first paint ms": v.PaintMS, "requests": float64(v.Requests + v.MediaRequests), "page kB": float64(v.Octets) / 1000, "video kB": float64(v.MediaOctets) / 1000,
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

// settled waits until nothing is made of a message any more.
func settled(ctx context.Context, p *pair.Pair, w watched) error {
	c := site(p.B).NewClient()
	defer c.Close()
	return c.Settled(ctx, w.path)
}

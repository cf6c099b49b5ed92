package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/bench/pair"
	"github.com/videoactivmail/vam/bench/peer"
	"github.com/videoactivmail/vam/bench/race"
	"github.com/videoactivmail/vam/bench/viewer"
)

// measurePlayable times how soon a recording plays that is at the recipient's server:
// for a client that reads what a browser would, and in a browser.
func measurePlayable(ctx context.Context, b *bench) error {
	size := b.size(vam.GiB, 64*vam.MiB)
	b.expect(size)
	front, err := b.movie(ctx, hd(size, false))
	if err != nil {
		return err
	}
	back, err := b.movie(ctx, hd(size, true))
	if err != nil {
		return err
	}
	p, err := b.start(ctx, pair.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	n, err := peer.StartSite(ctx, peer.Loopback(b.congestion), front, b.scratch)
	if err != nil && !errors.Is(err, peer.ErrMissing) {
		return err
	}
	if err == nil {
		defer n.Stop()
	}
	missing := err
	err = b.race(ctx, b.playable(p, n, missing, size, front, back), b.runs)
	if err != nil {
		return err
	}
	return b.firstFrame(ctx, p, n, missing, size, front, back)
}

func (b *bench) playable(p *pair.Pair, n *peer.Nginx, missing error, size vam.Bytes, front, back peer.File) race.Race {
	const again = "sent again to somebody else there"
	r := race.Race{
		Name: "playable", Title: "Until a recording of " + size.String() + " plays that is at the recipient's server",
		Setting: "A fresh MP4 with H.264 and AAC each time, never opened before. From the start of a new TLS connection until the page is read, says that it plays, and the first 64 KiB of what it plays are here. The last row begins when the sending server has accepted the message.",
		Unit:    "ms", Smaller: true, Base: nginxBare,
	}
	r.Contestants = append(r.Contestants, race.Contestant{Name: nginxBare, Note: "HTTP/2; no link, no sender, no state: a file and a page", Run: func(ctx context.Context) (race.Sample, error) {
		if missing != nil {
			return race.Sample{}, missing
		}
		return play(ctx, bareSite(n), peer.NginxPage, time.Now())
	}})
	for _, c := range forms(front, back) {
		r.Contestants = append(r.Contestants, race.Contestant{Name: c.name, Run: func(ctx context.Context) (race.Sample, error) {
			w, err := b.deliver(ctx, p, c.file)
			if err != nil {
				return race.Sample{}, err
			}
			s, err := play(ctx, site(p.B), w.path, time.Now())
			return s, errors.Join(err, w.remove())
		}})
		r.Goals = append(r.Goals, race.Goal{Name: c.name, Ratio: 300, AtMost: true})
	}
	r.Contestants = append(r.Contestants, race.Contestant{Name: again, Note: "two servers; media that are there already are not sent", Run: func(ctx context.Context) (race.Sample, error) {
		return b.playAgain(ctx, p, front)
	}})
	r.Goals = append(r.Goals, race.Goal{Name: again, Ratio: 300, AtMost: true})
	return r
}

// play opens a page as a new viewer.
func play(ctx context.Context, s viewer.Site, path string, since time.Time) (race.Sample, error) {
	c := s.NewClient()
	defer c.Close()
	_, err := c.Play(ctx, path)
	return race.Sample{Value: milliseconds(time.Since(since))}, err
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// playAgain sends media that are at B to somebody else there.
func (b *bench) playAgain(ctx context.Context, p *pair.Pair, file peer.File) (_ race.Sample, err error) {
	w, err := b.deliver(ctx, p, file)
	if err != nil {
		return race.Sample{}, err
	}
	defer func() { err = errors.Join(err, w.remove()) }()
	alice, carol := p.A.User(pair.Sender), p.B.User(pair.Second)
	id, err := alice.Again(ctx, w.m, pair.Second)
	if err != nil {
		return race.Sample{}, err
	}
	m, sent, err := alice.Send(ctx, id)
	if err != nil {
		return race.Sample{}, err
	}
	stored, err := carol.Stored(ctx, m)
	if err != nil {
		return race.Sample{}, err
	}
	l, err := link(ctx, carol, m)
	if err != nil {
		return race.Sample{}, err
	}
	s, err := play(ctx, site(p.B), l.path, sent)
	s.Extra = map[string]float64{"stored ms": milliseconds(stored.Sub(sent))}
	if err != nil {
		return s, err
	}
	if _, err := alice.Delivered(ctx, m); err != nil {
		return s, err
	}
	return s, errors.Join(carol.Delete(ctx, m), alice.Delete(ctx, m))
}

// firstFrame is the same in a browser, until it shows a picture.
func (b *bench) firstFrame(ctx context.Context, p *pair.Pair, n *peer.Nginx, missing error, size vam.Bytes, front, back peer.File) error {
	r := race.Race{
		Name: "first-frame", Title: "Until a browser shows the first picture of such a recording",
		Unit: "ms", Smaller: true, Base: nginxBare,
	}
	chrome, err := b.browser(ctx, p, nil)
	if errors.Is(err, peer.ErrMissing) {
		missing = err
	} else if err != nil {
		return err
	} else {
		defer func() { _ = chrome.Close() }()
		if err := b.warmUp(ctx, p, chrome, front); err != nil {
			return err
		}
	}
	r.Setting = fmt.Sprintf("%s, headless, on the same machine, nothing cached, HTTP/2. From the navigation until the first picture is shown; play is pressed as soon as the page is there.", version(chrome))
	visit := func(url string) (race.Sample, error) {
		v, err := chrome.Visit(url, 1)
		return race.Sample{Value: v.FrameMS, Extra: map[string]float64{"paint ms": v.PaintMS}}, err
	}
	r.Contestants = append(r.Contestants, race.Contestant{Name: nginxBare, Run: func(context.Context) (race.Sample, error) {
		if missing != nil {
			return race.Sample{}, missing
		}
		return visit(n.URL(peer.NginxPage))
	}})
	for _, c := range forms(front, back) {
		r.Contestants = append(r.Contestants, race.Contestant{Name: c.name, Run: func(ctx context.Context) (race.Sample, error) {
			if chrome == nil {
				return race.Sample{}, missing
			}
			w, err := b.deliver(ctx, p, c.file)
			if err != nil {
				return race.Sample{}, err
			}
			s, err := visit(w.url)
			return s, errors.Join(err, w.remove())
		}})
		r.Goals = append(r.Goals, race.Goal{Name: c.name, Ratio: 500, AtMost: true})
	}
	return b.race(ctx, r, b.runs)
}

// warmUp shows a browser a page, because its first one pays for its start.
func (b *bench) warmUp(ctx context.Context, p *pair.Pair, chrome *viewer.Browser, file peer.File) error {
	w, err := b.deliver(ctx, p, file)
	if err != nil {
		return err
	}
	_, err = chrome.Visit(w.url, 1)
	return errors.Join(err, w.remove())
}

// form is a recording and its row.
type form struct {
	name string
	file peer.File
}

func forms(front, back peer.File) []form {
	return []form{{watchPage, front}, {watchPage + indexLast, back}}
}

func version(c *viewer.Browser) string {
	if c == nil {
		return "Chromium"
	}
	return c.Version
}

package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/bench/pair"
	"github.com/videoactivmail/vam/bench/peer"
	"github.com/videoactivmail/vam/bench/viewer"
)

// Names of contestants in the figures of watching.
const (
	nginxBare = "nginx and a bare page"
	watchPage = "watch page"
	indexLast = ", index behind the media"
)

// visitor is whom links are for; it has no account.
const visitor = "dora@elsewhere.test"

// hd is an ordinary recording of that size.
func hd(size vam.Bytes, last bool) peer.Movie {
	return peer.Movie{Size: int64(size), Rate: 8_000_000, Width: 1280, Height: 720, IndexLast: last}
}

// movie makes a recording once for all that use it.
func (b *bench) movie(ctx context.Context, m peer.Movie) (peer.File, error) {
	if f, ok := b.movies[m]; ok {
		return f, nil
	}
	f, err := peer.MakeMovie(ctx, b.scratch, m)
	if err == nil {
		b.movies[m] = f
	}
	return f, err
}

// watched is a message at B that somebody has a link to.
type watched struct {
	m      pair.Ref
	url    string // of its page
	path   string // the same within the site
	stored time.Time
	remove func() error
}

// deliver sends a fresh edition of a recording from A to B and gives a link to it.
func (b *bench) deliver(ctx context.Context, p *pair.Pair, file peer.File) (watched, error) {
	b.edition++
	e, err := peer.NewEdition(file, b.edition)
	if err != nil {
		return watched{}, err
	}
	defer func() { _ = e.Close() }()
	return b.send(ctx, p, e, e.Size)
}

// deliverWhole is deliver for the file as it is.
func (b *bench) deliverWhole(ctx context.Context, p *pair.Pair, file peer.File) (watched, error) {
	f, err := os.Open(file.Path)
	if err != nil {
		return watched{}, err
	}
	defer func() { _ = f.Close() }()
	return b.send(ctx, p, f, file.Size)
}

func (b *bench) send(ctx context.Context, p *pair.Pair, content io.ReaderAt, size int64) (watched, error) {
	alice, bob := p.A.User(pair.Sender), p.B.User(pair.Recipient)
	id, err := alice.Prepare(ctx, content, size, pair.Recipient)
	if err != nil {
		return watched{}, err
	}
	m, _, err := alice.Send(ctx, id)
	if err != nil {
		return watched{}, err
	}
	stored, err := bob.Stored(ctx, m)
	if err != nil {
		return watched{}, fmt.Errorf("%w\n%s\n%s", err, p.A.Output(), p.B.Output())
	}
	w, err := link(ctx, bob, m)
	if err != nil {
		return w, err
	}
	w.stored = stored
	w.remove = func() error {
		// The sender deletes what it has been told of.
		if _, err := alice.Delivered(ctx, m); err != nil {
			return err
		}
		if err := bob.Delete(ctx, m); err != nil {
			return err
		}
		return alice.Delete(ctx, m)
	}
	return w, nil
}

// link gives one to a message of u's mailbox.
func link(ctx context.Context, u *pair.User, m pair.Ref) (watched, error) {
	text, err := u.Link(ctx, m, visitor)
	if err != nil {
		return watched{}, err
	}
	at, err := url.Parse(text)
	return watched{m: m, url: text, path: at.EscapedPath()}, err
}

// site is where the watch pages of a domain are.
func site(d *pair.Domain) viewer.Site {
	host, addr, trust := d.Watch()
	return viewer.Site{Host: host, Addr: addr, TLS: trust, Protocol: viewer.H2}
}

// bareSite is where nginx has its page.
func bareSite(n *peer.Nginx) viewer.Site {
	host, addr, trust := n.Endpoint()
	return viewer.Site{Host: host, Addr: addr, TLS: trust, Protocol: viewer.H2}
}

// browser starts one that finds B, and what else is named.
func (b *bench) browser(ctx context.Context, p *pair.Pair, others map[string]netip.AddrPort) (*viewer.Browser, error) {
	host, addr, _ := p.B.Watch()
	hosts := map[string]netip.AddrPort{host: addr}
	maps.Copy(hosts, others)
	return viewer.StartBrowser(ctx, filepath.Join(b.root, "ui"), b.scratch, hosts)
}

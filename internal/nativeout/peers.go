// Package nativeout reaches other domains over VAM/1: it carries offers to them and
// pulls their messages.
package nativeout

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amclient"
	"github.com/videoactivmail/vam/internal/discovery"
)

// Finder finds the servers of a domain.
type Finder interface {
	Lookup(ctx context.Context, d vam.Domain) (*discovery.Result, error)
	Forget(d vam.Domain)
}

// Options of New.
type Options struct {
	Finder Finder
	Dialer *amclient.Dialer
	// Key is the request key of one of this server's domains.
	Key    func(d vam.Domain) (activmail.RequestKey, error)
	Mode   amclient.Mode
	Limits activmail.Limits
	Lanes  int // connections for media over each network; 0 is 8
	Now    func() time.Time
	Log    *slog.Logger
}

// maxPeers is how many peers keep their connections and measurements; the least
// recently used one above it is closed when nothing uses it.
const maxPeers = 512

// Peers is safe for concurrent use. Close it after everything that uses it.
type Peers struct {
	o     Options
	mu    sync.Mutex
	peers map[pair]*peer
	gone  amclient.Stats // sums of closed clients

	media map[amclient.Network]*atomic.Int64 // octets that were asked for and answered; read-only map
}

// pair is who speaks to whom: requests are signed by one domain (AM-2.24).
type pair struct{ as, to vam.Domain }

type peer struct {
	client  *amclient.Client
	expires time.Time // of the endpoints
	used    time.Time
	users   int
}

// New returns the way to all peers. It opens nothing yet.
func New(o Options) *Peers {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Peers{
		o: o, peers: map[pair]*peer{},
		media: map[amclient.Network]*atomic.Int64{amclient.TCP: {}, amclient.UDP: {}},
	}
}

// Close ends every connection.
func (p *Peers) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for k, x := range p.peers {
		_ = x.client.Close()
		delete(p.peers, k)
	}
	return nil
}

// Stats sums what was sent and received over all peers since New.
func (p *Peers) Stats() (sent, received int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sent, received = p.gone.Sent, p.gone.Received
	for _, x := range p.peers {
		s := x.client.Stats()
		sent, received = sent+s.Sent, received+s.Received
	}
	return sent, received
}

// Media is how many octets of media came over a network since New, ranges that broke off
// included.
func (p *Peers) Media(n amclient.Network) int64 {
	if c := p.media[n]; c != nil {
		return c.Load()
	}
	return 0
}

// client returns the client for a pair of domains with one more user; call done.
// Errors: NotVAM, Unavailable (AM-7.31, AM-14.4).
func (p *Peers) client(ctx context.Context, as, to vam.Domain) (_ *amclient.Client, done func(), err error) {
	found, err := p.o.Finder.Lookup(ctx, to)
	if err != nil {
		return nil, nil, err
	}
	key, err := p.o.Key(as)
	if err != nil {
		return nil, nil, err
	}
	x, old, err := p.use(pair{as, to}, key, found)
	if old != nil { // outside of the lock: it may take a while
		_ = old.Close()
	}
	if err != nil {
		return nil, nil, err
	}
	return x.client, sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		x.users--
	}), nil
}

// use returns the peer with one more user, and a client that is to be closed for it.
func (p *Peers) use(who pair, key activmail.RequestKey, found *discovery.Result) (x *peer, old *amclient.Client, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x = p.peers[who]
	switch {
	case x == nil:
		client, err := amclient.New(p.o.Dialer, amclient.Options{
			Endpoints: endpoints(found), Mode: p.o.Mode, Key: &key, Limits: p.o.Limits, Lanes: p.o.Lanes, Now: p.o.Now,
		})
		if err != nil {
			return nil, nil, err
		}
		x = &peer{client: client, expires: found.Expires}
		old = p.evict()
		p.peers[who] = x
	case !x.expires.Equal(found.Expires):
		if err := x.client.SetEndpoints(endpoints(found)); err != nil {
			return nil, nil, err
		}
		x.expires = found.Expires
	}
	x.users++
	x.used = p.o.Now()
	return x, old, nil
}

// evict takes the peer out that was not used for longest, if there are too many; mu is
// held.
func (p *Peers) evict() *amclient.Client {
	if len(p.peers) < maxPeers {
		return nil
	}
	var oldest pair
	var at time.Time
	for k, x := range p.peers {
		if x.users == 0 && (at.IsZero() || x.used.Before(at)) {
			oldest, at = k, x.used
		}
	}
	x := p.peers[oldest]
	if x == nil {
		return nil
	}
	s := x.client.Stats()
	p.gone.Sent, p.gone.Received = p.gone.Sent+s.Sent, p.gone.Received+s.Received
	delete(p.peers, oldest)
	return x.client
}

// endpoints is AM-11.12.
func endpoints(r *discovery.Result) []amclient.Endpoint {
	out := make([]amclient.Endpoint, 0, len(r.TCP)+len(r.UDP))
	add := func(network amclient.Network, list []discovery.Endpoint) {
		for _, e := range list {
			addrs := make([]netip.AddrPort, 0, len(e.Addrs))
			addrs = append(addrs, e.AddrPorts()...)
			out = append(out, amclient.Endpoint{Network: network, Addrs: addrs, ServerName: e.ServerName, Verify: e.Verify})
		}
	}
	add(amclient.TCP, r.TCP)
	add(amclient.UDP, r.UDP)
	return out
}

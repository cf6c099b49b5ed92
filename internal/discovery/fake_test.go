package discovery_test

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/discovery"
)

// dns is a Resolver over maps. What is in no map is not found.
type dns struct {
	mu     sync.Mutex
	srv    map[string]discovery.Answer[discovery.SRV]
	txt    map[string]discovery.Answer[string]
	tlsa   map[string]discovery.Answer[discovery.TLSA]
	addrs  map[string]discovery.Answer[netip.Addr]
	errs   map[string]error // by name; over the records
	absent discovery.NotFoundError
	asked  map[string]int
	gate   chan struct{} // when not nil, every question waits for it or its context
}

func newDNS() *dns {
	return &dns{
		srv:    make(map[string]discovery.Answer[discovery.SRV]),
		txt:    make(map[string]discovery.Answer[string]),
		tlsa:   make(map[string]discovery.Answer[discovery.TLSA]),
		addrs:  make(map[string]discovery.Answer[netip.Addr]),
		errs:   make(map[string]error),
		absent: discovery.NotFoundError{TTL: time.Hour},
		asked:  make(map[string]int),
	}
}

func ask[T any](ctx context.Context, d *dns, from map[string]discovery.Answer[T], name, qtype string) (discovery.Answer[T], error) {
	d.mu.Lock()
	d.asked[name]++
	a, ok := from[name]
	err := d.errs[name]
	gate := d.gate
	absent := d.absent
	d.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return discovery.Answer[T]{}, ctx.Err()
		}
	}
	switch {
	case err != nil:
		return discovery.Answer[T]{}, err
	case !ok:
		absent.Name, absent.Type = name, qtype
		return discovery.Answer[T]{}, &absent
	}
	return a, nil
}

func (d *dns) LookupSRV(ctx context.Context, name string) (discovery.Answer[discovery.SRV], error) {
	return ask(ctx, d, d.srv, name, "SRV")
}

func (d *dns) LookupTXT(ctx context.Context, name string) (discovery.Answer[string], error) {
	return ask(ctx, d, d.txt, name, "TXT")
}

func (d *dns) LookupTLSA(ctx context.Context, name string) (discovery.Answer[discovery.TLSA], error) {
	return ask(ctx, d, d.tlsa, name, "TLSA")
}

func (d *dns) LookupAddrs(ctx context.Context, name string) (discovery.Answer[netip.Addr], error) {
	return ask(ctx, d, d.addrs, name, "A/AAAA")
}

func (d *dns) times(name string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[name]
}

func (d *dns) change(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// clock is a time that a test moves by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// documents is a PolicySource over a map; a domain that is not in it fails with err.
type documents struct {
	mu      sync.Mutex
	of      map[vam.Domain]activmail.Policy
	err     error
	fetched int
}

func (p *documents) FetchPolicy(_ context.Context, d vam.Domain) (activmail.Policy, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fetched++
	if doc, ok := p.of[d]; ok {
		return doc, nil
	}
	return activmail.Policy{}, p.err
}

func (p *documents) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

const (
	tcpB = "_video-activmail._tcp.b.example"
	udpB = "_video-activmail._udp.b.example"
)

// publish fills d with the records of b.example: one server on both transports.
func (d *dns) publish(secure bool) {
	one := discovery.Answer[discovery.SRV]{
		Records: []discovery.SRV{{Target: "vam1.b.example", Port: 1398, Priority: 10, Weight: 1}},
		TTL:     10 * time.Minute, Authenticated: secure,
	}
	d.srv[tcpB], d.srv[udpB] = one, one
	d.addrs["vam1.b.example"] = discovery.Answer[netip.Addr]{
		Records: addrs("1.2.3.4", "2606:4700::1"), TTL: 20 * time.Minute, Authenticated: secure,
	}
}

package dnsresolver

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/discovery"
)

// Limits and defaults.
const (
	// DefaultTimeout is how long one question may take before the next server is
	// asked.
	DefaultTimeout = 3 * time.Second
	// DefaultRounds is how often the list of servers is gone through.
	DefaultRounds = 2
	// maxInFlight bounds the questions under way, each of which has a socket.
	maxInFlight = 256
	// maxServers is how many servers of a list are used.
	maxServers = 4
	// udpSize is the longest answer over UDP that is asked for (DNS flag day 2020).
	udpSize = 1232
)

// Options of a Resolver. The zero value asks the servers of /etc/resolv.conf.
type Options struct {
	// Servers are recursive servers, asked in this order; empty takes those of
	// ResolvConf, which is read again when it changes.
	Servers []netip.AddrPort
	// ResolvConf is the file with the system's servers; "" is /etc/resolv.conf.
	ResolvConf string
	// Timeout of one question to one server; 0 is DefaultTimeout.
	Timeout time.Duration
	// Rounds through the servers; 0 is DefaultRounds.
	Rounds int
	// Dial opens a connection to a server; nil is that of net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Resolver asks DNS. It implements discovery.Resolver and is safe for concurrent use.
type Resolver struct {
	servers func() ([]netip.AddrPort, error)
	timeout time.Duration
	rounds  int
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	slots   chan struct{}
}

var _ discovery.Resolver = (*Resolver)(nil)

// New returns a Resolver. Errors: Unavailable when the servers are those of a file
// that cannot be read or names none.
func New(o Options) (*Resolver, error) {
	r := &Resolver{timeout: o.Timeout, rounds: o.Rounds, dial: o.Dial, slots: make(chan struct{}, maxInFlight)}
	if r.timeout <= 0 {
		r.timeout = DefaultTimeout
	}
	if r.rounds <= 0 {
		r.rounds = DefaultRounds
	}
	if r.dial == nil {
		r.dial = new(net.Dialer).DialContext
	}
	if len(o.Servers) > 0 {
		fixed := slices.Clone(o.Servers)
		r.servers = func() ([]netip.AddrPort, error) { return fixed, nil }
		return r, nil
	}
	file := &resolvConf{path: o.ResolvConf}
	if file.path == "" {
		file.path = "/etc/resolv.conf"
	}
	r.servers = file.servers
	_, err := r.servers()
	return r, err
}

// LookupSRV implements discovery.Resolver.
func (r *Resolver) LookupSRV(ctx context.Context, name string) (discovery.Answer[discovery.SRV], error) {
	return lookup(ctx, r, name, dns.TypeSRV, readSRV)
}

// LookupTXT implements discovery.Resolver.
func (r *Resolver) LookupTXT(ctx context.Context, name string) (discovery.Answer[string], error) {
	return lookup(ctx, r, name, dns.TypeTXT, readTXT)
}

// LookupTLSA implements discovery.Resolver.
func (r *Resolver) LookupTLSA(ctx context.Context, name string) (discovery.Answer[discovery.TLSA], error) {
	return lookup(ctx, r, name, dns.TypeTLSA, readTLSA)
}

// LookupAddrs implements discovery.Resolver. One family that fails does not hide the
// other; what is then known is kept for a short time only.
func (r *Resolver) LookupAddrs(ctx context.Context, host string) (discovery.Answer[netip.Addr], error) {
	var four, six discovery.Answer[netip.Addr]
	var err4, err6 error
	var wg sync.WaitGroup
	wg.Go(func() { four, err4 = lookup(ctx, r, host, dns.TypeA, readAddr) })
	wg.Go(func() { six, err6 = lookup(ctx, r, host, dns.TypeAAAA, readAddr) })
	wg.Wait()
	switch {
	case err4 == nil && err6 == nil:
		return discovery.Answer[netip.Addr]{
			Records:       append(six.Records, four.Records...),
			TTL:           min(four.TTL, six.TTL),
			Authenticated: four.Authenticated && six.Authenticated,
		}, nil
	case err4 == nil:
		return without(four, err6), nil
	case err6 == nil:
		return without(six, err4), nil
	}
	return none(host, err4, err6)
}

// without limits what is said of one family by what is known of the other.
func without(a discovery.Answer[netip.Addr], err error) discovery.Answer[netip.Addr] {
	const patchy = 30 * time.Second
	var nf *discovery.NotFoundError
	if !errors.As(err, &nf) {
		a.TTL = min(a.TTL, patchy)
		a.Authenticated = false
		return a
	}
	a.Authenticated = a.Authenticated && nf.Authenticated
	return a
}

func none(host string, err4, err6 error) (discovery.Answer[netip.Addr], error) {
	var nf4, nf6 *discovery.NotFoundError
	if errors.As(err4, &nf4) && errors.As(err6, &nf6) {
		return discovery.Answer[netip.Addr]{}, &discovery.NotFoundError{
			Name: host, Type: "A/AAAA", TTL: min(nf4.TTL, nf6.TTL), Authenticated: nf4.Authenticated && nf6.Authenticated,
		}
	}
	if nf4 != nil {
		return discovery.Answer[netip.Addr]{}, err6
	}
	return discovery.Answer[netip.Addr]{}, err4
}

// lookup asks and reads the answer's records of one type.
func lookup[T any](ctx context.Context, r *Resolver, name string, qtype uint16, read func(dns.RR) (T, bool)) (discovery.Answer[T], error) {
	var none discovery.Answer[T]
	m, trusted, err := r.ask(ctx, name, qtype)
	if err != nil {
		return none, err
	}
	set, ttl, ok := follow(m, qtype)
	if !ok {
		return none, vam.Errorf(vam.Unavailable, "the DNS answer for %s has a loop of aliases", name)
	}
	a := discovery.Answer[T]{TTL: ttl, Authenticated: trusted && m.AuthenticatedData}
	for _, rr := range set {
		if v, ok := read(rr); ok {
			a.Records = append(a.Records, v)
		}
	}
	if len(a.Records) > 0 {
		return a, nil
	}
	if len(set) > 0 {
		return none, vam.Errorf(vam.Unavailable, "the DNS answer for %s cannot be read", name)
	}
	// An alias on the way to nothing may lead elsewhere before the absence is over.
	return none, &discovery.NotFoundError{Name: name, Type: dns.TypeToString[qtype], TTL: min(negativeTTL(m), ttl), Authenticated: a.Authenticated}
}

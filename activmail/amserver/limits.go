package amserver

import (
	"net/netip"
	"sync"
	"time"
)

// ConnLimits bound connections. A zero field takes its default (AM-11.20).
type ConnLimits struct {
	// Connections is the greatest number of connections, TCP and UDP together;
	// default 20,000.
	Connections int
	// PerAddress is the greatest number from one IPv4 address or one IPv6 /64;
	// default 256.
	PerAddress int
	// NewPerSecond is how many new connections one address may make per second in the
	// long run, with a burst of four seconds' worth; default 50.
	NewPerSecond int
	// Handshake is how long a handshake may take; default 10 s.
	Handshake time.Duration
	// Idle is when a connection without requests is closed; default 3 min over TCP. Over
	// UDP a silent path is given up after 60 s whatever this says.
	Idle time.Duration
	// Unvalidated is the number of QUIC handshakes from unvalidated addresses under way
	// above which new ones are sent a Retry first (RFC 9000 section 8.1); default 32.
	// With Retry the server sends no more octets to an address than it got from there.
	Unvalidated int
	// Resets is how many requests one connection may abandon per second in the long
	// run, with a burst of ten seconds' worth, before it is closed; default 50.
	Resets int
}

func (l ConnLimits) withDefaults() ConnLimits {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	set(&l.Connections, 20_000)
	set(&l.PerAddress, 256)
	set(&l.NewPerSecond, 50)
	set(&l.Unvalidated, 32)
	set(&l.Resets, 50)
	if l.Handshake == 0 {
		l.Handshake = 10 * time.Second
	}
	if l.Idle == 0 {
		l.Idle = 3 * time.Minute
	}
	return l
}

// bucket is a token bucket without a clock of its own.
type bucket struct {
	tokens float64
	last   time.Time
}

// take removes a token, where there is one, from a bucket that fills by rate per
// second up to burst.
func (b *bucket) take(now time.Time, rate, burst float64) bool {
	b.fill(now, rate, burst)
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

func (b *bucket) fill(now time.Time, rate, burst float64) {
	if b.last.IsZero() {
		b.tokens = burst
	} else if d := now.Sub(b.last).Seconds(); d > 0 {
		b.tokens = min(burst, b.tokens+d*rate)
	}
	b.last = now
}

// admission counts connections, in total and per address. It is safe for concurrent
// use. An address is remembered only while it has connections or an unfilled bucket.
type admission struct {
	limits ConnLimits
	now    func() time.Time

	mu    sync.Mutex
	total int
	addrs map[netip.Prefix]*addressState
	prune int // size of addrs at which the next clean-up is due
}

type addressState struct {
	open   int
	bucket bucket
}

func newAdmission(limits ConnLimits, now func() time.Time) *admission {
	return &admission{limits: limits, now: now, addrs: make(map[netip.Prefix]*addressState), prune: 1024}
}

// enter takes a place for a connection from addr, to be given back by leave. The
// refusal says which limit was met; "" is admitted.
func (a *admission) enter(addr netip.Addr) (refusal string) {
	key, now := addressKey(addr), a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.total >= a.limits.Connections {
		return "too many connections to this server"
	}
	s := a.addrs[key]
	if s == nil {
		a.cleanLocked(now)
		s = &addressState{}
		a.addrs[key] = s
	}
	if s.open >= a.limits.PerAddress {
		return "too many connections from this address"
	}
	if rate := float64(a.limits.NewPerSecond); !s.bucket.take(now, rate, 4*rate) {
		return "too many new connections from this address"
	}
	s.open++
	a.total++
	return ""
}

func (a *admission) leave(addr netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.total--
	if s := a.addrs[addressKey(addr)]; s != nil {
		s.open--
	}
}

func (a *admission) open() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.total
}

// cleanLocked forgets addresses that nothing needs to be known of. It runs when the
// table has doubled, so its cost per connection is constant.
func (a *admission) cleanLocked(now time.Time) {
	if len(a.addrs) < a.prune {
		return
	}
	rate := float64(a.limits.NewPerSecond)
	for key, s := range a.addrs {
		if s.bucket.fill(now, rate, 4*rate); s.open == 0 && s.bucket.tokens >= 4*rate {
			delete(a.addrs, key)
		}
	}
	a.prune = max(1024, 2*len(a.addrs))
}

// addressKey is what counts as one address: a host has a /64 of IPv6 to itself.
func addressKey(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

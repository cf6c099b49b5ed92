package amclient

import (
	"sync"
	"time"
)

// Mode says which networks a client may use.
type Mode string

// The modes.
const (
	Auto    Mode = "auto" // what was measured to be better for this peer
	TCPOnly Mode = "tcp"
	UDPOnly Mode = "udp"
)

const (
	// defaultHedge is how long the preferred network may take to connect before the
	// other one is started as well: where UDP is filtered, nobody notices.
	defaultHedge = 200 * time.Millisecond
	// switchGain is how much better the other network must be measured before it takes
	// over, so that noise does not move transfers to and fro.
	switchGain = 1.25
	// A network that was not measured for this long is tried with one transfer. The
	// time doubles while the trial loses.
	firstProbe = 10 * time.Minute
	lastProbe  = 6 * time.Hour
	// enoughRate, in octets per second for one transfer, is what needs no trial of the
	// other network: QUIC in user space hardly moves more.
	enoughRate = 60e6
	// A network that failed is second choice for a while, doubling while it fails.
	firstPenalty = time.Second
	lastPenalty  = 5 * time.Minute
)

// choice decides which network carries a request, from what was measured with this
// peer. It has no clock of its own and is safe for concurrent use.
type choice struct {
	mode Mode

	mu      sync.Mutex
	of      map[Network]*measured
	current map[bool]Network // by bulk: what is used now
	probing bool
}

// measured is what is known of one network.
type measured struct {
	rate, latency average // octets per second of waiting; seconds to the first octet
	rateAt        time.Time
	probeAfter    time.Duration
	// small and bulk are told apart: a path that loses large packets carries requests
	// and stalls every transfer.
	small, bulk trouble
}

func (m *measured) trouble(bulk bool) *trouble {
	if bulk {
		return &m.bulk
	}
	return &m.small
}

// trouble is what went wrong in a row.
type trouble struct {
	failures   int
	avoidUntil time.Time
}

func (t *trouble) add(now time.Time) {
	t.failures++
	t.avoidUntil = now.Add(min(firstPenalty<<min(t.failures-1, 20), lastPenalty))
}

// average is an exponentially weighted one.
type average struct {
	value float64
	known bool
}

func (a *average) add(v float64) {
	const weight = 0.3
	if !a.known {
		*a = average{v, true}
		return
	}
	a.value += weight * (v - a.value)
}

func newChoice(mode Mode) *choice {
	return &choice{
		mode:    mode,
		of:      map[Network]*measured{TCP: {probeAfter: firstProbe}, UDP: {probeAfter: firstProbe}},
		current: map[bool]Network{},
	}
}

// plan is the order in which networks are used for a request. Second is started when
// First fails or has not connected after Hedge; "" is none.
type plan struct {
	first, second Network
	hedge         time.Duration
	probe         bool // a trial: report it by observe, failed or abandon
}

func other(n Network) Network {
	if n == TCP {
		return UDP
	}
	return TCP
}

// plan decides for a request; have says which networks the peer has. bulk is a transfer
// that is worth a trial. An empty first says that no network is left (AM-11.10).
func (c *choice) plan(now time.Time, have map[Network]bool, bulk bool) plan {
	switch {
	case c.mode == TCPOnly, c.mode == UDPOnly:
		if n := Network(c.mode); have[n] {
			return plan{first: n}
		}
		return plan{}
	case !have[TCP] && !have[UDP]:
		return plan{}
	case !have[UDP]:
		return plan{first: TCP}
	case !have[TCP]:
		return plan{first: UDP}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.preferLocked(bulk)
	p := plan{first: first, second: other(first), hedge: defaultHedge}
	avoid := func(n Network) bool { return now.Before(c.of[n].trouble(bulk).avoidUntil) }
	avoidFirst, avoidSecond := avoid(p.first), avoid(p.second)
	switch {
	case avoidFirst && !avoidSecond:
		p.first, p.second = p.second, p.first
	case bulk && !avoidSecond && c.probeDueLocked(now, p.second):
		p.first, p.second = p.second, p.first
		p.probe, c.probing = true, true
	}
	if l := c.of[p.first].latency; l.known {
		p.hedge = min(max(time.Duration(4*l.value*float64(time.Second)), 50*time.Millisecond), time.Second)
	}
	return p
}

// preferLocked is the network that was measured to be better, TCP while nothing is
// known: it costs a quarter of the processor time.
func (c *choice) preferLocked(bulk bool) Network {
	now, ok := c.current[bulk]
	if !ok {
		now = TCP
	}
	a, b := c.of[now], c.of[other(now)]
	better := a.rate.known && b.rate.known && b.rate.value > switchGain*a.rate.value
	if !bulk {
		better = a.latency.known && b.latency.known && switchGain*b.latency.value < a.latency.value
	}
	if better {
		now = other(now)
	}
	c.current[bulk] = now
	return now
}

func (c *choice) probeDueLocked(now time.Time, n Network) bool {
	used, m := c.of[other(n)], c.of[n]
	if c.probing || !used.rate.known || used.rate.value >= enoughRate {
		return false
	}
	return m.rateAt.IsZero() || now.Sub(m.rateAt) >= m.probeAfter
}

// answered notes how long a network took from a request to the header of its answer.
func (c *choice) answered(n Network, latency time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[n].latency.add(latency.Seconds())
}

// carried notes an answer that arrived whole; it ends the penalty of what it proves.
func (c *choice) carried(n Network, bulk bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.of[n]
	m.small = trouble{}
	if bulk {
		m.bulk = trouble{}
	}
}

// observe notes a transfer: octets in the time that was spent waiting for them.
func (c *choice) observe(now time.Time, n Network, octets int64, waited time.Duration, probe bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.of[n]
	m.rate.add(float64(octets) / max(waited, 100*time.Microsecond).Seconds())
	m.rateAt = now
	if !probe {
		return
	}
	c.probing = false
	if o := c.of[other(n)]; o.rate.known && m.rate.value <= switchGain*o.rate.value {
		m.probeAfter = min(2*m.probeAfter, lastProbe)
	} else {
		m.probeAfter = firstProbe
	}
}

// unreachable notes that no connection could be made over a network.
func (c *choice) unreachable(now time.Time, n Network) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of[n].small.add(now)
	c.of[n].bulk.add(now)
}

// failed notes that a network did not carry a request.
func (c *choice) failed(now time.Time, n Network, bulk, probe bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.of[n]
	m.trouble(bulk).add(now)
	if probe {
		c.probing = false
		m.rateAt = now
		m.probeAfter = min(2*m.probeAfter, lastProbe)
	}
}

// abandon ends a trial that said nothing.
func (c *choice) abandon(probe bool) {
	if !probe {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.probing = false
}

// snapshot is what is known of a network: octets per second and seconds, 0 for unknown.
func (c *choice) snapshot(n Network) (rate float64, latency time.Duration, failures int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.of[n]
	return m.rate.value, time.Duration(m.latency.value * float64(time.Second)), max(m.small.failures, m.bulk.failures)
}

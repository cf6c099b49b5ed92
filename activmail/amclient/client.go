package amclient

import (
	"context"
	"crypto/tls"
	"slices"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/internal/wire"
)

// Options say who the peer is and who asks.
type Options struct {
	// Endpoints are the ways to the peer in the order of discovery; those of one network
	// are tried in turn.
	Endpoints []Endpoint
	// Mode says which networks may be used; "" is Auto.
	Mode Mode
	// Key signs requests; nil where only pulls are made.
	Key *activmail.RequestKey
	// Limits bound what is read; zero is activmail.DefaultLimits.
	Limits activmail.Limits
	// Lanes is the number of connections for media over each network; 0 is 8.
	Lanes int
	// Stall is how long an answer may be silent before it is given up, so that the
	// caller goes on where it stopped, over the other network where there is one; 0 is
	// 5 s. The time that a caller asked a peer to wait is not counted.
	Stall time.Duration
	// Idle closes a TCP connection without requests; 0 is 30 s. One over UDP, which
	// sends keep-alives every two seconds, is closed after a third of it.
	Idle time.Duration
	// Now is the clock of signatures and measurements; nil is time.Now.
	Now func() time.Time
}

// Client speaks to one peer. It is safe for concurrent use.
type Client struct {
	options Options
	dialer  *Dialer
	choice  *choice
	count   wire.Counter
	lanes   map[Network]*lanes
	ctx     context.Context
	cancel  context.CancelFunc

	mu   sync.Mutex
	have map[Network]bool
}

// New makes a Client; it connects with the first request. Errors: Invalid.
func New(d *Dialer, options Options) (*Client, error) {
	if options.Limits == (activmail.Limits{}) {
		options.Limits = activmail.DefaultLimits()
	}
	if options.Mode == "" {
		options.Mode = Auto
	}
	if options.Mode != Auto && options.Mode != TCPOnly && options.Mode != UDPOnly {
		return nil, vam.Errorf(vam.Invalid, "%q is not a transport: auto, tcp or udp is wanted", options.Mode)
	}
	if options.Lanes == 0 {
		options.Lanes = 8
	}
	if options.Stall == 0 {
		options.Stall = 5 * time.Second
	}
	if options.Idle == 0 {
		options.Idle = lanesIdle
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	c := &Client{options: options, dialer: d, choice: newChoice(options.Mode)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.lanes = map[Network]*lanes{}
	for n, idle := range map[Network]time.Duration{TCP: options.Idle, UDP: options.Idle / 3} {
		c.lanes[n] = &lanes{
			dialer: d, sessions: tls.NewLRUClientSessionCache(8), count: &c.count, idle: idle, ctx: c.ctx,
			failed:  func() { c.choice.unreachable(options.Now(), n) },
			control: newLanes(controlLanes), bulk: newLanes(options.Lanes),
		}
	}
	if err := c.SetEndpoints(options.Endpoints); err != nil {
		c.cancel()
		return nil, err
	}
	return c, nil
}

// SetEndpoints replaces the ways to the peer, as DNS answers run out. Requests under way
// go on; connections to an authority that is not among the new ones take no further
// request. Errors: Invalid.
func (c *Client) SetEndpoints(endpoints []Endpoint) error {
	of := map[Network][]Endpoint{}
	for _, e := range endpoints {
		if err := e.validate(); err != nil {
			return err
		}
		e.Addrs = slices.Clone(e.Addrs)
		of[e.Network] = append(of[e.Network], e)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.have = map[Network]bool{TCP: len(of[TCP]) > 0, UDP: len(of[UDP]) > 0}
	for network, l := range c.lanes {
		l.setEndpoints(of[network])
	}
	return nil
}

// Close ends every connection and every request under way.
func (c *Client) Close() error {
	c.cancel()
	for _, l := range c.lanes {
		l.closeAll()
	}
	return nil
}

// Stats are figures of a client.
type Stats struct {
	// Sent and Received are octets of the HTTP connections before TLS or QUIC framing,
	// headers included.
	Sent, Received int64
	// Networks is what was measured.
	Networks map[Network]NetworkStats
}

// NetworkStats is what was measured of one network; zero is unknown.
type NetworkStats struct {
	Rate     float64       // octets per second of one transfer
	Latency  time.Duration // from a request to its answer
	Failures int           // in a row, of requests or of transfers
}

// Stats returns the present figures.
func (c *Client) Stats() Stats {
	sent, received := c.count.Totals()
	s := Stats{Sent: sent, Received: received, Networks: map[Network]NetworkStats{}}
	for _, n := range []Network{TCP, UDP} {
		rate, latency, failures := c.choice.snapshot(n)
		s.Networks[n] = NetworkStats{rate, latency, failures}
	}
	return s
}

// lanesIdle is the default of Options.Idle.
const lanesIdle = 30 * time.Second

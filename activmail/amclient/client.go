package amclient

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
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
	// Lanes is the number of connections for media over each network; 0 is 4.
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
		options.Lanes = 4
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
			failed: func() { c.choice.failed(options.Now(), n, false) }, control: &lane{},
		}
		for range options.Lanes {
			c.lanes[n].bulk = append(c.lanes[n].bulk, &lane{})
		}
	}
	if err := c.SetEndpoints(options.Endpoints); err != nil {
		c.cancel()
		return nil, err
	}
	return c, nil
}

// SetEndpoints replaces the ways to the peer, as DNS answers run out. Connections that
// are there stay until they are idle. Errors: Invalid.
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
	Failures int           // in a row
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

// attempts is how often a request is sent at most: once on a connection that the peer
// may just have closed, once on a fresh one, once over the other network.
const attempts = 3

// do sends a call and returns the answer as soon as its header is there. Every request
// of VAM/1 may be sent again (AM-1.16), so a connection that breaks is no failure yet.
func (c *Client) do(ctx context.Context, call *call) (*answer, error) {
	var errs []error
	for range attempts {
		c.mu.Lock()
		have := c.have
		c.mu.Unlock()
		p := c.choice.plan(c.options.Now(), have, call.bulk)
		if p.first == "" {
			return nil, vam.Errorf(vam.Unavailable, "the peer has no endpoint for the transport %q", c.options.Mode)
		}
		lease, err := c.connect(ctx, p, call.bulk)
		if err != nil {
			c.choice.abandon(p.probe)
			errs = append(errs, err)
			break
		}
		probe := p.probe && lease.network == p.first
		if p.probe && !probe {
			c.choice.abandon(true)
		}
		a, err := c.send(ctx, lease, call, probe)
		if err == nil {
			return a, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil || c.ctx.Err() != nil || !errors.As(err, new(*brokenError)) {
			c.choice.abandon(probe)
			break
		}
		c.choice.failed(c.options.Now(), lease.network, probe)
	}
	if err := context.Cause(ctx); err != nil {
		return nil, vam.Wrap(vam.Unavailable, err, "the request was given up here")
	}
	return nil, unavailable(errors.Join(errs...))
}

// unavailable classifies what a network or a handshake did, and leaves what is
// classified.
func unavailable(err error) error {
	var e *vam.Error
	if errors.As(err, &e) && e.Kind != vam.Internal {
		return err
	}
	return vam.Wrap(vam.Unavailable, err, "the peer could not be reached")
}

// connect returns a connection of the planned networks: one that is there, or the first
// that can be made.
func (c *Client) connect(ctx context.Context, p plan, bulk bool) (*lease, error) {
	if l := c.lanes[p.first].ready(bulk); l != nil {
		return l, nil
	}
	order := []Network{p.first}
	if p.second != "" {
		order = append(order, p.second)
	}
	return race(ctx, len(order), p.hedge, func(ctx context.Context, i int) (*lease, error) {
		return c.lanes[order[i]].get(ctx, bulk)
	}, func(late *lease) { late.release(false) })
}

// brokenError is a connection that did not carry a request: it is worth another try.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

// send makes one attempt on a connection.
func (c *Client) send(ctx context.Context, lease *lease, call *call, probe bool) (*answer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	stopClose := context.AfterFunc(c.ctx, func() { cancel(errClientClosed()) })
	end := func(spoiled bool, cause error) {
		stopClose()
		cancel(cause)
		lease.release(spoiled)
	}
	req, err := call.request(ctx, lease.authority, c.options)
	if err != nil {
		end(false, err)
		return nil, err
	}
	start := time.Now()
	stall := time.AfterFunc(c.options.Stall+call.patience(), func() { cancel(errStalled(c.options.Stall)) })
	resp, err := lease.RoundTrip(req)
	stall.Stop()
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		spoiled := lease.broken() || errors.As(err, new(*stalledError))
		end(spoiled, err)
		return nil, &brokenError{vam.Wrap(vam.Unavailable, err, "the connection to the peer broke over %s", lease.network)}
	}
	if call.wait == 0 {
		c.choice.connected(lease.network, time.Since(start))
	}
	body := &body{
		ReadCloser: resp.Body, client: c, ctx: ctx, cancel: cancel, end: end,
		network: lease.network, probe: probe,
	}
	resp.Body = body
	return &answer{Response: resp, body: body}, nil
}

// answer is an answer of which the body is still to be read; Body must be closed.
type answer struct {
	*http.Response
	body *body
}

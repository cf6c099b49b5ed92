package netem

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Ending is how a connection is cut.
type Ending int

// Both endings hand over every octet that was granted before. Fin closes in order,
// as a process does that exits; Rst resets, as a machine does that has lost its
// state, a load balancer or a firewall.
const (
	Fin Ending = iota
	Rst
)

// Stats counts what a TCPLink has done since it was opened.
type Stats struct {
	// Carried is the number of octets handed to the receiving side, by Direction.
	Carried [2]int64
	// Accepted is the number of connections taken, Open how many are up now, Cut how
	// many the link itself ended.
	Accepted, Open, Cut int
}

// Total is Carried in both directions together.
func (s Stats) Total() int64 { return s.Carried[ToTarget] + s.Carried[ToClient] }

// TCPLink forwards TCP connections with a Shape in each direction. Rate and faults
// belong to the link: its connections share them. All methods are safe for
// concurrent use.
type TCPLink struct {
	target string
	addr   net.Addr
	dialer net.Dialer
	lanes  [2]*lane
	ctx    context.Context // ends with Close
	stop   context.CancelFunc
	wg     sync.WaitGroup

	buffers chunkPool

	mu       sync.Mutex
	listener net.Listener // nil while refusing
	relays   map[*relay]struct{}
	resetNew bool
	closed   bool
	accepted int
	cuts     int
}

// OpenTCP listens and forwards until Close.
func OpenTCP(c Config) (*TCPLink, error) {
	link := &TCPLink{target: c.Target, relays: make(map[*relay]struct{}), dialer: net.Dialer{Timeout: 10 * time.Second}}
	if c.Source != "" {
		ip := net.ParseIP(c.Source)
		if ip == nil {
			return nil, fmt.Errorf("netem: source %q is not an IP address", c.Source)
		}
		link.dialer.LocalAddr = &net.TCPAddr{IP: ip}
	}
	for i, s := range c.Shapes {
		link.lanes[i] = &lane{shaper: NewShaper(s, c.Seed+uint64(i))}
	}
	link.ctx, link.stop = context.WithCancel(context.Background())
	if err := link.listen(c.Listen); err != nil {
		link.stop()
		return nil, err
	}
	return link, nil
}

// Addr is where the link listens, also while it refuses.
func (t *TCPLink) Addr() net.Addr { return t.addr }

// Close ends every connection, stops listening and waits for all of it.
func (t *TCPLink) Close() error {
	t.mu.Lock()
	t.closed = true
	l := t.listener
	t.listener = nil
	t.mu.Unlock()
	t.stop()
	var err error
	if l != nil {
		err = l.Close()
	}
	t.each(func(r *relay) { r.end(Fin) })
	t.wg.Wait()
	return err
}

// Stats returns the counters.
func (t *TCPLink) Stats() Stats {
	t.mu.Lock()
	s := Stats{Accepted: t.accepted, Open: len(t.relays), Cut: t.cuts}
	t.mu.Unlock()
	for i, l := range t.lanes {
		l.mu.Lock()
		s.Carried[i] = l.carried
		l.mu.Unlock()
	}
	return s
}

// SetShape changes a direction for what enters it from now on.
func (t *TCPLink) SetShape(d Direction, s Shape) { t.lanes[d].setShape(s) }

// CutAfter cuts every connection once after exactly n further octets have passed
// in direction d, all connections together; 0 is at the next octet, which does not
// pass. The receiver has been given the octets before its connection ends. The
// fault is then spent. The returned channel is closed when it has happened, or when
// another CutAfter replaces it.
func (t *TCPLink) CutAfter(d Direction, n int64, how Ending) <-chan struct{} {
	return t.lanes[d].arm(n, how).fired
}

// CutEach ends each connection, present and future, once it has carried exactly n
// octets in direction d; n < 0 takes that back.
func (t *TCPLink) CutEach(d Direction, n int64, how Ending) {
	if n < 0 {
		t.lanes[d].armEach(nil)
		return
	}
	t.lanes[d].armEach(&each{after: n, how: how})
}

// Cut ends every connection now; what was on the way is gone.
func (t *TCPLink) Cut(how Ending) {
	t.each(func(r *relay) {
		if r.end(how) {
			t.countCut()
		}
	})
	for _, l := range t.lanes {
		l.clear()
	}
}

// Stall stops forwarding in the given directions (none given: in both) and closes
// nothing: connections are still taken, and the peers see silence.
func (t *TCPLink) Stall(ds ...Direction) { t.lanesOf(ds, (*lane).stall) }

// Resume ends Stall.
func (t *TCPLink) Resume(ds ...Direction) { t.lanesOf(ds, (*lane).resume) }

func (t *TCPLink) lanesOf(ds []Direction, f func(*lane)) {
	if len(ds) == 0 {
		ds = []Direction{ToTarget, ToClient}
	}
	for _, d := range ds {
		f(t.lanes[d])
	}
}

// Refuse makes the system refuse new connections; those that are up stay.
func (t *TCPLink) Refuse() error {
	t.mu.Lock()
	l := t.listener
	t.listener = nil
	t.mu.Unlock()
	if l == nil {
		return nil
	}
	return l.Close()
}

// Accept ends Refuse: the link listens again at the same address and port.
func (t *TCPLink) Accept() error {
	t.mu.Lock()
	listening := t.listener != nil
	t.mu.Unlock()
	if listening {
		return nil
	}
	return t.listen(t.addr.String())
}

// ResetNew makes the link take new connections and reset each at once.
func (t *TCPLink) ResetNew(on bool) {
	t.mu.Lock()
	t.resetNew = on
	t.mu.Unlock()
}

func (t *TCPLink) listen(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("netem: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return errors.Join(errors.New("netem: the link is closed"), l.Close())
	}
	t.listener = l
	t.addr = l.Addr()
	t.wg.Go(func() { t.acceptLoop(l) })
	return nil
}

func (t *TCPLink) acceptLoop(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return // closed by Refuse or Close
		}
		t.wg.Go(func() { t.serve(c.(*net.TCPConn)) })
	}
}

// serve owns one connection until it has ended.
func (t *TCPLink) serve(client *net.TCPConn) {
	accepted := time.Now()
	t.mu.Lock()
	t.accepted++
	reset := t.resetNew
	t.mu.Unlock()
	if reset {
		abort(client)
		t.countCut()
		return
	}
	c, err := t.dialer.DialContext(t.ctx, "tcp", t.target)
	if err != nil {
		abort(client)
		return
	}
	r := newRelay(t, client, c.(*net.TCPConn), accepted)
	t.mu.Lock()
	t.relays[r] = struct{}{}
	closed := t.closed
	t.mu.Unlock()
	if closed {
		r.end(Fin)
	}
	r.run()
	t.mu.Lock()
	delete(t.relays, r)
	t.mu.Unlock()
}

// each calls f for the connections that are up.
func (t *TCPLink) each(f func(*relay)) {
	t.mu.Lock()
	rs := make([]*relay, 0, len(t.relays))
	for r := range t.relays {
		rs = append(rs, r)
	}
	t.mu.Unlock()
	for _, r := range rs {
		f(r)
	}
}

func (t *TCPLink) countCut() {
	t.mu.Lock()
	t.cuts++
	t.mu.Unlock()
}

func abort(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

package daemon

import (
	"net"
	"net/netip"
	"sync"
)

// browserUnsent is how many octets wait in the kernel to be sent to one browser. A player
// begins to read a video, looks at its end, and asks for another part: over HTTP/2 each
// answer stands behind what the kernel has taken of the one before, which without a bound is
// megabytes, and with them the page's next picture.
const browserUnsent = 64 << 10

// limitBrowsers bounds the connections of a listener for browsers, together with those of
// the others that have the same limit.
func (d *Daemon) limitBrowsers(ln net.Listener, limit *connLimit) net.Listener {
	return &limitedListener{
		Listener: ln, limit: limit,
		refused: func() { d.metrics.Limited.WithLabelValues("limits.clients").Inc() },
	}
}

// connLimit counts connections: of everybody together and of one address. It is safe for
// concurrent use.
type connLimit struct {
	total, each int

	mu    sync.Mutex
	count int
	open  map[netip.Prefix]int
}

func newConnLimit(total, each int) *connLimit {
	return &connLimit{total: total, each: each, open: map[netip.Prefix]int{}}
}

func (l *connLimit) enter(from netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count >= l.total || l.open[from] >= l.each {
		return false
	}
	l.count++
	l.open[from]++
	return true
}

func (l *connLimit) leave(from netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count--
	if l.open[from]--; l.open[from] == 0 {
		delete(l.open, from)
	}
}

// limitedListener ends connections at once that are too many.
type limitedListener struct {
	net.Listener
	limit   *connLimit
	refused func()
	buffers corkBuffers
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := neighbourhood(conn.RemoteAddr())
		if l.limit.enter(from) {
			limitUnsent(conn, browserUnsent)
			return &limitedConn{corkConn: corkConn{Conn: conn, buffers: &l.buffers, patience: corkTime}, leave: sync.OnceFunc(func() { l.limit.leave(from) })}, nil
		}
		_ = conn.Close()
		l.refused()
	}
}

// neighbourhood is what counts as one address: an IPv4 address or an IPv6 /64.
func neighbourhood(a net.Addr) netip.Prefix {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{}
	}
	addr, bits := ap.Addr().Unmap().WithZone(""), 64
	if addr.Is4() {
		bits = 32
	}
	return netip.PrefixFrom(addr, bits).Masked()
}

type limitedConn struct {
	corkConn
	leave func()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}

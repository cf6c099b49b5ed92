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

// limitBrowsers bounds the connections of browsers as limits.clients says: of everybody
// together and of one address.
func (d *Daemon) limitBrowsers(ln net.Listener) net.Listener {
	c := d.o.Config.Limits.Clients
	return &limitedListener{
		Listener: ln, total: c.Connections, each: c.PerAddress, open: map[netip.Prefix]int{},
		refused: func() { d.metrics.Limited.WithLabelValues("limits.clients").Inc() },
	}
}

// limitedListener ends connections at once that are too many.
type limitedListener struct {
	net.Listener
	total, each int
	refused     func()

	mu    sync.Mutex
	count int
	open  map[netip.Prefix]int
}

// Accept implements net.Listener.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := neighbourhood(conn.RemoteAddr())
		if l.enter(from) {
			limitUnsent(conn, browserUnsent)
			return &limitedConn{Conn: conn, leave: sync.OnceFunc(func() { l.leave(from) })}, nil
		}
		_ = conn.Close()
		l.refused()
	}
}

func (l *limitedListener) enter(from netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.count >= l.total || l.open[from] >= l.each {
		return false
	}
	l.count++
	l.open[from]++
	return true
}

func (l *limitedListener) leave(from netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count--
	if l.open[from]--; l.open[from] == 0 {
		delete(l.open, from)
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
	net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.leave()
	return c.Conn.Close()
}

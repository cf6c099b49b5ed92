package wire

import (
	"net"
	"sync/atomic"
)

// Congestion sets the congestion control of sockets and knows what the last one really
// got. The zero value is ready; it is safe for concurrent use.
type Congestion struct{ inUse atomic.Pointer[string] }

// Tune sets the congestion control of c where c is a TCP connection, or has one as its
// NetConn. "kernel" leaves the kernel's choice; see SetCongestion.
func (g *Congestion) Tune(c net.Conn, name string) {
	if w, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = w.NetConn()
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	if name == "kernel" {
		name = ""
	}
	if inUse := SetCongestion(raw, name); inUse != "" && inUse != g.InUse() {
		g.inUse.Store(&inUse)
	}
}

// InUse is what the last socket has; "" before the first or where the system does not
// tell.
func (g *Congestion) InUse() string {
	if p := g.inUse.Load(); p != nil {
		return *p
	}
	return ""
}

package daemon

import (
	"net"

	"golang.org/x/sys/unix"
)

// limitUnsent bounds what the kernel takes of a connection before it can send it. (Set on a
// listener it would reach no connection: Go's are of multipath TCP, which does not hand it
// on.) Where that fails the kernel's own bound stays.
func limitUnsent(c net.Conn, octets int) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, octets)
	})
}

// WaitWritable implements web.Waiter.
func (c *limitedConn) WaitWritable() error {
	tcp, ok := c.Conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	// The runtime waits whenever this says no.
	return raw.Write(func(fd uintptr) bool {
		state := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		n, err := unix.Poll(state, 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
}

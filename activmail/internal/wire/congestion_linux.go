package wire

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// SetCongestion asks the kernel for the congestion control name on the TCP socket c
// and returns the one that is in use afterwards, "" where that cannot be known. A name
// that the kernel does not offer leaves the socket as it was; so does "".
//
// The sender's congestion control decides what a path with loss carries: with 50 ms
// and 1 % loss BBR moves some twenty times as much as CUBIC.
func SetCongestion(c syscall.RawConn, name string) string {
	var inUse string
	_ = c.Control(func(fd uintptr) {
		if name != "" {
			_ = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, name)
		}
		inUse, _ = unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
	})
	return inUse
}

package netem

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// unacknowledged is how many octets of a TCP connection the other system has not
// confirmed yet.
func unacknowledged(c syscall.Conn) int {
	var n int
	control(c, func(fd int) { n, _ = unix.IoctlGetInt(fd, unix.SIOCOUTQ) })
	return n
}

// deepen asks for large socket buffers, past the system's limit where the process
// may (root), so that a link does not lose what it was not told to lose.
func deepen(c syscall.Conn, octets int) {
	control(c, func(fd int) {
		for _, o := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
			if unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[0], octets) != nil {
				_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[1], octets)
			}
		}
	})
}

// control runs f with the descriptor; a closed connection is left alone.
func control(c syscall.Conn, f func(fd int)) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { f(int(fd)) })
}

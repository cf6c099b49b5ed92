package peer

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// setCongestion returns a Control function that chooses the congestion control of a
// TCP socket, nil for the system's default.
func setCongestion(name string) func(network, address string, c syscall.RawConn) error {
	if name == "" {
		return nil
	}
	return func(_, _ string, c syscall.RawConn) error {
		var opt error
		err := c.Control(func(fd uintptr) {
			opt = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, name)
		})
		if opt != nil {
			opt = fmt.Errorf("congestion control %s: %w", name, opt)
		}
		return errors.Join(err, opt)
	}
}

// Congestions lists what the kernel offers; nil where it does not say.
func Congestions() []string {
	b, err := os.ReadFile("/proc/sys/net/ipv4/tcp_available_congestion_control")
	if err != nil {
		return nil
	}
	return strings.Fields(string(b))
}

// DefaultCongestion is what a socket gets that does not ask.
func DefaultCongestion() string {
	b, err := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

package daemon

import (
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// A browser's connection takes little of an answer that it cannot send yet. Without the
// bound a player that looked at the end of a video waited until all of it had passed.
func TestLittleWaitsToBeSentToBrowsers(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := &limitedListener{Listener: inner, total: 1, each: 1, open: map[netip.Prefix]int{}, refused: func() {}}
	defer func() { _ = ln.Close() }()
	near, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = near.Close() }()
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = far.Close() }()
	raw, err := far.(*limitedConn).Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var got int
	var failed error
	if err := raw.Control(func(fd uintptr) { got, failed = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	if got != browserUnsent {
		t.Errorf("%d octets may wait, want %d", got, browserUnsent)
	}
}

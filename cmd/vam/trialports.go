package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/videoactivmail/vam/internal/portowner"
)

// twoAddresses are where the servers listen: the wanted port on 127.0.0.1 and 127.0.0.2,
// or what can be had instead, with a sentence about it.
func twoAddresses(ctx context.Context, port uint16) (a, b netip.AddrPort, note string) {
	first, second := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	a, b = netip.AddrPortFrom(first, port), netip.AddrPortFrom(second, port)
	errA, errB := canBind(a), canBind(b)
	if port != 0 && errA == nil && errB == nil {
		return a, b, ""
	}
	if canBind(netip.AddrPortFrom(second, 0)) != nil {
		a, b = netip.AddrPortFrom(first, freePort(first)), netip.AddrPortFrom(first, freePort(first))
		return a, b, fmt.Sprintf("this machine has no 127.0.0.2; both servers are on 127.0.0.1, ports %d and %d", a.Port(), b.Port())
	}
	why := ""
	switch {
	case errA != nil:
		why = obstacle(ctx, a, errA)
	case errB != nil:
		why = obstacle(ctx, b, errB)
	}
	a = netip.AddrPortFrom(first, freePort(first))
	b = netip.AddrPortFrom(second, a.Port())
	if canBind(b) != nil {
		b = netip.AddrPortFrom(second, freePort(second))
	}
	if why == "" {
		return a, b, "" // any port was wanted
	}
	return a, b, fmt.Sprintf("%s; a.test is on %s and b.test on %s instead", why, a, b)
}

// bindError is what stands in the way of one network.
type bindError struct {
	network portowner.Network
	error
}

func (b *bindError) Unwrap() error { return b.error }

// canBind tries an address over TCP and UDP. Errors: *bindError.
func canBind(addr netip.AddrPort) error {
	ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return &bindError{portowner.TCP, err}
	}
	defer ln.Close()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return &bindError{portowner.UDP, err}
	}
	return conn.Close()
}

// obstacle says why a port cannot be had: which process has it, or what the system says.
func obstacle(ctx context.Context, addr netip.AddrPort, err error) string {
	var b *bindError
	if !errors.As(err, &b) {
		return fmt.Sprintf("port %d cannot be had: %s", addr.Port(), reason(err))
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		sockets, _ := portowner.System().Find(ctx, b.network, addr.Port())
		for _, s := range sockets {
			if len(s.Processes) > 0 && (s.Local.Addr() == addr.Addr() || s.Local.Addr().IsUnspecified()) {
				return fmt.Sprintf("port %d/%s is taken by %s", addr.Port(), b.network, s.Processes[0])
			}
		}
	}
	return fmt.Sprintf("port %d/%s cannot be had: %s", addr.Port(), b.network, reason(err))
}

// freePort is one that TCP and UDP both have free now; 0 when there is none.
func freePort(addr netip.Addr) uint16 {
	for range 50 {
		ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
		if err != nil {
			break
		}
		port := ln.Addr().(*net.TCPAddr).AddrPort().Port()
		_ = ln.Close()
		if canBind(netip.AddrPortFrom(addr, port)) == nil {
			return port
		}
	}
	return 0
}

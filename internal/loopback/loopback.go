// Package loopback finds addresses of this machine for servers that tests and
// measurements start, stop and start again.
package loopback

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
)

// Own is a loopback address that nobody else uses, with a port that TCP and UDP have free:
// the one that is named, or any for 0. Unlike a port of 127.0.0.1 it cannot be taken by
// somebody's outgoing connection before it is listened on, or between two starts. Where
// the machine has one loopback address only, it is a free port of that.
func Own(port uint16) (netip.AddrPort, error) {
	for range 20 {
		a := netip.AddrFrom4([4]byte{127, byte(1 + rand.N(250)), byte(rand.N(250)), byte(1 + rand.N(250))})
		if ap, err := bind(netip.AddrPortFrom(a, port)); err == nil {
			return ap, nil
		}
	}
	return Free(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
}

// Free is an address with a port that TCP and UDP have free now.
func Free(a netip.Addr) (netip.AddrPort, error) {
	var errs []error
	for range 20 {
		ap, err := bind(netip.AddrPortFrom(a, 0))
		if err == nil {
			return ap, nil
		}
		errs = append(errs, err)
	}
	return netip.AddrPort{}, fmt.Errorf("no port of %s is free for TCP and UDP: %w", a, errors.Join(errs...))
}

// bind tries an address with both protocols and gives it back.
func bind(ap netip.AddrPort) (netip.AddrPort, error) {
	ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(ap))
	if err != nil {
		return ap, err
	}
	defer ln.Close()
	ap = netip.AddrPortFrom(ap.Addr(), ln.Addr().(*net.TCPAddr).AddrPort().Port())
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(ap))
	if err != nil {
		return ap, err
	}
	return ap, conn.Close()
}

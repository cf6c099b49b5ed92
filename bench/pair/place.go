package pair

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os/exec"

	"github.com/videoactivmail/vam/internal/loopback"
	"github.com/videoactivmail/vam/internal/netem"
	"github.com/videoactivmail/vam/internal/netns"
)

// place is where one domain lives: its addresses and, on a wire, its namespace.
type place struct {
	ns     *netns.Namespace // nil outside of a wire
	server netip.AddrPort   // TCP and UDP of the server itself
	web    netip.AddrPort   // of its pages for browsers
	ops    netip.AddrPort   // of its metrics
	// What other servers connect to: the server itself or a link to it.
	tcp, udp netip.AddrPort

	links struct { // nil without
		tcp *netem.TCPLink
		udp *netem.UDPLink
	}
}

// newPlaces chooses addresses and ports, and opens links.
func newPlaces(p Path) (a, b *place, err error) {
	a, b = &place{}, &place{}
	var addr [2]netip.Addr
	if p.Wire != nil {
		a.ns, b.ns = p.Wire.Client.Namespace, p.Wire.Target.Namespace
		addr = [2]netip.Addr{p.Wire.Client.Addr, p.Wire.Target.Addr}
	} else {
		for i := range addr {
			own, err := loopback.Own(0)
			if err != nil {
				return nil, nil, err
			}
			addr[i] = own.Addr()
		}
	}
	for i, pl := range []*place{a, b} {
		err := pl.settle(addr[i])
		if err == nil {
			err = pl.link(p, uint64(1+i))
		}
		if err != nil {
			return nil, nil, errors.Join(err, a.close(), b.close())
		}
	}
	return a, b, nil
}

// settle finds free ports at the domain's address.
func (pl *place) settle(addr netip.Addr) error {
	return pl.do(func() error {
		chosen := map[netip.AddrPort]bool{} // a port that was given back may come again
		for _, at := range []*netip.AddrPort{&pl.server, &pl.web, &pl.ops} {
			for !at.IsValid() || chosen[*at] {
				var err error
				if *at, err = loopback.Free(addr); err != nil {
					return err
				}
			}
			chosen[*at] = true
		}
		pl.tcp, pl.udp = pl.server, pl.server
		return nil
	})
}

// link puts links in front of the server, where the path has some.
func (pl *place) link(p Path, seed uint64) (err error) {
	if !p.Links {
		return nil
	}
	c := netem.Config{Listen: netip.AddrPortFrom(pl.server.Addr(), 0).String(), Target: pl.server.String(), Shapes: p.Shapes, Seed: seed}
	if pl.links.tcp, err = netem.OpenTCP(c); err != nil {
		return err
	}
	if pl.links.udp, err = netem.OpenUDP(c); err != nil {
		return err
	}
	pl.tcp = pl.links.tcp.Addr().(*net.TCPAddr).AddrPort()
	pl.udp = pl.links.udp.Addr().(*net.UDPAddr).AddrPort()
	return nil
}

func (pl *place) close() error {
	var errs []error
	if pl.links.tcp != nil {
		errs = append(errs, pl.links.tcp.Close())
	}
	if pl.links.udp != nil {
		errs = append(errs, pl.links.udp.Close())
	}
	return errors.Join(errs...)
}

// do runs f where the domain lives.
func (pl *place) do(f func() error) error {
	if pl.ns == nil {
		return f()
	}
	return pl.ns.Do(f)
}

func (pl *place) start(cmd *exec.Cmd) error {
	if pl.ns == nil {
		return cmd.Start()
	}
	return pl.ns.Start(cmd)
}

// dial connects to the domain's own listeners from where it lives, past the links.
func (pl *place) dial(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	if pl.ns == nil {
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr.String())
	}
	return pl.ns.Dial(ctx, net.Dialer{}, "tcp", addr.String())
}

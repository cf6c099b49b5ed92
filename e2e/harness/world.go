package harness

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/dnszone"
)

// World is what the servers of a test share: a DNS server and a certificate authority.
// It is safe for concurrent use.
type World struct {
	T   testing.TB
	DNS *dnszone.Server
	CA  *certs.CA

	dir     string
	program *Program
}

// New makes a world until the end of the test. Servers that run as processes run
// program.
func New(t testing.TB, program *Program) *World {
	t.Helper()
	// The path of a socket in it is short, which t.TempDir does not promise.
	dir, err := os.MkdirTemp("", "vam-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	w := &World{T: t, dir: dir, program: program}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if w.DNS, err = dnszone.Listen(netip.MustParseAddrPort("127.0.0.1:0")); err != nil {
		t.Fatal(err)
	}
	w.closing(w.DNS)
	if w.CA, err = certs.NewCA(dir, nil); err != nil {
		t.Fatal(err)
	}
	return w
}

// Roots trusts the authority of the world and no other.
func (w *World) Roots() *x509.CertPool { return w.CA.Pool() }

// Dir is the folder of the world.
func (w *World) Dir() string { return w.dir }

func (w *World) caFile() string { return filepath.Join(w.dir, certs.CAFile) }

// Zone is the DNS zone of a domain, empty when nobody has written to it.
func (w *World) Zone(d vam.Domain) *dnszone.Zone {
	w.T.Helper()
	z, err := w.DNS.Zone(d.String())
	w.must(err)
	return z
}

// closing closes c at the end of the test.
func (w *World) closing(c io.Closer) {
	w.T.Cleanup(func() {
		if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			w.T.Errorf("closing: %v", err)
		}
	})
}

func (w *World) must(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(err)
	}
}

// ownAddress is a loopback address that nothing else uses, with port 1398: unlike a free
// port of 127.0.0.1 it cannot be taken by somebody's outgoing connection while the
// server restarts. Where the machine has one loopback address only, it is a free port.
func ownAddress() (netip.AddrPort, error) {
	for range 20 {
		a := netip.AddrFrom4([4]byte{127, byte(1 + rand.N(250)), byte(rand.N(250)), byte(1 + rand.N(250))})
		ap := netip.AddrPortFrom(a, 1398)
		if free(ap) {
			return ap, nil
		}
	}
	return FreePort(netip.MustParseAddr("127.0.0.1"))
}

// FreePort is a port of an address that TCP and UDP have free now.
func FreePort(a netip.Addr) (netip.AddrPort, error) {
	for range 50 {
		ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
		if err != nil {
			return netip.AddrPort{}, fmt.Errorf("no free port at %s: %w", a, err)
		}
		ap := ln.Addr().(*net.TCPAddr).AddrPort()
		if err := ln.Close(); err != nil {
			return netip.AddrPort{}, err
		}
		if ap = netip.AddrPortFrom(a, ap.Port()); free(ap) {
			return ap, nil
		}
	}
	return netip.AddrPort{}, fmt.Errorf("no port at %s is free for TCP and UDP", a)
}

func free(ap netip.AddrPort) bool {
	ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(ap))
	if err != nil {
		return false
	}
	defer ln.Close()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(ap))
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

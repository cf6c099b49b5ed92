package harness

import (
	"crypto/x509"
	"errors"
	"io"
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

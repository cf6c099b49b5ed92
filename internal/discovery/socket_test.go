package discovery_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/discovery"
	"github.com/videoactivmail/vam/internal/dnsresolver"
	"github.com/videoactivmail/vam/internal/dnszone"
)

// world is a DNS server, a resolver that asks it, and an authority.
type world struct {
	dns      *dnszone.Server
	resolver *dnsresolver.Resolver
	ca       *certs.CA
	finder   *discovery.Finder
	guard    discovery.Guard
}

func newWorld(t *testing.T) *world {
	t.Helper()
	var w world
	var err error
	if w.dns, err = dnszone.Listen(netip.MustParseAddrPort("127.0.0.1:0")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.dns.Close(); err != nil {
			t.Error(err)
		}
	})
	if w.resolver, err = dnsresolver.New(dnsresolver.Options{Servers: []netip.AddrPort{w.dns.Addr()}}); err != nil {
		t.Fatal(err)
	}
	if w.ca, err = certs.NewCA("", nil); err != nil {
		t.Fatal(err)
	}
	if w.guard, err = discovery.NewGuard(netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")); err != nil {
		t.Fatal(err)
	}
	w.finder = discovery.New(discovery.Options{Resolver: w.resolver, Guard: w.guard, Roots: w.ca.Pool()})
	return &w
}

// serve opens a TLS server at addr that says "hello" to everybody; "" when the address
// cannot be had on this machine.
func serve(t *testing.T, addr string, pair tls.Certificate) (port uint16) {
	t.Helper()
	ln, err := tls.Listen("tcp", net.JoinHostPort(addr, "0"), &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13})
	if err != nil {
		t.Skip(addr, "cannot be had here:", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("hello"))
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return ln.Addr().(*net.TCPAddr).AddrPort().Port()
}

// reach dials an endpoint as a client does.
func (w *world) reach(ctx context.Context, e discovery.Endpoint) error {
	dialer := &net.Dialer{Control: w.guard.Control}
	conn, err := discovery.Race(ctx, e.Addrs, func(ctx context.Context, a netip.Addr) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(a, e.Port).String())
	}, func(c net.Conn) { _ = c.Close() })
	if err != nil {
		return err
	}
	defer conn.Close()
	return tls.Client(conn, &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: e.ServerName, InsecureSkipVerify: true, VerifyConnection: e.Verify,
	}).HandshakeContext(ctx)
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestOverRealSockets(t *testing.T) {
	for _, tc := range []struct {
		name   string
		leaf   certs.Leaf
		secure bool
		tlsa   bool
		rule   discovery.Rule
		ok     bool
	}{
		{"domain name", certs.Leaf{DNSNames: []string{"b.test"}}, false, false, discovery.RuleDomain, true},
		{"SRV-ID", certs.Leaf{SRV: []vam.Domain{"b.test"}}, false, false, discovery.RuleDomain, true},
		{"target name without DNSSEC", certs.Leaf{DNSNames: []string{"vam1.b.test"}}, false, false, discovery.RuleDomain, false},
		{"target name with DNSSEC", certs.Leaf{DNSNames: []string{"vam1.b.test"}}, true, false, discovery.RuleSecureSRV, true},
		{"TLSA", certs.Leaf{DNSNames: []string{"whatever.test"}}, true, true, discovery.RuleTLSA, true},
		{"expired", certs.Leaf{DNSNames: []string{"b.test"}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour)}, false, false, discovery.RuleDomain, false},
	} {
		for _, addr := range []string{"127.0.0.1", "::1"} {
			t.Run(tc.name+" at "+addr, func(t *testing.T) {
				w := newWorld(t)
				pair, err := w.ca.Issue(tc.leaf)
				must(t, err)
				port := serve(t, addr, pair)
				zone, err := w.dns.Zone("b.test")
				must(t, err)
				zone.SetAuthenticated(tc.secure)
				must(t,
					zone.SRV("_video-activmail._tcp.b.test", time.Minute, 10, 1, port, "vam1.b.test"),
					zone.Addr("vam1.b.test", time.Minute, netip.MustParseAddr(addr)),
				)
				if tc.tlsa {
					sum := sha256.Sum256(pair.Leaf.RawSubjectPublicKeyInfo)
					must(t, zone.TLSA(fmt.Sprintf("_%d._tcp.vam1.b.test", port), time.Minute, 3, 1, 1, sum[:]))
				}
				got, err := w.finder.Lookup(t.Context(), "b.test")
				must(t, err)
				if got.TCP[0].Rule != tc.rule {
					t.Errorf("rule %d, want %d", got.TCP[0].Rule, tc.rule)
				}
				err = w.reach(t.Context(), got.TCP[0])
				if (err == nil) != tc.ok {
					t.Errorf("the handshake: %v", err)
				}
				if err != nil && vam.KindOf(err) != vam.Unavailable {
					t.Errorf("the handshake's error is %v: %v", vam.KindOf(err), err)
				}
			})
		}
	}
}

// TestRebindingDoesNotHelp: the address changes to one inside after it was checked.
// What is dialled is what was checked, and a fresh look refuses the new one.
func TestRebindingDoesNotHelp(t *testing.T) {
	w := newWorld(t)
	zone, err := w.dns.Zone("b.test")
	must(t, err)
	pair, err := w.ca.Issue(certs.Leaf{DNSNames: []string{"b.test"}})
	must(t, err)
	port := serve(t, "127.0.0.1", pair)
	must(t,
		zone.SRV("_video-activmail._tcp.b.test", 0, 10, 1, port, "vam1.b.test"),
		zone.Addr("vam1.b.test", 0, netip.MustParseAddr("127.0.0.1")),
	)
	got, err := w.finder.Lookup(t.Context(), "b.test")
	must(t, err)
	zone.Remove("vam1.b.test")
	must(t, zone.Addr("vam1.b.test", 0, netip.MustParseAddr("169.254.169.254")))
	must(t, w.reach(t.Context(), got.TCP[0]))
	w.finder.Forget("b.test")
	if _, err := w.finder.Lookup(t.Context(), "b.test"); vam.KindOf(err) != vam.Unavailable {
		t.Errorf("Lookup = %v", err)
	}
	stale := got.TCP[0]
	stale.Addrs = []netip.Addr{netip.MustParseAddr("169.254.169.254")}
	if err := w.reach(t.Context(), stale); vam.KindOf(err) != vam.Unavailable || !errors.As(err, new(*net.OpError)) {
		t.Errorf("the dialer let it through: %v", err)
	}
}

func TestNotVAMOverRealSockets(t *testing.T) {
	w := newWorld(t)
	zone, err := w.dns.Zone("b.test")
	must(t, err)
	must(t, zone.Addr("b.test", time.Minute, netip.MustParseAddr("127.0.0.1")))
	if _, err := w.finder.Lookup(t.Context(), "b.test"); vam.KindOf(err) != vam.NotVAM {
		t.Errorf("no record: %v", err)
	}
	must(t, zone.SRV("_video-activmail._tcp.b.test", time.Minute, 0, 0, 0, "."))
	w.finder.Forget("b.test")
	if _, err := w.finder.Lookup(t.Context(), "b.test"); vam.KindOf(err) != vam.NotVAM {
		t.Errorf("the record with a dot: %v", err)
	}
	must(t, w.dns.Fail("_video-activmail._tcp.b.test", "SRV", dnszone.ServFail))
	w.finder.Forget("b.test")
	if _, err := w.finder.Lookup(t.Context(), "b.test"); vam.KindOf(err) != vam.Unavailable {
		t.Errorf("SERVFAIL: %v", err)
	}
}

package dnsresolver_test

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/discovery"
	"github.com/videoactivmail/vam/internal/dnsresolver"
	"github.com/videoactivmail/vam/internal/dnszone"
)

// listen starts a DNS server with the zone a.test.
func listen(t *testing.T, addr string) (*dnszone.Server, *dnszone.Zone) {
	t.Helper()
	s, err := dnszone.Listen(netip.AddrPortFrom(netip.MustParseAddr(addr), 0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	zone, err := s.Zone("a.test")
	must(t, err)
	return s, zone
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func ask(t *testing.T, o dnsresolver.Options, servers ...*dnszone.Server) *dnsresolver.Resolver {
	t.Helper()
	for _, s := range servers {
		o.Servers = append(o.Servers, s.Addr())
	}
	r, err := dnsresolver.New(o)
	must(t, err)
	return r
}

// TestEveryTypeOverRealSockets, over IPv4 and IPv6.
func TestEveryTypeOverRealSockets(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "::1"} {
		t.Run(addr, func(t *testing.T) {
			s, zone := listen(t, addr)
			r := ask(t, dnsresolver.Options{}, s)
			octets := make([]byte, 256)
			for i := range octets {
				octets[i] = byte(i)
			}
			text := strings.Repeat(string(octets), 3) + `"quotes" \ \065 back`
			mapped := netip.MustParseAddr("::ffff:192.0.2.9")
			must(t,
				zone.SRV("_s._tcp.a.test", time.Minute, 10, 20, 1398, "VAM.a.test"),
				zone.SRV("none.a.test", time.Minute, 0, 0, 0, "."),
				zone.TXT("txt.a.test", time.Minute, text),
				zone.TXT("empty.a.test", time.Minute, ""),
				zone.TLSA("_1._tcp.a.test", time.Minute, 3, 1, 1, octets[:32]),
				zone.Addr("host.a.test", time.Minute, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"), mapped),
			)
			srv, err := r.LookupSRV(t.Context(), "_S._tcp.a.test")
			must(t, err)
			if diff := cmp.Diff([]discovery.SRV{{Target: "vam.a.test", Port: 1398, Priority: 10, Weight: 20}}, srv.Records, cmp.Transformer("lower", strings.ToLower)); diff != "" {
				t.Error(diff)
			}
			srv, err = r.LookupSRV(t.Context(), "none.a.test")
			must(t, err)
			if diff := cmp.Diff([]discovery.SRV{{Target: "."}}, srv.Records); diff != "" {
				t.Error(diff)
			}
			txt, err := r.LookupTXT(t.Context(), "txt.a.test")
			must(t, err)
			if len(txt.Records) != 1 || txt.Records[0] != text {
				t.Errorf("%q", txt.Records)
			}
			txt, err = r.LookupTXT(t.Context(), "empty.a.test")
			must(t, err)
			if !slices.Equal(txt.Records, []string{""}) {
				t.Errorf("%q", txt.Records)
			}
			tlsa, err := r.LookupTLSA(t.Context(), "_1._tcp.a.test")
			must(t, err)
			if diff := cmp.Diff([]discovery.TLSA{{Usage: 3, Selector: 1, MatchingType: 1, Data: octets[:32]}}, tlsa.Records); diff != "" {
				t.Error(diff)
			}
			// An IPv4 address in an AAAA record stays what it is, for the guard to see.
			addrs, err := r.LookupAddrs(t.Context(), "host.a.test")
			must(t, err)
			slices.SortFunc(addrs.Records, netip.Addr.Compare)
			want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), mapped, netip.MustParseAddr("2001:db8::1")}
			slices.SortFunc(want, netip.Addr.Compare)
			if !slices.Equal(addrs.Records, want) {
				t.Errorf("%v", addrs.Records)
			}
			_, err = r.LookupTXT(t.Context(), "nobody.a.test")
			if nf := absence(t, err); nf.TTL != dnszone.NegativeTTL {
				t.Errorf("%+v", nf)
			}
			_, err = r.LookupAddrs(t.Context(), "txt.a.test")
			if nf := absence(t, err); nf.TTL != dnszone.NegativeTTL || nf.Type != "A/AAAA" {
				t.Errorf("%+v", nf)
			}
		})
	}
}

// TestFailuresOfTheFirstServer: a second server saves every one of them.
func TestFailuresOfTheFirstServer(t *testing.T) {
	bad, zone := listen(t, "127.0.0.1")
	good, other := listen(t, "::1")
	must(t, zone.TXT("x.a.test", time.Minute, "bad"), other.TXT("x.a.test", time.Minute, "good"))
	o := dnsresolver.Options{Timeout: 100 * time.Millisecond}
	for _, f := range []dnszone.Failure{dnszone.ServFail, dnszone.Refuse, dnszone.Silence, dnszone.Lame} {
		must(t, bad.Fail("", "", f), good.Fail("x.a.test", "TXT", dnszone.Answer))
		got, err := ask(t, dnsresolver.Options{Timeout: o.Timeout}, bad, good).LookupTXT(t.Context(), "x.a.test")
		if err != nil || !slices.Equal(got.Records, []string{"good"}) {
			t.Errorf("failure %d: %v, %v", f, got, err)
		}
		must(t, good.Fail("x.a.test", "TXT", f))
		if _, err = ask(t, dnsresolver.Options{Timeout: o.Timeout}, bad, good).LookupTXT(t.Context(), "x.a.test"); vam.KindOf(err) != vam.Unavailable {
			t.Errorf("failure %d of both: %v", f, err)
		}
	}
}

// TestLongAnswerOverRealTCP: a set that fits no datagram arrives whole.
func TestLongAnswerOverRealTCP(t *testing.T) {
	s, zone := listen(t, "127.0.0.1")
	const n = 200
	for i := range n {
		must(t, zone.SRV("x.a.test", time.Minute, uint16(i), 0, 1398, "host.a.test"))
	}
	must(t, zone.TXT("y.a.test", time.Minute, string(bytes.Repeat([]byte("y"), 20_000))))
	r := ask(t, dnsresolver.Options{}, s)
	srv, err := r.LookupSRV(t.Context(), "x.a.test")
	if err != nil || len(srv.Records) != n {
		t.Errorf("%d records, %v", len(srv.Records), err)
	}
	txt, err := r.LookupTXT(t.Context(), "y.a.test")
	if err != nil || len(txt.Records) != 1 || len(txt.Records[0]) != 20_000 {
		t.Errorf("%d records, %v", len(txt.Records), err)
	}
	if asked := s.Asked("x.a.test", "SRV"); asked != 2 {
		t.Errorf("asked %d times", asked)
	}
	must(t, s.Fail("z.a.test", "", dnszone.Truncate), zone.TXT("z.a.test", time.Minute, "z"))
	if txt, err := r.LookupTXT(t.Context(), "z.a.test"); err != nil || !slices.Equal(txt.Records, []string{"z"}) {
		t.Errorf("%v, %v", txt, err)
	}
}

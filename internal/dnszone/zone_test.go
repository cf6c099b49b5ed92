package dnszone_test

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/dnszone"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// listen starts a server with the zone a.test.
func listen(t testing.TB) (*dnszone.Server, *dnszone.Zone) {
	t.Helper()
	s, err := dnszone.Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	zone, err := s.Zone("A.test")
	if err != nil {
		t.Fatal(err)
	}
	return s, zone
}

// query asks over a network with EDNS and the DO bit.
func query(t testing.TB, s *dnszone.Server, network, name string, qtype uint16) *dns.Msg {
	t.Helper()
	q := new(dns.Msg).SetQuestion(name, qtype).SetEdns0(1232, true)
	return exchange(t, s, network, q)
}

func exchange(t testing.TB, s *dnszone.Server, network string, q *dns.Msg) *dns.Msg {
	t.Helper()
	m, _, err := (&dns.Client{Net: network, Timeout: time.Minute}).Exchange(q, s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// lines are records in their master file form, with single blanks.
func lines(rrs []dns.RR) []string {
	var out []string
	for _, rr := range rrs {
		out = append(out, strings.Join(strings.Fields(rr.String()), " "))
	}
	return out
}

// TestFailures: the exact rule wins, and each failure can be ended.
func TestFailures(t *testing.T) {
	s, zone := listen(t)
	addr := netip.MustParseAddr("192.0.2.1")
	must(t, zone.Addr("x.a.test", 0, addr), zone.Addr("y.a.test", 0, addr), zone.TXT("x.a.test", 0, "x"))
	rcode := func(network, name string, qtype uint16) int { return query(t, s, network, name, qtype).Rcode }
	must(t, s.Fail("", "", dnszone.ServFail), s.Fail("", "txt", dnszone.Refuse), s.Fail("X.a.test", "", dnszone.Truncate), s.Fail("x.a.test.", "AAAA", dnszone.Refuse))
	for _, tc := range []struct {
		name  string
		qtype uint16
		want  int
	}{
		{"y.a.test.", dns.TypeA, dns.RcodeServerFailure},
		{"y.a.test.", dns.TypeTXT, dns.RcodeRefused},
		{"x.a.test.", dns.TypeAAAA, dns.RcodeRefused},
		{"x.a.test.", dns.TypeTXT, dns.RcodeSuccess},
		{"x.a.test.", dns.TypeA, dns.RcodeSuccess},
	} {
		for _, network := range []string{"udp", "tcp"} {
			if got := rcode(network, tc.name, tc.qtype); got != tc.want {
				t.Errorf("%s %s over %s: %s", tc.name, dns.TypeToString[tc.qtype], network, dns.RcodeToString[got])
			}
		}
	}
	if m := query(t, s, "udp", "x.a.test.", dns.TypeA); !m.Truncated || len(m.Answer) != 0 {
		t.Errorf("%v", m)
	}
	if m := query(t, s, "tcp", "x.a.test.", dns.TypeA); m.Truncated || len(m.Answer) != 1 {
		t.Errorf("%v", m)
	}
	must(t, s.Fail("", "", dnszone.Answer), s.Fail("x.a.test", "", dnszone.Answer), s.Fail("", "TXT", dnszone.Answer), s.Fail("x.a.test", "A", dnszone.Lame))
	if m := query(t, s, "udp", "y.a.test.", dns.TypeA); m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 {
		t.Errorf("%v", m)
	}
	if m := query(t, s, "tcp", "x.a.test.", dns.TypeA); len(m.Answer) != 1 {
		t.Errorf("%v", m)
	}

	// A lame answer, and then silence that the next answer proves.
	c, err := net.Dial("udp", s.Addr().String())
	must(t, err)
	defer c.Close()
	ask := func(name string) *dns.Msg {
		wire, err := new(dns.Msg).SetQuestion(name, dns.TypeA).Pack()
		must(t, err)
		_, err = c.Write(wire)
		must(t, err)
		buf := make([]byte, 2048)
		n, err := c.Read(buf)
		must(t, err)
		m := new(dns.Msg)
		must(t, m.Unpack(buf[:n]))
		return m
	}
	if m := ask("x.a.test."); m.Question[0].Name != "elsewhere.invalid." {
		t.Errorf("%v", m)
	}
	must(t, s.Fail("x.a.test", "A", dnszone.Silence))
	wire, err := new(dns.Msg).SetQuestion("x.a.test.", dns.TypeA).Pack()
	must(t, err)
	_, err = c.Write(wire)
	must(t, err)
	if m := ask("y.a.test."); m.Question[0].Name != "y.a.test." {
		t.Errorf("%v", m)
	}
	if err := s.Fail("x.a.test", "NONSENSE", dnszone.Refuse); vam.KindOf(err) != vam.Invalid {
		t.Errorf("%v", err)
	}
}

// TestAsked counts over both transports and whatever the answer is.
func TestAsked(t *testing.T) {
	s, _ := listen(t)
	must(t, s.Fail("y.a.test", "", dnszone.ServFail))
	for _, name := range []string{"x.a.test.", "X.a.test.", "y.a.test."} {
		for _, network := range []string{"udp", "tcp"} {
			query(t, s, network, name, dns.TypeA)
		}
	}
	for want, name := range map[int]string{4: "x.a.test", 2: "Y.a.test.", 0: "z.a.test"} {
		if got := s.Asked(name, "a"); got != want {
			t.Errorf("%s: %d", name, got)
		}
	}
	if got := s.Asked("x.a.test", "AAAA"); got != 0 {
		t.Errorf("another type: %d", got)
	}
}

// TestWhatIsNoRecordIsRefused, and leaves the zone as it was.
func TestWhatIsNoRecordIsRefused(t *testing.T) {
	s, zone := listen(t)
	long := strings.Repeat("a", 64) + ".a.test"
	for name, err := range map[string]error{
		"outside":              zone.TXT("b.test", 0, ""),
		"looks like inside":    zone.TXT("ba.test", 0, ""),
		"long label":           zone.TXT(long, 0, ""),
		"long target":          zone.SRV("x.a.test", 0, 0, 0, 0, long),
		"long alias":           zone.CNAME("x.a.test", 0, strings.Repeat("a.", 200)),
		"no address":           zone.Addr("x.a.test", 0, netip.Addr{}),
		"address with a zone":  zone.Addr("x.a.test", 0, netip.MustParseAddr("fe80::1%eth0")),
		"long text":            zone.TXT("x.a.test", 0, strings.Repeat("x", 70_000)),
		"broken file":          zone.Parse("x 60 IN TXT"),
		"file of another zone": zone.Parse("b.test. 60 IN TXT x"),
		"included file":        zone.Parse("$INCLUDE /etc/passwd"),
		"no number":            zone.Parse("x IN SRV a b c d"),
	} {
		if vam.KindOf(err) != vam.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := zone.Records(); len(got) != 0 {
		t.Errorf("%q", got)
	}
	for _, apex := range []string{"", ".", long, "a..test"} {
		if _, err := s.Zone(apex); vam.KindOf(err) != vam.Invalid {
			t.Errorf("zone %.20q: %v", apex, err)
		}
	}
}

// TestParseAndRecords: what Records prints, Parse reads.
func TestParseAndRecords(t *testing.T) {
	s, zone := listen(t)
	must(t, zone.Parse(`
; what vam dns prints
_vam         IN TXT "v=VAM1; id=1" "; mode=testing"
_video-activmail._tcp.a.test. 3600 IN SRV 0 0 1398 vam
vam      300 IN A    192.0.2.1
$ORIGIN sub.a.test.
@        300 IN AAAA 2001:db8::1
`))
	must(t, zone.TXT("odd.a.test", time.Minute, "\"\\\x00\xff "+strings.Repeat("x", 300)))
	want := []string{
		`_vam.a.test. 300 IN TXT "v=VAM1; id=1" "; mode=testing"`,
		"_video-activmail._tcp.a.test. 3600 IN SRV 0 0 1398 vam.a.test.",
		"sub.a.test. 300 IN AAAA 2001:db8::1",
		"vam.a.test. 300 IN A 192.0.2.1",
	}
	records := zone.Records()
	for _, line := range want {
		if !slices.ContainsFunc(records, func(r string) bool { return strings.ReplaceAll(r, "\t", " ") == line }) {
			t.Errorf("%q is missing from %q", line, records)
		}
	}
	if len(records) != len(want)+1 || !slices.IsSorted(records) {
		t.Errorf("%q", records)
	}
	before := query(t, s, "udp", "odd.a.test.", dns.TypeTXT)
	zone.Remove("odd.a.test")
	if m := query(t, s, "udp", "odd.a.test.", dns.TypeTXT); m.Rcode != dns.RcodeNameError {
		t.Errorf("%v", m)
	}
	must(t, zone.Parse(strings.Join(records, "\n"))) // twice what is there, and what was removed
	after := query(t, s, "udp", "odd.a.test.", dns.TypeTXT)
	if diff := cmp.Diff(lines(before.Answer), lines(after.Answer)); diff != "" {
		t.Error(diff)
	}
}

// TestZones: one per apex, and removed ones are not answered for.
func TestZones(t *testing.T) {
	s, zone := listen(t)
	same, err := s.Zone("a.TEST.")
	must(t, err)
	if same != zone || zone.Apex() != "a.test" {
		t.Errorf("%q", zone.Apex())
	}
	must(t, zone.TXT("x.a.test", 0, "x"))
	s.RemoveZone("A.test")
	if m := query(t, s, "udp", "x.a.test.", dns.TypeTXT); m.Rcode != dns.RcodeRefused {
		t.Errorf("%v", m)
	}
}

// TestListen: one port for both, and an error that names the address.
func TestListen(t *testing.T) {
	s, _ := listen(t)
	if _, err := dnszone.Listen(s.Addr()); vam.KindOf(err) != vam.Unavailable || !strings.Contains(vam.Public(err), s.Addr().String()) {
		t.Errorf("%v", err)
	}
	six, err := dnszone.Listen(netip.MustParseAddrPort("[::1]:0"))
	must(t, err)
	zone, err := six.Zone("a.test")
	must(t, err)
	must(t, zone.TXT("x.a.test", 0, "x"))
	for _, network := range []string{"udp", "tcp"} {
		if m := query(t, six, network, "x.a.test.", dns.TypeTXT); len(m.Answer) != 1 {
			t.Errorf("%v", m)
		}
	}
	addr := six.Addr()
	must(t, six.Close())
	again, err := dnszone.Listen(addr) // free again
	must(t, err)
	must(t, again.Close())
}

// TestChangesWhileAsked: queries and changes do not disturb each other.
func TestChangesWhileAsked(t *testing.T) {
	s, zone := listen(t)
	must(t, zone.TXT("x.a.test", time.Minute, "x"))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 25 {
				if m := query(t, s, "udp", "x.a.test.", dns.TypeTXT); len(m.Answer) < 1 {
					t.Errorf("%v", m)
				}
			}
		})
		wg.Go(func() {
			for range 25 {
				if err := errors.Join(zone.TXT("x.a.test", time.Minute, "more"), zone.TXT("y.a.test", 0, "y")); err != nil {
					t.Error(err)
				}
				zone.Remove("y.a.test")
				zone.Records()
			}
		})
	}
	wg.Wait()
}

package dnszone_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// TestAnswers: names and types as RFC 1034 section 4.3.2 wants them, aliases included.
func TestAnswers(t *testing.T) {
	s, zone := listen(t)
	other, err := s.Zone("b.test")
	must(t, err)
	inner, err := s.Zone("sub.a.test")
	must(t, err)
	must(t,
		zone.Addr("host.a.test", time.Minute, netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::1")),
		zone.SRV("_s._tcp.a.test", time.Minute, 1, 2, 3, "host.a.test"),
		zone.TLSA("_3._tcp.host.a.test", time.Hour, 3, 1, 1, []byte{0xab, 0xcd}),
		zone.CNAME("alias.a.test", 30*time.Second, "www.b.test"),
		zone.CNAME("out.a.test", 30*time.Second, "www.elsewhere.test"),
		zone.CNAME("loop.a.test", 0, "loop.a.test"),
		zone.CNAME("dead.a.test", 0, "nobody.b.test"),
		other.Addr("www.b.test", 500*time.Millisecond, netip.MustParseAddr("192.0.2.3")),
		inner.TXT("x.sub.a.test", time.Minute, "inner"),
		zone.TXT("x.sub.a.test.", time.Minute, "outer, hidden by the zone below"),
	)
	soa := "a.test. 60 IN SOA ns.a.test. hostmaster.a.test."
	for _, tc := range []struct {
		name  string
		qtype uint16
		rcode int
		want  []string
		soa   string
	}{
		{"host.a.test.", dns.TypeA, dns.RcodeSuccess, []string{"host.a.test. 60 IN A 192.0.2.1", "host.a.test. 60 IN A 192.0.2.2"}, ""},
		{"HOST.a.TEST.", dns.TypeAAAA, dns.RcodeSuccess, []string{"host.a.test. 60 IN AAAA 2001:db8::1"}, ""},
		{"_s._tcp.a.test.", dns.TypeSRV, dns.RcodeSuccess, []string{"_s._tcp.a.test. 60 IN SRV 1 2 3 host.a.test."}, ""},
		{"_3._tcp.host.a.test.", dns.TypeTLSA, dns.RcodeSuccess, []string{"_3._tcp.host.a.test. 3600 IN TLSA 3 1 1 abcd"}, ""},
		{"alias.a.test.", dns.TypeA, dns.RcodeSuccess, []string{"alias.a.test. 30 IN CNAME www.b.test.", "www.b.test. 0 IN A 192.0.2.3"}, ""},
		{"alias.a.test.", dns.TypeCNAME, dns.RcodeSuccess, []string{"alias.a.test. 30 IN CNAME www.b.test."}, ""},
		{"alias.a.test.", dns.TypeTXT, dns.RcodeSuccess, []string{"alias.a.test. 30 IN CNAME www.b.test."}, "b.test. 60 IN SOA ns.b.test. hostmaster.b.test."},
		{"out.a.test.", dns.TypeA, dns.RcodeSuccess, []string{"out.a.test. 30 IN CNAME www.elsewhere.test."}, ""},
		{"dead.a.test.", dns.TypeA, dns.RcodeNameError, []string{"dead.a.test. 0 IN CNAME nobody.b.test."}, "b.test. 60 IN SOA ns.b.test. hostmaster.b.test."},
		{"x.sub.a.test.", dns.TypeTXT, dns.RcodeSuccess, []string{`x.sub.a.test. 60 IN TXT "inner"`}, ""},
		{"host.a.test.", dns.TypeTXT, dns.RcodeSuccess, nil, soa},
		{"_tcp.a.test.", dns.TypeSRV, dns.RcodeSuccess, nil, soa}, // empty, with names below (RFC 8020)
		{"nobody.a.test.", dns.TypeA, dns.RcodeNameError, nil, soa},
		{"a.test.", dns.TypeA, dns.RcodeSuccess, nil, soa},
		{"c.test.", dns.TypeA, dns.RcodeRefused, nil, ""},
		{"ba.test.", dns.TypeA, dns.RcodeRefused, nil, ""},
		{".", dns.TypeNS, dns.RcodeRefused, nil, ""},
	} {
		for _, network := range []string{"udp", "tcp"} {
			m := query(t, s, network, tc.name, tc.qtype)
			if m.Rcode != tc.rcode || m.Truncated || m.Authoritative == (tc.rcode == dns.RcodeRefused) {
				t.Errorf("%s %s: %v", tc.name, dns.TypeToString[tc.qtype], m)
			}
			if diff := cmp.Diff(tc.want, lines(m.Answer)); diff != "" {
				t.Errorf("%s %s: %s", tc.name, dns.TypeToString[tc.qtype], diff)
			}
			authority := strings.Join(lines(m.Ns), "\n")
			if !strings.HasPrefix(authority, tc.soa) || (authority == "") != (tc.soa == "") {
				t.Errorf("%s %s: authority %q", tc.name, dns.TypeToString[tc.qtype], authority)
			}
		}
	}
	if m := query(t, s, "udp", "loop.a.test.", dns.TypeA); len(m.Answer) != 8 {
		t.Errorf("a loop: %v", m)
	}
	if m := query(t, s, "udp", "a.test.", dns.TypeSOA); len(m.Answer) != 1 {
		t.Errorf("the SOA itself: %v", m)
	}
}

// TestOtherQuestions are refused.
func TestOtherQuestions(t *testing.T) {
	s, zone := listen(t)
	must(t, zone.TXT("x.a.test", 0, "x"))
	chaos := new(dns.Msg).SetQuestion("x.a.test.", dns.TypeTXT)
	chaos.Question[0].Qclass = dns.ClassCHAOS
	if m := exchange(t, s, "udp", chaos); m.Rcode != dns.RcodeRefused {
		t.Errorf("%v", m)
	}
	if m := exchange(t, s, "udp", new(dns.Msg).SetNotify("a.test.")); m.Rcode != dns.RcodeNotImplemented {
		t.Errorf("%v", m)
	}
}

// TestTTLsAndNegativeTTL.
func TestTTLsAndNegativeTTL(t *testing.T) {
	s, zone := listen(t)
	zone.SetNegativeTTL(10 * time.Minute)
	m := query(t, s, "udp", "nobody.a.test.", dns.TypeA)
	soa, ok := m.Ns[0].(*dns.SOA)
	if !ok || soa.Hdr.Ttl != 600 || soa.Minttl != 600 {
		t.Errorf("%v", m.Ns)
	}
	before := soa.Serial
	must(t, zone.Addr("x.a.test", -time.Second, netip.MustParseAddr("192.0.2.1")))
	if m := query(t, s, "udp", "x.a.test.", dns.TypeA); m.Answer[0].Header().Ttl != 0 {
		t.Errorf("%v", m)
	}
	m = query(t, s, "udp", "nobody.a.test.", dns.TypeA)
	if after := m.Ns[0].(*dns.SOA).Serial; after <= before {
		t.Errorf("serial %d after %d", after, before)
	}
}

// TestAuthenticated: the AD bit comes on request, and an alias into a zone without it
// has it no more.
func TestAuthenticated(t *testing.T) {
	s, zone := listen(t)
	other, err := s.Zone("b.test")
	must(t, err)
	addr := netip.MustParseAddr("192.0.2.1")
	must(t, zone.Addr("x.a.test", 0, addr), zone.CNAME("out.a.test", 0, "x.b.test"), other.Addr("x.b.test", 0, addr))
	ad := func(name string, change func(*dns.Msg)) bool {
		q := new(dns.Msg).SetQuestion(name, dns.TypeA)
		if change != nil {
			change(q)
		}
		return exchange(t, s, "udp", q).AuthenticatedData
	}
	do := func(m *dns.Msg) { m.SetEdns0(1232, true) }
	if ad("x.a.test.", do) {
		t.Error("AD without a reason")
	}
	zone.SetAuthenticated(true)
	for name, change := range map[string]func(*dns.Msg){"DO": do, "AD": func(m *dns.Msg) { m.AuthenticatedData = true }} {
		if !ad("x.a.test.", change) || !ad("nobody.a.test.", change) {
			t.Errorf("no AD for a question with %s", name)
		}
	}
	if ad("x.a.test.", nil) || ad("x.a.test.", func(m *dns.Msg) { m.SetEdns0(1232, false) }) {
		t.Error("AD without being asked")
	}
	if ad("out.a.test.", do) {
		t.Error("AD for what is in another zone")
	}
	other.SetAuthenticated(true)
	if !ad("out.a.test.", do) {
		t.Error("no AD although both zones have it")
	}
	zone.SetAuthenticated(false)
	if ad("x.a.test.", do) {
		t.Error("AD after it was taken back")
	}
}

// TestSizes: an answer over UDP is as long as was asked for, and never longer than what
// passes every path.
func TestSizes(t *testing.T) {
	s, zone := listen(t)
	must(t, zone.TXT("x.a.test", 0, strings.Repeat("x", 600)), zone.TXT("y.a.test", 0, strings.Repeat("y", 3000)))
	for _, tc := range []struct {
		name      string
		edns      uint16
		truncated bool
	}{
		{"x.a.test.", 0, true},
		{"x.a.test.", 512, true},
		{"x.a.test.", 1232, false},
		{"x.a.test.", 100, true},
		{"y.a.test.", 1232, true},
		{"y.a.test.", 4096, true},
	} {
		q := new(dns.Msg).SetQuestion(tc.name, dns.TypeTXT)
		if tc.edns > 0 {
			q.SetEdns0(tc.edns, false)
		}
		if m := exchange(t, s, "udp", q); m.Truncated != tc.truncated || m.Len() > max(int(tc.edns), 512) || m.Len() > 1232 || (len(m.Answer) == 0) != tc.truncated {
			t.Errorf("%s %d: %d octets, truncated %v", tc.name, tc.edns, m.Len(), m.Truncated)
		}
		if m := exchange(t, s, "tcp", q); m.Truncated || len(m.Answer) != 1 {
			t.Errorf("%s over TCP: %v", tc.name, m)
		}
	}
}

package dnszone_test

import (
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// FuzzQuery sends any datagram and then a question: the server lives.
func FuzzQuery(f *testing.F) {
	for _, q := range []*dns.Msg{
		new(dns.Msg).SetQuestion("x.a.test.", dns.TypeTXT),
		new(dns.Msg).SetQuestion(".", dns.TypeANY).SetEdns0(0, true),
		new(dns.Msg).SetQuestion("a.test.", dns.TypeSOA).SetEdns0(65535, false),
		new(dns.Msg).SetNotify("a.test."),
		new(dns.Msg).SetUpdate("a.test."),
	} {
		wire, err := q.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
		f.Add(wire[:len(wire)-1])
	}
	s, zone := listen(f)
	if err := zone.TXT("x.a.test", time.Minute, "x"); err != nil {
		f.Fatal(err)
	}
	c, err := net.Dial("udp", s.Addr().String())
	if err != nil {
		f.Fatal(err)
	}
	defer c.Close()
	f.Fuzz(func(t *testing.T, packet []byte) {
		if len(packet) > 4000 {
			return
		}
		if _, err := c.Write(packet); err != nil {
			t.Fatal(err)
		}
		if m := query(t, s, "udp", "x.a.test.", dns.TypeTXT); len(m.Answer) != 1 {
			t.Errorf("%v", m)
		}
	})
}

package stranger_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/videoactivmail/vam/internal/stranger"
)

type datagram struct {
	name string
	p    []byte
	want stranger.Kind
}

func datagrams(tb testing.TB) []datagram {
	tb.Helper()
	query := new(dns.Msg).SetQuestion("_video-activmail._tcp.a.example.", dns.TypeSRV).SetEdns0(1232, true)
	query.Id = 0x1234
	asked, err := query.Pack()
	if err != nil {
		tb.Fatal(err)
	}
	reply := new(dns.Msg).SetReply(query)
	answered, err := reply.Pack()
	if err != nil {
		tb.Fatal(err)
	}
	stun := "\x00\x01\x00\x00\x21\x12\xa4\x42transaction1"
	zeros := func(n int) string { return strings.Repeat("\x00", n) }
	return []datagram{
		{"dns query", asked, stranger.DNS},
		{"root query", append([]byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"), "\x00\x00\x02\x00\x01"...), stranger.DNS},
		{"dns response", answered, stranger.UDPOther},
		{"dns query that is cut", asked[:20], stranger.UDPOther},
		{"dns query with a pointer", []byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01"), stranger.UDPOther},
		{"stun", []byte(stun), stranger.STUN},
		{"stun with attributes", []byte("\x00\x01\x00\x04\x21\x12\xa4\x42transaction1" + "\x80\x2a\x00\x00"), stranger.STUN},
		{"stun of another length", []byte(stun + "more"), stranger.UDPOther},
		{"dtls 1.0", []byte("\x16\xfe\xff" + zeros(8) + "\x00\x01\x01"), stranger.DTLS},
		{"dtls 1.2", []byte("\x16\xfe\xfd" + zeros(8) + "\x00\x02\x01\x00"), stranger.DTLS},
		{"dtls that is cut", []byte("\x16\xfe\xfd" + zeros(8) + "\x00\x05\x01\x00"), stranger.UDPOther},
		{"ntp 4", []byte("\x23" + zeros(47)), stranger.NTP},
		{"ntp 3, unsynchronised", []byte("\xdb" + zeros(47)), stranger.NTP},
		{"ntp server", []byte("\x24" + zeros(47)), stranger.UDPOther},
		{"ntp that is cut", []byte("\x23" + zeros(46)), stranger.UDPOther},
		{"snmp 2c", []byte("\x30\x26\x02\x01\x01\x04\x06public\xa0\x19"), stranger.SNMP},
		{"snmp, long form", []byte("\x30\x82\x00\x26\x02\x01\x00\x04\x06public\xa0\x19"), stranger.SNMP},
		{"ldap", []byte("\x30\x25\x02\x01\x07\x63\x20"), stranger.UDPOther},
		{"wireguard", []byte("\x01\x00\x00\x00" + zeros(144)), stranger.WireGuard},
		{"almost wireguard", []byte("\x01\x00\x00\x00" + zeros(145)), stranger.UDPOther},
		{"nothing", nil, stranger.UDPOther},
		{"an octet", []byte{0}, stranger.UDPOther},
		{"a sequence without a length", []byte{0x30}, stranger.UDPOther},
		{"text", []byte("\x0ahello"), stranger.UDPOther},
	}
}

func TestFromDatagram(t *testing.T) {
	for _, tc := range datagrams(t) {
		if got := stranger.FromDatagram(tc.p); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
		if !slices.Contains(stranger.Kinds(), tc.want) {
			t.Errorf("%q is missing from the kinds", tc.want)
		}
	}
}

func FuzzFromDatagram(f *testing.F) {
	for _, tc := range datagrams(f) {
		f.Add(tc.p)
	}
	kinds := stranger.Kinds()
	f.Fuzz(func(t *testing.T, p []byte) {
		if kind := stranger.FromDatagram(p); !slices.Contains(kinds, kind) {
			t.Errorf("%q", kind)
		}
	})
}

package discovery_test

import (
	"net/netip"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/discovery"
)

// addressForms are forms in which a stranger's DNS can try to lead us somewhere.
var addressForms = []struct {
	addr string
	open bool // dialled without any allowance
}{
	// IPv4: the special-purpose registry, its first and last addresses, its neighbours.
	{"0.0.0.0", false},
	{"0.255.255.255", false},
	{"1.0.0.0", true},
	{"8.8.8.8", true},
	{"9.255.255.255", true},
	{"10.0.0.1", false},
	{"10.255.255.255", false},
	{"11.0.0.0", true},
	{"100.63.255.255", true},
	{"100.64.0.1", false},
	{"100.127.255.255", false},
	{"100.128.0.0", true},
	{"127.0.0.1", false},
	{"127.255.255.254", false},
	{"169.254.169.254", false}, // the metadata service of clouds
	{"172.15.255.255", true},
	{"172.16.0.1", false},
	{"172.31.255.255", false},
	{"172.32.0.0", true},
	{"192.0.0.170", false},
	{"192.0.1.1", true},
	{"192.0.2.1", false},
	{"192.31.196.1", false},
	{"192.52.193.1", false},
	{"192.88.99.1", false},
	{"192.168.1.1", false},
	{"192.169.0.0", true},
	{"192.175.48.1", false},
	{"198.17.255.255", true},
	{"198.18.0.1", false},
	{"198.19.255.255", false},
	{"198.51.100.7", false},
	{"203.0.113.9", false},
	{"223.255.255.254", true},
	{"224.0.0.1", false},
	{"239.255.255.250", false},
	{"240.0.0.1", false},
	{"255.255.255.255", false},
	// IPv6: 2000::/3 without its reserved blocks, and nothing else.
	{"::", false},
	{"::1", false},
	{"::127.0.0.1", false},      // IPv4-compatible
	{"::ffff:127.0.0.1", false}, // mapped
	{"::ffff:8.8.8.8", false},   // mapped, public inside
	{"::ffff:0:8.8.8.8", false}, // translated (SIIT)
	{"64:ff9b::7f00:1", false},  // NAT64
	{"64:ff9b::808:808", false}, // NAT64, public inside
	{"64:ff9b:1::1", false},     // NAT64, local use
	{"100::1", false},           // discard only
	{"1fff:ffff::1", false},     // just below 2000::/3
	{"2001::1", false},          // Teredo
	{"2001:2::1", false},        // benchmarks
	{"2001:10::1", false},       // ORCHID
	{"2001:20::1", false},       // ORCHID v2
	{"2001:1ff::1", false},      // end of the assignments block
	{"2001:200::1", true},       // first of a registry
	{"2001:db8::1", false},      // documentation
	{"2001:4860:4860::8888", true},
	{"2002:7f00:1::1", false},  // 6to4 of 127.0.0.1
	{"2002:808:808::1", false}, // 6to4, public inside
	{"2606:4700:4700::1111", true},
	{"2620:4f:8000::1", false}, // AS112
	{"2a00:1450:4001::1", true},
	{"3ffe::1", false},     // 6bone
	{"3fff::1", false},     // documentation
	{"3fff:1000::1", true}, // after it
	{"4000::1", false},     // just above 2000::/3
	{"5f00::1", false},     // segment routing
	{"fc00::1", false},
	{"fd12:3456:789a::1", false}, // unique local
	{"fe80::1", false},           // link-local
	{"fe80::1%eth0", false},      // with a zone
	{"2606:4700:4700::1111%1", false},
	{"fec0::1", false}, // site-local
	{"ff02::1", false}, // multicast
	{"ff0e::1", false}, // multicast, global scope
}

func TestGuardOpensPublicUnicastOnly(t *testing.T) {
	if len(addressForms) < 60 {
		t.Fatalf("the table has %d forms; 60 are wanted", len(addressForms))
	}
	var guard discovery.Guard
	for _, tc := range addressForms {
		err := guard.Check(netip.MustParseAddr(tc.addr))
		if (err == nil) != tc.open {
			t.Errorf("Check(%s) = %v, open = %v", tc.addr, err, tc.open)
		}
		if err != nil && vam.KindOf(err) != vam.Denied {
			t.Errorf("Check(%s): kind %v", tc.addr, vam.KindOf(err))
		}
	}
	if guard.Check(netip.Addr{}) == nil {
		t.Error("the zero address is open")
	}
}

// TestGuardControlAgrees runs the same table through the form in which the dialer
// asks.
func TestGuardControlAgrees(t *testing.T) {
	var guard discovery.Guard
	for _, tc := range addressForms {
		ap := netip.AddrPortFrom(netip.MustParseAddr(tc.addr), 1398)
		if err := guard.Control("tcp", ap.String(), nil); (err == nil) != tc.open {
			t.Errorf("Control(%s) = %v, open = %v", ap, err, tc.open)
		}
	}
	for _, odd := range []string{"", "localhost:1398", "0x7f.1:1398", "2130706433:1398", "127.1:1398", "[::1]"} {
		if guard.Control("tcp", odd, nil) == nil {
			t.Errorf("Control(%q) is open", odd)
		}
	}
}

func TestGuardAllowsWhatIsConfigured(t *testing.T) {
	guard, err := discovery.NewGuard(netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("64:ff9b::/96"))
	if err != nil {
		t.Fatal(err)
	}
	for addr, open := range map[string]bool{
		"127.0.0.2": true, "fd00::7": true, "64:ff9b::808:808": true, "8.8.8.8": true,
		"::ffff:127.0.0.2": false, "10.0.0.1": false, "::1": false, "fd00::7%eth0": false,
	} {
		if err := guard.Check(netip.MustParseAddr(addr)); (err == nil) != open {
			t.Errorf("Check(%s) = %v, open = %v", addr, err, open)
		}
	}
	allowed, refused := guard.Filter([]netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("127.0.0.2")})
	if len(allowed) != 1 || vam.KindOf(refused) != vam.Denied {
		t.Errorf("Filter = %v, %v", allowed, refused)
	}
	if _, err := discovery.NewGuard(netip.Prefix{}); vam.KindOf(err) != vam.Invalid {
		t.Errorf("NewGuard(invalid) = %v", err)
	}
}

func FuzzGuardControl(f *testing.F) {
	for _, tc := range addressForms {
		f.Add(netip.AddrPortFrom(netip.MustParseAddr(tc.addr), 1398).String())
	}
	f.Fuzz(func(t *testing.T, address string) {
		var guard discovery.Guard
		if guard.Control("udp", address, nil) != nil {
			return
		}
		a := netip.MustParseAddrPort(address).Addr()
		if a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.Is4In6() || a.Zone() != "" || !a.IsGlobalUnicast() {
			t.Errorf("%q is open", address)
		}
	})
}

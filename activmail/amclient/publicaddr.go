package amclient

import (
	"net/netip"

	"github.com/videoactivmail/vam"
)

// PublicUnicast accepts the addresses that a peer may have on the Internet, and nothing
// that reaches this machine, its network, a translator to them or a group (AM-2.7): of
// IPv6 only 2000::/3 without its special blocks, which also shuts out the IPv4-mapped
// and NAT64 forms of private addresses. Errors: Denied.
func PublicUnicast(addr netip.Addr) error {
	ok := addr.IsValid() && addr.Zone() == ""
	if addr.Is4() {
		ok = ok && publicIPv4(addr)
	} else {
		ok = ok && publicIPv6(addr)
	}
	if !ok {
		return vam.Errorf(vam.Denied, "the peer's address %v is not a public one; VAM connects to public addresses only, unless the operator allows a network", addr).
			WithProblem("policy")
	}
	return nil
}

// AllowNetworks accepts addresses of the given networks, and of others what
// PublicUnicast accepts. Test set-ups and private federations use it.
func AllowNetworks(networks ...netip.Prefix) func(netip.Addr) error {
	return func(addr netip.Addr) error {
		for _, n := range networks {
			if n.Contains(addr) || n.Contains(addr.Unmap()) {
				return nil
			}
		}
		return PublicUnicast(addr)
	}
}

// publicIPv4 leaves out the special blocks of RFC 6890 and its successors.
func publicIPv4(a netip.Addr) bool {
	b := a.As4()
	switch {
	case b[0] == 0, b[0] == 10, b[0] == 127, b[0] >= 224, // this network, private, loopback, multicast and reserved
		b[0] == 100 && b[1]&0xc0 == 64,           // shared, RFC 6598
		b[0] == 169 && b[1] == 254,               // link-local
		b[0] == 172 && b[1]&0xf0 == 16,           // private
		b[0] == 192 && b[1] == 168,               // private
		b[0] == 192 && b[1] == 0 && b[2] == 0,    // protocol assignments
		b[0] == 192 && b[1] == 0 && b[2] == 2,    // documentation
		b[0] == 192 && b[1] == 88 && b[2] == 99,  // 6to4 relays
		b[0] == 192 && b[1] == 31 && b[2] == 196, // AS112
		b[0] == 192 && b[1] == 52 && b[2] == 193, // AMT
		b[0] == 192 && b[1] == 175 && b[2] == 48, // AS112
		b[0] == 198 && b[1]&0xfe == 18,           // benchmarks
		b[0] == 198 && b[1] == 51 && b[2] == 100, // documentation
		b[0] == 203 && b[1] == 0 && b[2] == 113:  // documentation
		return false
	}
	return true
}

// publicIPv6 accepts global unicast without the blocks that tunnel, translate or
// document.
func publicIPv6(a netip.Addr) bool {
	b := a.As16()
	switch {
	case b[0]&0xe0 != 0x20, // outside 2000::/3
		b[0] == 0x20 && b[1] == 0x02,                                                           // 6to4, carries an IPv4 address
		b[0] == 0x20 && b[1] == 0x01 && b[2] <= 0x01,                                           // 2001::/23: Teredo, ORCHID, benchmarks
		b[0] == 0x20 && b[1] == 0x01 && b[2] == 0x0d && b[3] == 0xb8,                           // documentation
		b[0] == 0x3f && b[1] == 0xff && b[2]&0xf0 == 0,                                         // documentation, RFC 9637
		b[0] == 0x3f && b[1] == 0xfe,                                                           // 6bone, returned
		b[0] == 0x26 && b[1] == 0x20 && b[2] == 0 && b[3] == 0x4f && b[4] == 0x80 && b[5] == 0: // AS112
		return false
	}
	return true
}

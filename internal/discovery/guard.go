package discovery

import (
	"net/netip"
	"slices"
	"syscall"

	"github.com/videoactivmail/vam"
)

// Guard decides which addresses may be dialled. The zero Guard lets through public
// unicast addresses only, so that a domain's records can never turn this server
// against its own network (AM-14). It is immutable and safe for concurrent use.
type Guard struct {
	allow []netip.Prefix
}

// NewGuard returns a Guard that lets the given networks through as well, for `vam
// try`, tests and private deployments. A network is matched in the form in which an
// address is written: 10.0.0.0/8 does not open ::ffff:10.0.0.1. Errors: Invalid.
func NewGuard(allow ...netip.Prefix) (Guard, error) {
	for _, p := range allow {
		if !p.IsValid() || p.Addr().Is4In6() {
			return Guard{}, vam.Errorf(vam.Invalid, "%q is not a network: write for example 10.0.0.0/8 or fd00::/8", p)
		}
	}
	return Guard{allow: slices.Clone(allow)}, nil
}

// Check returns nil when addr may be dialled. Errors: Denied, with a sentence that
// says what the address is.
func (g Guard) Check(addr netip.Addr) error {
	why := refusal(addr)
	if why == "" {
		return nil
	}
	if addr.IsValid() && addr.Zone() == "" {
		for _, p := range g.allow {
			if p.Contains(addr) {
				return nil
			}
		}
	}
	return vam.Errorf(vam.Denied, "%s is not dialled: it is %s, not a public address (the operator can allow its network)", addr, why)
}

// Control has the shape of net.Dialer.Control. It checks the address that is really
// about to be dialled, whatever was resolved before, which is what stands against a
// name that changes its answer between check and use. Errors: Denied.
func (g Guard) Control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return vam.Wrap(vam.Denied, err, "%q is not dialled: it is no IP address", address)
	}
	return g.Check(ap.Addr())
}

// Filter splits addrs into those that may be dialled and the error of the first
// that may not; refused is nil when all may.
func (g Guard) Filter(addrs []netip.Addr) (allowed []netip.Addr, refused error) {
	for _, a := range addrs {
		err := g.Check(a)
		switch {
		case err == nil:
			allowed = append(allowed, a)
		case refused == nil:
			refused = err
		}
	}
	return allowed, refused
}

type block struct {
	prefix netip.Prefix
	why    string
}

// refusal says why addr is not public unicast, "" when it is. IPv4 is open except for
// the special-purpose registry of IANA (RFC 6890 and its successors); IPv6 is closed
// except for 2000::/3 without that registry's blocks, which keeps out every form that
// carries an IPv4 address inside (mapped, compatible, NAT64, 6to4, Teredo).
func refusal(addr netip.Addr) string {
	switch {
	case !addr.IsValid():
		return "no address"
	case addr.Zone() != "":
		return "an address with a zone"
	case addr.Is4In6():
		return "an IPv4 address written as IPv6"
	}
	blocks := blocks4
	if addr.Is6() {
		if !globalUnicast6().Contains(addr) {
			return nonGlobal6(addr)
		}
		blocks = blocks6
	}
	for _, b := range blocks() {
		if b.prefix.Contains(addr) {
			return b.why
		}
	}
	return ""
}

func globalUnicast6() netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20}), 3)
}

func nonGlobal6(addr netip.Addr) string {
	b := addr.As16()
	switch {
	case addr.IsLoopback():
		return "this host"
	case addr.IsUnspecified():
		return "the unspecified address"
	case addr.IsMulticast():
		return "multicast"
	case addr.IsLinkLocalUnicast():
		return "link-local"
	case addr.IsPrivate():
		return "a private network"
	case b[0] == 0 && b[1] == 0x64 && b[2] == 0xff && b[3] == 0x9b:
		return "an IPv4 address behind NAT64"
	}
	return "outside of the global unicast space 2000::/3"
}

func v4(a, b, c byte, bits int, why string) block {
	return block{netip.PrefixFrom(netip.AddrFrom4([4]byte{a, b, c}), bits), why}
}

func blocks4() []block {
	return []block{
		v4(0, 0, 0, 8, `"this network"`),
		v4(10, 0, 0, 8, "a private network"),
		v4(100, 64, 0, 10, "carrier-grade NAT"),
		v4(127, 0, 0, 8, "this host"),
		v4(169, 254, 0, 16, "link-local"),
		v4(172, 16, 0, 12, "a private network"),
		v4(192, 0, 0, 24, "reserved for protocol assignments"),
		v4(192, 0, 2, 24, "reserved for documentation"),
		v4(192, 31, 196, 24, "the AS112 service"),
		v4(192, 52, 193, 24, "a multicast tunnel relay"),
		v4(192, 88, 99, 24, "a 6to4 relay"),
		v4(192, 168, 0, 16, "a private network"),
		v4(192, 175, 48, 24, "the AS112 service"),
		v4(198, 18, 0, 15, "reserved for benchmarks"),
		v4(198, 51, 100, 24, "reserved for documentation"),
		v4(203, 0, 113, 24, "reserved for documentation"),
		v4(224, 0, 0, 4, "multicast"),
		v4(240, 0, 0, 4, "reserved"),
	}
}

func v6(a, b, c uint16, bits int, why string) block {
	raw := [16]byte{byte(a >> 8), byte(a), byte(b >> 8), byte(b), byte(c >> 8), byte(c)}
	return block{netip.PrefixFrom(netip.AddrFrom16(raw), bits), why}
}

func blocks6() []block {
	return []block{
		v6(0x2001, 0, 0, 23, "reserved for protocol assignments (Teredo, ORCHID, benchmarks)"),
		v6(0x2001, 0xdb8, 0, 32, "reserved for documentation"),
		v6(0x2002, 0, 0, 16, "an IPv4 address written as 6to4"),
		v6(0x2620, 0x4f, 0x8000, 48, "the AS112 service"),
		v6(0x3ffe, 0, 0, 16, "the closed 6bone"),
		v6(0x3fff, 0, 0, 20, "reserved for documentation"),
	}
}

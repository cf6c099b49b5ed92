package stranger

import (
	"encoding/binary"
	"strings"
)

// FromDatagram says what a datagram looks like that is no QUIC. Nothing is ever sent
// back (AM-11.18), so nobody can be hit by answers through a forged address.
func FromDatagram(p []byte) Kind {
	switch {
	case isSTUN(p):
		return STUN
	case isDTLS(p):
		return DTLS
	case isNTP(p):
		return NTP
	case len(p) == 148 && strings.HasPrefix(string(p), "\x01\x00\x00\x00"):
		return WireGuard
	case isSNMP(p):
		return SNMP
	case isDNS(p):
		return DNS
	}
	return UDPOther
}

// isSTUN checks the magic cookie and the length (RFC 8489 section 5).
func isSTUN(p []byte) bool {
	const header, cookie = 20, 0x2112A442
	return len(p) >= header && p[0]&0xc0 == 0 && binary.BigEndian.Uint32(p[4:]) == cookie &&
		int(binary.BigEndian.Uint16(p[2:])) == len(p)-header
}

// isDTLS takes a handshake record: type 22, version 1.0 (0xfeff) or 1.2 (0xfefd), and a
// length that fits.
func isDTLS(p []byte) bool {
	const header = 13
	return len(p) > header && p[0] == recordHandshake && p[1] == 0xfe && p[2] >= 0xfd &&
		int(binary.BigEndian.Uint16(p[11:])) <= len(p)-header
}

// isNTP takes a client's question (mode 3) of versions 1 to 4, without extensions or
// with those of NTS (RFC 5905 section 7.3, RFC 8915).
func isNTP(p []byte) bool {
	const header = 48
	version, mode := p0(p)>>3&7, p0(p)&7
	return len(p) >= header && len(p)%4 == 0 && mode == 3 && 1 <= version && version <= 4 && p[1] <= 16
}

// isSNMP takes the beginning of the BER message of versions 1, 2c and 3: a sequence
// with a length, and an integer of one octet.
func isSNMP(p []byte) bool {
	if len(p) < 2 || p[0] != 0x30 {
		return false
	}
	body := p[2:]
	if long := p[1]; long >= 0x80 {
		n := int(long & 0x7f)
		if n == 0 || n > 2 || len(body) < n {
			return false
		}
		body = body[n:]
	}
	return len(body) > 3 && body[0] == 2 && body[1] == 1 && (body[2] <= 1 || body[2] == 3)
}

// isDNS takes a query of one question whose name is well-formed (RFC 1035 section 4.1).
func isDNS(p []byte) bool {
	const header, qr, opcode = 12, 0x80, 0x78
	if len(p) < header || p[2]&(qr|opcode) != 0 || binary.BigEndian.Uint16(p[4:]) != 1 || binary.BigEndian.Uint32(p[6:]) != 0 {
		return false
	}
	for name := p[header:]; len(name) > 0 && name[0] < 64; {
		n := int(name[0])
		if n == 0 {
			return len(name) >= 1+4 // type and class
		}
		if len(name) <= n {
			return false
		}
		name = name[1+n:]
	}
	return false
}

func p0(p []byte) byte {
	if len(p) == 0 {
		return 0
	}
	return p[0]
}

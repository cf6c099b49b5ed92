package dnsresolver

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/videoactivmail/vam/internal/discovery"
)

// follow returns the records of qtype in m at the end of the aliases that begin at
// the question's name, and the smallest TTL on the way. It is false for a chain that
// has no end. A stub asks servers that follow aliases themselves, so a chain without
// records at its end is an absence.
func follow(m *dns.Msg, qtype uint16) (set []dns.RR, ttl time.Duration, ok bool) {
	const maxAliases = 12
	name := m.Question[0].Name
	lowest := uint32(1<<31 - 1)
	for range maxAliases {
		var alias *dns.CNAME
		for _, rr := range m.Answer {
			h := rr.Header()
			if h.Class != dns.ClassINET || !strings.EqualFold(h.Name, name) {
				continue
			}
			if c, is := rr.(*dns.CNAME); is && h.Rrtype == dns.TypeCNAME {
				alias = c
			}
			if h.Rrtype == qtype {
				set = append(set, rr)
				lowest = min(lowest, uint32(seconds(h.Ttl)/time.Second))
			}
		}
		if len(set) > 0 || alias == nil {
			return set, seconds(lowest), true
		}
		lowest = min(lowest, uint32(seconds(alias.Hdr.Ttl)/time.Second))
		name = alias.Target
	}
	return nil, 0, false
}

func readSRV(rr dns.RR) (discovery.SRV, bool) {
	s, ok := rr.(*dns.SRV)
	if !ok {
		return discovery.SRV{}, false
	}
	target := strings.TrimSuffix(s.Target, ".")
	if target == "" {
		target = "."
	}
	return discovery.SRV{Target: target, Port: s.Port, Priority: s.Priority, Weight: s.Weight}, true
}

func readTXT(rr dns.RR) (string, bool) {
	t, ok := rr.(*dns.TXT)
	if !ok {
		return "", false
	}
	var out strings.Builder
	for _, s := range t.Txt {
		out.WriteString(unescape(s))
	}
	return out.String(), true
}

func readTLSA(rr dns.RR) (discovery.TLSA, bool) {
	t, ok := rr.(*dns.TLSA)
	if !ok {
		return discovery.TLSA{}, false
	}
	data, err := hex.DecodeString(t.Certificate)
	if err != nil {
		return discovery.TLSA{}, false
	}
	return discovery.TLSA{Usage: t.Usage, Selector: t.Selector, MatchingType: t.MatchingType, Data: data}, true
}

// readAddr keeps what the type says: four octets for A, sixteen for AAAA, so that an
// IPv4 address in an AAAA record stays recognisable as one.
func readAddr(rr dns.RR) (netip.Addr, bool) {
	switch a := rr.(type) {
	case *dns.A:
		return netip.AddrFromSlice(a.A.To4())
	case *dns.AAAA:
		return netip.AddrFromSlice(a.AAAA.To16())
	}
	return netip.Addr{}, false
}

// unescape turns the presentation form in which the DNS library keeps
// character-strings, \X and \DDD, back into octets.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '\\':
			out = append(out, s[i])
		case i+3 < len(s) && isDigit(s[i+1]) && isDigit(s[i+2]) && isDigit(s[i+3]):
			out = append(out, (s[i+1]-'0')*100+(s[i+2]-'0')*10+(s[i+3]-'0'))
			i += 3
		case i+1 < len(s):
			i++
			out = append(out, s[i])
		}
	}
	return string(out)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

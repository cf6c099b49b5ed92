package dnszone

import (
	"strings"

	"github.com/miekg/dns"
)

// udpSize is the largest answer over UDP, whatever the client offers: what passes
// every path unfragmented (DNS flag day 2020).
const udpSize = 1232

func (s *Server) handler(udp bool) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		if m := s.answer(q, udp); m != nil {
			_ = w.WriteMsg(m) // the asker has gone, or its time-out will tell it
		}
	}
}

// answer returns nil for silence.
func (s *Server) answer(q *dns.Msg, udp bool) *dns.Msg {
	m := new(dns.Msg).SetReply(q)
	if q.Opcode != dns.OpcodeQuery || len(q.Question) != 1 {
		m.Rcode = dns.RcodeNotImplemented
		return m
	}
	k := key{strings.ToLower(q.Question[0].Name), q.Question[0].Qtype}
	switch failure := s.count(k); {
	case failure == Silence:
		return nil
	case failure == ServFail:
		m.Rcode = dns.RcodeServerFailure
	case failure == Refuse:
		m.Rcode = dns.RcodeRefused
	case failure == Truncate && udp:
		m.Truncated = true
	case failure == Lame && udp:
		m.Question[0].Name = "elsewhere.invalid."
	default:
		s.fill(m, q, k)
	}
	opt := q.IsEdns0()
	if opt != nil {
		m.SetEdns0(udpSize, opt.Do())
	}
	if udp {
		size := dns.MinMsgSize
		if opt != nil {
			size = min(int(opt.UDPSize()), udpSize)
		}
		m.Truncate(size)
	} else {
		m.Truncate(dns.MaxMsgSize)
	}
	return m
}

func (s *Server) fill(m, q *dns.Msg, k key) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	zone := s.zoneOf(k.name)
	if zone == nil || q.Question[0].Qclass != dns.ClassINET {
		m.Rcode = dns.RcodeRefused
		return
	}
	opt := q.IsEdns0()
	wantsAD := q.AuthenticatedData || (opt != nil && opt.Do())
	m.Authoritative = true
	m.AuthenticatedData = wantsAD && zone.authenticated
	const maxAliases = 8
	for range maxAliases {
		if k.name == zone.apex && k.qtype == dns.TypeSOA {
			m.Answer = append(m.Answer, zone.soa())
			return
		}
		if set := zone.records[k]; len(set) > 0 {
			m.Answer = append(m.Answer, copies(set)...)
			return
		}
		alias := zone.records[key{k.name, dns.TypeCNAME}]
		if len(alias) == 0 {
			break
		}
		m.Answer = append(m.Answer, copies(alias[:1])...)
		k.name = strings.ToLower(alias[0].(*dns.CNAME).Target)
		next := s.zoneOf(k.name)
		if next == nil {
			return
		}
		m.AuthenticatedData = m.AuthenticatedData && next.authenticated
		zone = next
	}
	if !zone.exists(k.name) {
		m.Rcode = dns.RcodeNameError
	}
	m.Ns = []dns.RR{zone.soa()}
}

// zoneOf is the zone with the longest apex above name. s.mu is held.
func (s *Server) zoneOf(name string) *Zone {
	for off, end := 0, false; !end; off, end = dns.NextLabel(name, off) {
		if z, ok := s.zones[name[off:]]; ok {
			return z
		}
	}
	return nil
}

// copies keeps the library, which writes into records while it packs them, away from
// what other queries read.
func copies(set []dns.RR) []dns.RR {
	out := make([]dns.RR, len(set))
	for i, rr := range set {
		out[i] = dns.Copy(rr)
	}
	return out
}

package dnszone

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/videoactivmail/vam"
)

// Defaults of a zone.
const (
	// DefaultTTL is the time to live of a record that is added without one.
	DefaultTTL = 5 * time.Minute
	// NegativeTTL is the SOA minimum: how long an absence may be remembered.
	NegativeTTL = time.Minute
)

// Zone is the set of records under one apex. All methods are safe for concurrent use
// and take effect with the next query. Owner names are absolute, with or without the
// final dot, and must lie in the zone. A record is added to what is there; Remove
// takes away.
type Zone struct {
	server *Server
	apex   string // lower case, final dot

	// Guarded by server.mu.
	records       map[key][]dns.RR
	authenticated bool
	negative      time.Duration
	serial        uint32
}

type key struct {
	name  string // lower case, final dot
	qtype uint16
}

// Apex is the zone's name, without final dot.
func (z *Zone) Apex() string { return strings.TrimSuffix(z.apex, ".") }

// Addr adds an A or AAAA record for each address. Errors: Invalid.
func (z *Zone) Addr(name string, ttl time.Duration, addrs ...netip.Addr) error {
	for _, a := range addrs {
		var rr dns.RR
		switch {
		case a.Is4():
			rr = &dns.A{Hdr: header(dns.TypeA, ttl), A: a.AsSlice()}
		case a.Is6() && a.Zone() == "":
			rr = &dns.AAAA{Hdr: header(dns.TypeAAAA, ttl), AAAA: a.AsSlice()}
		default:
			return vam.Errorf(vam.Invalid, "%q is not an address for DNS", a)
		}
		if err := z.add(name, rr); err != nil {
			return err
		}
	}
	return nil
}

// SRV adds a service record; target "." says that there is no such service. Errors:
// Invalid.
func (z *Zone) SRV(name string, ttl time.Duration, priority, weight, port uint16, target string) error {
	return z.add(name, &dns.SRV{Hdr: header(dns.TypeSRV, ttl), Priority: priority, Weight: weight, Port: port, Target: dns.Fqdn(target)})
}

// TXT adds one record with text, cut into character-strings of at most 255 octets
// (RFC 1035 section 3.3.14). Errors: Invalid.
func (z *Zone) TXT(name string, ttl time.Duration, text string) error {
	rr := &dns.TXT{Hdr: header(dns.TypeTXT, ttl)}
	for part := range slices.Chunk([]byte(text), 255) {
		rr.Txt = append(rr.Txt, escape(part))
	}
	if text == "" {
		rr.Txt = []string{""}
	}
	return z.add(name, rr)
}

// TLSA adds a certificate association (RFC 6698). Errors: Invalid.
func (z *Zone) TLSA(name string, ttl time.Duration, usage, selector, matching uint8, data []byte) error {
	return z.add(name, &dns.TLSA{Hdr: header(dns.TypeTLSA, ttl), Usage: usage, Selector: selector, MatchingType: matching, Certificate: hex.EncodeToString(data)})
}

// CNAME makes name an alias. Errors: Invalid.
func (z *Zone) CNAME(name string, ttl time.Duration, target string) error {
	return z.add(name, &dns.CNAME{Hdr: header(dns.TypeCNAME, ttl), Target: dns.Fqdn(target)})
}

// Parse adds the records of a text in the master file format (RFC 1035 section 5),
// such as the lines that `vam dns` prints. $INCLUDE is refused. Errors: Invalid.
func (z *Zone) Parse(text string) error {
	zp := dns.NewZoneParser(strings.NewReader(text), z.apex, "")
	zp.SetDefaultTTL(uint32(DefaultTTL / time.Second))
	for rr, ok := zp.Next(); ok; rr, ok = zp.Next() {
		if err := z.add(rr.Header().Name, rr); err != nil {
			return err
		}
	}
	if err := zp.Err(); err != nil {
		return vam.Wrap(vam.Invalid, err, "the records for %s cannot be read", z.Apex())
	}
	return nil
}

// Remove takes all records of name away.
func (z *Zone) Remove(name string) {
	z.server.mu.Lock()
	defer z.server.mu.Unlock()
	for k := range z.records {
		if k.name == canonical(name) {
			delete(z.records, k)
		}
	}
	z.serial++
}

// SetAuthenticated sets the AD bit in answers from this zone to queries that ask for
// it. An authoritative server never does that (RFC 6840 section 5.8); this one can
// stand in for a validating resolver.
func (z *Zone) SetAuthenticated(on bool) {
	z.server.mu.Lock()
	defer z.server.mu.Unlock()
	z.authenticated = on
}

// SetNegativeTTL changes the SOA minimum.
func (z *Zone) SetNegativeTTL(ttl time.Duration) {
	z.server.mu.Lock()
	defer z.server.mu.Unlock()
	z.negative = ttl
}

// Records returns the zone in the master file format, one record a line, sorted.
func (z *Zone) Records() []string {
	z.server.mu.RLock()
	defer z.server.mu.RUnlock()
	var out []string
	for _, set := range z.records {
		for _, rr := range set {
			out = append(out, rr.String())
		}
	}
	slices.Sort(out)
	return out
}

func (z *Zone) add(name string, rr dns.RR) error {
	name = canonical(name)
	if _, ok := dns.IsDomainName(name); !ok || !dns.IsSubDomain(z.apex, name) {
		return vam.Errorf(vam.Invalid, "%.80q is not a name in the zone %s", name, z.Apex())
	}
	// The library packs names that are too long.
	if to := target(rr); to != "" {
		if _, ok := dns.IsDomainName(to); !ok {
			return vam.Errorf(vam.Invalid, "%.80q is not a name that %s can lead to", to, name)
		}
	}
	h := rr.Header()
	h.Name, h.Class = name, dns.ClassINET
	if _, err := dns.PackRR(rr, make([]byte, dns.MaxMsgSize), 0, nil, false); err != nil {
		return vam.Wrap(vam.Invalid, err, "the %s record of %s cannot be written", dns.TypeToString[h.Rrtype], name)
	}
	z.server.mu.Lock()
	defer z.server.mu.Unlock()
	k := key{name, h.Rrtype}
	z.records[k] = append(z.records[k], rr)
	z.serial++
	return nil
}

// target is the name that rr leads to, "" for types that lead nowhere.
func target(rr dns.RR) string {
	switch rr := rr.(type) {
	case *dns.SRV:
		return rr.Target
	case *dns.CNAME:
		return rr.Target
	}
	return ""
}

// exists reports whether name or a name below it has records; an empty name in
// between exists too (RFC 8020). server.mu is held.
func (z *Zone) exists(name string) bool {
	if name == z.apex {
		return true
	}
	for k := range z.records {
		if dns.IsSubDomain(name, k.name) {
			return true
		}
	}
	return false
}

// soa is made when it is needed. server.mu is held.
func (z *Zone) soa() dns.RR {
	ttl := uint32(z.negative / time.Second)
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: z.apex, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl},
		Ns:  "ns." + z.apex, Mbox: "hostmaster." + z.apex,
		Serial: z.serial, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: ttl,
	}
}

func header(qtype uint16, ttl time.Duration) dns.RR_Header {
	return dns.RR_Header{Rrtype: qtype, Class: dns.ClassINET, Ttl: uint32(max(ttl, 0) / time.Second)}
}

func canonical(name string) string { return strings.ToLower(dns.Fqdn(name)) }

// escape writes octets in the form that the DNS library keeps character-strings in.
func escape(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		switch {
		case c == '"' || c == '\\':
			s.WriteByte('\\')
			s.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&s, `\%03d`, c)
		default:
			s.WriteByte(c)
		}
	}
	return s.String()
}

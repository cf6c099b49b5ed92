package discovery

import (
	"crypto/tls"
	"net/netip"
	"slices"
)

// Rule is the way in which a server proves that it may act for a domain (AM-2.15).
// The first that applies is the only one that counts.
type Rule uint8

// The rules, strongest first.
const (
	// RuleTLSA: the certificate is named by a TLSA record under DNSSEC.
	RuleTLSA Rule = 1
	// RuleSecureSRV: the certificate is for the target name, and the SRV record that
	// leads to it was validated by DNSSEC.
	RuleSecureSRV Rule = 2
	// RulePolicy: the certificate is for the target name, and the domain's policy,
	// fetched over https, lists it.
	RulePolicy Rule = 3
	// RuleDomain: the certificate is for the domain itself, or its SRV-ID.
	RuleDomain Rule = 4
)

// String says the rule in words.
func (r Rule) String() string {
	switch r {
	case RuleTLSA:
		return "TLSA record under DNSSEC"
	case RuleSecureSRV:
		return "target name, from an SRV record under DNSSEC"
	case RulePolicy:
		return "target name, listed in the domain's policy"
	case RuleDomain:
		return "the domain's own name or SRV-ID"
	}
	return "no rule"
}

// Networks of an Endpoint.
const (
	TCP = "tcp" // HTTP/2 over TLS 1.3
	UDP = "udp" // HTTP/3
)

// Endpoint is one server that answers for a domain. It is a plain value; its slices
// are the receiver's own.
type Endpoint struct {
	// Host is the SRV target, without final dot.
	Host    string
	Port    uint16
	Network string // TCP or UDP
	// Addrs are the addresses that may be dialled, in DialOrder and never empty. They
	// passed the guard: dial these and resolve nothing again.
	Addrs []netip.Addr
	// ServerName is the name for SNI and ":authority": Host under rules 1 to 3, the
	// domain under rule 4. Connections may be shared by equal ServerName, Rule, Port
	// and Network only.
	ServerName string
	Rule       Rule
	// Verify checks the certificate that the server showed. It stands in the place of
	// the TLS library's own check and is safe for concurrent use. Errors: Unavailable,
	// with a sentence that says what was expected and what was found.
	Verify func(tls.ConnectionState) error
}

// AddrPorts returns Addrs with Port, in the same order.
func (e Endpoint) AddrPorts() []netip.AddrPort {
	out := make([]netip.AddrPort, len(e.Addrs))
	for i, a := range e.Addrs {
		out[i] = netip.AddrPortFrom(a, e.Port)
	}
	return out
}

func (e Endpoint) clone() Endpoint {
	e.Addrs = slices.Clone(e.Addrs)
	return e
}

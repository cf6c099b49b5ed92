package dnsresolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/videoactivmail/vam"
)

// ask returns the first answer that settles the question: records, or their absence.
// trusted says that the server may be believed about DNSSEC. Errors: Invalid for a
// name that cannot be asked, Unavailable, the context's.
func (r *Resolver) ask(ctx context.Context, name string, qtype uint16) (m *dns.Msg, trusted bool, err error) {
	if !askable(name) {
		return nil, false, vam.Errorf(vam.Invalid, "%.80q is not a DNS name", name)
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	servers, err := r.servers()
	if err != nil {
		return nil, false, err
	}
	servers = servers[:min(len(servers), maxServers)]
	var errs []error
	for range r.rounds {
		for _, server := range servers {
			m, err := r.askServer(ctx, server, name, qtype)
			if err == nil {
				// Anybody on the way can set the AD bit, so it counts only where there is no
				// way (AM-2.21).
				return m, server.Addr().Unmap().IsLoopback(), nil
			}
			if ctx.Err() != nil {
				return nil, false, ctx.Err()
			}
			errs = append(errs, fmt.Errorf("%s: %w", server, err))
		}
	}
	return nil, false, vam.Wrap(vam.Unavailable, errors.Join(errs...), "DNS does not answer for %s %s", name, dns.TypeToString[qtype])
}

// askServer asks one server, over UDP and, when the answer does not fit, over TCP. A
// server that stumbles over EDNS is asked without (RFC 6891 section 6.2.2).
func (r *Resolver) askServer(ctx context.Context, server netip.AddrPort, name string, qtype uint16) (*dns.Msg, error) {
	q := query(name, qtype)
	m, err := r.exchange(ctx, "udp", server, q)
	if err == nil && (m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented) {
		q.Extra = nil
		m, err = r.exchange(ctx, "udp", server, q)
	}
	if err == nil && m.Truncated {
		m, err = r.exchange(ctx, "tcp", server, q)
	}
	if err != nil {
		return nil, err
	}
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return nil, fmt.Errorf("response code %s", dns.RcodeToString[m.Rcode])
	}
	if refers(m) {
		return nil, errReferral
	}
	return m, nil
}

var errReferral = errors.New("the server refers to others and does not ask them itself")

// refers reports whether m is a referral (RFC 2308 section 2.2.1) or the shrug of a
// server that does not ask on. Taken for an absence, it would make a domain "not VAM"
// (AM-2.3).
func refers(m *dns.Msg) bool {
	if m.Rcode != dns.RcodeSuccess || m.Authoritative || len(m.Answer) > 0 {
		return false
	}
	pointed := false
	for _, rr := range m.Ns {
		switch rr.Header().Rrtype {
		case dns.TypeSOA:
			return false
		case dns.TypeNS:
			pointed = true
		}
	}
	return pointed || !m.RecursionAvailable
}

func query(name string, qtype uint16) *dns.Msg {
	q := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype)
	q.SetEdns0(udpSize, true)
	return q
}

func (r *Resolver) exchange(ctx context.Context, network string, server netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	conn, err := r.dial(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	// The one clock is that of the context, so that whoever sees the end of an exchange
	// sees the end of the context too.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	q.Id = dns.Id() // fresh, with the fresh source port, for each try (RFC 5452)
	if network == "udp" {
		return overUDP(conn, q)
	}
	return overTCP(conn, q)
}

// answers reports whether m is an answer to q and not to another question.
func answers(m, q *dns.Msg) bool {
	return m.Response && m.Id == q.Id && m.Opcode == dns.OpcodeQuery && len(m.Question) == 1 &&
		strings.EqualFold(m.Question[0].Name, q.Question[0].Name) &&
		m.Question[0].Qtype == q.Question[0].Qtype && m.Question[0].Qclass == q.Question[0].Qclass
}

// askable lets host names and names with underscores through, which is all that VAM
// asks for; escapes and binary labels stay out.
func askable(name string) bool {
	if name == "" || len(name) > vam.MaxDomainOctets {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, func(c rune) bool {
			return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_'
		}) {
			return false
		}
	}
	return true
}

package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// checkPorts looks at each port of the listeners of one network: who holds it,
// and what answers there.
func (e Env) checkPorts(ctx context.Context, network string, listeners []netip.AddrPort, serverName string) []Finding {
	var out []Finding
	seen := map[uint16]bool{}
	for _, l := range listeners {
		var answer *Answer
		target := Target{Network: network, Addr: netip.AddrPortFrom(reachable(l.Addr()), l.Port()), ServerName: serverName}
		if e.Prober != nil {
			a := e.Prober.Probe(ctx, target)
			answer = &a
		}
		if e.Ports != nil && !seen[l.Port()] {
			seen[l.Port()] = true
			out = append(out, e.checkHolder(ctx, network, l.Port(), answer))
		}
		if answer != nil {
			out = append(out, judgeAnswer(target, *answer, false))
		}
	}
	return out
}

// reachable is an address at which a listener can be asked from this machine.
func reachable(a netip.Addr) netip.Addr {
	switch {
	case !a.IsUnspecified():
		return a
	case a.Is4():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}

func (e Env) checkHolder(ctx context.Context, network string, port uint16, answer *Answer) Finding {
	id, subject := "port."+network, fmt.Sprintf("%d/%s", port, network)
	const expected = "vam holds the port"
	vamAnswers := answer != nil && answer.Speaks
	holders, err := e.Ports.Holders(ctx, network, port)
	switch {
	case err != nil && vamAnswers:
		return finding(id, subject, OK, expected, "VAM answers there; "+err.Error(), "")
	case err != nil:
		return finding(id, subject, Warn, expected, err.Error(), "")
	case len(holders) == 0 && vamAnswers:
		return finding(id, subject, OK, expected, "VAM answers there, from another network namespace or container", "")
	case len(holders) == 0:
		return finding(id, subject, Fail, expected, "nobody holds it: the server does not run here", "start it: vam serve, or systemctl start vam")
	}
	found, hidden := describeHolders(holders)
	if vamAnswers {
		return finding(id, subject, OK, expected, found, "")
	}
	fix := fmt.Sprintf("stop that process, or give vam another port: listen.%s of the configuration, and the same port in the SRV record", network)
	if hidden {
		fix = "run `sudo vam doctor` to see its name; then " + fix
	}
	return finding(id, subject, Fail, expected, found, fix)
}

// describeHolders has one part for each socket; hidden says that a process could
// not be seen.
func describeHolders(holders []Holder) (text string, hidden bool) {
	var parts []string
	for _, h := range holders {
		who := strings.Join(h.Processes, " and ")
		if who == "" {
			who, hidden = "a process of user "+h.User, true
		}
		parts = append(parts, fmt.Sprintf("%s on %s", who, h.Local))
	}
	return strings.Join(parts, "; "), hidden
}

// judgeAnswer turns what answered into a finding. UDP that does not answer from
// outside is a warning only, because TCP carries the mail then.
func judgeAnswer(t Target, a Answer, outside bool) Finding {
	subject := fmt.Sprintf("%s/%s", t.Addr, t.Network)
	expected := "VAM/1: TLS 1.3, ALPN h2"
	if t.Network == UDP {
		expected = "VAM/1: QUIC, ALPN h3"
	}
	if a.Speaks {
		return finding("answer."+t.Network, subject, OK, expected, "VAM/1", "")
	}
	level, fix := Fail, "see which process holds the port: vam doctor, on that machine"
	switch {
	case t.Network == UDP && outside:
		level = Warn
		fix = "let UDP through the firewall in both directions; until then everything goes over TCP"
	case a.Silent && outside:
		fix = "start the server there, and let the port through its firewall"
	case a.Silent:
		fix = "start the server: vam serve"
	}
	return finding("answer."+t.Network, subject, level, expected, a.Found, fix)
}

// maxSkew is what a signature forgives (AM-3.6), warnSkew when to look at it.
const (
	maxSkew  = 60 * time.Second
	warnSkew = 10 * time.Second
)

// judgeClock compares another server's clock with ours. HTTP dates have whole
// seconds.
func judgeClock(t Target, a Answer) []Finding {
	if a.Date.IsZero() || a.At.IsZero() {
		return nil
	}
	skew := a.At.Sub(a.Date)
	found := fmt.Sprintf("%s apart", skew.Abs().Round(time.Second))
	expected := fmt.Sprintf("at most %s apart", maxSkew)
	const fix = "let both machines follow a time server: requests that are signed in the future or the past are refused"
	switch {
	case skew.Abs() > maxSkew:
		return []Finding{finding("answer.clock", t.Addr.String(), Fail, expected, found, fix)}
	case skew.Abs() > warnSkew:
		return []Finding{finding("answer.clock", t.Addr.String(), Warn, expected, found, fix)}
	}
	return []Finding{finding("answer.clock", t.Addr.String(), OK, expected, found, "")}
}

// maxHostAddresses bounds the probes of one name.
const maxHostAddresses = 8

// checkHost asks every address of a name.
func (e Env) checkHost(ctx context.Context, name string, port uint16) []Finding {
	if e.Prober == nil {
		return nil
	}
	var addrs []netip.Addr
	serverName := name
	if a, err := netip.ParseAddr(name); err == nil {
		addrs, serverName = []netip.Addr{a}, ""
	} else if e.Resolver == nil {
		return nil
	} else if answer, err := e.Resolver.LookupAddrs(ctx, name); err != nil {
		return []Finding{finding("dns.target", name, Fail, "addresses of the host", err.Error(), "look for a slip in the name, or publish A and AAAA records for it")}
	} else {
		addrs = answer.Records[:min(len(answer.Records), maxHostAddresses)]
	}
	var out []Finding
	for _, addr := range addrs {
		for _, network := range []string{TCP, UDP} {
			t := Target{Network: network, Addr: netip.AddrPortFrom(addr, port), ServerName: serverName}
			a := e.Prober.Probe(ctx, t)
			out = append(out, judgeAnswer(t, a, true))
			if network == TCP {
				out = append(out, judgeClock(t, a)...)
			}
			if a.TLS != nil && len(a.TLS.PeerCertificates) > 0 && network == TCP {
				out = append(out, judgeExpiry(t.Addr.String(), a.TLS.PeerCertificates[0], e.now()))
			}
		}
	}
	return out
}

package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/discovery"
)

// checkDomain looks at what DNS says about a domain and at its servers. local and
// own describe this server when it serves the domain; local is nil otherwise.
func (e Env) checkDomain(ctx context.Context, domain vam.Domain, local *Local, own LocalDomain) []Finding {
	if e.Resolver == nil {
		return nil
	}
	tcp, srv := e.checkSRV(ctx, TCP, domain, local, own, nil)
	out := []Finding{srv}
	udp, srvUDP := e.checkSRV(ctx, UDP, domain, local, own, tcp)
	if srv.Level != Fail || len(udp) > 0 {
		out = append(out, srvUDP)
	}
	for _, r := range own.Records {
		out = append(out, e.checkKey(ctx, r))
	}
	out = append(out, e.checkPolicy(ctx, domain)...)
	if len(tcp) == 0 {
		return out
	}
	out = append(out, e.checkTargets(ctx, append(slices.Clone(tcp), udp...))...)
	return append(out, e.checkReach(ctx, domain)...)
}

// checkSRV reads the SRV records of one network. tcp are those of TCP when
// network is UDP.
func (e Env) checkSRV(ctx context.Context, network string, domain vam.Domain, local *Local, own LocalDomain, tcp []discovery.SRV) ([]discovery.SRV, Finding) {
	name := fmt.Sprintf("%s._%s.%s", discovery.Service, network, domain)
	id := "dns.srv." + network
	expected, line := expectedSRV(name, network, local, own)
	fix := "add to the zone: " + line
	answer, err := e.Resolver.LookupSRV(ctx, name)
	var missing *discovery.NotFoundError
	switch {
	case errors.As(err, &missing) && network == UDP && (local == nil || len(local.UDP) == 0):
		return nil, finding(id, domain.String(), OK, "optional", "none: everything goes over TCP", "")
	case errors.As(err, &missing) && network == UDP:
		return nil, finding(id, domain.String(), Warn, expected, "there is no such record: other servers use TCP only", fix)
	case errors.As(err, &missing):
		return nil, finding(id, domain.String(), Fail, expected, "there is no such record: "+domain.String()+" does not speak VAM for others", fix)
	case err != nil:
		return nil, finding(id, domain.String(), Fail, expected, "no answer from DNS: "+err.Error(), "look at the name servers of the domain: dig SRV "+name)
	}
	found := describeSRV(answer.Records)
	records := slices.DeleteFunc(answer.Records, func(r discovery.SRV) bool { return r.Target == "." || r.Target == "" })
	switch {
	case len(records) == 0:
		return nil, finding(id, domain.String(), Fail, expected, `the target "." says that there is no such service`, fix)
	case network == UDP && !among(records, tcp):
		return records, finding(id, domain.String(), Fail, "targets and ports that the TCP record has too (AM-2.5)", found, "let both records name the same servers and ports")
	case local != nil && own.Hostname != "" && !pointsHere(records, network, local, own):
		return records, finding(id, domain.String(), Fail, expected, found, "let the record point to this server, or set hostname and listen to what it says: "+line)
	}
	return records, finding(id, domain.String(), OK, expected, found, "")
}

// expectedSRV describes the record and gives its line for the zone file.
func expectedSRV(name, network string, local *Local, own LocalDomain) (expected, line string) {
	host, port := "HOST", uint16(1398)
	if own.Hostname != "" {
		host = own.Hostname
	}
	if local != nil {
		listeners := local.TCP
		if network == UDP {
			listeners = local.UDP
		}
		if len(listeners) > 0 {
			port = listeners[0].Port()
		}
	}
	line = fmt.Sprintf("%s. 3600 IN SRV 10 1 %d %s.", name, port, host)
	if own.Hostname == "" {
		return "an SRV record at " + name, line
	}
	return fmt.Sprintf("an SRV record at %s that points to %s, port %d", name, host, port), line
}

func describeSRV(records []discovery.SRV) string {
	parts := make([]string, 0, len(records))
	for i, r := range records {
		if i == 8 {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, fmt.Sprintf("%s port %d", clip(r.Target), r.Port))
	}
	return strings.Join(parts, ", ")
}

func among(records, all []discovery.SRV) bool {
	return !slices.ContainsFunc(records, func(u discovery.SRV) bool {
		return !slices.ContainsFunc(all, func(t discovery.SRV) bool { return strings.EqualFold(t.Target, u.Target) && t.Port == u.Port })
	})
}

func pointsHere(records []discovery.SRV, network string, local *Local, own LocalDomain) bool {
	listeners := local.TCP
	if network == UDP {
		listeners = local.UDP
	}
	return slices.ContainsFunc(records, func(r discovery.SRV) bool {
		return strings.EqualFold(r.Target, own.Hostname) &&
			slices.ContainsFunc(listeners, func(l netip.AddrPort) bool { return l.Port() == r.Port })
	})
}

// checkTargets resolves every target once.
func (e Env) checkTargets(ctx context.Context, records []discovery.SRV) []Finding {
	var out []Finding
	seen := map[string]bool{}
	for _, r := range records {
		host := strings.ToLower(r.Target)
		if seen[host] || len(seen) >= maxHostAddresses {
			continue
		}
		seen[host] = true
		out = append(out, e.checkTarget(ctx, host))
	}
	return out
}

func (e Env) checkTarget(ctx context.Context, host string) Finding {
	const expected = "A or AAAA records with public addresses"
	answer, err := e.Resolver.LookupAddrs(ctx, host)
	if err != nil {
		return finding("dns.target", host, Fail, expected, err.Error(), "publish the addresses of the machine: "+host+". 3600 IN A …, and AAAA")
	}
	list := make([]string, 0, len(answer.Records))
	for _, a := range answer.Records[:min(len(answer.Records), maxHostAddresses)] {
		list = append(list, a.String())
	}
	found := strings.Join(list, ", ")
	allowed, refused := e.Guard.Filter(answer.Records)
	switch {
	case len(allowed) == 0:
		return finding("dns.target", host, Fail, expected, found+": "+vam.Public(refused), "publish a public address; between servers that know each other, network.allow_private of both")
	case refused != nil:
		return finding("dns.target", host, Warn, expected, found+": "+vam.Public(refused), "remove the address that others cannot dial")
	}
	return finding("dns.target", host, OK, expected, found, "")
}

func (e Env) checkKey(ctx context.Context, want KeyRecord) Finding {
	expected := fmt.Sprintf("%q", want.Text)
	fix := fmt.Sprintf("add to the zone: %s. 3600 IN TXT %s", want.Name, zoneText(want.Text))
	answer, err := e.Resolver.LookupTXT(ctx, want.Name)
	var missing *discovery.NotFoundError
	switch {
	case errors.As(err, &missing):
		return finding("dns.key", want.Name, Fail, expected, "there is no such record: nobody can check what this server signs", fix)
	case err != nil:
		return finding("dns.key", want.Name, Fail, expected, "no answer from DNS: "+err.Error(), "look at the name servers of the domain: dig TXT "+want.Name)
	case len(answer.Records) > 1:
		return finding("dns.key", want.Name, Fail, expected, fmt.Sprintf("%d TXT records at this name", len(answer.Records)), "leave only the expected one")
	case sameTags(answer.Records[0], want.Text):
		return finding("dns.key", want.Name, OK, expected, "as expected", "")
	}
	return finding("dns.key", want.Name, Fail, expected, fmt.Sprintf("%q", clip(answer.Records[0])), "replace the record; "+fix)
}

// sameTags compares two DKIM key records (RFC 6376 section 3.2): the order of
// tags, white space and a final semicolon do not matter.
func sameTags(a, b string) bool { return slices.Equal(tags(a), tags(b)) }

func tags(record string) []string {
	var out []string
	for _, tag := range strings.Split(record, ";") {
		if tag = strings.Join(strings.Fields(tag), ""); tag != "" {
			out = append(out, tag)
		}
	}
	slices.Sort(out)
	return out
}

// zoneText writes a TXT value as strings of at most 255 octets (RFC 1035 section
// 3.3.14), which an RSA key needs.
func zoneText(s string) string {
	var parts []string
	for len(s) > 255 {
		parts = append(parts, `"`+s[:255]+`"`)
		s = s[255:]
	}
	return strings.Join(append(parts, `"`+s+`"`), " ")
}

// checkPolicy looks for the pointer and the document.
func (e Env) checkPolicy(ctx context.Context, domain vam.Domain) []Finding {
	if e.Policies == nil {
		return nil
	}
	const expected = "optional: a TXT record at _vam and the document that it announces"
	answer, err := e.Resolver.LookupTXT(ctx, "_vam."+domain.String())
	var missing *discovery.NotFoundError
	pointers := 0
	var unreadable error
	if err == nil {
		for _, txt := range answer.Records {
			if !strings.HasPrefix(txt, "v=VAM1") {
				continue // somebody else's
			}
			pointers++
			if _, err := discovery.ParsePolicyPointer(txt); err != nil {
				unreadable = err
			}
		}
	}
	switch {
	case errors.As(err, &missing), err == nil && pointers == 0:
		return []Finding{finding("dns.policy", domain.String(), OK, expected, "none", "")}
	case err != nil:
		return []Finding{finding("dns.policy", domain.String(), Warn, expected, "no answer from DNS: "+err.Error(), "look at the name servers of the domain")}
	case pointers > 1:
		return []Finding{finding("dns.policy", domain.String(), Warn, expected, fmt.Sprintf("%d policy records: they count as none", pointers), "leave one record at _vam."+domain.String())}
	}
	if unreadable != nil {
		return []Finding{finding("dns.policy", domain.String(), Warn, expected, vam.Public(unreadable), "write it as v=VAM1; id=1, with another id after each change of the document")}
	}
	p, err := e.Policies.FetchPolicy(ctx, domain)
	if err != nil {
		return []Finding{finding("dns.policy", domain.String(), Warn, expected, "the record is there, the document is not: "+err.Error(),
			"serve it at https://"+domain.String()+"/.well-known/vam, or remove the record")}
	}
	found := fmt.Sprintf("mode %s, servers %s, to be kept %s", p.Mode, strings.Join(p.MX, ", "), p.MaxAge)
	return []Finding{finding("dns.policy", domain.String(), OK, expected, clip(found), "")}
}

// checkReach finds the servers of a domain as a sender does, and asks each.
func (e Env) checkReach(ctx context.Context, domain vam.Domain) []Finding {
	if e.Prober == nil {
		return nil
	}
	finder := discovery.New(discovery.Options{Resolver: e.Resolver, Policies: e.Policies, Guard: e.Guard, Roots: e.Roots, Now: e.Now})
	result, err := finder.Lookup(ctx, domain)
	if err != nil {
		return []Finding{finding("reach.tcp", domain.String(), Fail, "a server that can be used", err.Error(), "mend what the findings above name")}
	}
	var out []Finding
	for _, s := range result.Skipped {
		out = append(out, finding("reach."+s.Network, fmt.Sprintf("%s:%d", s.Host, s.Port), Warn, "a server that can be used", vam.Public(s.Err), "mend or remove this target"))
	}
	reached := false
	for _, ep := range slices.Concat(result.TCP, result.UDP) {
		findings, ok := e.checkEndpoint(ctx, domain, ep)
		out = append(out, findings...)
		reached = reached || ok && ep.Network == TCP
	}
	if !reached && len(result.TCP) == 0 {
		out = append(out, finding("reach.tcp", domain.String(), Fail, "a server that can be used", "none", "mend what the findings above name"))
	}
	return out
}

// checkEndpoint asks every address of one server.
func (e Env) checkEndpoint(ctx context.Context, domain vam.Domain, ep discovery.Endpoint) (out []Finding, reached bool) {
	expected := fmt.Sprintf("VAM/1, proved by rule %d (%s)", ep.Rule, ep.Rule)
	for _, addr := range ep.AddrPorts()[:min(len(ep.Addrs), maxHostAddresses)] {
		t := Target{Network: ep.Network, Addr: addr, ServerName: ep.ServerName}
		subject := fmt.Sprintf("%s, %s at %s", domain, ep.Host, addr)
		a := e.Prober.Probe(ctx, t)
		switch {
		case !a.Speaks && ep.Network == UDP:
			out = append(out, finding("reach.udp", subject, Warn, expected, a.Found, "let UDP through the firewall in both directions; until then mail goes over TCP"))
			continue
		case !a.Speaks:
			out = append(out, finding("reach.tcp", subject, Fail, expected, a.Found, "start the server there, and let the port through its firewall"))
			continue
		}
		if err := ep.Verify(*a.TLS); err != nil {
			out = append(out, finding("reach."+ep.Network, subject, Fail, expected, vam.Public(err), identityFix(domain, ep)))
			continue
		}
		reached = true
		out = append(out, finding("reach."+ep.Network, subject, OK, expected, "as expected", ""))
		if ep.Network == TCP {
			out = append(out, judgeClock(t, a)...)
			out = append(out, judgeExpiry(subject, a.TLS.PeerCertificates[0], e.now()))
		}
	}
	return out, reached
}

func identityFix(domain vam.Domain, ep discovery.Endpoint) string {
	if ep.Rule == discovery.RuleDomain {
		return fmt.Sprintf("get a certificate for %s itself (or, with DNSSEC, a TLSA record or one for %s) and set tls.cert and tls.key", domain, ep.Host)
	}
	return fmt.Sprintf("let the certificate of %s match what the domain publishes, or change the record", ep.Host)
}

// expiryWarning is when a certificate should have been renewed.
const expiryWarning = 14 * 24 * time.Hour

func judgeExpiry(subject string, cert *x509.Certificate, now time.Time) Finding {
	const expected = "valid for at least 14 more days"
	left := cert.NotAfter.Sub(now)
	found := "valid until " + cert.NotAfter.UTC().Format("2006-01-02 15:04 UTC")
	const fix = "renew the certificate; a changed file is taken up without a restart"
	switch {
	case left <= 0:
		return finding("cert.expiry", subject, Fail, expected, "expired: "+found, fix)
	case left < expiryWarning:
		return finding("cert.expiry", subject, Warn, expected, found, fix)
	}
	return finding("cert.expiry", subject, OK, expected, found, "")
}

package discovery

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// question holds the first round of answers about a domain.
type question struct {
	tcp    Answer[SRV]
	tcpErr error
	udp    optional[SRV]
	txt    optional[string]
}

// optional is an answer whose absence is no failure.
type optional[T any] struct {
	Answer[T]
	err error
}

// life is how long the answer, or the lack of one, may be relied on.
func (o optional[T]) life() time.Duration {
	if o.err == nil {
		return o.TTL
	}
	if nf := notFound(o.err); nf != nil {
		return max(nf.TTL, minNegative)
	}
	return patchyLife
}

// policy returns the domain's policy as far as it is known or can be fetched, and how
// long that holds.
func (f *Finder) policy(ctx context.Context, domain vam.Domain, q question) (*activmail.Policy, time.Duration) {
	var p PolicyPointer
	published := false
	if q.txt.err == nil {
		p, published = pointer(q.txt.Records)
	}
	return f.policies.current(ctx, domain, p.ID, published)
}

func (f *Finder) ask(ctx context.Context, domain vam.Domain) question {
	var q question
	var wg sync.WaitGroup
	wg.Go(func() { q.tcp, q.tcpErr = f.resolver.LookupSRV(ctx, Service+"._tcp."+string(domain)) })
	wg.Go(func() { q.udp.Answer, q.udp.err = f.resolver.LookupSRV(ctx, Service+"._udp."+string(domain)) })
	wg.Go(func() {
		if f.policies.source == nil {
			q.txt.err = &NotFoundError{Name: "_vam." + string(domain), Type: "TXT", TTL: maxLife}
			return
		}
		q.txt.Answer, q.txt.err = f.resolver.LookupTXT(ctx, "_vam."+string(domain))
	})
	wg.Wait()
	return q
}

// target is one SRV record on the way to an endpoint.
type target struct {
	srv     SRV
	network string
	secure  bool
}

// targetsOf bounds the records, best priority first, and drops "." among others.
func targetsOf(network string, a Answer[SRV]) []target {
	var out []target
	for _, srv := range Order(a.Records, func(int) int { return 0 }) {
		if srv.Target != "." && len(out) < maxTargets {
			out = append(out, target{srv, network, a.Authenticated})
		}
	}
	return out
}

// resolved is a target with its endpoint, or the reason why there is none.
type resolved struct {
	endpoint Endpoint
	life     time.Duration
	err      error
}

func (f *Finder) resolveAll(ctx context.Context, domain vam.Domain, policy *activmail.Policy, targets []target) []resolved {
	out := make([]resolved, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() { out[i] = f.resolve(ctx, domain, policy, t) })
	}
	wg.Wait()
	return out
}

func (f *Finder) resolve(ctx context.Context, domain vam.Domain, policy *activmail.Policy, t target) resolved {
	host, err := vam.ParseDomain(t.srv.Target)
	if err != nil || t.srv.Port == 0 {
		err = vam.Wrap(vam.Invalid, err, "the SRV record of %s leads to %.80q port %d, which is no server", domain, t.srv.Target, t.srv.Port)
		return resolved{err: err, life: maxLife}
	}
	addrs, err := f.resolver.LookupAddrs(ctx, string(host))
	if err != nil {
		return resolved{err: noAddress(host, err), life: patchyLife}
	}
	allowed, refused := f.guard.Filter(addrs.Records[:min(len(addrs.Records), maxAddrs)])
	if len(allowed) == 0 {
		return resolved{err: refused, life: patchyLife}
	}
	id := identity{domain: domain, host: string(host), roots: f.roots, now: f.now}
	life := addrs.TTL
	if t.secure && addrs.Authenticated {
		tlsa, ttl, err := f.lookupTLSA(ctx, host, t)
		if err != nil {
			return resolved{err: err, life: patchyLife}
		}
		id.tlsa, life = tlsa, min(life, ttl)
	}
	id.rule = chooseRule(t.secure, id.tlsa, policy, string(host))
	e := Endpoint{
		Host: id.host, Port: t.srv.Port, Network: t.network, Addrs: DialOrder(allowed),
		ServerName: id.host, Rule: id.rule, Verify: id.verify,
	}
	if id.rule == RuleDomain {
		e.ServerName = string(domain)
	}
	return resolved{endpoint: e, life: life}
}

// chooseRule is AM-2.16 to AM-2.19.
func chooseRule(secure bool, tlsa []TLSA, policy *activmail.Policy, host string) Rule {
	switch {
	case len(tlsa) > 0:
		return RuleTLSA
	case secure:
		return RuleSecureSRV
	case policy != nil && policy.Lists(host):
		return RulePolicy
	}
	return RuleDomain
}

func noAddress(host vam.Domain, err error) error {
	if notFound(err) != nil {
		return vam.Wrap(vam.NotFound, err, "%s has no address", host)
	}
	return vam.Wrap(vam.Unavailable, err, "the DNS of %s does not answer", host)
}

// lookupTLSA returns the usable secure records for a server. Over UDP the records of
// the TCP port stand in when there are none of its own: both ports show the same
// certificate, and blocking one transport must not weaken the check. DNS that does
// not answer here is no reason to do without (AM-2.20).
func (f *Finder) lookupTLSA(ctx context.Context, host vam.Domain, t target) ([]TLSA, time.Duration, error) {
	life := maxLife
	networks := []string{t.network}
	if t.network == UDP {
		networks = append(networks, TCP)
	}
	for _, network := range networks {
		name := fmt.Sprintf("_%d._%s.%s", t.srv.Port, network, host)
		a, err := f.resolver.LookupTLSA(ctx, name)
		if nf := notFound(err); nf != nil {
			life = min(life, max(nf.TTL, minNegative))
			continue
		}
		if err != nil {
			return nil, 0, vam.Wrap(vam.Unavailable, err, "the DNS of %s does not answer for the TLSA record %s", host, name)
		}
		life = min(life, a.TTL)
		if records := usable(a.Records); a.Authenticated && len(records) > 0 {
			return records, life, nil
		}
	}
	return nil, life, nil
}

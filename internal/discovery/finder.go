package discovery

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// Lifetimes and limits of what is learnt about a domain (AM-2).
const (
	// maxLife caps the TTL of found records, so that a change is seen within the hour.
	maxLife = time.Hour
	// minLife keeps a TTL of 0 from turning every message into a round of queries.
	minLife = 5 * time.Second
	// patchyLife is for an answer in which a server is missing for a temporary reason.
	patchyLife = 30 * time.Second
	// minNegative and maxNegative bound the SOA's negative TTL of "not VAM".
	minNegative = 5 * time.Minute
	maxNegative = 24 * time.Hour
	// maxTargets and maxAddrs are how many SRV records of one transport and addresses
	// of one target are looked at (AM-2.4 and AM-2.8 want 16 and 8).
	maxTargets = 16
	maxAddrs   = 16
	// defaultEntries is how many domains are remembered.
	defaultEntries = 10_000
)

// Options are what a Finder needs. Resolver is required.
type Options struct {
	Resolver Resolver
	// Policies fetches policy documents; nil leaves rule 3 and the promise of
	// "enforce" out.
	Policies PolicySource
	// Guard decides about addresses; the zero Guard wants public ones.
	Guard Guard
	// Roots are the trusted authorities of rules 2 to 4; nil is the system's.
	Roots *x509.CertPool
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// MaxEntries is how many domains are remembered; 0 is 10,000.
	MaxEntries int
}

// Finder finds the servers of domains and remembers them. Safe for concurrent use;
// questions about the same domain at the same time are asked once.
type Finder struct {
	resolver Resolver
	guard    Guard
	roots    *x509.CertPool
	now      func() time.Time
	policies *policies
	known    *lru[vam.Domain, found]
	flights  *flight[vam.Domain, found]
}

// New returns a Finder.
func New(o Options) *Finder {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxEntries <= 0 {
		o.MaxEntries = defaultEntries
	}
	return &Finder{
		resolver: o.Resolver,
		guard:    o.Guard,
		roots:    o.Roots,
		now:      o.Now,
		policies: newPolicies(o.Policies, o.MaxEntries, o.Now),
		known:    newLRU[vam.Domain, found](o.MaxEntries, o.Now),
		flights:  newFlight[vam.Domain, found](),
	}
}

// Result is where a domain takes VAM.
type Result struct {
	Domain vam.Domain
	// TCP and UDP are in the order in which they are to be tried: by priority, and
	// drawn anew by weight for every Lookup (RFC 2782). At least one is not empty.
	TCP, UDP []Endpoint
	// Policy is the domain's policy document; nil when it has none.
	Policy *activmail.Policy
	// Secure says that the SRV records were validated by DNSSEC.
	Secure bool
	// Expires is when the records will be asked for again.
	Expires time.Time
	// Skipped are the servers that cannot be used, and why.
	Skipped []Skipped
}

// Skipped is a server that is published and cannot be used.
type Skipped struct {
	Host    string
	Port    uint16
	Network string
	// Err says why. Errors: Denied (address), Invalid (record), NotFound (no address),
	// Unavailable (DNS).
	Err error
}

// found is what is remembered of a domain: either err or the servers.
type found struct {
	result   Result // TCP and UDP empty
	tcp, udp []server
	err      *vam.Error
}

type server struct {
	srv SRV
	at  Endpoint
}

// Lookup finds the servers that answer VAM for domain. Errors: NotVAM when the
// domain does not take VAM; Unavailable when DNS does not answer, when none of the
// servers can be used, or when the domain promised VAM ("enforce") and its records
// are gone; the context's error. Nothing is probed: a domain without the SRV record
// is not VAM (AM-2.1).
func (f *Finder) Lookup(ctx context.Context, domain vam.Domain) (*Result, error) {
	known, ok := f.known.get(domain)
	if !ok {
		var err error
		known, err = f.flights.do(ctx, domain, func() (found, error) { return f.refresh(ctx, domain) })
		if err != nil {
			return nil, err
		}
	}
	if known.err != nil {
		e := *known.err // callers may add to their copy
		return nil, &e
	}
	r := known.result
	r.TCP = endpoints(known.tcp)
	r.UDP = endpoints(known.udp)
	r.Skipped = slices.Clone(r.Skipped)
	return &r, nil
}

// Forget drops what is remembered about domain's records, so that the next Lookup
// asks DNS. A policy is kept for its max_age.
func (f *Finder) Forget(domain vam.Domain) { f.known.forget(domain) }

func endpoints(servers []server) []Endpoint {
	out := make([]Endpoint, 0, len(servers))
	for _, s := range order(servers, func(s server) SRV { return s.srv }, rand.IntN) {
		out = append(out, s.at.clone())
	}
	return out
}

// refresh asks and remembers. Its error is one that is not remembered.
func (f *Finder) refresh(ctx context.Context, domain vam.Domain) (found, error) {
	if known, ok := f.known.get(domain); ok {
		return known, nil // somebody else's flight landed in between
	}
	got, life, err := f.find(ctx, domain)
	if err != nil {
		return found{}, err
	}
	got.result.Domain = domain
	got.result.Expires = f.now().Add(life)
	f.known.put(domain, got, life)
	return got, nil
}

// maxName is the longest name in DNS, in characters without the last dot (RFC 1035
// section 2.3.4).
const maxName = 253

func (f *Finder) find(ctx context.Context, domain vam.Domain) (found, time.Duration, error) {
	if len(Service+"._tcp."+domain.String()) > maxName {
		return found{err: vam.Errorf(vam.NotVAM, "%s is so long a name that it cannot have a record %s._tcp in DNS, and so does not take video mail", domain, Service)}, maxNegative, nil
	}
	q := f.ask(ctx, domain)
	if err := ctx.Err(); err != nil {
		return found{}, 0, err
	}
	if nf := notFound(q.tcpErr); nf != nil {
		why := vam.Errorf(vam.NotVAM, "%s does not take video mail: there is no %s._tcp in its DNS; check the spelling of the domain", domain, Service)
		got, life := f.absent(ctx, domain, q, why, nf.TTL, nf.Authenticated)
		return got, life, nil
	}
	if q.tcpErr != nil {
		return found{}, 0, vam.Wrap(vam.Unavailable, q.tcpErr, "the DNS of %s does not answer for %s._tcp", domain, Service)
	}
	if refuses(q.tcp.Records) {
		why := vam.Errorf(vam.NotVAM, "%s says in its DNS that it does not take VAM (the target of %s._tcp is \".\")", domain, Service)
		got, life := f.absent(ctx, domain, q, why, q.tcp.TTL, q.tcp.Authenticated)
		return got, life, nil
	}
	got, life := f.servers(ctx, domain, q)
	return got, life, ctx.Err()
}

// refuses: a single record with the target "." (RFC 2782) (AM-2.2).
func refuses(records []SRV) bool {
	return len(records) == 1 && records[0].Target == "."
}

// absent makes the answer "not VAM", unless the domain's remembered policy promised
// otherwise. An absence that DNSSEC proves cannot be forged and needs no promise (AM-2.37).
func (f *Finder) absent(ctx context.Context, domain vam.Domain, q question, why *vam.Error, ttl time.Duration, secure bool) (found, time.Duration) {
	life := min(max(ttl, minNegative), maxNegative)
	policy, _ := f.policy(ctx, domain, q)
	if !secure && policy != nil && policy.Mode == activmail.ModeEnforce {
		why = vam.Wrap(vam.Unavailable, why, "%s promised to take VAM (policy mode enforce), and its DNS no longer says where; nothing is sent by another way", domain)
		life = minNegative
	}
	return found{err: why}, life
}

func (f *Finder) servers(ctx context.Context, domain vam.Domain, q question) (found, time.Duration) {
	policy, promised := f.policy(ctx, domain, q)
	got := found{result: Result{Policy: policy, Secure: q.tcp.Authenticated}}
	life := min(q.tcp.TTL, q.udp.life(), q.txt.life(), promised)
	targets := append(targetsOf(TCP, q.tcp), targetsOf(UDP, q.udp.Answer)...)
	for i, t := range f.resolveAll(ctx, domain, policy, targets) {
		life = min(life, t.life)
		if t.err != nil {
			got.result.Skipped = append(got.result.Skipped, Skipped{targets[i].srv.Target, targets[i].srv.Port, targets[i].network, t.err})
			continue
		}
		s := server{targets[i].srv, t.endpoint}
		if s.at.Network == TCP {
			got.tcp = append(got.tcp, s)
		} else {
			got.udp = append(got.udp, s)
		}
	}
	if len(got.tcp)+len(got.udp) == 0 {
		return found{err: unusable(domain, got.result.Skipped)}, patchyLife
	}
	return got, min(max(life, minLife), maxLife)
}

// unusable is AM-2.25, AM-2.36.
func unusable(domain vam.Domain, skipped []Skipped) *vam.Error {
	var said []string
	var causes []error
	for _, s := range skipped {
		text := fmt.Sprintf("%s: %s", s.Host, vam.Public(s.Err))
		if !slices.Contains(said, text) {
			said = append(said, text)
		}
		causes = append(causes, s.Err)
	}
	return vam.Wrap(vam.Unavailable, errors.Join(causes...), "%s takes VAM, but none of its servers can be used (%s)", domain, strings.Join(said, "; "))
}

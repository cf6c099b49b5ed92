package discovery

import (
	"context"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// PolicySource fetches the policy document of a domain over https, with the web's
// own check of the certificate (AM-2.11). Whatever its error, what was known before
// stays as it is.
type PolicySource interface {
	FetchPolicy(ctx context.Context, domain vam.Domain) (activmail.Policy, error)
}

// Bounds of what is remembered of policies.
const (
	// policyRefresh is how old a policy may grow before it is fetched again while it
	// still holds, so that nobody can wait for its end.
	policyRefresh = 24 * time.Hour
	// policyRetry is the pause after a fetch that failed.
	policyRetry = 5 * time.Minute
)

// PolicyPointer is the TXT record at _vam.{domain}: it says that there is a policy
// document, and by a new ID that the document has changed. A domain without pointer
// is never asked for a document (AM-2.10).
type PolicyPointer struct {
	ID   string               // up to 32 letters and digits; "" when it has none
	Mode activmail.PolicyMode // a hint for people; the document decides
}

// ParsePolicyPointer reads "v=VAM1; id=20261122T2000; mode=enforce". Every tag but the
// first may be absent, and tags that are not known are ignored. Errors: Invalid.
func ParsePolicyPointer(txt string) (PolicyPointer, error) {
	var p PolicyPointer
	if len(txt) > 512 {
		return p, vam.Errorf(vam.Invalid, "a policy pointer is longer than 512 octets")
	}
	if !isPointer(txt) {
		return p, vam.Errorf(vam.Invalid, "a policy pointer does not begin with v=VAM1")
	}
	seen := make(map[string]bool)
	for tag := range strings.SplitSeq(strings.TrimSuffix(strings.TrimRight(txt, " \t"), ";"), ";") {
		name, value, ok := strings.Cut(tag, "=")
		name, value = strings.Trim(name, " \t"), strings.Trim(value, " \t")
		switch {
		case !ok || name == "" || seen[name]:
			return PolicyPointer{}, vam.Errorf(vam.Invalid, "a policy pointer is not a list of different tag=value")
		case name == "id" && !isPointerID(value):
			return PolicyPointer{}, vam.Errorf(vam.Invalid, "the id of a policy pointer is not 1 to 32 letters and digits")
		case name == "id":
			p.ID = value
		case name == "mode":
			p.Mode = activmail.PolicyMode(value)
		}
		seen[name] = true
	}
	return p, nil
}

func isPointer(txt string) bool {
	rest, ok := strings.CutPrefix(txt, "v=VAM1")
	return ok && strings.Trim(rest, " \t;") == "" || ok && strings.HasPrefix(strings.TrimLeft(rest, " \t"), ";")
}

func isPointerID(s string) bool {
	return s != "" && len(s) <= 32 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// pointer picks the policy pointer among the TXT records of a name. Several are none
// (AM-2.10, as RFC 8461 section 3.1); one that cannot be read further still says that
// there is a policy.
func pointer(records []string) (PolicyPointer, bool) {
	var p PolicyPointer
	count := 0
	for _, txt := range records {
		if isPointer(txt) {
			p, _ = ParsePolicyPointer(txt)
			count++
		}
	}
	return p, count == 1
}

// policies remembers documents for their max_age, over what DNS says in the meantime.
type policies struct {
	source PolicySource // nil: no domain has a policy
	now    func() time.Time
	known  *lru[vam.Domain, knownPolicy]
	failed *lru[vam.Domain, string] // pointer id of a fetch that failed
}

type knownPolicy struct {
	policy  activmail.Policy
	id      string
	fetched time.Time
}

// fresh reports whether there is no need to fetch the document with pointer id.
func (k knownPolicy) fresh(id string, now time.Time) bool {
	return k.id == id && now.Sub(k.fetched) < min(k.policy.MaxAge/2, policyRefresh)
}

func newPolicies(source PolicySource, limit int, now func() time.Time) *policies {
	return &policies{source: source, now: now, known: newLRU[vam.Domain, knownPolicy](limit, now), failed: newLRU[vam.Domain, string](limit, now)}
}

// current returns the policy of domain, nil when there is none, and how long that may
// be relied on. Without pointer (published is false) only what is remembered counts. A
// pointer is unsigned, so a new ID alone ends nothing: it makes us fetch, and what is
// fetched replaces the old.
func (p *policies) current(ctx context.Context, domain vam.Domain, id string, published bool) (*activmail.Policy, time.Duration) {
	if p.source == nil {
		return nil, maxLife
	}
	known, ok := p.known.get(domain)
	switch {
	case !published, ok && known.fresh(id, p.now()):
		return p.answer(known, ok)
	case p.triedLately(domain, id):
		return p.answer(known, ok)
	}
	fetched, err := p.source.FetchPolicy(ctx, domain)
	if err != nil {
		if ctx.Err() == nil {
			p.failed.put(domain, id, policyRetry)
		}
		return p.answer(known, ok)
	}
	p.failed.forget(domain)
	known = knownPolicy{fetched, id, p.now()}
	p.known.put(domain, known, fetched.MaxAge)
	return p.answer(known, true)
}

func (p *policies) triedLately(domain vam.Domain, id string) bool {
	last, ok := p.failed.get(domain)
	return ok && last == id
}

func (p *policies) answer(k knownPolicy, ok bool) (*activmail.Policy, time.Duration) {
	if !ok {
		return nil, maxLife
	}
	return &k.policy, k.fetched.Add(k.policy.MaxAge).Sub(p.now())
}

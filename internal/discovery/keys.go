package discovery

import (
	"context"
	"crypto/ed25519"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// Lifetimes of what is learnt about a request key (AM-2.32).
const (
	maxKeyLife = time.Hour
	// noKeyLife bounds the memory of "there is no usable key": a domain that has just
	// published one waits no longer.
	noKeyLife    = 5 * time.Minute
	minNoKeyLife = 30 * time.Second
	// keyRetry is the pause after DNS did not answer. Strangers choose the names that
	// are asked for, so a dead name server must not be asked once per request.
	keyRetry = 5 * time.Second
)

// KeysOptions are what Keys needs. Resolver is required.
type KeysOptions struct {
	Resolver Resolver
	// Allow is called before DNS is asked for a key that is not remembered; its error
	// is the answer, and nothing is asked. It is where look-ups are limited by the
	// network that sent the request (AM-3.14), which the caller puts into ctx. nil
	// allows all.
	Allow func(ctx context.Context, keyid string) error
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// MaxEntries is how many keys are remembered; 0 is 10,000.
	MaxEntries int
}

// Keys finds the public keys of request signatures in DNS and remembers them. Safe
// for concurrent use.
type Keys struct {
	resolver Resolver
	allow    func(ctx context.Context, keyid string) error
	known    *lru[string, knownKey]
	flights  *flight[string, knownKey]
}

type knownKey struct {
	key ed25519.PublicKey
	err *vam.Error
}

// NewKeys returns an empty memory of keys.
func NewKeys(o KeysOptions) *Keys {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxEntries <= 0 {
		o.MaxEntries = defaultEntries
	}
	if o.Allow == nil {
		o.Allow = func(context.Context, string) error { return nil }
	}
	return &Keys{
		resolver: o.Resolver,
		allow:    o.Allow,
		known:    newLRU[string, knownKey](o.MaxEntries, o.Now),
		flights:  newFlight[string, knownKey](),
	}
}

// Lookup returns the key that DNS has under keyid, such as
// "v1._domainkey.a.example". It is an activmail.KeyLookup. That keyid belongs to the
// domain that must have signed is the caller's to check, before (AM-2.28). Errors:
// Unauthenticated (problem key-not-found, or signature-invalid for a record that is
// no usable key), Unavailable (key-not-found) when DNS does not answer, what Allow
// returns, the context's error.
func (k *Keys) Lookup(ctx context.Context, keyid string) (ed25519.PublicKey, error) {
	if _, err := activmail.RequestKeyDomain(keyid); err != nil {
		return nil, err
	}
	known, ok := k.known.get(keyid)
	if !ok {
		if err := k.allow(ctx, keyid); err != nil {
			return nil, err
		}
		var err error
		known, err = k.flights.do(ctx, keyid, func() (knownKey, error) { return k.ask(ctx, keyid) })
		if err != nil {
			return nil, err
		}
	}
	if known.err != nil {
		e := *known.err // callers may add to their copy
		return nil, &e
	}
	return known.key, nil
}

// ask asks and remembers. Its error is one that is not remembered.
func (k *Keys) ask(ctx context.Context, name string) (knownKey, error) {
	if known, ok := k.known.get(name); ok {
		return known, nil // somebody else's flight landed in between
	}
	a, err := k.resolver.LookupTXT(ctx, name)
	if ctx.Err() != nil {
		return knownKey{}, ctx.Err()
	}
	got, life := read(name, a, err)
	k.known.put(name, got, life)
	return got, nil
}

// read is AM-2.31.
func read(name string, a Answer[string], err error) (knownKey, time.Duration) {
	if nf := notFound(err); nf != nil {
		e := vam.Wrap(vam.Unauthenticated, err, "DNS has no request key at %s", name).WithProblem("key-not-found")
		return knownKey{err: e}, min(max(nf.TTL, minNoKeyLife), noKeyLife)
	}
	if err != nil {
		e := vam.Wrap(vam.Unavailable, err, "DNS does not answer for the request key %s", name).WithProblem("key-not-found")
		return knownKey{err: e}, keyRetry
	}
	if len(a.Records) != 1 {
		e := vam.Errorf(vam.Unauthenticated, "DNS has %d TXT records at %s; a request key is exactly one", len(a.Records), name).WithProblem("signature-invalid")
		return knownKey{err: e}, noKeyLife
	}
	key, err := activmail.ParseRequestKey(a.Records[0])
	if err != nil {
		e := vam.Wrap(vam.Unauthenticated, err, "the TXT record at %s is no usable request key: %s", name, vam.Public(err)).WithProblem("signature-invalid")
		return knownKey{err: e}, min(max(a.TTL, minNoKeyLife), noKeyLife)
	}
	return knownKey{key: key}, min(max(a.TTL, minLife), maxKeyLife)
}

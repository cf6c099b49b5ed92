// Package admission owns how much one domain or author may ask of this server in a
// while: token buckets with a burst, bounded in number.
package admission

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/videoactivmail/vam"
)

// Rate is Events each Per, of which Burst may come at once; a Burst of 0 is Events.
// The zero Rate is no limit.
type Rate struct {
	Events int
	Per    time.Duration
	Burst  int
}

func (r Rate) limit() rate.Limit {
	return rate.Limit(float64(r.Events) / r.Per.Seconds())
}

func (r Rate) burst() int {
	if r.Burst == 0 {
		return r.Events
	}
	return r.Burst
}

// Buckets has one bucket for each key. It is safe for concurrent use.
type Buckets struct {
	what string
	now  func() time.Time

	mu   sync.Mutex
	keys map[string]*bucket
}

type bucket struct {
	l    *rate.Limiter
	rate Rate
	used time.Time
}

// MaxKeys bounds what strangers can make a Buckets remember.
const MaxKeys = 10_000

// NewBuckets counts what, a plural for people such as "messages". nil now is
// time.Now.
func NewBuckets(what string, now func() time.Time) *Buckets {
	if now == nil {
		now = time.Now
	}
	return &Buckets{what: what, now: now, keys: map[string]*bucket{}}
}

// Take takes n from the key's bucket at rate r. Busy, with the time after which it
// is worth trying again, when there are not as many; nothing is taken then. More than
// the burst is never there. A key whose rate changes keeps what it has used.
func (b *Buckets) Take(key string, r Rate, n int) error {
	if r == (Rate{}) || n <= 0 {
		return nil
	}
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	res := b.bucket(key, r, now).ReserveN(now, n)
	if !res.OK() {
		return b.refuse(key, r, r.Per)
	}
	if wait := res.DelayFrom(now); wait > 0 {
		res.CancelAt(now)
		return b.refuse(key, r, wait)
	}
	return nil
}

// Forget gives back all that was taken of a key.
func (b *Buckets) Forget(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.keys, key)
}

// Full reports whether nothing of the key's bucket is taken; it takes nothing.
func (b *Buckets) Full(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.keys[key]
	return x == nil || x.l.TokensAt(b.now()) >= float64(x.rate.burst())
}

// bucket finds or makes the bucket of a key; mu is held.
func (b *Buckets) bucket(key string, r Rate, now time.Time) *rate.Limiter {
	x := b.keys[key]
	switch {
	case x == nil:
		b.makeRoom(now)
		x = &bucket{l: rate.NewLimiter(r.limit(), r.burst()), rate: r}
		b.keys[key] = x
	case x.rate != r:
		x.l.SetLimitAt(now, r.limit())
		x.l.SetBurstAt(now, r.burst())
		x.rate = r
	}
	x.used = now
	return x.l
}

// Network is the key of what one stranger usually has: an IPv4 address or an IPv6 /64.
func Network(a netip.Addr) string {
	a = a.Unmap()
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.String()
		}
	}
	return a.String()
}

// longestWait is the most that a refusal asks for.
const longestWait = 30 * 24 * time.Hour

func (b *Buckets) refuse(key string, r Rate, wait time.Duration) error {
	wait = min(wait, longestWait).Round(time.Second) + time.Second
	return vam.Errorf(vam.Busy, "%s: at most %d %s in %s (this server's limit); try again in %s", key, r.Events, b.what, r.Per, wait).
		WithProblem("rate").WithRetry(wait)
}

// makeRoom keeps the map within MaxKeys; mu is held. A bucket that is full again is
// the same as none, so these go first. When strangers keep all of them busy, the
// tenth that was not used for longest goes.
func (b *Buckets) makeRoom(now time.Time) {
	if len(b.keys) < MaxKeys {
		return
	}
	for key, x := range b.keys {
		if x.l.TokensAt(now) >= float64(x.rate.burst()) {
			delete(b.keys, key)
		}
	}
	// A tenth at once, so that the look at all of them pays for many keys.
	excess := len(b.keys) - MaxKeys*9/10
	if excess <= 0 {
		return
	}
	oldest := slices.SortedFunc(maps.Keys(b.keys), func(x, y string) int { return b.keys[x].used.Compare(b.keys[y].used) })
	for _, key := range oldest[:excess] {
		delete(b.keys, key)
	}
}

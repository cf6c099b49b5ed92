// Package admission owns how much one domain or author may ask of this server in a
// while: token buckets with a burst, bounded in number.
package admission

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/videoactivmail/vam"
)

// Rate is Events each Per, of which Burst may come at once. The zero Rate is no
// limit.
type Rate struct {
	Events int
	Per    time.Duration
	Burst  int
}

func (r Rate) limit() rate.Limit {
	return rate.Limit(float64(r.Events) / r.Per.Seconds())
}

// Buckets has one bucket for each key. It is safe for concurrent use.
type Buckets struct {
	what string
	max  int
	now  func() time.Time

	mu   sync.Mutex
	keys map[string]*bucket
}

type bucket struct {
	l    *rate.Limiter
	rate Rate
	used time.Time
}

// maxKeys bounds what strangers can make the server remember. A bucket that is full
// again is the same as none, so the ones that were not used for longest go first.
const maxKeys = 10_000

// NewBuckets counts what, a plural for people such as "messages". nil now is
// time.Now.
func NewBuckets(what string, now func() time.Time) *Buckets {
	if now == nil {
		now = time.Now
	}
	return &Buckets{what: what, max: maxKeys, now: now, keys: map[string]*bucket{}}
}

// Take takes n from the key's bucket at rate r. Busy, with the time after which it
// is worth trying again, when there are not as many; nothing is taken then.
func (b *Buckets) Take(key string, r Rate, n int) error {
	if r == (Rate{}) || n == 0 {
		return nil
	}
	now := b.now()
	b.mu.Lock()
	x := b.keys[key]
	if x == nil || x.rate != r {
		b.makeRoom()
		x = &bucket{l: rate.NewLimiter(r.limit(), r.Burst), rate: r}
		b.keys[key] = x
	}
	x.used = now
	b.mu.Unlock()
	res := x.l.ReserveN(now, n)
	if res.OK() {
		wait := res.DelayFrom(now)
		if wait == 0 {
			return nil
		}
		res.CancelAt(now)
		return b.refuse(key, r, wait)
	}
	return b.refuse(key, r, r.Per)
}

func (b *Buckets) refuse(key string, r Rate, wait time.Duration) error {
	return vam.Errorf(vam.Busy, "%s: at most %d %s in %s (this server's limit); try again in %s", key, r.Events, b.what, r.Per, wait.Round(time.Second)+time.Second).
		WithProblem("rate").WithRetry(wait.Round(time.Second) + time.Second)
}

// makeRoom drops the longest unused tenth when the map is full; mu is held.
func (b *Buckets) makeRoom() {
	if len(b.keys) < b.max {
		return
	}
	var oldest time.Time
	for _, x := range b.keys {
		if oldest.IsZero() || x.used.Before(oldest) {
			oldest = x.used
		}
	}
	cut := oldest.Add(b.now().Sub(oldest) / 10)
	for k, x := range b.keys {
		if !x.used.After(cut) {
			delete(b.keys, k)
		}
	}
}

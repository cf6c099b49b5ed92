package admission_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/admission"
)

// clock stands still until it is moved. It is safe for concurrent use.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time { return time.Unix(1_800_000_000, c.at.Load()) }

func (c *clock) pass(d time.Duration) { c.at.Add(int64(d)) }

// refusal is the error of Take in detail.
func refusal(t interface{ Fatalf(string, ...any) }, err error) *vam.Error {
	var e *vam.Error
	if !errors.As(err, &e) || e.Kind != vam.Busy || e.Problem != "rate" || e.RetryAfter <= 0 {
		t.Fatalf("refused with %v, want Busy, problem rate, and a time", err)
	}
	return e
}

// takes is how many of n calls succeed.
func takes(b *admission.Buckets, key string, r admission.Rate, n int) (ok int) {
	for range n {
		if b.Take(key, r, 1) == nil {
			ok++
		}
	}
	return ok
}

var hourly = admission.Rate{Events: 60, Per: time.Hour, Burst: 5}

// What was taken of a key can be forgiven, and that of others stays.
func TestForget(t *testing.T) {
	var c clock
	b := admission.NewBuckets("messages", c.now)
	takes(b, "a", hourly, 5)
	takes(b, "b", hourly, 5)
	b.Forget("a")
	b.Forget("none")
	if a, z := takes(b, "a", hourly, 9), takes(b, "b", hourly, 9); a != 5 || z != 0 {
		t.Errorf("%d of the forgotten and %d of the other, want 5 and 0", a, z)
	}
}

func TestNetwork(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7",
		"2001:db8:1:2:3::4": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := admission.Network(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s is of %s, want %s", addr, got, want)
		}
	}
}

func TestBurstThenRate(t *testing.T) {
	var c clock
	b := admission.NewBuckets("messages", c.now)
	if n := takes(b, "a", hourly, 50); n != 5 {
		t.Errorf("%d at once, want the burst of 5", n)
	}
	e := refusal(t, b.Take("a", hourly, 1))
	for _, word := range []string{"a:", "60", "messages", "1h", "this server's limit"} {
		if !strings.Contains(e.Message, word) {
			t.Errorf("%q does not name %q", e.Message, word)
		}
	}
	// The time that a refusal names is enough, and refused calls cost nothing.
	c.pass(e.RetryAfter)
	if n := takes(b, "a", hourly, 50); n != 1 {
		t.Errorf("%d after %v, want 1", n, e.RetryAfter)
	}
	c.pass(3 * time.Minute)
	if n := takes(b, "a", hourly, 50); n != 3 {
		t.Errorf("%d after three minutes, want 3", n)
	}
	c.pass(24 * time.Hour)
	if n := takes(b, "a", hourly, 50); n != 5 {
		t.Errorf("%d after a day, want the burst", n)
	}
	if n := takes(b, "b", hourly, 50); n != 5 {
		t.Errorf("%d of another key, want the burst", n)
	}
}

func TestSeveralAtOnce(t *testing.T) {
	var c clock
	b := admission.NewBuckets("recipients", c.now)
	if err := b.Take("a", hourly, 4); err != nil {
		t.Errorf("4 of 5: %v", err)
	}
	e := refusal(t, b.Take("a", hourly, 3)) // all or nothing
	if err := b.Take("a", hourly, 1); err != nil {
		t.Errorf("the fifth after a refusal: %v", err)
	}
	if e.RetryAfter < 2*time.Minute || e.RetryAfter > 2*time.Minute+2*time.Second {
		t.Errorf("for two more it says %v, want two minutes", e.RetryAfter)
	}
	refusal(t, b.Take("b", hourly, 6)) // more than there can ever be
	if n := takes(b, "b", hourly, 50); n != 5 {
		t.Errorf("%d after that, want the burst", n)
	}
}

func TestNoLimit(t *testing.T) {
	var c clock
	b := admission.NewBuckets("messages", c.now)
	if n := takes(b, "a", admission.Rate{}, 1000); n != 1000 {
		t.Errorf("%d of 1000 without a limit", n)
	}
	takes(b, "a", hourly, 5)
	for _, n := range []int{0, -3} {
		if err := b.Take("a", hourly, n); err != nil {
			t.Errorf("taking %d: %v", n, err)
		}
	}
	refusal(t, b.Take("a", hourly, 1))
	if n := takes(b, "c", admission.Rate{Events: 7, Per: time.Hour}, 50); n != 7 {
		t.Errorf("%d with no burst named, want the number of the rate", n)
	}
	refusal(t, b.Take("d", admission.Rate{Per: time.Hour}, 1)) // none at all
	once := admission.Rate{Per: time.Hour, Burst: 1}           // one, and never again
	if err := b.Take("e", once, 1); err != nil {
		t.Error(err)
	}
	if e := refusal(t, b.Take("e", once, 1)); e.RetryAfter > 31*24*time.Hour {
		t.Errorf("for a second one it says %v", e.RetryAfter)
	}
}

// A rate that changes, as when a domain becomes known, gives nothing back.
func TestRateChanges(t *testing.T) {
	var c clock
	b := admission.NewBuckets("offers", c.now)
	takes(b, "a", hourly, 5)
	fast := admission.Rate{Events: 3600, Per: time.Hour, Burst: 100}
	for range 10 {
		refusal(t, b.Take("a", fast, 1))
		refusal(t, b.Take("a", hourly, 1))
	}
	refusal(t, b.Take("a", fast, 1))
	c.pass(10 * time.Second)
	if n := takes(b, "a", fast, 500); n != 10 {
		t.Errorf("%d after ten seconds at one a second, want 10", n)
	}
	c.pass(time.Hour)
	if n := takes(b, "a", hourly, 50); n != 5 {
		t.Errorf("%d at the slower rate, want its burst", n)
	}
}

// Strangers cannot make it remember without end, and whoever has used up a bucket does
// not get a new one by bringing others that are full.
func TestManyKeys(t *testing.T) {
	var c clock
	b := admission.NewBuckets("offers", c.now)
	takes(b, "greedy", hourly, 5)
	c.pass(time.Second)
	for i := range 2 * admission.MaxKeys {
		if err := b.Take(fmt.Sprint("n", i), hourly, 1); err != nil {
			t.Fatal(err)
		}
		if b.Len() > admission.MaxKeys {
			t.Fatalf("%d keys are kept", b.Len())
		}
		if i%100 == 0 {
			c.pass(time.Second) // the others are full again after a minute, the greedy one after five
		}
	}
	refusal(t, b.Take("greedy", hourly, 5))
}

func TestTooManyBusyKeys(t *testing.T) {
	var c clock
	b := admission.NewBuckets("offers", c.now)
	for i := range admission.MaxKeys {
		takes(b, fmt.Sprint(i), hourly, 5)
		c.pass(time.Millisecond)
	}
	takes(b, "one more", hourly, 5)
	if n := b.Len(); n > admission.MaxKeys || n < admission.MaxKeys*8/10 {
		t.Errorf("%d keys are kept, want most of %d", n, admission.MaxKeys)
	}
	if err := b.Take("0", hourly, 5); err != nil {
		t.Errorf("the one that was not used for longest is still there: %v", err)
	}
	refusal(t, b.Take(fmt.Sprint(admission.MaxKeys-1), hourly, 1))
	refusal(t, b.Take("one more", hourly, 1))
}

func TestConcurrentTakes(t *testing.T) {
	var c clock
	b := admission.NewBuckets("messages", c.now)
	rate := admission.Rate{Events: 100, Per: time.Hour, Burst: 100}
	var ok atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			ok.Add(int64(takes(b, "a", rate, 50)))
		})
	}
	wg.Wait()
	if n := ok.Load(); n != 100 {
		t.Errorf("%d of 400 at the same time, want the burst of 100", n)
	}
}

// In no stretch of time are more taken than the burst and what the rate gives in it.
func TestNeverMoreThanTheRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c clock
		b := admission.NewBuckets("messages", c.now)
		r := admission.Rate{
			Events: rapid.IntRange(1, 500).Draw(t, "events"), Burst: rapid.IntRange(1, 50).Draw(t, "burst"),
			Per: time.Duration(rapid.IntRange(1, 100_000).Draw(t, "seconds")) * time.Second,
		}
		type take struct {
			at time.Duration
			n  int
		}
		var taken []take
		var at time.Duration
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			d := time.Duration(rapid.Int64Range(0, int64(r.Per)).Draw(t, "pause"))
			c.pass(d)
			at += d
			n := rapid.IntRange(1, r.Burst).Draw(t, "n")
			if err := b.Take("a", r, n); err != nil {
				refusal(t, err)
				continue
			}
			taken = append(taken, take{at, n})
			sum := 0
			for i := len(taken) - 1; i >= 0; i-- {
				sum += taken[i].n
				allowed := float64(r.Burst) + float64(r.Events)*float64(at-taken[i].at)/float64(r.Per)
				if float64(sum) > allowed+1e-6 {
					t.Fatalf("%d in %v, want at most %v", sum, at-taken[i].at, allowed)
				}
			}
		}
	})
}

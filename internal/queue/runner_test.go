package queue_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/queue"
)

// crowd counts who is inside.
type crowd struct {
	mu        sync.Mutex
	in, most  map[vam.Domain]int
	all, peak int
}

func (c *crowd) enter(d vam.Domain) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.in == nil {
		c.in, c.most = map[vam.Domain]int{}, map[vam.Domain]int{}
	}
	c.in[d]++
	c.all++
	c.most[d], c.peak = max(c.most[d], c.in[d]), max(c.peak, c.all)
}

func (c *crowd) leave(d vam.Domain) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in[d]--
	c.all--
}

// peaks are the most that were inside at once: of all, and of each domain.
func (c *crowd) peaks() (int, map[vam.Domain]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peak, maps.Clone(c.most)
}

func TestConcurrency(t *testing.T) {
	inBubble(t, func(b *bubble) {
		var c crowd
		for i := range 30 {
			for _, d := range []vam.Domain{"a.example", "b.example", "c.example"} {
				b.add(d, fmt.Sprint(d, i))
			}
		}
		b.start(queue.Options{Workers: 7, PerDomain: 3}, func(_ context.Context, j queue.Job) error {
			c.enter(j.Domain)
			defer c.leave(j.Domain)
			time.Sleep(time.Second)
			return nil
		})
		time.Sleep(time.Minute)
		peak, most := c.peaks()
		if peak != 7 {
			b.Errorf("%d jobs at once, want 7", peak)
		}
		for d, n := range most {
			if n != 3 {
				b.Errorf("%d jobs at once towards %s, want 3", n, d)
			}
		}
		if left := b.left(); len(left) != 0 {
			b.Errorf("%d jobs are left", len(left))
		}
	})
}

// More than fits into one lease starts at once.
func TestManyAtOnce(t *testing.T) {
	inBubble(t, func(b *bubble) {
		c := &calls{b: b, result: func(queue.Job) error { time.Sleep(time.Hour); return nil }}
		for i := range 150 {
			b.add(vam.Domain(fmt.Sprintf("d%d.example", i%50)), fmt.Sprint(i))
		}
		b.start(queue.Options{Workers: 120}, c.handle)
		c.want(make([]time.Duration, 120)...)
	})
}

// A domain that takes all its places for hours leaves the others theirs (AM-14.7).
func TestSlowDomain(t *testing.T) {
	inBubble(t, func(b *bubble) {
		for i := range 50 {
			b.add("slow.example", fmt.Sprint("slow", i))
		}
		r, _ := b.start(queue.Options{Workers: 10, PerDomain: 4}, func(ctx context.Context, j queue.Job) error {
			if j.Domain == "slow.example" {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		synctest.Wait()
		b.add("quick.example", "quick")
		r.Wake()
		synctest.Wait()
		if left := b.left(); len(left) != 50 {
			b.Errorf("%d jobs are left, want the slow ones", len(left))
		}
	})
}

func TestWakeUps(t *testing.T) {
	inBubble(t, func(b *bubble) {
		c := &calls{b: b}
		r, _ := b.start(queue.Options{}, c.handle)
		time.Sleep(time.Second)
		b.add(domain, "woken")
		r.Wake()
		r.Wake()
		c.want(time.Second)
		b.add(domain, "not woken")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		c.mu.Lock()
		if len(c.when) != 1 || c.when[0] > 6*time.Second {
			b.Errorf("without a wake-up it ran at %v, want within 5 s", c.when)
		}
		c.when, c.keys = nil, nil
		c.mu.Unlock()
		// One that is due later runs at its time, to the moment.
		at := time.Now().Add(2345 * time.Millisecond)
		b.ok(b.Enqueue(b.Context(), queue.Job{Kind: queue.Offer, Key: "planned", Domain: domain, NextAt: at}))
		r.Wake()
		time.Sleep(5 * time.Second)
		c.want(at.Sub(b.begun))
	})
}

// Jobs that end make room at once.
func TestEndsWakeTheRunner(t *testing.T) {
	inBubble(t, func(b *bubble) {
		c := &calls{b: b, result: func(queue.Job) error { time.Sleep(time.Second); return nil }}
		b.add(domain, "a", "b", "c")
		b.start(queue.Options{Workers: 1}, c.handle)
		time.Sleep(time.Minute)
		c.want(0, time.Second, 2*time.Second)
	})
}

// News about a job that runs leads to one more run.
func TestEnqueuedWhileItRuns(t *testing.T) {
	inBubble(t, func(b *bubble) {
		c := &calls{b: b, result: func(queue.Job) error { time.Sleep(10 * time.Second); return nil }}
		b.add(domain, "x")
		b.start(queue.Options{}, c.handle)
		time.Sleep(time.Second)
		b.add(domain, "x")
		b.add(domain, "x")
		time.Sleep(time.Minute)
		c.want(0, 10*time.Second)
	})
}

// Without grace a stop cuts what runs; its jobs stay queued for the next process.
func TestStop(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.add(domain, "x")
		var cut atomic.Bool
		_, stop := b.start(queue.Options{Owner: "first"}, func(ctx context.Context, _ queue.Job) error {
			<-ctx.Done()
			cut.Store(true)
			return ctx.Err()
		})
		time.Sleep(10 * time.Minute)
		stop()
		if b.at("the stop", 10*time.Minute); !cut.Load() {
			b.Error("Run came back before its handler")
		}
		b.ok(b.Release(b.Context(), "second"))
		c := &calls{b: b, result: func(j queue.Job) error {
			if j.Attempts != 0 {
				b.Errorf("the stop counts as an attempt: %+v", j)
			}
			return nil
		}}
		b.start(queue.Options{Owner: "second"}, c.handle)
		c.wantKeys("x")
	})
}

// With grace it lets running jobs end, keeps their leases, and takes nothing new.
func TestStopWithGrace(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.add(domain, "short", "long")
		_, stop := b.start(queue.Options{Grace: 10 * time.Minute}, func(ctx context.Context, j queue.Job) error {
			wait := map[string]time.Duration{"short": 5 * time.Minute, "long": time.Hour, "new": 0}[j.Key]
			select {
			case <-time.After(wait):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		time.Sleep(time.Second)
		go func() {
			time.Sleep(3 * time.Minute)
			b.add(domain, "new")
			jobs, err := b.Lease(b.Context(), queue.Want{Owner: "thief", Kinds: []queue.Kind{queue.Offer}, Now: time.Now(), Until: time.Now(), Limit: 10})
			if b.ok(err); len(jobs) != 1 || jobs[0].Key != "new" {
				b.Errorf("another process could lease %+v", jobs)
			}
		}()
		stop()
		b.at("the stop", 10*time.Minute+time.Second)
		var keys []string
		for _, j := range b.left() {
			keys = append(keys, j.Key)
		}
		if fmt.Sprint(keys) != "[long new]" {
			b.Errorf("left: %q, want the one that was cut and the one that came too late", keys)
		}
	})
}

// A job that ends in the very moment of the stop is recorded.
func TestStopRecordsWhatEnded(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.add(domain, "x")
		_, stop := b.start(queue.Options{}, func(ctx context.Context, _ queue.Job) error {
			<-ctx.Done()
			return nil // it had just come to its end
		})
		time.Sleep(time.Second)
		stop()
		if left := b.left(); len(left) != 0 {
			b.Errorf("left: %+v", left)
		}
	})
}

// A job that runs for long keeps its lease.
func TestRenewal(t *testing.T) {
	inBubble(t, func(b *bubble) {
		c := &calls{b: b, result: func(queue.Job) error { time.Sleep(3 * time.Hour); return nil }}
		b.add(domain, "x")
		b.start(queue.Options{Lease: time.Minute}, c.handle)
		for range 170 {
			time.Sleep(time.Minute)
			jobs, err := b.Lease(b.Context(), queue.Want{Owner: "thief", Kinds: []queue.Kind{queue.Offer}, Now: time.Now(), Until: time.Now(), Limit: 10})
			if b.ok(err); len(jobs) > 0 {
				b.Fatalf("after %v the lease was lost", b.clock())
			}
		}
		time.Sleep(time.Hour)
		c.want(0)
	})
}

// Whoever lost the lease must stop: another process does the job.
func TestLostLease(t *testing.T) {
	inBubble(t, func(b *bubble) {
		b.add(domain, "x", "mine")
		var ended atomic.Int64
		_, stop := b.start(queue.Options{Lease: time.Minute}, func(ctx context.Context, j queue.Job) error {
			<-ctx.Done()
			if j.Key == "x" {
				ended.Store(int64(b.clock()))
			}
			return errDown
		})
		time.Sleep(30 * time.Second)
		x := b.left()[0]
		b.ok(b.Release(b.Context(), "thief"))
		jobs, err := b.Lease(b.Context(), queue.Want{Owner: "thief", Kinds: []queue.Kind{queue.Offer}, Now: time.Now(), Until: time.Now().Add(time.Hour), Limit: 1})
		if b.ok(err); len(jobs) != 1 || jobs[0].ID != x.ID {
			b.Fatalf("the thief got %+v", jobs)
		}
		time.Sleep(2 * time.Minute)
		if at := time.Duration(ended.Load()); at == 0 || at > 51*time.Second {
			b.Errorf("the handler was stopped at %v, want at the renewal", at)
		}
		b.ok(b.Finish(b.Context(), "thief", x.ID)) // still the thief's: our outcome was not recorded
		stop()
	})
}

// A store that cannot be read for a while loses no job and stops no runner.
func TestStoreFails(t *testing.T) {
	inBubble(t, func(b *bubble) {
		c := &calls{b: b}
		b.add(domain, "x")
		s := failing{b.MemoryQueue, func() bool { return b.clock() < 90*time.Second }}
		b.run(s, queue.Options{}, map[queue.Kind]queue.Handler{queue.Offer: c.handle})
		time.Sleep(5 * time.Minute)
		c.want(90 * time.Second)
	})
}

// Two runners of one process share a store and not their jobs.
func TestTwoRunners(t *testing.T) {
	inBubble(t, func(b *bubble) {
		offers, pulls := &calls{b: b}, &calls{b: b}
		b.run(b.MemoryQueue, queue.Options{}, map[queue.Kind]queue.Handler{queue.Offer: offers.handle, queue.Poke: offers.handle})
		b.run(b.MemoryQueue, queue.Options{}, map[queue.Kind]queue.Handler{queue.Pull: pulls.handle})
		for _, kind := range []queue.Kind{queue.Offer, queue.Pull, queue.Poke, "of a later version"} {
			b.ok(b.Enqueue(b.Context(), queue.Job{Kind: kind, Key: string(kind), Domain: domain, NextAt: time.Now()}))
		}
		time.Sleep(time.Minute)
		pulls.wantKeys("pull")
		offers.mu.Lock()
		if len(offers.keys) != 2 {
			b.Errorf("the other runner handled %q", offers.keys)
		}
		offers.mu.Unlock()
		if left := b.left(); len(left) != 1 || left[0].Kind != "of a later version" {
			b.Errorf("left: %+v, want what nobody knows", left)
		}
	})
}

// A clock that is set forward by days starts nothing twice (AM-14.8).
func TestClockJumps(t *testing.T) {
	inBubble(t, func(b *bubble) {
		var mu sync.Mutex
		var jump time.Duration
		now := func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return time.Now().Add(jump)
		}
		var c crowd
		b.add(domain, "x")
		r, _ := b.start(queue.Options{Now: now}, func(_ context.Context, j queue.Job) error {
			c.enter(j.Domain)
			defer c.leave(j.Domain)
			time.Sleep(10 * time.Minute)
			return errors.Join(nil)
		})
		for _, to := range []time.Duration{72 * time.Hour, -72 * time.Hour, 10 * 365 * 24 * time.Hour} {
			time.Sleep(61 * time.Second) // not when leases are renewed
			mu.Lock()
			jump = to
			mu.Unlock()
			r.Wake()
			synctest.Wait()
		}
		time.Sleep(time.Hour)
		if peak, _ := c.peaks(); peak != 1 {
			b.Errorf("the job ran %d times at once", peak)
		}
		if left := b.left(); len(left) != 0 {
			b.Errorf("left: %+v", left)
		}
	})
}

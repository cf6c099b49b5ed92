package queue_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/queue"
)

// The schedule of AM-8.22.
func TestBackoff(t *testing.T) {
	want := []time.Duration{5 * time.Second, 5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, time.Hour}
	for n, d := range want {
		if got := queue.Backoff(n, 0); got != d {
			t.Errorf("Backoff(%d) = %v, want %v", n, got, d)
		}
	}
	if got := queue.Backoff(1<<40, 0); got != time.Hour {
		t.Errorf("after ages: %v", got)
	}
	for n, d := range want {
		for spread, want := range map[float64]time.Duration{-1: d - d/5, 1: d + d/5, 0.5: d + d/10, -9: d - d/5, 9: d + d/5} {
			if got := queue.Backoff(n, spread); got != want {
				t.Errorf("Backoff(%d, %v) = %v, want %v", n, spread, got, want)
			}
		}
	}
}

// Each pause is spread, that of a domain and that of a job alone; what a peer asked for
// is not made shorter.
func TestSpread(t *testing.T) {
	for _, tt := range []struct {
		name   string
		result error
		want   []time.Duration
	}{
		{"domain", errDown, []time.Duration{0, 6 * time.Second, 18 * time.Second, 90 * time.Second}},
		{"job", vam.Errorf(vam.Busy, "later"), []time.Duration{0, 6 * time.Second, 18 * time.Second, 90 * time.Second}},
		{"asked", vam.Errorf(vam.Busy, "later").WithRetry(100 * time.Second), []time.Duration{0, 100 * time.Second, 200 * time.Second, 300 * time.Second}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				c := &calls{b: b, result: func(j queue.Job) error {
					if j.Attempts == 3 {
						return nil
					}
					return tt.result
				}}
				spreads := []float64{1, -1, 1}
				b.add(domain, "x")
				b.start(queue.Options{Spread: func() float64 {
					next := spreads[0]
					spreads = spreads[1:]
					return next
				}}, c.handle)
				time.Sleep(time.Hour)
				c.want(tt.want...)
			})
		})
	}
}

// Without a source of one's own the spread is random, and within its bounds.
func TestSpreadAtRandom(t *testing.T) {
	inBubble(t, func(b *bubble) {
		c := &calls{b: b, result: func(queue.Job) error { return vam.Errorf(vam.Busy, "later") }}
		var keys []string
		for n := range 20 {
			keys = append(keys, string(rune('a'+n)))
		}
		b.add(domain, keys...)
		_, stop := b.run(b.MemoryQueue, queue.Options{}, map[queue.Kind]queue.Handler{queue.Offer: c.handle})
		synctest.Wait()
		stop()
		different := map[time.Time]bool{}
		for _, j := range b.left() {
			different[j.NextAt] = true
			if pause := j.NextAt.Sub(b.begun); pause < queue.Backoff(1, -1) || pause > queue.Backoff(1, 1) {
				b.Errorf("job %s waits %v", j.Key, pause)
			}
		}
		if len(different) < 15 {
			b.Errorf("%d jobs wait for %d different times", len(keys), len(different))
		}
	})
}

// A domain is down for five days and back then: attempts come by the schedule, and
// the job goes through with the first one after.
func TestFiveDaysDown(t *testing.T) {
	inBubble(t, func(b *bubble) {
		const down = 5 * 24 * time.Hour
		c := &calls{b: b, result: func(queue.Job) error {
			if b.clock() < down {
				return errDown
			}
			return nil
		}}
		b.add(domain, "x")
		b.start(queue.Options{}, c.handle)
		var want []time.Duration
		at := time.Duration(0)
		for n := 1; at < down; n++ {
			want = append(want, at)
			at += queue.Backoff(n, 0)
		}
		time.Sleep(down + 2*time.Hour)
		c.want(append(want, at)...)
		if left := b.left(); len(left) != 0 {
			b.Errorf("left: %+v", left)
		}
		dest, err := b.Destination(b.Context(), domain)
		if b.ok(err); dest.Failures != 0 {
			b.Errorf("the domain still has %d failures", dest.Failures)
		}
	})
}

// A job that is past its deadline is handed out as any other: the handler decides.
func TestDeadline(t *testing.T) {
	inBubble(t, func(b *bubble) {
		deadline := time.Now().Add(30 * time.Minute)
		b.ok(b.Enqueue(b.Context(), queue.Job{Kind: queue.Offer, Key: "x", Domain: domain, NextAt: time.Now(), Deadline: deadline, Payload: []byte("p")}))
		c := &calls{b: b, result: func(j queue.Job) error {
			if !j.Deadline.Equal(deadline) || string(j.Payload) != "p" {
				b.Errorf("the job came as %+v", j)
			}
			if time.Now().After(j.Deadline) {
				return vam.Errorf(vam.Gone, "too late")
			}
			return errDown
		}}
		b.start(queue.Options{}, c.handle)
		time.Sleep(24 * time.Hour)
		c.want(0, 5*time.Second, 20*time.Second, 80*time.Second, 380*time.Second, 1280*time.Second, 4880*time.Second)
		if left := b.left(); len(left) != 0 {
			b.Errorf("left: %+v", left)
		}
	})
}

// What every kind of error means for the job and for its domain.
func TestOutcomes(t *testing.T) {
	for _, kind := range vam.ErrorKinds() {
		t.Run(kind.String(), func(t *testing.T) {
			outcome(t, vam.Errorf(kind, "so it is"), kind.Temporary(), kind == vam.Unavailable)
		})
	}
	t.Run("unknown", func(t *testing.T) { outcome(t, errors.New("what is this"), true, false) })
	t.Run("none", func(t *testing.T) { outcome(t, nil, false, false) })
	t.Run("not reached", func(t *testing.T) { outcome(t, queue.ErrNotReached, false, false) })
}

// Jobs that are done without an answer of their domain say nothing of it: an outage goes
// on, and those that wait for its end go on waiting.
func TestNotReached(t *testing.T) {
	inBubble(t, func(b *bubble) {
		c := &calls{b: b, result: func(j queue.Job) error {
			switch {
			case j.Key == "late":
				return queue.ErrNotReached
			case b.clock() < time.Hour:
				return errDown
			}
			return nil
		}}
		b.add(domain, "a")
		b.start(queue.Options{}, c.handle)
		time.Sleep(10 * time.Second)
		b.add(domain, "late")
		time.Sleep(5 * time.Minute)
		c.want(0, 5*time.Second, 20*time.Second, 20*time.Second, 80*time.Second)
		if left := b.left(); len(left) != 1 || left[0].Key != "a" {
			b.Errorf("left: %+v", left)
		}
		dest, err := b.Destination(b.Context(), domain)
		if b.ok(err); dest.Failures != 4 {
			b.Errorf("the domain has %d failures, want all 4", dest.Failures)
		}
	})
}

func outcome(t *testing.T, result error, retried, blocks bool) {
	inBubble(t, func(b *bubble) {
		c := &calls{b: b, result: func(j queue.Job) error {
			if j.Key == "x" {
				return result
			}
			return nil
		}}
		b.add(domain, "x")
		r, _ := b.start(queue.Options{}, c.handle)
		synctest.Wait()
		b.add(domain, "other")
		r.Wake()
		c.wantKeys(map[bool][]string{false: {"x", "other"}, true: {"x"}}[blocks]...)
		left := b.left()
		switch {
		case !retried && len(left) != 0:
			b.Errorf("left: %+v", left)
		case retried && (len(left) == 0 || left[len(left)-1].Attempts != 1 || left[len(left)-1].Reason == "" || !left[len(left)-1].NextAt.Equal(time.Now().Add(queue.Backoff(1, 0)))):
			b.Errorf("the job waits as %+v", left)
		}
		dest, err := b.Destination(b.Context(), domain)
		if b.ok(err); (dest.Failures > 0) != blocks {
			b.Errorf("the domain has %d failures", dest.Failures)
		}
	})
}

// A handler that panics stops nobody else, and is tried again.
func TestPanic(t *testing.T) {
	inBubble(t, func(b *bubble) {
		c := &calls{b: b, result: func(j queue.Job) error {
			if j.Key == "x" && j.Attempts == 0 {
				panic("a bad message")
			}
			return nil
		}}
		b.add(domain, "x", "y")
		b.start(queue.Options{}, c.handle)
		time.Sleep(time.Minute)
		c.want(0, 0, 5*time.Second)
		if left := b.left(); len(left) != 0 {
			b.Errorf("left: %+v", left)
		}
	})
}

// Retry-After counts where it is longer than the schedule, up to six hours.
func TestRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		name        string
		kind        vam.ErrorKind
		asked, want time.Duration
	}{
		{"longer", vam.Busy, 10 * time.Minute, 10 * time.Minute},
		{"shorter", vam.Busy, time.Second, 5 * time.Second},
		{"too long", vam.Busy, 48 * time.Hour, 6 * time.Hour},
		{"negative", vam.Busy, -time.Hour, 5 * time.Second},
		{"of a domain", vam.Unavailable, 10 * time.Minute, 10 * time.Minute},
		{"of a domain, too long", vam.Unavailable, 48 * time.Hour, 6 * time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(b *bubble) {
				c := &calls{b: b, result: func(j queue.Job) error {
					if j.Attempts == 0 {
						return vam.Errorf(tt.kind, "later").WithRetry(tt.asked)
					}
					return nil
				}}
				b.add(domain, "x")
				b.start(queue.Options{}, c.handle)
				time.Sleep(50 * time.Hour)
				c.want(0, tt.want)
			})
		})
	}
}

// Many jobs run into one outage: it counts once, and the pause is that of the domain,
// whatever each of them has been through (AM-8.24).
func TestOneOutage(t *testing.T) {
	inBubble(t, func(b *bubble) {
		c := &calls{b: b, result: func(queue.Job) error {
			time.Sleep(time.Second) // they all fail together
			return errDown
		}}
		b.add(domain, "a", "b", "c", "d")
		_, stop := b.start(queue.Options{}, c.handle)
		time.Sleep(2 * time.Second)
		b.add(domain, "late") // the first attempt of this one is the domain's second
		time.Sleep(30 * time.Second)
		c.want(0, 0, 0, 0, 6*time.Second, 6*time.Second, 6*time.Second, 6*time.Second, 6*time.Second, 22*time.Second, 22*time.Second, 22*time.Second, 22*time.Second, 22*time.Second)
		dest, err := b.Destination(b.Context(), domain)
		if b.ok(err); dest.Failures != 3 {
			b.Errorf("three outages count as %d", dest.Failures)
		}
		for _, j := range b.left() {
			if !j.NextAt.Equal(dest.NextAt) {
				b.Errorf("job %s says that it is tried at %v, and its domain at %v", j.Key, j.NextAt, dest.NextAt)
			}
		}
		stop()
	})
}

// A success shows that the domain is back: everything that waits for it is due.
func TestReachedWakesTheDomain(t *testing.T) {
	inBubble(t, func(b *bubble) {
		var up atomic.Bool
		c := &calls{b: b, result: func(queue.Job) error {
			if !up.Load() {
				return errDown
			}
			return nil
		}}
		b.add(domain, "a", "b", "c")
		b.start(queue.Options{PerDomain: 1}, c.handle)
		time.Sleep(10 * time.Minute)
		c.want(0, 5*time.Second, 20*time.Second, 80*time.Second, 380*time.Second)
		up.Store(true)
		// Somebody else heard of the domain, for instance because it sent a message.
		b.ok(b.Reached(b.Context(), domain, time.Now()))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if left := b.left(); len(left) != 0 {
			b.Errorf("left: %+v", left)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.keys) != 3 {
			b.Errorf("handled %q, want each once", c.keys)
		}
	})
}

func TestReachedByItsOwnSuccess(t *testing.T) {
	inBubble(t, func(b *bubble) {
		var up atomic.Bool
		c := &calls{b: b, result: func(j queue.Job) error {
			if !up.Load() {
				return errDown
			}
			return nil
		}}
		b.add(domain, "a", "b", "c", "d", "e")
		b.start(queue.Options{PerDomain: 2}, c.handle)
		time.Sleep(time.Hour)
		up.Store(true)
		c.mu.Lock()
		c.when = nil
		c.mu.Unlock()
		time.Sleep(time.Hour)
		synctest.Wait()
		c.mu.Lock()
		first := c.when[0]
		c.mu.Unlock()
		c.want(first, first, first, first, first)
	})
}

// One message that its domain cannot answer for holds up none of the others.
func TestPoisonedJob(t *testing.T) {
	inBubble(t, func(b *bubble) {
		c := &calls{b: b, result: func(j queue.Job) error {
			if j.Key == "poison" {
				time.Sleep(3 * time.Second)
				return errDown
			}
			return nil
		}}
		b.add(domain, "poison")
		r, _ := b.start(queue.Options{}, c.handle)
		for i := range 20 {
			time.Sleep(time.Second)
			b.add(domain, string(rune('a'+i)))
			r.Wake()
		}
		synctest.Wait()
		left := b.left()
		if len(left) != 1 || left[0].Key != "poison" || left[0].Attempts != 2 {
			b.Errorf("left: %+v, want the poison after two attempts", left)
		}
		dest, err := b.Destination(b.Context(), domain)
		if b.ok(err); dest.Failures != 0 {
			b.Errorf("a domain that is reached all the time has %d failures", dest.Failures)
		}
	})
}

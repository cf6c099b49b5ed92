package queue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/storetest"
)

const domain = vam.Domain("a.example")

var errDown = vam.Errorf(vam.Unavailable, "no route to host")

// bubble is a test of a runner in which time passes only when everybody waits.
type bubble struct {
	*testing.T
	*storetest.MemoryQueue
	begun time.Time
}

func inBubble(t *testing.T, test func(*bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(&bubble{T: t, MemoryQueue: storetest.NewMemoryQueue(), begun: time.Now()})
	})
}

// start runs a Runner with one handler of offers, by the schedule to the second, until
// stop, which returns after it.
func (b *bubble) start(o queue.Options, h queue.Handler) (r *queue.Runner, stop func()) {
	b.Helper()
	if o.Spread == nil {
		o.Spread = func() float64 { return 0 }
	}
	return b.run(b.MemoryQueue, o, map[queue.Kind]queue.Handler{queue.Offer: h})
}

func (b *bubble) run(s queue.Store, o queue.Options, handlers map[queue.Kind]queue.Handler) (r *queue.Runner, stop func()) {
	b.Helper()
	if o.Owner == "" {
		o.Owner = "me"
	}
	r = queue.NewRunner(s, handlers, o)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		b.ok(<-done)
	})
	b.Cleanup(stop)
	return r, stop
}

func (b *bubble) ok(err error) {
	b.Helper()
	if err != nil {
		b.Error(err)
	}
}

// add enqueues offers that are due now.
func (b *bubble) add(d vam.Domain, keys ...string) {
	b.Helper()
	for _, key := range keys {
		b.ok(b.Enqueue(b.Context(), queue.Job{Kind: queue.Offer, Key: key, Domain: d, NextAt: time.Now(), Created: time.Now()}))
	}
}

// left are the jobs that are still there.
func (b *bubble) left() []queue.Job {
	b.Helper()
	jobs, err := b.Jobs(b.Context(), "", 1000)
	b.ok(err)
	return jobs
}

// is the time since the start.
func (b *bubble) clock() time.Duration { return time.Since(b.begun) }

// at checks the time of something.
func (b *bubble) at(what string, want time.Duration) {
	b.Helper()
	if at := b.clock(); at != want {
		b.Errorf("%s at %v, want %v", what, at, want)
	}
}

// calls is a handler that notes when it was called, and answers by result.
type calls struct {
	b      *bubble
	result func(j queue.Job) error

	mu   sync.Mutex
	when []time.Duration
	keys []string
}

func (c *calls) handle(_ context.Context, j queue.Job) error {
	c.mu.Lock()
	c.when = append(c.when, c.b.clock())
	c.keys = append(c.keys, j.Key)
	c.mu.Unlock()
	if c.result == nil {
		return nil
	}
	return c.result(j)
}

// want checks the times of all calls, and forgets them.
func (c *calls) want(want ...time.Duration) {
	c.b.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if fmt.Sprint(c.when) != fmt.Sprint(want) {
		c.b.Errorf("called at %v, want %v", c.when, want)
	}
	c.when, c.keys = nil, nil
}

// wantKeys checks what was handled, in order, and forgets it.
func (c *calls) wantKeys(want ...string) {
	c.b.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if fmt.Sprint(c.keys) != fmt.Sprint(want) {
		c.b.Errorf("handled %v, want %v", c.keys, want)
	}
	c.when, c.keys = nil, nil
}

// failing is a store whose reads fail while it is broken.
type failing struct {
	queue.Store
	broken func() bool
}

func (f failing) Lease(ctx context.Context, w queue.Want) ([]queue.Job, error) {
	if f.broken() {
		return nil, errors.New("disk on fire")
	}
	return f.Store.Lease(ctx, w)
}

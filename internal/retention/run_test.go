package retention_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/retention"
)

// idle finds nothing to do.
type idle struct{ retention.Store }

func (idle) Expire(context.Context, time.Time, int) ([]message.Key, error)    { return nil, nil }
func (idle) Detach(context.Context, int) ([]message.Key, error)               { return nil, nil }
func (idle) Condemn(context.Context, time.Time, int) ([]blob.ID, error)       { return nil, nil }
func (idle) DropMessages(context.Context, time.Time, int) (int, error)        { return 0, nil }
func (idle) OldDrafts(context.Context, time.Time, int) ([]message.Key, error) { return nil, nil }
func (idle) DeleteDraft(context.Context, message.Key) error                   { return nil }
func (idle) Forget(context.Context, time.Time, int) (int, error)              { return 0, nil }

// holds counts the sweeps by the one thing that they find.
type holds struct {
	begun time.Time
	mu    sync.Mutex
	found []int // what the next calls find
	when  []time.Duration
	err   error
}

func (h *holds) Lapse(context.Context, int) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.when = append(h.when, time.Since(h.begun))
	if len(h.found) == 0 {
		return 0, h.err
	}
	n := h.found[0]
	h.found = h.found[1:]
	return n, h.err
}

// want checks the times of the calls and forgets them.
func (h *holds) want(t *testing.T, what string, want ...time.Duration) {
	t.Helper()
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if fmt.Sprint(h.when) != fmt.Sprint(want) {
		t.Errorf("%s: looked at %v, want %v", what, h.when, want)
	}
	h.when = nil
}

// start runs a sweeper until the end of the bubble.
func start(t *testing.T, h *holds, now func() time.Time) {
	h.begun = time.Now()
	s := retention.New(retention.Options{Store: idle{}, Drafts: idle{}, Holds: h, Offers: idle{}, Now: now})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &holds{err: errors.New("disk on fire")} // which ends no later sweep
		start(t, h, nil)
		time.Sleep(150 * time.Second)
		h.want(t, "from the start on", 0, time.Minute, 2*time.Minute)
	})
}

// A step goes on until it finds less than it can do at once.
func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &holds{found: []int{100, 100, 7, 100, 0}}
		start(t, h, nil)
		h.want(t, "the first sweep", 0, 0, 0)
		time.Sleep(time.Minute)
		h.want(t, "the second", time.Minute, time.Minute)
	})
}

// A clock that jumps, forward or back, ends nothing before it has gone on for an hour.
func TestClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{10 * 365 * day, time.Hour, -time.Hour, -10 * 365 * day} {
		t.Run(jump.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var off time.Duration
				set := func(d time.Duration) {
					mu.Lock()
					defer mu.Unlock()
					off = d
				}
				h := &holds{}
				start(t, h, func() time.Time {
					mu.Lock()
					defer mu.Unlock()
					return time.Now().Add(off)
				})
				h.want(t, "at first", 0)
				set(5 * time.Second) // a correction
				time.Sleep(time.Minute)
				h.want(t, "after a correction", time.Minute)
				set(jump)
				time.Sleep(30*time.Minute + 30*time.Second)
				h.want(t, "after the jump")
				set(0)
				time.Sleep(time.Hour)
				h.want(t, "within an hour after it was put right")
				time.Sleep(time.Minute)
				h.want(t, "afterwards", 92*time.Minute)
			})
		})
	}
}

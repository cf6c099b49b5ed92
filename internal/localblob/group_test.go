package localblob_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/videoactivmail/vam/internal/localblob"
)

// Everybody who comes while a flush runs is served by one more.
func TestGroupShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g localblob.Group
		var mu sync.Mutex
		var flushes []time.Time
		flush := func() error {
			mu.Lock()
			flushes = append(flushes, time.Now())
			mu.Unlock()
			time.Sleep(10 * time.Millisecond)
			return nil
		}
		begin := time.Now()
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond / 10)
				called := time.Now()
				if err := g.Do(t.Context(), flush); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if covered := flushes[len(flushes)-1]; covered.Before(called) {
					t.Errorf("called at %v, the last flush began at %v", called.Sub(begin), covered.Sub(begin))
				}
			})
		}
		wg.Wait()
		if len(flushes) != 2 {
			t.Errorf("%d flushes for 100 callers within one, want 2", len(flushes))
		}
	})
}

func TestGroupErrorReachesItsCallersOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g localblob.Group
		bad := errors.New("bad")
		results := []error{bad, nil}
		flush := func() error {
			time.Sleep(time.Second)
			err := results[0]
			results = results[1:]
			return err
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := g.Do(t.Context(), flush); !errors.Is(err, bad) {
				t.Errorf("the first caller: %v", err)
			}
		})
		synctest.Wait()
		for range 3 {
			wg.Go(func() {
				if err := g.Do(t.Context(), flush); err != nil {
					t.Errorf("a later caller: %v", err)
				}
			})
		}
		wg.Wait()
	})
}

// A caller that gives up must not take the flush of the others with it.
func TestGroupSurvivesThoseWhoLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g localblob.Group
		slow := func() error { time.Sleep(time.Second); return nil }
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := g.Do(t.Context(), slow); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := g.Do(ctx, slow); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the impatient one: %v", err)
		}
		wg.Wait()
		if err := g.Do(t.Context(), slow); err != nil {
			t.Errorf("the one who came after: %v", err)
		}
	})
}

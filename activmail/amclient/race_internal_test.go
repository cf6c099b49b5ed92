package amclient

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// attempt is what one of several attempts does.
type attempt struct {
	takes time.Duration
	err   error
}

var errAttempt = errors.New("no")

// Attempts start one after the other, at once when the one before has failed; the first
// that succeeds wins, and what others still bring is dropped (RFC 8305 section 5).
func TestRace(t *testing.T) {
	const second = time.Second
	for _, row := range []struct {
		name     string
		attempts []attempt
		winner   int // -1: none
		started  []time.Duration
		took     time.Duration
		dropped  []int
	}{
		{"the first is quick", []attempt{{takes: second / 2}, {takes: second}}, 0, []time.Duration{0}, second / 2, nil},
		{"the first fails", []attempt{{second / 4, errAttempt}, {takes: second}}, 1, []time.Duration{0, second / 4}, 5 * second / 4, nil},
		{"the first is slow", []attempt{{takes: 10 * second}, {takes: second}}, 1, []time.Duration{0, second}, 2 * second, []int{0}},
		{"the first is slow and wins", []attempt{{takes: 3 * second / 2}, {takes: 5 * second}}, 0, []time.Duration{0, second}, 3 * second / 2, []int{1}},
		{"the second fails", []attempt{{takes: 3 * second}, {second / 2, errAttempt}}, 0, []time.Duration{0, second}, 3 * second, nil},
		{"all fail", []attempt{{second / 2, errAttempt}, {second, errAttempt}, {0, errAttempt}}, -1, []time.Duration{0, second / 2, 3 * second / 2}, 3 * second / 2, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			var started []time.Duration
			var dropped []int
			begin := time.Now()
			got, err := race(t.Context(), len(row.attempts), second, func(ctx context.Context, i int) (int, error) {
				mu.Lock()
				started = append(started, time.Since(begin))
				mu.Unlock()
				time.Sleep(row.attempts[i].takes) // one that does not heed its context
				return i, row.attempts[i].err
			}, func(i int) {
				mu.Lock()
				defer mu.Unlock()
				dropped = append(dropped, i)
			})
			took := time.Since(begin)
			time.Sleep(time.Minute)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if row.winner < 0 != (err != nil) || err == nil && got != row.winner {
				t.Errorf("%s: %d, %v", row.name, got, err)
			}
			if row.winner < 0 && !errors.Is(err, errAttempt) {
				t.Errorf("%s: %v", row.name, err)
			}
			if !slices.Equal(started, row.started) || took != row.took || !slices.Equal(dropped, row.dropped) {
				t.Errorf("%s: started at %v, took %v, dropped %v", row.name, started, took, dropped)
			}
		})
	}
}

// A race ends with its context.
func TestRaceThatIsCalledOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := race(ctx, 2, time.Minute, func(ctx context.Context, _ int) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}, func(int) {})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
}

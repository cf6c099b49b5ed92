package amclient

import (
	"context"
	"errors"
	"time"
)

// race runs attempts 0 to n-1, each started when the one before has failed or delay has
// passed, and returns the first that succeeds (RFC 8305 section 5). What a slower one
// still brings is given to drop. It returns the joined errors when all fail.
func race[T any](ctx context.Context, n int, delay time.Duration, attempt func(ctx context.Context, i int) (T, error), drop func(T)) (T, error) {
	ctx, cancel := context.WithCancel(ctx)
	type result struct {
		value T
		err   error
	}
	results := make(chan result, n) // an attempt never blocks on its result
	start := func(i int) {
		go func() {
			v, err := attempt(ctx, i)
			results <- result{v, err}
		}()
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	var zero T
	var errs []error
	started, ended := 1, 0
	start(0)
	for {
		select {
		case r := <-results:
			ended++
			if r.err == nil {
				cancel()
				go func() { // ends when the losers have noticed
					for ; ended < started; ended++ {
						if late := <-results; late.err == nil {
							drop(late.value)
						}
					}
				}()
				return r.value, nil
			}
			errs = append(errs, r.err)
			if ended == n {
				cancel()
				return zero, errors.Join(errs...)
			}
			if ended == started {
				timer.Reset(delay)
				start(started)
				started++
			}
		case <-timer.C:
			if started < n {
				timer.Reset(delay)
				start(started)
				started++
			}
		}
	}
}

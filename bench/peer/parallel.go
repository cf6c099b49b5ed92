package peer

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// InParallel numbers n pieces of work from 0 on and lets workers take them: each
// calls next until there is no more. The first error ends them all.
func InParallel(ctx context.Context, n, workers int, work func(ctx context.Context, next func() (int, bool)) error) error {
	var taken atomic.Int64
	g, gctx := errgroup.WithContext(ctx)
	for range workers {
		g.Go(func() error {
			return work(gctx, func() (int, bool) {
				i := int(taken.Add(1)) - 1
				return i, i < n && gctx.Err() == nil
			})
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

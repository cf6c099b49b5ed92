package localblob

import (
	"context"
	"sync"
)

// group lets concurrent callers share one flush: those who come while a flush runs
// wait for the next one, which covers them all. One of the callers runs it; there is
// no goroutine to own. The zero value is ready.
type group struct {
	mu   sync.Mutex
	busy bool   // a flush runs
	next *round // callers for whom no flush has begun; nil when there are none
}

type round struct {
	lead chan struct{} // holds a token for the caller that is to flush
	done chan struct{} // closed when err is set
	err  error
}

// do returns after a flush that began after the call, with its error; or with the
// error of ctx, when that ends first.
func (g *group) do(ctx context.Context, flush func() error) error {
	r := g.join()
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err() // a token that is left behind is found by the next caller
	case <-r.lead:
	}
	g.mu.Lock()
	g.busy, g.next = true, nil
	g.mu.Unlock()
	r.err = flush()
	close(r.done)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy = false
	if g.next != nil {
		g.next.lead <- struct{}{}
	}
	return r.err
}

func (g *group) join() *round {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next == nil {
		g.next = &round{lead: make(chan struct{}, 1), done: make(chan struct{})}
		if !g.busy {
			g.next.lead <- struct{}{}
		}
	}
	return g.next
}

package discovery

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// lru is a bounded map whose entries end; the least recently used one leaves first.
// Safe for concurrent use.
type lru[K comparable, V any] struct {
	mu    sync.Mutex
	max   int
	now   func() time.Time
	order *list.List // of *lruEntry[K, V], most recently used first
	items map[K]*list.Element
}

type lruEntry[K comparable, V any] struct {
	key   K
	value V
	ends  time.Time
}

func newLRU[K comparable, V any](limit int, now func() time.Time) *lru[K, V] {
	return &lru[K, V]{max: limit, now: now, order: list.New(), items: make(map[K]*list.Element)}
}

func (l *lru[K, V]) get(k K) (V, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	el, ok := l.items[k]
	if !ok {
		var zero V
		return zero, false
	}
	e := el.Value.(*lruEntry[K, V])
	if !l.now().Before(e.ends) {
		l.remove(el)
		var zero V
		return zero, false
	}
	l.order.MoveToFront(el)
	return e.value, true
}

// put keeps v for life; a life of 0 or less is not kept.
func (l *lru[K, V]) put(k K, v V, life time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if el, ok := l.items[k]; ok {
		l.remove(el)
	}
	if life <= 0 {
		return
	}
	l.items[k] = l.order.PushFront(&lruEntry[K, V]{k, v, l.now().Add(life)})
	if l.order.Len() > l.max {
		l.remove(l.order.Back())
	}
}

func (l *lru[K, V]) forget(k K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if el, ok := l.items[k]; ok {
		l.remove(el)
	}
}

func (l *lru[K, V]) remove(el *list.Element) {
	l.order.Remove(el)
	delete(l.items, el.Value.(*lruEntry[K, V]).key)
}

// flight lets one caller per key do the work while the others wait for its answer.
// The work runs under its caller's context; when that ends, one of those who wait
// takes over, so that no request dies of another one's cancellation and no goroutine
// is left without an owner.
type flight[K comparable, V any] struct {
	mu   sync.Mutex
	open map[K]*landing[V]
}

type landing[V any] struct {
	done  chan struct{}
	value V
	err   error
	// left says that the work ended because its caller went away.
	left bool
}

func newFlight[K comparable, V any]() *flight[K, V] {
	return &flight[K, V]{open: make(map[K]*landing[V])}
}

func (f *flight[K, V]) do(ctx context.Context, k K, work func() (V, error)) (V, error) {
	for {
		f.mu.Lock()
		other, busy := f.open[k]
		if !busy {
			mine := &landing[V]{done: make(chan struct{}), left: true}
			f.open[k] = mine
			f.mu.Unlock()
			return f.lead(ctx, k, mine, work)
		}
		f.mu.Unlock()
		select {
		case <-ctx.Done():
			var zero V
			return zero, ctx.Err()
		case <-other.done:
		}
		if !other.left {
			return other.value, other.err
		}
	}
}

// lead clears the way for the next caller even when work panics.
func (f *flight[K, V]) lead(ctx context.Context, k K, mine *landing[V], work func() (V, error)) (V, error) {
	defer func() {
		f.mu.Lock()
		delete(f.open, k)
		f.mu.Unlock()
		close(mine.done)
	}()
	mine.value, mine.err = work()
	mine.left = mine.err != nil && ctx.Err() != nil
	return mine.value, mine.err
}

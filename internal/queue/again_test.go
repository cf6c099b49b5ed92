package queue_test

import (
	"context"
	"testing"
	"time"

	"github.com/videoactivmail/vam/internal/queue"
)

// lateFinish gives the runner time to look for work after a job has ended in the store
// and before the runner knows.
type lateFinish struct {
	queue.Store
	between func()
}

func (l lateFinish) Finish(ctx context.Context, owner string, id int64) error {
	err := l.Store.Finish(ctx, owner, id)
	l.between()
	return err
}

// A job that was wanted again while it ran is leased again as soon as its end is in the
// store, be its goroutine still there: it must not be taken for one that runs.
func TestWantedAgainWhileItEnds(t *testing.T) {
	inBubble(t, func(b *bubble) {
		first := true
		h := &calls{b: b, result: func(queue.Job) error {
			if first {
				first = false
				b.add(domain, "a")
			}
			return nil
		}}
		var r *queue.Runner
		between := func() {
			r.Wake()
			time.Sleep(time.Millisecond)
		}
		r, _ = b.run(lateFinish{b.MemoryQueue, between}, queue.Options{}, map[queue.Kind]queue.Handler{queue.Offer: h.handle})
		b.add(domain, "a")
		r.Wake()
		time.Sleep(time.Second)
		h.want(0, 0)
		if left := b.left(); len(left) != 0 {
			b.Errorf("there is still %+v", left)
		}
	})
}

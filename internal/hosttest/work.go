package hosttest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/queue"
)

// Handlers are those of all jobs of a server.
func (h *Host) Handlers() map[queue.Kind]queue.Handler {
	return map[queue.Kind]queue.Handler{
		queue.Offer: h.Delivery.Offer, queue.Hold: h.Delivery.Hold, queue.Poke: h.Delivery.Poke,
		queue.Receipt: h.Reception.Receipt, queue.Pull: h.Reception.Pull, queue.Digest: h.Reception.Digest,
	}
}

// Work does every job that is due, one after the other, as a queue.Runner would, until
// none is. It returns the errors of those that have to be done again.
func (h *Host) Work(ctx context.Context, kinds ...queue.Kind) (retries []error) {
	h.t.Helper()
	const owner = "test"
	store, handlers := h.DB.Queue(), h.Handlers()
	if len(kinds) == 0 {
		for k := range handlers {
			kinds = append(kinds, k)
		}
		slices.Sort(kinds)
	}
	for {
		now := h.Clock.Now()
		jobs, err := store.Lease(ctx, queue.Want{Owner: owner, Kinds: kinds, Now: now, Until: now.Add(time.Hour), Limit: 1})
		if err != nil {
			h.t.Fatal(err)
		}
		if len(jobs) == 0 {
			return retries
		}
		j := jobs[0]
		err = handlers[j.Kind](ctx, j)
		if err == nil || !vam.KindOf(err).Temporary() {
			if err != nil {
				h.t.Logf("job %s %s ended with %v", j.Kind, j.Key, err)
			}
			err = store.Finish(ctx, owner, j.ID)
		} else {
			retries = append(retries, err)
			pause := queue.Backoff(j.Attempts+1, 0)
			var e *vam.Error
			if errors.As(err, &e) && e.RetryAfter > 0 {
				pause = e.RetryAfter
			}
			err = store.Retry(ctx, owner, j.ID, now.Add(pause), err.Error())
		}
		if err != nil {
			h.t.Fatal(err)
		}
	}
}

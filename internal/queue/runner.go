package queue

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
)

// Handler does one job. A nil error finishes it. A temporary error (see
// vam.ErrorKind.Temporary) retries it: Unavailable counts against the domain, any
// other temporary error against the job alone. A permanent error finishes the job
// too: the handler has already recorded what it means for people. ctx ends when
// the Runner stops or the lease is lost.
type Handler func(ctx context.Context, j Job) error

// Options of a Runner; the zero value of each field has the default named.
type Options struct {
	Owner     string        // names this process in leases; required
	Workers   int           // jobs at once, 64
	PerDomain int           // jobs at once towards one domain, 8
	Lease     time.Duration // 60 s, renewed at a third
	Grace     time.Duration // how long running jobs may go on after the end of Run's context; 0 is not at all
	Now       func() time.Time
	Log       *slog.Logger
}

// Runner leases due jobs of the kinds that it has handlers for and hands them out.
// A process runs one for the short jobs and one for pulls, which may last for
// hours, so that neither takes the other's places. Run owns all its goroutines.
type Runner struct {
	store    Store
	handlers map[Kind]Handler
	kinds    []Kind
	o        Options
	wake     chan struct{}

	mu      sync.Mutex
	running map[int64]context.CancelFunc
	domains map[vam.Domain]int
}

// NewRunner takes one handler per kind.
func NewRunner(store Store, handlers map[Kind]Handler, o Options) *Runner {
	if o.Workers == 0 {
		o.Workers = 64
	}
	if o.PerDomain == 0 {
		o.PerDomain = 8
	}
	if o.Lease == 0 {
		o.Lease = time.Minute
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Runner{
		store: store, handlers: handlers, kinds: slices.Sorted(maps.Keys(handlers)), o: o, wake: make(chan struct{}, 1),
		running: map[int64]context.CancelFunc{}, domains: map[vam.Domain]int{},
	}
}

// Wake makes the Runner look for due jobs now. It never blocks.
func (r *Runner) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx ends, then takes nothing new and waits for running handlers,
// whose context ends after Grace; the jobs of those that are cut stay queued.
func (r *Runner) Run(ctx context.Context) error {
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var wg sync.WaitGroup
	renew := time.NewTicker(r.o.Lease / 3)
	defer renew.Stop()
	defer func() { r.drain(work, cut, &wg, renew.C) }()
	for {
		pause, err := r.dispatch(ctx, work, &wg)
		if err != nil && ctx.Err() == nil {
			r.o.Log.Error("the queue cannot be read; trying again", "err", err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-r.wake:
		case <-timer.C:
		case <-renew.C:
			r.renew(work)
		}
		timer.Stop()
	}
}

// drain waits for running handlers, at most Grace before it cuts them off.
func (r *Runner) drain(work context.Context, cut context.CancelFunc, wg *sync.WaitGroup, renew <-chan time.Time) {
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	grace := time.NewTimer(r.o.Grace)
	defer grace.Stop()
	for {
		select {
		case <-done:
			return
		case <-grace.C:
			cut()
		case <-renew:
			r.renew(work)
		}
	}
}

// dispatch starts what is due and returns how long nothing will be.
func (r *Runner) dispatch(ctx, work context.Context, wg *sync.WaitGroup) (time.Duration, error) {
	const poll = 5 * time.Second // the net below the wake-ups
	for {
		free, busy := r.capacity()
		if free == 0 {
			return poll, nil
		}
		now := r.o.Now()
		// A few at a time: PerDomain is checked between leases.
		jobs, err := r.store.Lease(ctx, r.o.Owner, r.kinds, now, now.Add(r.o.Lease), min(free, r.o.PerDomain), busy)
		if err != nil {
			return time.Second, err
		}
		for _, j := range jobs {
			r.start(work, wg, j)
		}
		if len(jobs) == 0 {
			due, err := r.store.NextDue(ctx, r.kinds)
			if err != nil || due.IsZero() {
				return poll, err
			}
			// A job that is due and was not leased waits for its domain: poll for it.
			if wait := due.Sub(now); wait > 0 {
				return min(poll, wait), nil
			}
			return poll, nil
		}
	}
}

func (r *Runner) capacity() (free int, busy []vam.Domain) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for d, n := range r.domains {
		if n >= r.o.PerDomain {
			busy = append(busy, d)
		}
	}
	return max(0, r.o.Workers-len(r.running)), busy
}

func (r *Runner) start(ctx context.Context, wg *sync.WaitGroup, j Job) {
	jctx, cancel := context.WithCancel(ctx)
	r.mu.Lock()
	r.running[j.ID] = cancel
	r.domains[j.Domain]++
	r.mu.Unlock()
	wg.Go(func() {
		defer func() {
			cancel()
			r.mu.Lock()
			delete(r.running, j.ID)
			if r.domains[j.Domain]--; r.domains[j.Domain] == 0 {
				delete(r.domains, j.Domain)
			}
			r.mu.Unlock()
			r.Wake()
		}()
		r.settle(ctx, j, r.handle(jctx, j))
	})
}

func (r *Runner) handle(ctx context.Context, j Job) error {
	h := r.handlers[j.Kind]
	if h == nil {
		return vam.Errorf(vam.Internal, "no handler for %s jobs", j.Kind)
	}
	return h(ctx, j)
}

// settle records the outcome. A stopped process records nothing: the lease ends by
// itself, or at the next start.
func (r *Runner) settle(ctx context.Context, j Job, err error) {
	if ctx.Err() != nil && err != nil {
		return
	}
	now := r.o.Now()
	var serr error
	switch {
	case err == nil || !vam.KindOf(err).Temporary():
		serr = r.store.Finish(ctx, r.o.Owner, j.ID)
		if err == nil {
			serr = errors.Join(serr, r.store.Reached(ctx, j.Domain, now))
		}
	default:
		pause := Backoff(j.Attempts + 1)
		var e *vam.Error
		if errors.As(err, &e) && e.RetryAfter > 0 {
			pause = min(max(e.RetryAfter, time.Second), 6*time.Hour)
		}
		if vam.KindOf(err) == vam.Unavailable {
			serr = r.store.Fail(ctx, j.Domain, now.Add(pause), err.Error())
		}
		serr = errors.Join(serr, r.store.Retry(ctx, r.o.Owner, j.ID, now.Add(pause), err.Error()))
		r.o.Log.Info("attempt failed", "job", j.Kind, "key", j.Key, "domain", j.Domain, "attempt", j.Attempts+1, "next", now.Add(pause), "err", err)
	}
	if serr != nil {
		r.o.Log.Error("the outcome of a job was not recorded; it will run again", "job", j.Kind, "key", j.Key, "err", serr)
	}
}

// renew extends the leases of running jobs and stops those that were lost.
func (r *Runner) renew(ctx context.Context) {
	r.mu.Lock()
	ids := make([]int64, 0, len(r.running))
	for id := range r.running {
		ids = append(ids, id)
	}
	r.mu.Unlock()
	if len(ids) == 0 {
		return
	}
	kept, err := r.store.Renew(ctx, r.o.Owner, r.o.Now().Add(r.o.Lease), ids)
	if err != nil {
		r.o.Log.Error("leases were not renewed", "err", err)
		return
	}
	held := make(map[int64]bool, len(kept))
	for _, id := range kept {
		held[id] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if cancel := r.running[id]; cancel != nil && !held[id] {
			cancel()
		}
	}
}

package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
)

// Handler does one job. A nil error finishes it and says that its domain answers;
// ErrNotReached finishes it and says nothing of the domain. A temporary error (see
// vam.ErrorKind.Temporary) retries it: Unavailable says that the domain could not be
// reached and counts against all jobs towards it, any other temporary error counts
// against the job alone. A permanent error finishes the job too: the handler has
// already recorded what it means for people. A panic is an unknown error, and so a
// temporary one: one message that breaks a handler must not stop the others. ctx ends
// when the Runner stops or the lease is lost.
type Handler func(ctx context.Context, j Job) error

// Options of a Runner; the zero value of each field has the default named.
type Options struct {
	Owner     string        // names this process in leases, another one after a restart; required
	Workers   int           // jobs at once, 64
	PerDomain int           // jobs at once towards one domain, 8
	Lease     time.Duration // 60 s, renewed at a third
	Grace     time.Duration // how long running jobs may go on after the end of Run's context; 0 is not at all
	Now       func() time.Time
	Spread    func() float64 // of each pause, see Backoff; random
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
	domains map[vam.Domain]*traffic // of those with running jobs
}

// traffic is what goes on with one domain.
type traffic struct {
	jobs    int
	reached time.Time // when a job last succeeded
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
	if o.Spread == nil {
		o.Spread = func() float64 { return 2*rand.Float64() - 1 }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Runner{
		store: store, handlers: handlers, kinds: slices.Sorted(maps.Keys(handlers)), o: o, wake: make(chan struct{}, 1),
		running: map[int64]context.CancelFunc{}, domains: map[vam.Domain]*traffic{},
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
// whose context ends after Grace; the jobs of those that are cut stay queued (AM-14.8).
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

const (
	poll      = 5 * time.Second // the net below the wake-ups
	leaseStep = 32              // jobs of one lease, so that a commit stays small
)

// dispatch starts what is due and returns how long nothing will be.
func (r *Runner) dispatch(ctx, work context.Context, wg *sync.WaitGroup) (time.Duration, error) {
	for ctx.Err() == nil {
		w := r.want()
		if w.Limit == 0 {
			return poll, nil
		}
		jobs, err := r.store.Lease(ctx, w)
		if err != nil {
			return time.Second, err
		}
		for _, j := range jobs {
			r.start(work, wg, j)
		}
		if len(jobs) == w.Limit {
			continue
		}
		due, err := r.store.NextDue(ctx, r.kinds, w.Now)
		if err != nil || due.IsZero() {
			return poll, err
		}
		return min(poll, max(0, due.Sub(r.o.Now()))), nil
	}
	return poll, nil
}

// want is what there are free places for.
func (r *Runner) want() Want {
	now := r.o.Now()
	w := Want{Owner: r.o.Owner, Kinds: r.kinds, Now: now, Until: now.Add(r.o.Lease), PerDomain: r.o.PerDomain, Running: map[vam.Domain]int{}}
	r.mu.Lock()
	defer r.mu.Unlock()
	for d, t := range r.domains {
		w.Running[d] = t.jobs
	}
	w.Limit = max(0, min(leaseStep, r.o.Workers-len(r.running)))
	return w
}

func (r *Runner) start(ctx context.Context, wg *sync.WaitGroup, j Job) {
	jctx, cancel := context.WithCancel(ctx)
	r.mu.Lock()
	if r.running[j.ID] != nil {
		r.mu.Unlock()
		cancel() // the clock was set forward over our own lease: the job runs on
		return
	}
	r.running[j.ID] = cancel
	t := r.domains[j.Domain]
	if t == nil {
		t = &traffic{}
		r.domains[j.Domain] = t
	}
	t.jobs++
	r.mu.Unlock()
	begun := r.o.Now()
	wg.Go(func() {
		defer r.Wake()
		defer r.end(j)
		err := r.handle(jctx, j)
		r.leave(j, cancel)
		r.settle(ctx, j, begun, err)
	})
}

// leave says that a job does not run any more. That comes before its outcome is
// recorded: from then on it may be leased again, when it was wanted again meanwhile.
func (r *Runner) leave(j Job, cancel context.CancelFunc) {
	cancel()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.running, j.ID)
}

// end gives the job's place back.
func (r *Runner) end(j Job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.domains[j.Domain]
	if t.jobs--; t.jobs == 0 {
		delete(r.domains, j.Domain)
	}
}

func (r *Runner) handle(ctx context.Context, j Job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.o.Log.Error("a handler panicked", "job", j.Kind, "key", j.Key, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return r.handlers[j.Kind](ctx, j)
}

// ErrStopped is what a handler returns that gave its job up because the process stops. The
// job has no outcome then, like one that was cut off.
var ErrStopped = errors.New("the process stops")

// ErrNotReached is what a handler returns that is done with its job and had no answer of
// the domain: it asked nothing, or gave up. An outage goes on as if nothing had been
// (AM-8.24).
var ErrNotReached error = vam.Errorf(vam.Gone, "the job ended without an answer of its domain")

// settle records the outcome, also of a job that ended just when the Runner was
// stopped. A job that was stopped has none: its lease ends by itself, or at the next
// start.
func (r *Runner) settle(ctx context.Context, j Job, begun time.Time, err error) {
	if err != nil && (ctx.Err() != nil || errors.Is(err, ErrStopped)) {
		return
	}
	ctx = context.WithoutCancel(ctx)
	var serr error
	switch {
	case err == nil:
		serr = errors.Join(r.store.Finish(ctx, r.o.Owner, j.ID), r.reached(ctx, j.Domain))
	case vam.KindOf(err).Temporary():
		serr = r.retry(ctx, j, begun, err)
	default: // ErrNotReached too
		serr = r.store.Finish(ctx, r.o.Owner, j.ID)
	}
	if serr != nil {
		r.o.Log.Error("the outcome of a job was not recorded; it will run again", "job", j.Kind, "key", j.Key, "err", serr)
	}
}

// reached tells the store that a domain answers.
func (r *Runner) reached(ctx context.Context, d vam.Domain) error {
	now := r.o.Now()
	r.mu.Lock()
	r.domains[d].reached = now
	r.mu.Unlock()
	return r.store.Reached(ctx, d, now)
}

// isReached reports whether another job reached the domain since then.
func (r *Runner) isReached(d vam.Domain, since time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.domains[d].reached.Before(since)
}

// maxRetryAfter bounds what a peer may ask for (AM-8.22).
const maxRetryAfter = 6 * time.Hour

// retry puts the job back. A domain that others reached meanwhile is not down: then
// the failure is the job's own, else one message that a peer cannot answer for would
// hold up all others.
func (r *Runner) retry(ctx context.Context, j Job, begun time.Time, cause error) error {
	now := r.o.Now()
	var asked time.Duration
	var e *vam.Error
	if errors.As(cause, &e) {
		asked = min(max(0, e.RetryAfter), maxRetryAfter)
	}
	spread := r.o.Spread()
	next := now.Add(max(Backoff(j.Attempts+1, spread), asked))
	var ferr error
	if vam.KindOf(cause) == vam.Unavailable && !r.isReached(j.Domain, begun) {
		var open time.Time
		if open, ferr = r.store.Fail(ctx, j.Domain, Failure{At: now, AtLeast: asked, Spread: spread, Reason: cause.Error()}); ferr == nil {
			next = open
		}
	}
	r.o.Log.Info("attempt failed", "job", j.Kind, "key", j.Key, "domain", j.Domain, "attempt", j.Attempts+1, "next", next, "err", cause)
	return errors.Join(ferr, r.store.Retry(ctx, r.o.Owner, j.ID, next, cause.Error()))
}

// renew extends the leases of running jobs and stops those that were lost.
func (r *Runner) renew(ctx context.Context) {
	r.mu.Lock()
	ids := slices.Collect(maps.Keys(r.running))
	r.mu.Unlock()
	if len(ids) == 0 {
		return
	}
	kept, err := r.store.Renew(ctx, r.o.Owner, r.o.Now().Add(r.o.Lease), ids)
	if err != nil {
		r.o.Log.Error("leases were not renewed", "err", err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if cancel := r.running[id]; cancel != nil && !slices.Contains(kept, id) {
			cancel()
		}
	}
}

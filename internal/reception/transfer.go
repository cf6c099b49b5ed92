package reception

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/message"
)

const (
	// flushBytes and flushEvery bound what a crash can cost to fetch again.
	flushBytes = 64 << 20
	flushEvery = 500 * time.Millisecond
	// noteEvery is how often the progress of a long transfer is remembered, beside its end.
	noteEvery = time.Hour
	// maxStrikes is how often in a row an origin may send bytes of one blob that do not
	// match its record (AM-7.24).
	maxStrikes = 3
	// maxFailures is how often in a row one lane may get nothing before the attempt ends.
	maxFailures = 3
	// lateReuse is how much may have come of media that turns out to be here already, and
	// is still dropped for it.
	lateReuse = 64 << 20
)

// errHere ends a transfer of media that is here already.
var errHere = errors.New("the media of this message is here already")

// transfer is one attempt to fetch everything that is missing of a message.
type transfer struct {
	s       *Service
	k       message.Key
	origin  Origin
	w       *message.Writer
	plan    *plan
	flush   chan struct{}
	pending atomic.Int64 // octets written since the last flush
	moved   atomic.Bool  // something came
	buffers blob.Buffers
	looked  int64 // what the log named when that was last held to the limits
	charged int64 // octets that the domain's allowance was asked for

	mu      sync.Mutex
	strikes map[activmail.Sum]int
}

func (s *Service) newTransfer(m message.Message, origin Origin) *transfer {
	return &transfer{
		s: s, k: m.Key, origin: origin, flush: make(chan struct{}, 1), strikes: map[activmail.Sum]int{},
		looked: int64(m.Announced), charged: max(int64(m.Announced), m.Head.MediaBytes),
	}
}

// run follows the log and fetches media side by side until everything that the sealed
// log names is here, and durable (AM-7.23, AM-7.26, AM-7.28).
func (t *transfer) run(ctx context.Context) error {
	w, err := t.s.o.Messages.Writer(ctx, t.k)
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }()
	t.w = w
	t.plan = newPlan(int64(t.s.o.Chunk), t.s.o.Lanes, t.s.o.Messages.Limits(), t.page, w)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return t.follow(gctx) })
	g.Go(func() error { return t.plan.run(gctx) })
	done := make(chan struct{})
	g.Go(func() error {
		defer close(done)
		lanes, lctx := errgroup.WithContext(gctx)
		for range t.s.o.Lanes {
			lanes.Go(func() error { return t.lane(lctx) })
		}
		return lanes.Wait()
	})
	g.Go(func() error { return t.flusher(gctx, done) })
	err = g.Wait()
	if errors.Is(err, errHere) {
		return err
	}
	if ferr := w.Flush(context.WithoutCancel(ctx)); err == nil {
		err = ferr
	}
	return err
}

// page feeds the plan with stored log lines.
func (t *transfer) page(ctx context.Context, from int64) ([]message.Line, error) {
	return t.s.o.Messages.Lines(ctx, t.k, from, 1000)
}

// lane fetches one piece of the plan after the other.
func (t *transfer) lane(ctx context.Context) error {
	failures := 0
	for {
		var piece []part
		var more bool
		select {
		case piece, more = <-t.plan.pieces:
			if !more {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
		rest, err := t.fetch(ctx, piece)
		if len(rest) < len(piece) {
			failures = 0
		}
		if err != nil {
			if vam.KindOf(err) != vam.Corrupt { // those are counted for each blob
				failures++
			}
			if failures > maxFailures || !t.retryHere(err) {
				return err
			}
		}
		select {
		case t.plan.results <- rest:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// retryHere reports whether the rest of a piece is worth asking for again at once.
func (t *transfer) retryHere(err error) bool {
	var f *fault
	k := vam.KindOf(err)
	return !errors.As(err, &f) && (k == vam.Corrupt || k == vam.Unavailable)
}

// strike counts bytes that do not match their record; at the third time in a row that
// is a fault of the message.
func (t *transfer) strike(sum activmail.Sum, err error) error {
	if vam.KindOf(err) != vam.Corrupt {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.strikes[sum]++; t.strikes[sum] >= maxStrikes {
		return &fault{vam.Wrap(vam.Corrupt, err, "the origin sends other octets than its log names").WithProblem("digest-mismatch")}
	}
	return err
}

// fetch reads the parts of a piece and writes each one that verifies. It returns
// those that it did not get to.
func (t *transfer) fetch(ctx context.Context, p []part) ([]part, error) {
	if !p[0].media {
		if err := t.fetchSide(ctx, p[0]); err != nil {
			return p, t.strike(p[0].sum, err)
		}
		return nil, nil
	}
	first, last := p[0], p[len(p)-1]
	body, err := t.origin.Media(ctx, first.off, last.off+last.length-first.off)
	if err != nil {
		return p, err
	}
	defer func() { _ = body.Close() }()
	for i, x := range p {
		buf, err := blob.ReceivePart(body, x.sum, x.length, &t.buffers)
		if err != nil {
			return p[i:], t.strike(x.sum, err)
		}
		err = t.w.WritePart(x.off, buf)
		t.buffers.Put(buf)
		if err != nil {
			return p[i:], err
		}
		t.wrote(x.length)
	}
	return nil, nil
}

func (t *transfer) fetchSide(ctx context.Context, x part) error {
	data, err := t.origin.Blob(ctx, x.sum, x.length)
	if err != nil {
		return err
	}
	if err := blob.Check(data, x.sum); err != nil {
		return err
	}
	t.moved.Store(true)
	return t.w.WriteSide(ctx, x.sum, data)
}

// wrote counts octets towards the next flush.
func (t *transfer) wrote(n int64) {
	t.moved.Store(true)
	if t.pending.Add(n) >= flushBytes {
		select {
		case t.flush <- struct{}{}:
		default:
		}
	}
}

// flusher makes progress durable while the lanes go on. It ends with them.
func (t *transfer) flusher(ctx context.Context, done <-chan struct{}) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	var noted time.Time
	for {
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return nil
		case <-t.flush:
		case <-tick.C:
		}
		if t.pending.Swap(0) == 0 {
			continue
		}
		if err := t.w.Flush(ctx); err != nil {
			return err
		}
		if now := t.s.o.Now(); now.Sub(noted) >= noteEvery {
			noted = now
			if err := t.s.store.Moved(ctx, t.k, now); err != nil {
				return err
			}
		}
	}
}

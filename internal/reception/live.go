package reception

import (
	"context"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/blob"
)

const (
	// entryWait is the longest wait of one request at the live edge (AM-7.5).
	entryWait = 25 * time.Second
	// entriesAhead is how many entries are asked for before they exist (AM-7.11: at
	// most four for one message).
	entriesAhead = 3
	// liveIdle is how long a recording may stand still before its place is given to
	// another message; it is looked at again after liveAgain.
	liveIdle  = 10 * time.Minute
	liveAgain = time.Minute
	// An origin that says at once that there is nothing yet is asked again after
	// pauseFirst, and then twice as long each time up to pauseMost.
	pauseFirst = 100 * time.Millisecond
	pauseMost  = 5 * time.Second
	// maxContradictions is how often in a row an origin may speak of lines that it then
	// does not have.
	maxContradictions = 3
)

// follow keeps the log up with the origin's until it is sealed, and tells the plan.
func (t *transfer) follow(ctx context.Context) error {
	contradictions := 0
	hold, err := t.mayBeHere(ctx)
	if err != nil {
		return err
	}
	for {
		m, err := t.s.o.Messages.Get(ctx, t.k)
		if err != nil {
			return err
		}
		if m.State == vam.Revoked || m.State == vam.Expired {
			return vam.Errorf(vam.Gone, "the message has ended").WithProblem("revoked")
		}
		if err := t.grown(ctx, m); err != nil {
			return err
		}
		sealed := !m.Head.SealedAt.IsZero()
		if sealed {
			if err := t.s.kept(ctx, t.k); err != nil {
				return err
			}
			if err := t.here(ctx); err != nil {
				return err
			}
		}
		if sealed || !hold {
			t.plan.grow(m.Head.Lines, sealed)
		}
		if sealed {
			return nil
		}
		_, grew, err := t.s.extend(ctx, t.k, t.origin, true)
		if err != nil {
			return err
		}
		if grew {
			t.moved.Store(true)
			contradictions = 0
			continue
		}
		if hold {
			hold = false // it is still being made
			continue
		}
		more, err := t.live(ctx, m.Head.Lines)
		if err != nil {
			return err
		}
		if !more {
			contradictions = 0
		} else if contradictions++; contradictions > maxContradictions {
			return vam.Errorf(vam.Unavailable, "the origin speaks of lines that it does not have")
		}
	}
}

// mayBeHere reports whether the media, of which nothing has come, is better not asked for
// before the rest of the log says what it is (AM-7.26).
func (t *transfer) mayBeHere(ctx context.Context) (bool, error) {
	if t.w.Total() > 0 {
		return false, nil
	}
	return t.s.o.Messages.MayBeReusable(ctx, t.k, t.k.Origin)
}

// here ends the transfer when the log, now that it is sealed, names media that is here
// already and of which little has come.
func (t *transfer) here(ctx context.Context) error {
	if t.w.Total() > lateReuse {
		return nil
	}
	reusable, err := t.s.o.Messages.Reusable(ctx, t.k, t.k.Origin)
	if err == nil && reusable {
		err = errHere
	}
	return err
}

// answer is what came for one entry.
type answer struct {
	line, checkpoint, blob []byte
	err                    error
	quick                  bool // it was not waited for
}

// live follows the edge of a message that is still being made: entries are asked
// for before they exist, so that none waits for a round trip. It returns when the
// log has ended or more is to be fetched than the next line; more says that the origin
// spoke of lines that are not here (AM-7.12).
func (t *transfer) live(ctx context.Context, next int64) (more bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	posted := map[int64]chan answer{}
	idle := time.NewTimer(liveIdle)
	defer idle.Stop()
	pause := time.Duration(0)
	for n := next; ; {
		for ahead := n; ahead < n+entriesAhead; ahead++ {
			if posted[ahead] == nil {
				posted[ahead] = t.ask(ctx, &asking, ahead)
			}
		}
		var a answer
		select {
		case a = <-posted[n]:
		case <-idle.C:
			return false, vam.Errorf(vam.Busy, "the recording stands still; looking again later").WithRetry(liveAgain)
		case <-ctx.Done():
			return false, ctx.Err()
		}
		delete(posted, n)
		switch {
		case a.err != nil && lookAtLog(a.err):
			return true, nil
		case a.err != nil:
			return false, a.err
		case a.line == nil:
			if pause = nextPause(pause, a.quick); !sleep(ctx, pause) {
				return false, ctx.Err()
			}
			continue
		}
		ended, behind, err := t.entry(ctx, n, a)
		if err != nil || ended || behind {
			return behind, err
		}
		pause = 0
		idle.Reset(liveIdle)
		n++
	}
}

// lookAtLog reports whether an entry cannot be had this way, and the log says more: it
// will never be there, its blob is another one, or it is no record.
func lookAtLog(err error) bool {
	switch vam.KindOf(err) {
	case vam.Conflict, vam.Corrupt, vam.Invalid, vam.TooLarge:
		return true
	}
	return false
}

// ask posts the request for an entry.
func (t *transfer) ask(ctx context.Context, asking *sync.WaitGroup, n int64) chan answer {
	ch := make(chan answer, 1)
	asking.Go(func() {
		var a answer
		start := time.Now()
		a.line, a.checkpoint, a.blob, a.err = t.origin.Entry(ctx, n, entryWait)
		a.quick = time.Since(start) < entryWait/2
		ch <- a
	})
	return ch
}

func nextPause(pause time.Duration, quick bool) time.Duration {
	if !quick {
		return 0
	}
	return min(max(2*pause, pauseFirst), pauseMost)
}

// sleep reports whether d went by before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// entry takes one line of the live edge in. ended says that the log needs no more
// following, behind that the checkpoint covers lines that lie between.
func (t *transfer) entry(ctx context.Context, n int64, a answer) (ended, behind bool, err error) {
	m, err := t.s.o.Messages.Get(ctx, t.k)
	if err != nil {
		return false, false, err
	}
	cp, err := activmail.OpenCheckpoint(a.checkpoint, t.k.Origin, t.k.ID, m.PublicKey)
	if err != nil {
		return false, false, &fault{err}
	}
	if cp.Size != n+1 || m.Head.Lines != n {
		return false, true, nil
	}
	offset := m.Head.MediaBytes
	if m, err = t.s.followed(t.s.o.Messages.Follow(ctx, t.k, n, [][]byte{a.line}, a.checkpoint)); err != nil {
		return false, false, err
	}
	t.moved.Store(true)
	if err := t.grown(ctx, m); err != nil {
		return false, false, err
	}
	r, err := activmail.ParseRecord(a.line, t.s.o.Messages.Limits())
	if err != nil {
		return false, false, &fault{err}
	}
	if r.HasBlob() && r.IsMedia() && int64(len(a.blob)) == int64(r.Length) && blob.Check(a.blob, r.Blob) == nil {
		if err := t.w.WritePart(offset, a.blob); err != nil {
			return false, false, err
		}
		t.wrote(int64(len(a.blob)))
	}
	ended = !m.Head.SealedAt.IsZero() || m.State == vam.Revoked
	t.plan.grow(m.Head.Lines, false) // follow looks at the seal itself
	return ended, false, nil
}
